//! Parses the output of `strace -f -xx`: one call after another, with arguments and result.

use std::collections::HashMap;

/// A system call, from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The line at which it began.
    pub(crate) begin: usize,
    /// The line at which it ended.
    pub(crate) end: usize,
    pub(crate) name: String,
    /// The arguments as written.
    pub(crate) arguments: Vec<String>,
    /// The return value, negative for an error; `None` for a call that never returned.
    pub(crate) result: Option<i64>,
}

/// All calls of a trace, in the order in which they began.
///
/// # Panics
/// If a line is not in the format of strace.
pub(crate) fn calls(trace: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut unfinished: HashMap<&str, (usize, &str)> = HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(head) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, (number, head));
        } else if let Some((_, tail)) =
            rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>"))
        {
            let (begin, head) = unfinished.remove(thread).expect("what is resumed was begun");
            calls.extend(call(begin, number, &format!("{head}{tail}")));
        } else {
            calls.extend(call(number, number, rest));
        }
    }
    // The process was killed during these calls, and whether they had an effect is unknown.
    calls.extend(
        unfinished.into_values().filter_map(|(begin, head)| call(begin, usize::MAX, &format!("{head}) = ?"))),
    );
    calls.sort_by_key(|call| call.begin);
    calls
}

fn call(begin: usize, end: usize, text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, rest) = arguments(rest);
    let result = rest.trim_start().strip_prefix('=').unwrap_or_else(|| panic!("not a call: {text:.200}"));
    let result = result.split_ascii_whitespace().next().and_then(|number| number.parse().ok());
    Some(Call { begin, end, name: name.to_owned(), arguments, result })
}

/// The arguments up to the closing bracket, and the rest. Commas within strings and brackets do not separate
/// arguments.
fn arguments(text: &str) -> (Vec<String>, &str) {
    let (mut found, mut current, mut depth, mut quoted) = (Vec::new(), String::new(), 0_usize, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' | b'(' => depth += 1,
            b')' if depth == 0 => {
                found.extend((!current.trim().is_empty()).then(|| current.trim().to_owned()));
                return (found, &text[at + 1..]);
            }
            b']' | b'}' | b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                found.push(std::mem::take(&mut current).trim().to_owned());
                continue;
            }
            _ => {}
        }
        current.push(char::from(byte));
    }
    panic!("a call without its end: {text:.200}");
}

impl Call {
    /// A numeric argument.
    pub(crate) fn number(&self, at: usize) -> i64 {
        let text = &self.arguments[at];
        text.parse().unwrap_or_else(|_| panic!("{text} of {} is not a number", self.name))
    }

    /// The bytes of all strings of one argument, concatenated.
    pub(crate) fn bytes(&self, at: usize) -> Vec<u8> {
        let text = &self.arguments[at];
        assert!(!text.contains("\"..."), "strace has cut the bytes of {}", self.name);
        let strings = text.split('"').skip(1).step_by(2);
        strings.flat_map(|string| string.split("\\x").skip(1).map(hex_byte)).collect()
    }

    /// An argument that is a path.
    pub(crate) fn path(&self, at: usize) -> String {
        String::from_utf8(self.bytes(at)).expect("paths are UTF-8")
    }

    /// Whether an argument that is a set of flags contains this one.
    pub(crate) fn has(&self, at: usize, flag: &str) -> bool {
        self.arguments.get(at).is_some_and(|flags| flags.split('|').any(|one| one == flag))
    }
}

fn hex_byte(digits: &str) -> u8 {
    u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{digits} is not a byte"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_parsed_with_their_interruptions() {
        let trace = r#"10 openat(AT_FDCWD, "\x2f\x61\x2c", O_WRONLY|O_CREAT|O_CLOEXEC, 0666) = 7
10 pwrite64(7, "\x68\x69", 2, 4096 <unfinished ...>
11 fsync(8)                          = -1 EIO (Input/output error)
10 <... pwrite64 resumed>)           = 2
11 writev(9, [{iov_base="\x68", iov_len=1}, {iov_base="\x69", iov_len=1}], 2) = 2
11 --- SIGCHLD {si_signo=SIGCHLD} ---
11 fdatasync(7 <unfinished ...>
10 +++ killed by SIGKILL +++
"#;
        let calls = calls(trace);
        let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(names, ["openat", "pwrite64", "fsync", "writev", "fdatasync"]);
        assert_eq!(calls[0].path(1), "/a,");
        assert!(calls[0].has(2, "O_CREAT") && !calls[0].has(2, "O_TRUNC"));
        assert_eq!((calls[1].begin, calls[1].end, calls[1].number(3)), (1, 3, 4096));
        assert_eq!(calls[2].result, Some(-1));
        assert_eq!(calls[3].bytes(1), b"hi");
        assert_eq!((calls[4].end, calls[4].result), (usize::MAX, None));
    }
}
