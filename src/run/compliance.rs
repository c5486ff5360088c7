//! What is known of the P0 rules on the run branch: findings, reviewers' notes, exceptions.
//!
//! A violation in a finished task never stops the run. It is recorded here after every merge, shown,
//! and put right with all others after the plan's last task (the seed's "P0 Violation Detected
//! Mid-Implementation" and Phase 4.5), unless a person records an exception.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::state::Person;
use crate::rules::Finding;

/// The P0 part of a run's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compliance {
    /// Commit of the run branch that `findings` are of.
    #[serde(default)]
    pub judged: Option<String>,
    /// What the rules say of merged tasks' files there.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// What reviewers noted, oldest first; never removed.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// What people let pass, oldest first.
    #[serde(default)]
    pub exceptions: Vec<Exception>,
    /// Every finding that the P0 task was ever asked to put right.
    #[serde(default)]
    pub to_mend: Vec<Finding>,
    /// How many of the notes the P0 task's latest agent was told.
    #[serde(default)]
    pub told: usize,
    /// Commit of the run branch on which the report says all this.
    #[serde(default)]
    pub reported: Option<String>,
}

/// A reviewer's finding that no rule sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The task it is about; `None` when it is about the whole.
    pub task: Option<String>,
    /// That task's file; empty when it is about the whole.
    pub file: String,
    /// Their words.
    pub text: String,
    /// Who.
    pub by: Person,
    /// When.
    pub at: Timestamp,
    /// What became of it.
    pub standing: NoteStanding,
}

/// What became of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteStanding {
    /// To be put right.
    Open,
    /// The P0 task that was told of it is reviewed and merged.
    Mended,
    /// A person let it pass.
    Excepted,
}

/// A violation that a person lets pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Id of the rule; `note` for a reviewer's.
    pub rule: String,
    /// Path from the root; may be empty for a note.
    pub file: String,
    /// Line when it was let pass; 0 for a note.
    pub line: u32,
    /// What was found.
    pub message: String,
    /// Who.
    pub by: Person,
    /// When.
    pub at: Timestamp,
    /// Their reason.
    pub why: String,
}

impl Exception {
    /// Whether it is about such a finding; lines move, so each exception stands for one of them.
    #[must_use]
    pub fn covers(&self, finding: &Finding) -> bool {
        self.rule == finding.rule && self.file == finding.file && self.message == finding.message
    }
}

/// Whether two findings are the same but for the line, which moves with every change of the file.
#[must_use]
pub fn same(a: &Finding, b: &Finding) -> bool {
    a.rule == b.rule && a.file == b.file && a.message == b.message
}

impl Compliance {
    /// Every finding with the exception that lets it pass. One exception lets one finding pass.
    #[must_use]
    pub fn standing(&self) -> Vec<(&Finding, Option<&Exception>)> {
        let mut left: Vec<&Exception> = self.exceptions.iter().collect();
        let mut take = |finding: &Finding| {
            let at = left.iter().position(|e| e.covers(finding))?;
            Some(left.remove(at))
        };
        self.findings.iter().map(|f| (f, take(f))).collect()
    }

    /// Findings that nobody let pass.
    pub fn open_findings(&self) -> impl Iterator<Item = &Finding> {
        let standing = self.standing().into_iter();
        standing.filter(|(_, e)| e.is_none()).map(|(f, _)| f)
    }

    /// Notes that are to be put right.
    pub fn open_notes(&self) -> impl Iterator<Item = &Note> {
        self.notes
            .iter()
            .filter(|n| n.standing == NoteStanding::Open)
    }

    /// How many violations are to be put right.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open_findings().count() + self.open_notes().count()
    }

    /// Nothing was ever found, noted or let pass.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.findings.is_empty()
            && self.notes.is_empty()
            && self.exceptions.is_empty()
            && self.to_mend.is_empty()
    }
}
