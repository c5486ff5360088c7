//! Looks whether everything a run needs is there, and says what mends what is missing.
//!
//! Changes nothing, and never fails because something is missing or cannot be reached: that is what
//! it is there to say. Each part is a list of findings; what is read is read by the parts a run reads
//! it with, so that both come to the same conclusion.

mod agents;
mod github;
mod local;
mod settings;
mod view;
mod workflows;

use std::path::Path;

use crate::git::Repo;
use crate::plan::ForgeKind;

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, but a person should know.
    Warn,
    /// Has to be mended before a run.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about: `git`, `settings`, `agents` or `github`.
    pub section: &'static str,
    /// A name for programs, which stays the same.
    pub check: &'static str,
    /// How good it is.
    pub level: Level,
    /// What was found, in words for people.
    pub text: String,
    /// The command or setting that mends it.
    pub mend: Option<String>,
}

impl Finding {
    fn new(section: &'static str, check: &'static str, level: Level, text: String) -> Self {
        Self {
            section,
            check,
            level,
            text,
            mend: None,
        }
    }

    fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

/// Everything that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order of looking.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The worst that was found.
    #[must_use]
    pub fn worst(&self) -> Level {
        let levels = self.findings.iter().map(|f| f.level);
        levels.max().unwrap_or(Level::Ok)
    }
}

/// Looks at everything that concerns a repository; `forge` is the command line's choice.
#[must_use]
pub fn examine(dir: &Path, forge: Option<ForgeKind>) -> Report {
    let mut report = Report::default();
    let repo = local::git(dir, &mut report.findings);
    let known = settings::look(repo.as_ref(), &mut report.findings);
    agents::look(&known, dir, &mut report.findings);
    let forge = forge.unwrap_or(known.config.forge);
    if let Some(repo) = repo.filter(|_| forge == ForgeKind::Github) {
        github::look(&repo, &known, &mut report.findings);
    }
    report
}

/// The repository's own workflows that run because of us, those of [`crate::workflow`] apart.
#[must_use]
pub fn workflows(repo: &Repo) -> Vec<Finding> {
    let mut findings = Vec::new();
    github::workflows_of(repo, "main", &mut findings);
    findings
}

/// The commit that settings and workflows are read from.
fn head(repo: &Repo) -> Option<String> {
    repo.head().ok().map(|head| head.commit)
}
