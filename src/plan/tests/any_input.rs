//! No input makes the readers panic, and what they say can always be shown.

use std::collections::BTreeMap;

use super::{docs, params};
use crate::plan::{Config, Documents, RULES, config, load};

const TOML: &str = "title = \"ä {{ vendor }}\"\r\nbuild = [[\"go\", \"build\"]]\r\n\r\n[[task]]\r\n\
    id = 'a'\r\nfile = 'x/{{ vendor }}.go'\r\ndepends_on = ['b']\r\nallow = ['**/*.go']\r\n[[task]]\r\n\
    id = 'b'\r\nfile = \"\u{1f600}.go\"\r\n[gate]\r\nbuild = [['make']]\r\n";
const MARKDOWN: &str = "# T\r\n\r\n## Implementation tasks\r\n\r\n\
    | ID | File | Depends on | Estimated lines | Risk |\r\n|--|:-:|--|--|--|\r\n\
    | T1 | `a/b.go` | - | ~10 | low |\r\n| T2 | ü.go | T1, T1 | 5-6 | \u{1f600} |\r\n\r\n\
    ### `a/b.go`\r\n\r\nPurpose: p\r\n\r\n- API methods:\r\n  1. `F(x)`\r\n  2. ö\r\n\r\n\
    ```go\r\nfunc X() {\r\n```\r\n<!-- ### `c/d.go` -->\r\n\r\n\
    > ### wiz.go\r\n> * Requirements:\r\n>   - r\r\n";
const PLACES: &str = "# F\r\n\r\n```\r\na/\r\n\u{251c}\u{2500}\u{2500} b.go\r\n\
    \u{2514}\u{2500}\u{2500} c/\r\n    \u{2514}\u{2500}\u{2500} d.go\r\n```\r\n\
    - `x/{vendor}.go` (optional)\r\n\r\n| File |\r\n|--|\r\n| e/f.go |\r\n";

/// A small generator with a fixed seed, so that a failure can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit.max(1)
    }

    /// The text with a few pieces taken out, doubled or replaced by troublesome characters.
    fn spoil(&mut self, text: &str) -> String {
        const PIECES: [&str; 16] = [
            "",
            "[",
            "]",
            "\"",
            "'",
            "{{",
            "}}",
            "{%",
            "|",
            "`",
            "\n",
            "\t",
            "\u{202e}",
            "\u{1f468}\u{200d}",
            "#",
            "\0",
        ];
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(4) {
            let from = self.below(chars.len());
            let to = (from + self.below(20)).min(chars.len());
            let piece: Vec<char> = match self.below(3) {
                0 => PIECES[self.below(PIECES.len())].chars().collect(),
                1 => chars[from..to].repeat(2),
                _ => Vec::new(),
            };
            chars.splice(from..to, piece);
        }
        chars.into_iter().collect()
    }
}

#[test]
fn spoilt_documents_end_in_diagnostics() {
    let (mut plans, mut refusals) = (0, 0);
    for seed in 1..1_500_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (toml, markdown, places) = (
            random.spoil(TOML),
            random.spoil(MARKDOWN),
            random.spoil(PLACES),
        );
        let first = if seed % 2 == 0 {
            "plan.toml"
        } else {
            "other.toml"
        };
        let files = docs(&[
            (&format!(".pertask/wiz/{first}"), &toml),
            (".pertask/wiz/architecture.md", &markdown),
            (".pertask/wiz/file-placement.md", &places),
            (config::PATH, &toml),
        ]);
        match load("wiz", &files, &Config::default(), &params(&[]), &RULES) {
            Ok(loaded) => {
                plans += 1;
                assert!(!loaded.warnings.has_errors(), "seed {seed}");
                assert!(!loaded.warnings.render(true).contains('\0'), "seed {seed}");
            }
            Err(found) => {
                refusals += 1;
                assert!(found.has_errors(), "seed {seed}");
                let shown = found.render(false);
                assert!(
                    !shown.contains(['\0', '\u{1b}', '\u{202e}']),
                    "seed {seed}: {shown}"
                );
            }
        }
        let settings = config::load(&files).expect_err("it is not a configuration");
        assert!(settings.has_errors() && !settings.to_string().is_empty());
    }
    assert!(plans > 100 && refusals > 100, "{plans} {refusals}");
}

#[test]
fn a_windows_editor_changes_nothing() {
    let unix = |text: &str| text.replace("\r\n", "\n");
    let read = |markdown: &str, places: &str| {
        let files = docs(&[
            (".pertask/wiz/architecture.md", markdown),
            (".pertask/wiz/file-placement.md", places),
        ]);
        let loaded = load("wiz", &files, &Config::default(), &params(&[]), &RULES);
        loaded
            .map(|loaded| (loaded.plan, loaded.found))
            .map_err(|found| found.to_string())
    };
    let markdown = MARKDOWN.replace('\u{1f600}', "high");
    let windows = read(&markdown, PLACES).expect("a valid document");
    assert_eq!(
        windows,
        read(&unix(&markdown), &unix(PLACES)).expect("a valid document")
    );
    let places: Vec<&str> = windows
        .0
        .placement
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(places, ["a/b.go", "a/c/d.go", "x/wiz.go", "e/f.go"]);
    assert_eq!(windows.0.tasks[0].api_methods, ["`F(x)`", "ö", "func X()"]);
}

/// Documents of which none can be read.
struct Broken;

impl Documents for Broken {
    fn read(&self, _: &str) -> anyhow::Result<Option<String>> {
        Err(anyhow::anyhow!("it is not UTF-8").context("blob 1234"))
    }

    fn exists(&self, _: &str) -> anyhow::Result<bool> {
        Err(anyhow::anyhow!("no such tree"))
    }

    fn list(&self, _: &str) -> anyhow::Result<Vec<String>> {
        Err(anyhow::anyhow!("no such tree"))
    }
}

#[test]
fn documents_that_cannot_be_read_are_errors() {
    let found =
        load("wiz", &Broken, &Config::default(), &BTreeMap::new(), &RULES).expect_err("broken");
    insta::assert_snapshot!(found, @r#"
    error: .pertask/wiz/architecture.md: it cannot be read: blob 1234: it is not UTF-8

    error: .pertask/wiz/plan.toml: it cannot be read: blob 1234: it is not UTF-8
    "#);
    insta::assert_snapshot!(config::load(&Broken).expect_err("broken"), @"error: .pertask/config.toml: it cannot be read: blob 1234: it is not UTF-8");
    let name = load(
        "Wiz",
        &docs(&[]),
        &Config::default(),
        &BTreeMap::new(),
        &RULES,
    );
    insta::assert_snapshot!(name.expect_err("a bad name"), @r#"
    error: `Wiz` cannot be the name of a plan
           help: use lower-case letters, digits and hyphens, not starting with a hyphen
    "#);
}

#[test]
fn huge_and_deep_documents_are_read_in_time() {
    const SIZE: usize = 1 << 18;
    let toml = |text: String| load_one("plan.toml", &text);
    let markdown = |text: String| load_one("architecture.md", &text);
    let started = std::time::Instant::now();
    for open in ["[", "{a=", "a.", "[[a]]\n", "\""] {
        assert!(toml(format!("x = {}", open.repeat(SIZE / 4))), "{open}");
    }
    assert!(toml(format!("build = [{}]", "1,".repeat(SIZE / 8))));
    assert!(toml(format!("title = '{{{{ {}'\n", "(".repeat(SIZE))));
    assert!(toml(format!("title = '{}'\n", "{{ x }}".repeat(SIZE / 64))));
    for line in [
        "> ",
        "- ",
        "* a\n  ",
        "[",
        "`",
        "| a ",
        "# `a/b.go`\n",
        "**",
        "<a ",
        "&",
    ] {
        markdown(line.repeat(SIZE / 16));
    }
    let rows = "| t | x/y.go | t | 1-2 |\n".repeat(2_500);
    let table = format!("## Tasks\n\n| ID | File | Depends on | Lines |\n|--|--|--|--|\n{rows}");
    assert!(markdown(table));
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

/// Whether a document is refused.
fn load_one(name: &str, text: &str) -> bool {
    let files = docs(&[(&format!(".pertask/wiz/{name}"), text)]);
    match load("wiz", &files, &Config::default(), &BTreeMap::new(), &RULES) {
        Ok(_) => false,
        Err(found) => !found.to_string().is_empty(),
    }
}

/// A document cannot write to the terminal of who reads what is wrong with it.
#[test]
fn diagnostics_show_nothing_that_a_terminal_would_obey() {
    let odd = "\u{1b}[2J\u{9b}2J\u{8c}\u{7f}\u{7}\u{202e}\u{2066}\u{200b}\u{e0041}\r";
    let texts = [
        format!("[[task]] x{odd}"),
        format!("title = 'x'\n[[task]]\nid = 'a{odd}'\nfile = 'a.go'\n"),
        format!("'a{odd}' = 1\n[[task]]\nid = 'a'\nfile = 'a.go{odd}'\n"),
        "[[task]]\n\"a\\u001b[2J\\u009b2J\\u202e\" = 1\nid = \"\\u009b2J\"\n".to_owned(),
    ];
    for text in texts {
        let docs = docs(&[(".pertask/wiz/plan.toml", &text)]);
        let found = load("wiz", &docs, &Config::default(), &params(&[]), &RULES);
        let found = found.expect_err("it is wrong");
        for (colour, shown) in [(false, found.render(false)), (true, found.render(true))] {
            // Ours only set a colour.
            let left = shown.split("\u{1b}[").map(|part| {
                part.trim_start_matches(|c: char| colour && (c.is_ascii_digit() || c == ';'))
            });
            let left: String = left.collect();
            let odd = |c: char| (c.is_control() && c != '\n') || crate::text::is_hidden(c);
            assert!(!left.contains(odd), "{text:?}\n{shown:?}");
            assert!(
                !shown.contains("2J") || !shown.contains("\u{1b}[2J"),
                "{shown:?}"
            );
        }
    }
}
