//! Names of plans, runs and tasks, and paths in the repository.

/// What names look like, for messages.
pub const NAME_SHAPE: &str = "lower-case letters, digits and hyphens, not starting with a hyphen";

/// Longest name: branch names and ledger refs are made of it.
pub const LONGEST_NAME: usize = 100;

/// Whether a name is `[a-z0-9][a-z0-9-]*` and not longer than [`LONGEST_NAME`].
///
/// Names become parts of refs, folders and environment variables, so nothing else is let through.
#[must_use]
pub fn valid_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.next().is_some_and(plain)
        && bytes.all(|byte| plain(byte) || byte == b'-')
        && name.len() <= LONGEST_NAME
}

/// Why a path cannot be a file of a task; `None` when it can.
#[must_use]
pub fn path_problem(path: &str) -> Option<String> {
    inside_problem(path).or_else(|| {
        if path.ends_with('/') {
            return Some("is a folder, not a file".to_owned());
        }
        protected(path).map(|under| format!("is under the protected path `{under}`"))
    })
}

/// Why a path is not a plain path inside the repository; `None` when it is.
#[must_use]
pub fn inside_problem(path: &str) -> Option<String> {
    if path.trim().is_empty() {
        return Some("is empty".to_owned());
    }
    let drive = path.as_bytes().get(1) == Some(&b':');
    if path.starts_with(['/', '\\', '~']) || drive {
        return Some("is not relative to the repository's root".to_owned());
    }
    if path.contains('\\') {
        return Some("uses `\\`; parts of a path are separated by `/`".to_owned());
    }
    if path.chars().any(char::is_control) {
        return Some("contains a control character".to_owned());
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').find_map(|part| match part {
        ".." => Some("leaves the repository".to_owned()),
        "" | "." => Some("has an empty part or `.`; write it plainly".to_owned()),
        _ => None,
    })
}

/// The protected path that holds `path`: `.git*`, `.github/`, `.pertask/`, whatever the letter case.
#[must_use]
pub fn protected(path: &str) -> Option<&'static str> {
    let mut parts = path.split('/').map(str::to_ascii_lowercase);
    let first = parts.next().unwrap_or_default();
    match first.as_str() {
        ".github" => Some(".github/"),
        ".pertask" => Some(".pertask/"),
        _ if first.starts_with(".git") || parts.any(|part| part.starts_with(".git")) => {
            Some(".git*")
        }
        _ => None,
    }
}

/// A glob of `allow` or `requires`, compiled: `*` and `?` stay within one part of a path, `**`
/// crosses parts.
///
/// # Errors
/// When the pattern is not a glob.
pub fn glob(pattern: &str) -> Result<globset::GlobMatcher, globset::Error> {
    let glob = globset::GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()?;
    Ok(glob.compile_matcher())
}

/// Globs for the tests that belong to a file, by the habits of its language.
#[must_use]
pub fn test_globs(file: &str) -> Vec<String> {
    let (folder, name) = file
        .rsplit_once('/')
        .map_or(("", file), |(folder, name)| (folder, name));
    let Some((stem, extension)) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) else {
        return Vec::new();
    };
    let beside = |name: String| {
        globset::escape(&if folder.is_empty() {
            name
        } else {
            format!("{folder}/{name}")
        })
    };
    match extension {
        "py" => vec![
            beside(format!("test_{stem}.py")),
            beside(format!("{stem}_test.py")),
            format!("**/test_{}.py", globset::escape(stem)),
        ],
        "ts" | "tsx" | "js" | "jsx" | "mjs" | "cjs" | "mts" | "cts" => vec![
            beside(format!("{stem}.test.{extension}")),
            beside(format!("{stem}.spec.{extension}")),
            beside(format!("__tests__/{stem}.test.{extension}")),
        ],
        "java" | "kt" => vec![format!("**/{}Test.{extension}", globset::escape(stem))],
        _ => vec![beside(format!("{stem}_test.{extension}"))],
    }
}
