//! Answers to what people wrote: in review threads and to commands.
//!
//! Each begins with a marker that names what it answers, so that it is found again rather than
//! written twice. People are named, never called: GitHub tells them of the answer anyway.

use super::{Links, marker};
use crate::report::clean;
use crate::report::markdown::{code, line, link, prose, quoted};
use crate::run::transition::short;

/// Longest text of an agent or a refusal that is repeated, in characters.
const QUOTE: usize = 2_000;

/// What became of the lines that a thread is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Near {
    /// Some of them changed.
    Changed,
    /// None of them did.
    Same,
    /// The thread is about the file as a whole, or its lines cannot be told.
    Unknown,
}

/// What is known about a thread after a revision. Everything but `answer` is verified.
#[derive(Debug, Clone, Copy)]
pub struct ThreadReply<'a> {
    /// Id of the thread.
    pub thread: &'a str,
    /// The revision's commit.
    pub commit: &'a str,
    /// Path the thread is about.
    pub path: &'a str,
    /// Lines that the revision added to it.
    pub added: u32,
    /// Lines that the revision took out of it.
    pub removed: u32,
    /// What became of the lines the thread is about.
    pub near: Near,
    /// What the agent says it did.
    pub answer: Option<&'a str>,
}

/// The line by which a reply to a thread after a commit is found again.
#[must_use]
pub fn reply_marker(thread: &str, commit: &str) -> String {
    marker("reply", &format!("{thread} {commit}"))
}

/// What is said in a thread after a revision.
#[must_use]
pub fn thread_reply(reply: &ThreadReply<'_>, links: &Links) -> String {
    let at = link(
        &code(short(&clean::line(reply.commit))),
        &links.commit(reply.commit),
    );
    let path = code(&crate::report::words::middle(&clean::line(reply.path), 200));
    let fact = if (reply.added, reply.removed) == (0, 0) {
        format!("{at} does not change {path}.")
    } else {
        let near = match reply.near {
            Near::Changed => " The lines here changed.",
            Near::Same => " The lines here did not change.",
            Near::Unknown => "",
        };
        format!(
            "{at} changes {path} by +{} −{}.{near}",
            reply.added, reply.removed
        )
    };
    let mut out = format!("{}\n{fact}", reply_marker(reply.thread, reply.commit));
    let answer = prose(reply.answer.unwrap_or_default(), QUOTE);
    if answer.is_empty() {
        out.push_str(" The agent says nothing about this thread.");
    } else {
        out.push_str("\n\nThe agent's own words, not verified:\n\n");
        out.push_str(&quoted(&answer));
    }
    out
}

/// What is said to a command.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    /// It was done; what happened, in words.
    Done(&'a str),
    /// It cannot be done now; why, in words.
    Refused(&'a str),
    /// It is no command; what to write instead.
    Misread(&'a str),
    /// Its author may not write to the repository.
    NotPermitted,
    /// Its author opened the pull request, and `author_may_approve` is not set.
    NotTheAuthor,
    /// It approves another commit than the one that waits.
    OtherCommit {
        /// The one it names.
        given: &'a str,
        /// The one that waits.
        head: &'a str,
    },
    /// Where the run stands, several lines of text.
    Status(&'a str),
}

/// The line by which the answer to a comment is found again.
#[must_use]
pub fn answer_marker(comment: &str) -> String {
    marker("answer", comment)
}

/// The answer to the comment with this id. What was asked for is not repeated.
#[must_use]
pub fn command_answer(comment: &str, answer: Answer<'_>) -> String {
    let said = match answer {
        Answer::Done(said) => sentence(said),
        Answer::Refused(why) => format!("Nothing was done: {}", sentence(why)),
        Answer::Misread(help) => format!("Nothing was done. {}", prose(help, QUOTE)),
        Answer::NotPermitted => {
            "Nothing was done: this takes write permission on this repository.".to_owned()
        }
        Answer::NotTheAuthor => "Nothing was done: the author of a pull request does not decide about it. Somebody else with write permission may; `author_may_approve = true` under `[github]` in `.pertask/config.toml`, committed to the base, lets a person who works alone decide by comment.".to_owned(),
        Answer::OtherCommit { given, head } => format!(
            "Nothing was done: {} is not what waits for a review. Look at it again, then:\n\n{}",
            code(&clean::short_line(given, 40)),
            crate::text::fenced(&format!("/pertask approve {}", clean::line(head)), "text"),
        ),
        Answer::Status(text) => crate::report::markdown::fenced(text, "text", 12_000),
    };
    format!("{}\n{said}", answer_marker(comment))
}

/// What happened, as a sentence.
fn sentence(said: &str) -> String {
    let said = line(said, QUOTE);
    match said.chars().last() {
        None | Some('.' | '!' | '?' | '…') => said,
        Some(_) => format!("{said}."),
    }
}

/// The line by which it is found again that an approval was dismissed for this head.
#[must_use]
pub fn dismissed_marker(head: &str) -> String {
    marker("dismissed", head)
}

/// Why people are asked again although they approved: branch protection dismissed it.
#[must_use]
pub fn dismissed_answer(by: &str, approved: &str, head: &str, links: &Links) -> String {
    let at = |oid: &str| link(&code(short(&clean::line(oid))), &links.commit(oid));
    format!(
        "{}\nThe approval of {} by {} was dismissed by this repository's branch protection. {} differs from it by nothing but the run branch, which was merged in and passes the checks. It needs an approval again all the same.",
        dismissed_marker(head),
        at(approved),
        line(by, 60),
        at(head),
    )
}

/// Why an approval does not count: it is not of the commit that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is of an earlier commit.
    Older,
    /// Somebody pushed since; what they pushed is checked first.
    Pushed,
    /// GitHub shows the approval at a commit that its author did not see.
    Rebound,
}

/// What is said of an approval that does not count.
#[must_use]
pub fn moved_answer(by: &str, approved: &str, head: &str, why: Settled, links: &Links) -> String {
    let at = |oid: &str| link(&code(short(&clean::line(oid))), &links.commit(oid));
    let why = match why {
        Settled::Older => "which is not the head any more",
        Settled::Pushed => "and somebody has pushed since; that is checked first",
        Settled::Rebound => "which is not what was shown when it was given",
    };
    format!(
        "{}\nThe approval by {} is of {}, {why}. What counts is a review of {}.",
        marker("moved", &format!("{approved} {head}")),
        line(by, 60),
        at(approved),
        at(head),
    )
}
