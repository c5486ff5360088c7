//! What a step hands on: outputs for the steps and jobs behind it, and its part of the job summary.
//!
//! Safe against a value that would be taken for another output: it stands between delimiters that
//! nobody can guess. Sources:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::random::Words;

/// Largest value that Actions hands on, in bytes: 1 MB for all outputs of a job.
const LARGEST: usize = 1_000_000;
/// Largest summary of a step, in bytes; a larger one is not shown at all.
const SUMMARY: u64 = 1024 * 1024;
/// What is said when a summary was cut.
const CUT: &str = "\n\nThe rest does not fit into a job summary.\n";

/// Why something was not handed on.
#[derive(Debug, Error)]
pub enum OutputError {
    /// The name cannot be one of an output.
    #[error("{0:?} cannot be the name of an output")]
    Name(String),
    /// Actions would not take it.
    #[error("the output {name} has {size} bytes, and Actions hands on at most {LARGEST}")]
    Size {
        /// The output.
        name: String,
        /// Its size in bytes.
        size: usize,
    },
    /// The file cannot be written.
    #[error("cannot append to {path}, which {variable} names: {source}")]
    File {
        /// The variable that names the file.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// An output as a line of `GITHUB_OUTPUT`; `delimiter` must be one that nobody can guess.
///
/// # Errors
/// [`OutputError::Name`], [`OutputError::Size`].
pub fn output(name: &str, value: &str, delimiter: &str) -> Result<String, OutputError> {
    let mut letters = name.bytes();
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    let named = letters.next().is_some_and(first)
        && letters.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !named {
        return Err(OutputError::Name(name.to_owned()));
    }
    if value.len() > LARGEST {
        return Err(OutputError::Size {
            name: name.to_owned(),
            size: value.len(),
        });
    }
    let mut text = String::new();
    let _ = write!(text, "{name}<<{delimiter}\n{value}\n{delimiter}\n");
    Ok(text)
}

/// As much of a text as fits into so many bytes, cut between paragraphs where there are any, with a
/// line that says so.
#[must_use]
pub fn fitted(text: &str, room: usize) -> String {
    if text.len() <= room {
        return text.to_owned();
    }
    let Some(mut most) = room.checked_sub(CUT.len()) else {
        return String::new();
    };
    while !text.is_char_boundary(most) {
        most -= 1;
    }
    let head = &text[..most];
    // Half a table or a fence that is not closed would take what follows with it.
    let end = head.rfind("\n\n").or_else(|| head.rfind('\n')).unwrap_or(0);
    format!("{}{CUT}", &head[..end])
}

/// The files that Actions reads when a step has ended. Without them nothing is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// `GITHUB_OUTPUT`.
    pub output: Option<PathBuf>,
    /// `GITHUB_STEP_SUMMARY`.
    pub summary: Option<PathBuf>,
}

impl Files {
    /// Those that the environment names.
    #[must_use]
    pub fn of_environment() -> Self {
        let file = |name| {
            let path = std::env::var_os(name).filter(|p| !p.is_empty());
            path.map(PathBuf::from)
        };
        Self {
            output: file("GITHUB_OUTPUT"),
            summary: file("GITHUB_STEP_SUMMARY"),
        }
    }

    /// Hands on outputs: all of them, or none when one cannot be.
    ///
    /// # Errors
    /// [`OutputError`].
    pub fn outputs(&self, outputs: &[(&str, &str)], words: &mut Words) -> Result<(), OutputError> {
        let mut text = String::new();
        for (name, value) in outputs {
            text.push_str(&output(name, value, &words.give())?);
        }
        match &self.output {
            Some(path) => append(path, "GITHUB_OUTPUT", &|_| text.clone()),
            None => Ok(()),
        }
    }

    /// Adds to the summary, as much as there is room for.
    ///
    /// # Errors
    /// [`OutputError::File`].
    pub fn summary(&self, text: &str) -> Result<(), OutputError> {
        let Some(path) = &self.summary else {
            return Ok(());
        };
        append(path, "GITHUB_STEP_SUMMARY", &|size| {
            let room = usize::try_from(SUMMARY.saturating_sub(size)).unwrap_or(0);
            fitted(text, room)
        })
    }
}

/// Appends what `text` makes of the file's present size.
fn append(
    path: &Path,
    variable: &'static str,
    text: &dyn Fn(u64) -> String,
) -> Result<(), OutputError> {
    let write = || -> std::io::Result<()> {
        let mut file: File = OpenOptions::new().append(true).create(true).open(path)?;
        let size = file.metadata()?.len();
        file.write_all(text(size).as_bytes())?;
        file.flush()
    };
    write().map_err(|source| OutputError::File {
        variable,
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_end_itself() {
        assert_eq!(
            output("orders", "[]", "d1").unwrap(),
            "orders<<d1\n[]\nd1\n"
        );
        assert_eq!(
            output("pull-request", "a\nstate=evil\nEOF\nx<<y", "d1").unwrap(),
            "pull-request<<d1\na\nstate=evil\nEOF\nx<<y\nd1\n"
        );
        for name in ["", "a b", "a=b", "1a", "a<<b", "a\nb", "ä"] {
            assert!(output(name, "x", "d1").is_err(), "{name:?}");
        }
        assert_eq!(
            output("a\nb", "x", "d").unwrap_err().to_string(),
            r#""a\nb" cannot be the name of an output"#
        );
        let large = output("orders", &"x".repeat(LARGEST + 1), "d1");
        assert_eq!(
            large.unwrap_err().to_string(),
            "the output orders has 1000001 bytes, and Actions hands on at most 1000000"
        );
    }

    #[test]
    fn files_are_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files {
            output: Some(folder.path().join("output")),
            summary: Some(folder.path().join("summary")),
        };
        let mut words = Words::known();
        files
            .outputs(&[("run", "wiz"), ("orders", "[]")], &mut words)
            .unwrap();
        files.outputs(&[("state", "waiting")], &mut words).unwrap();
        let written = std::fs::read_to_string(folder.path().join("output")).unwrap();
        let mut again = Words::known();
        let [a, b, c] = [again.give(), again.give(), again.give()];
        assert_eq!(
            written,
            format!("run<<{a}\nwiz\n{a}\norders<<{b}\n[]\n{b}\nstate<<{c}\nwaiting\n{c}\n")
        );
        assert!(
            files
                .outputs(&[("ok", "1"), ("a b", "2")], &mut words)
                .is_err()
        );
        let after = std::fs::read_to_string(folder.path().join("output")).unwrap();
        assert_eq!(after, written, "all or none");

        files.summary("# One\n").unwrap();
        files.summary("# Two\n").unwrap();
        let path = folder.path().join("summary");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "# One\n# Two\n");
        files.summary(&"word\n\n".repeat(200_000)).unwrap();
        files.summary("# Four\n").unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        assert!(whole.len() as u64 <= SUMMARY, "{}", whole.len());
        assert!(whole.contains("word\n\nThe rest does not fit into a job summary.\n"));

        let nowhere = Files::default();
        nowhere.outputs(&[("run", "wiz")], &mut words).unwrap();
        nowhere.summary("x").unwrap();
        let gone = Files {
            output: Some(PathBuf::from("/nowhere/at/all")),
            summary: None,
        };
        assert_eq!(
            gone.outputs(&[("run", "wiz")], &mut words)
                .unwrap_err()
                .to_string(),
            "cannot append to /nowhere/at/all, which GITHUB_OUTPUT names: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn a_summary_is_cut_between_paragraphs() {
        assert_eq!(fitted("short", 5), "short");
        let text = format!("one\n\ntwo\n\n{}", "x".repeat(100));
        assert_eq!(fitted(&text, 80), format!("one\n\ntwo{CUT}"));
        assert_eq!(fitted(&text, 3), "");
        for room in 0..120 {
            let cut = fitted(&"ä\n".repeat(100), room);
            assert!(cut.len() <= room, "{room}: {}", cut.len());
        }
    }
}
