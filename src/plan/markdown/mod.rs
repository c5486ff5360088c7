//! Reading the Markdown documents that teams write: headings, tables, lists and code with their
//! places, and no HTML, so that a comment never counts as content.

pub mod architecture;
mod blocks;
pub mod discovery;
pub mod placement;
mod sections;
mod table;

pub(super) use blocks::{Block, Cell, Kind, blocks};

use std::collections::BTreeMap;

/// Extensions that make a word without a folder a file name; `Node.js`-like words are kept out by
/// asking that such a word stands alone or as code.
const EXTENSIONS: &[&str] = &[
    "go", "rs", "ts", "tsx", "js", "jsx", "mjs", "cjs", "py", "java", "kt", "c", "h", "cc", "cpp",
    "hpp", "cs", "rb", "php", "swift", "scala", "sql", "proto", "sh", "md", "toml", "yaml", "yml",
    "json", "html", "css", "scss", "vue", "svelte", "tf", "ex", "exs", "lua", "zig", "dart", "xml",
    "graphql", "gradle", "mod", "sum", "txt",
];

/// The path a word names, without quotes and brackets around it; `None` when it names no file.
pub(super) fn file_word(word: &str) -> Option<&str> {
    let word = word.trim_matches(|c: char| c.is_whitespace() || "`*_\"'()[]<>,;:".contains(c));
    let word = word.trim_end_matches('.').trim_start_matches("./");
    if word.contains("://") || word.contains(char::is_whitespace) || word.contains("**") {
        return None;
    }
    let name = word.rsplit('/').next().unwrap_or(word);
    let (stem, extension) = name.rsplit_once('.')?;
    let plain = !stem.is_empty() && !extension.is_empty() && !stem.contains('*');
    (plain && EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())).then_some(word)
}

/// The file a heading or item names: the only file among its code spans, else its first word when
/// nothing but an explanation follows. Several files in code spans are an `Err`.
pub(super) fn named_file(text: &str) -> Result<Option<String>, ()> {
    let spans: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|span| file_word(span))
        .collect();
    match spans.as_slice() {
        [one] => return Ok(Some((*one).to_owned())),
        [] => {}
        _ => return Err(()),
    }
    let unnumbered = text.trim_start_matches(|c: char| c.is_ascii_digit() || ".)".contains(c));
    let text = if unnumbered.starts_with(' ') {
        unnumbered.trim_start()
    } else {
        text
    };
    let after_colon = text.split_once(": ").map(|(_, rest)| rest);
    let in_brackets = text
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(inside, _)| inside);
    let candidates = [Some(text), after_colon, in_brackets];
    Ok(candidates
        .into_iter()
        .flatten()
        .find_map(leading_file)
        .map(ToOwned::to_owned))
}

/// The file a text starts with, when nothing but an explanation follows.
fn leading_file(text: &str) -> Option<&str> {
    let (word, rest) = text
        .trim()
        .split_once(char::is_whitespace)
        .unwrap_or((text, ""));
    let explained = rest.is_empty() || rest.starts_with(['(', '-', '—', '–', ':', '#', '→']);
    file_word(word).filter(|_| explained || word.ends_with(':'))
}

/// Whether a file holds tests, by the habits of its language.
pub(super) fn is_test(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let kind = stem.rsplit_once('.').map(|(_, kind)| kind);
    stem.ends_with("_test")
        || matches!(kind, Some("test" | "spec"))
        || (stem.starts_with("test_") && extension == "py")
        || (stem.ends_with("Test") && matches!(extension, "java" | "kt"))
}

/// Words of a label or column title in one form: lower case, single spaces, no punctuation.
pub(super) fn plain(text: &str) -> String {
    let words: String = text
        .chars()
        .map(|c| {
            if c.is_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                ' '
            }
        })
        .collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether `path` is `end` or ends with it at a folder's boundary.
pub(super) fn ends_with_path(path: &str, end: &str) -> bool {
    path == end
        || path
            .strip_suffix(end)
            .is_some_and(|before| before.ends_with('/'))
}

/// Fills `{vendor}` in as documents of the seed's kind write it, and `{{ vendor }}` likewise.
pub(super) fn fill_path(path: &str, values: &BTreeMap<String, String>) -> String {
    let mut path = path.to_owned();
    for (name, value) in values {
        for form in [
            format!("{{{{ {name} }}}}"),
            format!("{{{{{name}}}}}"),
            format!("{{{name}}}"),
        ] {
            path = path.replace(&form, value);
        }
    }
    path
}
