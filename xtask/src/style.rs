//! The style sheet: the files in `style/`, joined in the order in which `style/main.css` imports them.
//!
//! `main.css` is valid CSS (only lines such as `@import url("tokens.css");`), so `cargo leptos watch` bundles the
//! same sheet.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

/// Joins the files that `main.css` in this folder imports.
///
/// # Errors
/// A line of `main.css` is neither an import nor a comment, or a file cannot be read.
pub(crate) fn bundle(folder: &Path) -> Result<String> {
    let main = folder.join("main.css");
    let manifest = fs::read_to_string(&main).with_context(|| format!("cannot read {}", main.display()))?;
    let mut sheet = String::new();
    for part in imports(&manifest)? {
        let path = folder.join(part);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}, which main.css imports", path.display()))?;
        sheet.push_str(&without_comments(&text));
        sheet.push('\n');
    }
    Ok(sheet)
}

/// The files that a manifest imports, in order.
fn imports(manifest: &str) -> Result<Vec<&str>> {
    let mut parts = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.is_empty() || (line.starts_with("/*") && line.ends_with("*/")) {
            continue;
        }
        match line.strip_prefix("@import url(\"").and_then(|rest| rest.strip_suffix("\");")) {
            Some(part) => parts.push(part),
            None => bail!("main.css may only have imports and one-line comments, not {line:?}"),
        }
    }
    Ok(parts)
}

/// Removes comments and blank lines from a sheet. No rule here has `/*` within a string.
fn without_comments(sheet: &str) -> String {
    let mut rest = sheet;
    let mut kept = String::with_capacity(sheet.len());
    while let Some((before, comment)) = rest.split_once("/*") {
        kept.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn files_are_joined_in_the_order_of_the_imports() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.css"), "/* one */\na { color: red }\n").unwrap();
        fs::write(folder.path().join("b.css"), "\n\nb { color: blue }\n").unwrap();
        fs::write(
            folder.path().join("main.css"),
            "/* order */\n@import url(\"b.css\");\n@import url(\"a.css\");\n",
        )
        .unwrap();
        assert_eq!(bundle(folder.path()).unwrap(), "b { color: blue }\na { color: red }\n");
    }

    #[test]
    fn a_rule_in_main_css_is_rejected() {
        assert!(imports("body { margin: 0 }").unwrap_err().to_string().contains("body { margin: 0 }"));
    }
}
