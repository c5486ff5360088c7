//! Where compilers and interpreters say that something is wrong.
//!
//! Reads the output of go build, vet and test, rustc and cargo, gcc and clang, tsc, javac and Maven,
//! and Python. Errors only: warnings and notes do not fail a build. Safe against any output: each
//! line is looked at once, colours are dropped, numbers that do not fit are no places, and what is found
//! grows no faster than the output.

use std::collections::{HashSet, VecDeque};

use serde::{Deserialize, Serialize};

/// A place that a diagnostic names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The path as it was printed, relative to wherever the command ran.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column as the program counts it, where it gives one.
    pub column: Option<u32>,
    /// What the program says.
    pub message: String,
}

/// Extensions of files that diagnostics in the form `file:line: message` are believed for.
const EXTENSIONS: &[&str] = &[
    "go", "mod", "work", "rs", "c", "cc", "cpp", "cxx", "h", "hh", "hpp", "hxx", "m", "mm", "s",
    "S", "ts", "tsx", "mts", "cts", "js", "jsx", "mjs", "cjs", "java", "kt", "py", "pyi", "proto",
];

/// Longest path that is taken for one, in bytes.
const LONGEST_PATH: usize = 4096;

/// Most frames of one traceback, the innermost; each has the whole message.
const MOST_FRAMES: usize = 64;

/// Longest message, in bytes.
const LONGEST_MESSAGE: usize = 1000;

/// The places of errors in the output of a build, in the order they were printed, without doubles.
///
/// The frames of a Python traceback come innermost first, 64 at most, each with the exception as its
/// message. Messages are cut after 1,000 bytes.
#[must_use]
pub fn parse(output: &str) -> Vec<Place> {
    let clean = without_colours(output);
    let mut places = Places {
        found: Vec::new(),
        seen: HashSet::new(),
    };
    let mut rust_message: Option<String> = None;
    let mut frames: VecDeque<(String, u32)> = VecDeque::new();
    for line in clean.lines() {
        let line = line.trim_end();
        if let Some(frame) = python_frame(line) {
            if frames.len() == MOST_FRAMES {
                frames.pop_front();
            }
            frames.push_back(frame);
            continue;
        }
        if !frames.is_empty() {
            if line.starts_with([' ', '\t']) || line.is_empty() {
                continue;
            }
            if line.starts_with("Traceback ") {
                frames.clear();
                continue;
            }
            for (file, number) in frames.drain(..).rev() {
                places.add(file, number, None, line);
            }
            continue;
        }
        if let Some(header) = rust_header(line) {
            rust_message = match header {
                Header::Error(message) => Some(message),
                Header::Other => None,
            };
            continue;
        }
        if let Some(place) = line.trim_start().strip_prefix("--> ") {
            if let Some(message) = rust_message.take()
                && let Some((file, number, column, rest)) = colon_place(place, true)
                && rest.is_empty()
            {
                places.add(file.to_owned(), number, column, &message);
            }
            continue;
        }
        other(line, &mut places);
    }
    for (file, number) in frames.drain(..).rev() {
        places.add(file, number, None, "");
    }
    places.found
}

struct Places {
    found: Vec<Place>,
    seen: HashSet<Place>,
}

impl Places {
    fn add(&mut self, file: String, line: u32, column: Option<u32>, message: &str) {
        let message = message.trim();
        let end = message.floor_char_boundary(LONGEST_MESSAGE);
        let place = Place {
            file,
            line,
            column,
            message: message.get(..end).unwrap_or_default().to_owned(),
        };
        if self.seen.insert(place.clone()) {
            self.found.push(place);
        }
    }
}

/// Drops terminal escape sequences.
fn without_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            out.push(c);
        } else if chars.next_if_eq(&'[').is_some() {
            // Parameters, then one final letter; a line break ends what was cut off.
            while let Some(c) = chars.next_if(|c| *c != '\n') {
                if ('@'..='~').contains(&c) {
                    break;
                }
            }
        }
    }
    out
}

/// `  File "a.py", line 3, in f`
fn python_frame(line: &str) -> Option<(String, u32)> {
    let rest = line.trim_start().strip_prefix("File \"")?;
    let (file, rest) = rest.split_once("\", line ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    let number = digits.parse().ok().filter(|n| *n > 0)?;
    (!file.is_empty() && file.len() <= LONGEST_PATH).then(|| (file.to_owned(), number))
}

/// The first line of a diagnostic of rustc.
enum Header {
    Error(String),
    /// A warning or a note, which fails nothing.
    Other,
}

/// `error[E0432]: text`, `warning: text`; `None` when the line is neither.
fn rust_header(line: &str) -> Option<Header> {
    for (word, counts) in [
        ("error", true),
        ("warning", false),
        ("note", false),
        ("help", false),
    ] {
        if let Some(rest) = line.strip_prefix(word) {
            let rest = match rest.strip_prefix('[') {
                Some(code) => code.split_once(']')?.1,
                None => rest,
            };
            let message = rest.strip_prefix(": ")?;
            return Some(if counts {
                Header::Error(message.to_owned())
            } else {
                Header::Other
            });
        }
    }
    None
}

fn other(line: &str, places: &mut Places) {
    let mut line = line.trim_start();
    if ["In file included from ", "from ", "[WARNING]", "[INFO]"]
        .iter()
        .any(|p| line.starts_with(p))
    {
        return;
    }
    for prefix in ["[ERROR] ", "vet: ", "ERROR: ", "error: "] {
        line = line.strip_prefix(prefix).unwrap_or(line);
    }
    if let Some((file, number, column, rest)) = bracket_place(line) {
        if let Some(message) = error_text(rest) {
            places.add(file.to_owned(), number, column, message);
        }
        return;
    }
    let Some((file, number, column, rest)) = colon_place(line, false) else {
        return;
    };
    let Some(rest) = rest.strip_prefix(':').or_else(|| rest.strip_prefix(" - ")) else {
        return;
    };
    let rest = rest.trim_start();
    // go names the first of two declarations beside the error.
    if rest.starts_with("other declaration of ") {
        return;
    }
    if let Some(message) = error_text(rest) {
        places.add(file.to_owned(), number, column, message);
    }
}

/// The text of an error; `None` for what is none.
fn error_text(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches([':', ' ']);
    for word in ["warning", "note", "remark", "info", "help"] {
        if let Some(after) = rest.strip_prefix(word)
            && after.starts_with([':', ' ', '['])
        {
            return None;
        }
    }
    let text = rest
        .strip_prefix("fatal error: ")
        .or_else(|| rest.strip_prefix("error: "));
    Some(text.unwrap_or_else(|| rest.strip_prefix("error ").unwrap_or(rest)))
}

type Found<'a> = (&'a str, u32, Option<u32>, &'a str);

/// `file:line`, `file:line:column`, and what follows.
fn colon_place(line: &str, any_extension: bool) -> Option<Found<'_>> {
    let mut from = 0;
    // The first colon with a number behind it; a path longer than any is none.
    while let Some(found) = line.get(from..)?.find(':') {
        let at = from + found;
        if at > LONGEST_PATH {
            return None;
        }
        from = at + 1;
        let (file, rest) = (line.get(..at)?, line.get(at + 1..)?);
        let Some((number, rest)) = leading_number(rest) else {
            continue;
        };
        if !any_extension && !has_known_extension(file) {
            continue;
        }
        if file.is_empty() {
            return None;
        }
        if let Some((column, after)) = rest.strip_prefix(':').and_then(leading_number)
            && (after.is_empty() || after.starts_with([':', ' ']))
        {
            return Some((file, number, Some(column), after));
        }
        return Some((file, number, None, rest));
    }
    None
}

/// tsc's `file(line,column)` and Maven's `file:[line,column]`, and what follows.
fn bracket_place(line: &str) -> Option<Found<'_>> {
    let mut from = 0;
    while let Some(found) = line.get(from..)?.find(['(', '[']) {
        let at = from + found;
        if at > LONGEST_PATH {
            return None;
        }
        from = at + 1;
        let file = line.get(..at)?;
        let file = file.strip_suffix(':').unwrap_or(file);
        let Some((number, rest)) = leading_number(line.get(at + 1..)?) else {
            continue;
        };
        let Some((column, rest)) = rest.strip_prefix(',').and_then(leading_number) else {
            continue;
        };
        let Some(rest) = rest.strip_prefix([')', ']']) else {
            continue;
        };
        if has_known_extension(file) {
            return Some((file, number, Some(column), rest));
        }
    }
    None
}

fn leading_number(text: &str) -> Option<(u32, &str)> {
    let end = text.bytes().take(11).take_while(u8::is_ascii_digit).count();
    let number = text.get(..end)?.parse().ok().filter(|n| *n > 0)?;
    let rest = text.get(end..)?;
    (!rest.starts_with(|c: char| c.is_ascii_digit())).then_some((number, rest))
}

fn has_known_extension(file: &str) -> bool {
    file.rsplit(['/', '\\']).next().is_some_and(|name| {
        name.rsplit_once('.')
            .is_some_and(|(stem, extension)| !stem.is_empty() && EXTENSIONS.contains(&extension))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(output: &str) -> Vec<String> {
        parse(output)
            .into_iter()
            .map(|p| {
                let column = p.column.map(|c| format!(":{c}")).unwrap_or_default();
                format!("{}:{}{column} {}", p.file, p.line, p.message)
            })
            .collect()
    }

    #[test]
    fn go() {
        let output = "# example.com/wiz\n./wiz.go:12:5: undefined: client\n\
            wiz_types.go:3:6: WizAsset redeclared in this block\n\
            \t./wiz.go:8:6: other declaration of WizAsset\n\
            vet: pkg/a.go:7:2: unreachable code\n    wiz_test.go:40: got 1: want 2\n\
            go.mod:5: unknown directive: foo\n\
            note: module requires Go 1.30\n./wiz.go:12:5: undefined: client\n";
        assert_eq!(
            short(output),
            [
                "./wiz.go:12:5 undefined: client",
                "wiz_types.go:3:6 WizAsset redeclared in this block",
                "pkg/a.go:7:2 unreachable code",
                "wiz_test.go:40 got 1: want 2",
                "go.mod:5 unknown directive: foo",
            ]
        );
    }

    #[test]
    fn rust() {
        let output = "\u{1b}[0m\u{1b}[1m\u{1b}[38;5;9merror[E0432]\u{1b}[0m: unresolved import `a`\n \
            --> src/lib.rs:3:5\n  |\nwarning: unused\n  --> src/b.rs:1:1\n\
            error: expected `;`\n   --> src/c d.rs:9:17\n    ::: src/e.rs:1:1\n\
            error: could not compile `x` due to 2 previous errors\n";
        assert_eq!(
            short(output),
            [
                "src/lib.rs:3:5 unresolved import `a`",
                "src/c d.rs:9:17 expected `;`"
            ]
        );
    }

    #[test]
    fn c() {
        let output = "In file included from a.c:1:\nsrc/a.h:4:10: fatal error: x.h: No such file\n\
            a.c:9:3: warning: unused\na.c:10:3: error: expected ';'\na.c:2:1: note: here\n\
            C:\\src\\b.cpp:3:4: error: bad\n";
        assert_eq!(
            short(output),
            [
                "src/a.h:4:10 x.h: No such file",
                "a.c:10:3 expected ';'",
                "C:\\src\\b.cpp:3:4 bad"
            ]
        );
    }

    #[test]
    fn typescript_and_java() {
        let output = "src/a.ts(3,5): error TS2304: Cannot find name 'x'.\n\
            src/b.tsx:4:6 - error TS1005: ';' expected.\n\
            A.java:3: error: ';' expected\n[ERROR] /w/B.java:[7,9] cannot find symbol\n\
            [WARNING] /w/C.java:[1,1] deprecated\nsrc/app(1).ts(2,1): error TS1: x\n";
        assert_eq!(
            short(output),
            [
                "src/a.ts:3:5 TS2304: Cannot find name 'x'.",
                "src/b.tsx:4:6 TS1005: ';' expected.",
                "A.java:3 ';' expected",
                "/w/B.java:7:9 cannot find symbol",
                "src/app(1).ts:2:1 TS1: x",
            ]
        );
    }

    #[test]
    fn python() {
        let output = "Traceback (most recent call last):\n  File \"main.py\", line 3, in <module>\n    \
            run()\n  File \"pkg/a.py\", line 9, in run\n    x\n    ^\nNameError: name 'x'\n\
            \n  File \"b.py\", line 1\n    def\n       ^\nSyntaxError: invalid syntax\n";
        assert_eq!(
            short(output),
            [
                "pkg/a.py:9 NameError: name 'x'",
                "main.py:3 NameError: name 'x'",
                "b.py:1 SyntaxError: invalid syntax",
            ]
        );
    }

    #[test]
    fn what_only_looks_like_a_place_is_none() {
        let output = "12:30:45 started\nhttp://localhost:8080/a.go\nok  pkg/a 0.1s\na.go:0:0: x\n\
            a.go:99999999999: x\n.go:1:1: x\n:1:1: x\npanic: at a.go:12 +0x1d\n--> x.rs:1:1\n\
            error: \nserver.go listening on :80\n";
        assert_eq!(short(output), Vec::<String>::new());
    }

    /// Deep recursion, and an exception that says much: each frame has the message.
    #[test]
    fn what_is_found_grows_no_faster_than_the_output() {
        let frame = |n| format!("  File \"a.py\", line {n}, in f\n    f()\n");
        let frames = (1..5_000).map(frame).collect::<Vec<_>>().concat();
        let output = format!("{frames}RecursionError: {}\n", "é".repeat(50_000)).repeat(3);
        let found = parse(&output);
        assert_eq!(found.len(), MOST_FRAMES);
        assert_eq!((found[0].line, found[MOST_FRAMES - 1].line), (4_999, 4_936));
        assert!(found.iter().all(|p| p.message.len() <= LONGEST_MESSAGE));
        assert!(found[0].message.starts_with("RecursionError: éé"));
        // The worst there is: as many frames as count, and as long a message as counts.
        let frame = |n| format!("File \"a\", line {n}\n");
        let frames = (100..164).map(frame).collect::<Vec<_>>().concat();
        let error = |n| format!("{frames}{n}{}\n", "x".repeat(990));
        let text = (0..40).map(error).collect::<Vec<_>>().concat();
        let found = parse(&text);
        assert_eq!(found.len(), 40 * MOST_FRAMES);
        let size: usize = found.iter().map(|p| p.file.len() + p.message.len()).sum();
        assert!(size <= 32 * text.len(), "{size} bytes of {}", text.len());
    }

    #[test]
    fn garbage_is_read_in_linear_time() {
        for unit in [
            ":", "(1,", "\u{1b}[", "a.go:1", "File \"", "[1,1", "é:1:", "\u{1b}",
        ] {
            let output = unit.repeat(200_000);
            let _ = parse(&output);
            let _ = parse(&output.replace("a.go", "\na.go"));
        }
    }
}
