//! Checks that crates use each other only as the arrows in `docs/ARCHITECTURE.md` allow, and that their public items
//! are documented.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::{command::root, semantics::files};

/// For each room, the rooms that it may use.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Reads the arrows: `a, b <- c <- d` lets `c` use `a` and `b`, and `d` use all three. `everything` is all rooms.
fn arrows(page: &str) -> Arrows {
    // Every second part is a block of code.
    let block = page.split("```").skip(1).step_by(2).find(|block| block.contains(" <- ")).unwrap();
    let mut arrows = Arrows::new();
    for line in block.lines().filter(|line| line.contains(" <- ")) {
        let stops: Vec<Vec<&str>> =
            line.split(" <- ").map(|stop| stop.split(", ").map(room).collect()).collect();
        for pair in stops.windows(2) {
            for user in &pair[1] {
                arrows
                    .entry((*user).to_owned())
                    .or_default()
                    .extend(pair[0].iter().map(|used| (*used).to_owned()));
            }
        }
    }
    arrows
}

/// The name of a room without the note after it.
fn room(text: &str) -> &str {
    text.split(" (").next().unwrap().trim()
}

/// Whether one room may use another, directly or through others.
fn may_use(arrows: &Arrows, user: &str, used: &str) -> bool {
    let Some(direct) = arrows.get(user) else { return false };
    direct.contains("everything")
        || direct.contains(used)
        || direct.iter().any(|via| may_use(arrows, via, used))
}

/// The rooms in the ordinary dependencies of a manifest.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let dependencies = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    dependencies
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.strip_prefix("longshore-")?.split(['.', ' ']).next())
}

#[test]
fn crates_use_each_other_only_as_the_architecture_page_allows() {
    let arrows = arrows(&fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap());
    let mut wrong = Vec::new();
    for user in arrows.keys() {
        let folder = if root().join("crates").join(user).is_dir() { "crates" } else { "" };
        let manifest = root().join(folder).join(user).join("Cargo.toml");
        let manifest = fs::read_to_string(&manifest).unwrap();
        let forbidden = dependencies(&manifest).filter(|used| !may_use(&arrows, user, used));
        wrong.extend(forbidden.map(|used| format!("{user} uses {used}")));
    }
    assert!(wrong.is_empty(), "docs/ARCHITECTURE.md has no arrow for this: {wrong:?}");
}

/// The public items of a file without a doc comment.
fn undocumented(source: &str) -> Vec<&str> {
    const ITEMS: [&str; 8] =
        ["fn ", "async fn ", "const fn ", "struct ", "enum ", "trait ", "type ", "const "];
    let code: Vec<&str> = source.lines().take_while(|line| *line != "#[cfg(test)]").collect();
    let mut documented = false;
    let mut found = Vec::new();
    for line in code {
        if line.starts_with("///") {
            documented = true;
        } else if let Some(item) = line.strip_prefix("pub ") {
            if !documented && ITEMS.iter().any(|kind| item.starts_with(kind)) {
                found.push(line);
            }
            documented = false;
        } else if line.is_empty() || line == "}" {
            documented = false;
        }
    }
    found
}

#[test]
fn public_items_are_documented() {
    let files = files();
    let rooms = files.iter().filter(|file| file.path.starts_with("crates/") && file.path.contains("/src/"));
    let found: Vec<String> = rooms
        .flat_map(|file| undocumented(&file.text).into_iter().map(|line| format!("{}: {line}", file.path)))
        .collect();
    assert!(found.is_empty(), "these items need a doc comment: {found:#?}");
}

#[test]
fn arrows_are_transitive_and_directed() {
    let arrows =
        arrows("```\noci <- policy <- model (here)\nmodel <- remote, metadata\neverything <- server\n```");
    for (user, used) in [("policy", "oci"), ("model", "policy"), ("remote", "oci"), ("server", "remote")] {
        assert!(may_use(&arrows, user, used), "{user} may use {used}");
    }
    for (user, used) in [("oci", "policy"), ("remote", "metadata"), ("model", "remote"), ("other", "oci")] {
        assert!(!may_use(&arrows, user, used), "{user} may not use {used}");
    }
}
