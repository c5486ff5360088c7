//! Commands in comments: `/pertask approve <sha>` and its like.
//!
//! A command begins the first line of a comment that is not empty, outside of quotations and code. A
//! comment holds one. What is not exactly a command does nothing: it is a [`Misread`], which says
//! what to write. A commit is never completed from a prefix.

use super::spoken::spoken;
use crate::plan::diagnostic::suggest;
use crate::text;

/// Longest text of a person that is kept, in characters.
const TEXT: usize = 16_000;

/// What a person asks for in a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take exactly this commit.
    Approve {
        /// The full id, 40 lower-case hexadecimal digits.
        sha: String,
    },
    /// Change it, as the text says; or the answer to a question.
    Revise {
        /// Their words.
        text: String,
    },
    /// Try again.
    Retry {
        /// From the run branch instead of where it stopped.
        fresh: bool,
    },
    /// Leave it out.
    Skip {
        /// Why.
        why: String,
    },
    /// End the run.
    Abort,
    /// Say where the run stands.
    Status,
}

/// Why a comment that begins with `/pertask` is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misread {
    /// There is no such command; what was written.
    Unknown(String),
    /// `approve` without a commit.
    NoSha,
    /// `approve` with what may be the beginning of a commit id.
    ShortSha(String),
    /// `approve` with something else.
    NotASha(String),
    /// `revise` or `skip` without words.
    NoText(&'static str),
    /// More than the command takes.
    TooMuch(&'static str),
    /// A second command in the same comment.
    Second,
}

/// The commands with what they take.
const COMMANDS: [(&str, &str); 6] = [
    ("approve", "/pertask approve <full commit id>"),
    ("revise", "/pertask revise <what to change>"),
    ("retry", "/pertask retry [--fresh]"),
    ("skip", "/pertask skip <why>"),
    ("abort", "/pertask abort"),
    ("status", "/pertask status"),
];

fn usage(name: &str) -> &'static str {
    let found = COMMANDS.iter().find(|(known, _)| *known == name);
    found.map_or("/pertask status", |(_, usage)| usage)
}

impl Misread {
    /// What to write instead, one paragraph with code between backticks. `head` is the commit that
    /// waits for a review, if one does.
    #[must_use]
    pub fn help(&self, head: Option<&str>) -> String {
        let approve = match head {
            Some(head) => format!("what waits for a review is `/pertask approve {head}`"),
            None => "nothing waits for a review here".to_owned(),
        };
        match self {
            Self::Unknown(word) => {
                let names = COMMANDS.iter().map(|(name, _)| *name);
                let near = suggest(word, names).map(|n| format!(" Did you mean `{}`?", usage(n)));
                let all: Vec<String> = COMMANDS.iter().map(|(_, u)| format!("`{u}`")).collect();
                let what = if word.is_empty() {
                    "`/pertask` takes a command.".to_owned()
                } else {
                    format!("There is no command “{word}”.")
                };
                format!(
                    "{what}{} They are {}.",
                    near.unwrap_or_default(),
                    all.join(", ")
                )
            }
            Self::NoSha => {
                format!(
                    "`/pertask approve` takes the full id of the commit you looked at: {approve}."
                )
            }
            Self::ShortSha(given) => format!(
                "“{given}” is not a whole commit id, and an approval is never completed from a part of one: {approve}."
            ),
            Self::NotASha(given) => {
                format!("“{given}” is no commit id of 40 hexadecimal digits: {approve}.")
            }
            Self::NoText(name) => format!("`/pertask {name}` needs words: `{}`.", usage(name)),
            Self::TooMuch(name) => format!(
                "`/pertask {name}` takes nothing more than `{}`, so it is not clear what is meant. Write other remarks in a comment of their own.",
                usage(name)
            ),
            Self::Second => {
                "One comment holds one command; this has two. Write each in a comment of its own."
                    .to_owned()
            }
        }
    }
}

/// The command a comment begins with; `None` when it begins with none.
///
/// # Errors
/// [`Misread`] when it begins with `/pertask` and is no command.
#[must_use]
pub fn read(body: &str) -> Option<Result<Command, Misread>> {
    let body = text::lines(body);
    let mut lines = body.lines().skip_while(|line| line.trim().is_empty());
    let first = lines.next()?;
    let start = first.trim_start_matches(' ');
    // Four spaces or a tab make it code; another word that begins alike is none of ours.
    if first.len() - start.len() > 3 {
        return None;
    }
    let rest = named(start)?;
    let more: Vec<&str> = lines.collect();
    if more.iter().any(|line| named(line.trim()).is_some()) {
        return Some(Err(Misread::Second));
    }
    let (verb, said) = match rest.trim().split_once(char::is_whitespace) {
        Some((verb, said)) => (verb, said.trim()),
        None => (rest.trim(), ""),
    };
    Some(command(verb, said, &more))
}

/// What follows `/pertask` at the beginning of a line.
fn named(line: &str) -> Option<&str> {
    let (head, rest) = line.split_at_checked("/pertask".len())?;
    let ends = rest.chars().next().is_none_or(char::is_whitespace);
    (head.eq_ignore_ascii_case("/pertask") && ends).then_some(rest)
}

fn command(verb: &str, said: &str, more: &[&str]) -> Result<Command, Misread> {
    let lower = verb.to_ascii_lowercase();
    // What a mail program quotes below a command is not part of it.
    let alone = more
        .iter()
        .all(|line| line.trim().is_empty() || line.starts_with('>'));
    let bare = |name, command| match (said, alone) {
        ("", true) => Ok(command),
        _ => Err(Misread::TooMuch(name)),
    };
    let words = |name| {
        let whole = format!("{said}\n{}", more.join("\n"));
        let words = text::clipped(spoken(&whole), TEXT);
        if words.is_empty() {
            Err(Misread::NoText(name))
        } else {
            Ok(words)
        }
    };
    match lower.as_str() {
        "approve" => {
            let sha = sha(said)?;
            if alone {
                Ok(Command::Approve { sha })
            } else {
                Err(Misread::TooMuch("approve"))
            }
        }
        "revise" => Ok(Command::Revise {
            text: words("revise")?,
        }),
        "retry" if said == "--fresh" && alone => Ok(Command::Retry { fresh: true }),
        "retry" => bare("retry", Command::Retry { fresh: false }),
        "skip" => Ok(Command::Skip {
            why: words("skip")?,
        }),
        "abort" => bare("abort", Command::Abort),
        "status" => bare("status", Command::Status),
        _ => Err(Misread::Unknown(text::clipped(text::line(verb), 40))),
    }
}

fn sha(said: &str) -> Result<String, Misread> {
    let given = said.trim_matches('`');
    let hex = given.bytes().all(|b| b.is_ascii_hexdigit());
    let shown = || text::clipped(text::line(given), 60);
    match given.len() {
        0 => Err(Misread::NoSha),
        40 if hex => Ok(given.to_ascii_lowercase()),
        4..40 if hex => Err(Misread::ShortSha(shown())),
        _ if given.split_whitespace().next().is_some_and(|first| {
            first.len() == 40 && first.bytes().all(|b| b.is_ascii_hexdigit())
        }) =>
        {
            Err(Misread::TooMuch("approve"))
        }
        _ => Err(Misread::NotASha(shown())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    fn ok(body: &str) -> Command {
        read(body).unwrap().unwrap()
    }

    fn bad(body: &str) -> Misread {
        read(body).unwrap().unwrap_err()
    }

    #[test]
    fn commands() {
        let approve = Command::Approve {
            sha: SHA.to_owned(),
        };
        for body in [
            format!("/pertask approve {SHA}"),
            format!(
                "\r\n\r\n  /Pertask  Approve `{}` \r\n\r\n",
                SHA.to_uppercase()
            ),
            format!("/pertask approve {SHA}\n\n> On Monday somebody wrote:\n> x"),
        ] {
            assert_eq!(ok(&body), approve, "{body}");
        }
        assert_eq!(
            ok("/pertask revise Use v2.\r\n\r\nAnd <!-- not --> this."),
            Command::Revise {
                text: "Use v2.\n\nAnd  this.".to_owned()
            }
        );
        assert_eq!(
            ok("/pertask revise\nBelow."),
            Command::Revise {
                text: "Below.".to_owned()
            }
        );
        assert_eq!(ok("/pertask retry"), Command::Retry { fresh: false });
        assert_eq!(ok("/pertask retry --fresh"), Command::Retry { fresh: true });
        assert_eq!(
            ok("/pertask skip not needed"),
            Command::Skip {
                why: "not needed".to_owned()
            }
        );
        assert_eq!(ok("/pertask abort"), Command::Abort);
        assert_eq!(ok("/pertask status"), Command::Status);
    }

    #[test]
    fn what_is_said_about_commands_is_none() {
        for body in [
            "",
            "\n",
            "Please /pertask abort",
            "Thanks!\n/pertask abort",
            "> /pertask abort",
            "    /pertask abort",
            "\t/pertask abort",
            "```\n/pertask abort\n```",
            "`/pertask abort`",
            "<!-- /pertask abort -->",
            "<!--\n/pertask abort\n-->",
            "/pertasks abort",
            "/pertask-abort",
            "- /pertask abort",
            "/pertäsk",
        ] {
            assert_eq!(read(body), None, "{body}");
        }
    }

    #[test]
    fn what_is_nearly_a_command_says_what_to_write() {
        let said = [
            "/pertask",
            "/pertask aprove",
            "/pertask approve",
            "/pertask approve 0123456",
            "/pertask approve it",
            &format!("/pertask approve {SHA} but rename it"),
            &format!("/pertask approve {SHA}\nbut rename it"),
            "/pertask revise",
            "/pertask skip <!-- why -->",
            "/pertask retry fresh",
            "/pertask abort now",
            "/pertask skip x\n/pertask abort",
        ]
        .map(|body| bad(body).help(Some(SHA)));
        insta::assert_snapshot!(said.join("\n"), @r"
        `/pertask` takes a command. They are `/pertask approve <full commit id>`, `/pertask revise <what to change>`, `/pertask retry [--fresh]`, `/pertask skip <why>`, `/pertask abort`, `/pertask status`.
        There is no command “aprove”. Did you mean `/pertask approve <full commit id>`? They are `/pertask approve <full commit id>`, `/pertask revise <what to change>`, `/pertask retry [--fresh]`, `/pertask skip <why>`, `/pertask abort`, `/pertask status`.
        `/pertask approve` takes the full id of the commit you looked at: what waits for a review is `/pertask approve 0123456789abcdef0123456789abcdef01234567`.
        “0123456” is not a whole commit id, and an approval is never completed from a part of one: what waits for a review is `/pertask approve 0123456789abcdef0123456789abcdef01234567`.
        “it” is no commit id of 40 hexadecimal digits: what waits for a review is `/pertask approve 0123456789abcdef0123456789abcdef01234567`.
        `/pertask approve` takes nothing more than `/pertask approve <full commit id>`, so it is not clear what is meant. Write other remarks in a comment of their own.
        `/pertask approve` takes nothing more than `/pertask approve <full commit id>`, so it is not clear what is meant. Write other remarks in a comment of their own.
        `/pertask revise` needs words: `/pertask revise <what to change>`.
        `/pertask skip` needs words: `/pertask skip <why>`.
        `/pertask retry` takes nothing more than `/pertask retry [--fresh]`, so it is not clear what is meant. Write other remarks in a comment of their own.
        `/pertask abort` takes nothing more than `/pertask abort`, so it is not clear what is meant. Write other remarks in a comment of their own.
        One comment holds one command; this has two. Write each in a comment of its own.
        ");
        assert_eq!(
            bad("/pertask approve 0123"),
            Misread::ShortSha("0123".to_owned())
        );
        assert!(bad("/pertask approve").help(None).contains("nothing waits"));
    }

    #[test]
    fn any_comment_is_read() {
        let mut random = crate::report::sample::Random::new(3);
        for _ in 0..2000 {
            let body = format!("/pertask {}", random.hostile());
            if let Some(Err(misread)) = read(&body) {
                assert!(!misread.help(None).is_empty());
            }
            let _ = read(&random.hostile());
        }
    }
}
