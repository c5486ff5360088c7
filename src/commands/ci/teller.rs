//! How a job tells what it does: in Actions with groups, annotations, masks and a summary; by hand as
//! any command does.

use std::io::Stderr;

use super::super::terminal::Terminal;
use crate::attempt::Event;
use crate::ci::console::Console;
use crate::ci::outputs::Files;
use crate::ci::random::Words;
use crate::driver::Audience;
use crate::report::actions::{self, Shown};
use crate::report::pull::Links;
use crate::run::order::AttemptResult;
use crate::secrets::Secrets;

/// Tells what a job does.
pub(super) enum Teller {
    /// Somebody runs it by hand.
    Person(Terminal),
    /// Actions does.
    Job(Console<Stderr>),
}

/// Whether this is a job of Actions.
pub(super) fn in_actions() -> bool {
    std::env::var("GITHUB_ACTIONS").is_ok_and(|v| v == "true")
}

impl Teller {
    /// The one for where this runs.
    pub(super) fn new() -> anyhow::Result<Self> {
        if !in_actions() {
            return Ok(Self::Person(Terminal::new()));
        }
        let secrets = Secrets::of_process(&[]);
        Ok(Self::Job(Console::new(
            std::io::stderr(),
            secrets,
            Words::new()?,
        )))
    }

    /// Has the values of an agent's keys masked, by the names of their variables.
    pub(super) fn mask(&mut self, keys: &[String]) {
        if let Self::Job(console) = self {
            console.mask(Secrets::of_process(keys));
        }
    }

    fn audience(&mut self) -> &mut dyn Audience {
        match self {
            Self::Person(terminal) => terminal,
            Self::Job(console) => console,
        }
    }

    /// What went wrong.
    pub(super) fn error(&mut self, error: &anyhow::Error) {
        match self {
            Self::Person(_) => super::super::say_error(error),
            Self::Job(console) => console.error(&super::super::words_of(error)),
        }
    }

    /// What came of an attempt: its annotations, and the job's summary.
    pub(super) fn result(&mut self, result: &AttemptResult) -> anyhow::Result<()> {
        if let Self::Job(console) = self {
            let remarks = actions::annotations(result);
            console.remarks(&remarks);
            summary(&actions::attempt(result, &remarks.rest))?;
        }
        Ok(())
    }

    /// Where runs stand, as the job's summary.
    pub(super) fn runs(
        runs: &[(crate::ledger::Snapshot, Vec<crate::run::decide::Wait>)],
        web: &str,
    ) -> anyhow::Result<()> {
        if runs.is_empty() {
            return Ok(());
        }
        let (links, now) = (Links::new(web), jiff::Timestamp::now());
        let shown: Vec<_> = runs
            .iter()
            .map(|(snapshot, waits)| Shown {
                state: &snapshot.state,
                waits,
                links: &links,
                now,
            })
            .collect();
        summary(&actions::summary(&shown))
    }

    /// The last of it.
    pub(super) fn finish(&mut self) {
        if let Self::Job(console) = self {
            console.finish();
        }
    }
}

fn summary(text: &str) -> anyhow::Result<()> {
    let secrets = Secrets::of_process(&[]);
    Ok(Files::of_environment().summary(&secrets.redact(text))?)
}

/// Hands values on to later steps and jobs.
pub(super) fn outputs(values: &[(&str, &str)]) -> anyhow::Result<()> {
    Ok(Files::of_environment().outputs(values, &mut Words::new()?)?)
}

impl Audience for Teller {
    fn said(&mut self, text: &str) {
        self.audience().said(text);
    }
    fn warn(&mut self, text: &str) {
        self.audience().warn(text);
    }
    fn begins(&mut self, item: &str, name: &str) {
        self.audience().begins(item, name);
    }
    fn event(&mut self, item: &str, event: &Event) {
        self.audience().event(item, event);
    }
    fn ends(&mut self, item: &str) {
        self.audience().ends(item);
    }
    fn tick(&mut self) {
        self.audience().tick();
    }
}
