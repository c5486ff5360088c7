//! What a job prints while attempts run: a group for each, annotations, nothing secret.
//!
//! Safe against text that would be a command: whatever is not a command of ours stands between
//! `::stop-commands::` and its token, a new one each time, that nobody can guess; even a line of ours
//! may hold what an agent said. Safe against secrets: Actions is told at the start what to mask, and
//! each text is cleaned of them and of what moves a terminal before it is printed.
//!
//! Only for a stream that Actions reads: anywhere else the first lines would show what is to be
//! masked.

use std::collections::VecDeque;
use std::io::Write;

use super::random::Words;
use crate::attempt::Event;
use crate::attempt::agent::Progress;
use crate::driver::Audience;
use crate::report::actions::{self, Gravity, Remarks};
use crate::report::words;
use crate::run::order::CheckOutcome;
use crate::secrets::Secrets;
use crate::text;

/// Most lines that are shown of what an agent does.
const LINES: usize = 2_000;
/// Most characters that are shown of a failed check's output.
const OUTPUT: usize = 20_000;
/// Longest line that is shown, in characters.
const LINE: usize = 1_000;

/// An attempt that runs, or one that has ended and whose lines wait to be printed.
struct Shown {
    item: String,
    name: String,
    /// What was not printed yet, because another attempt's group is open.
    lines: Vec<String>,
    /// How many lines of the agent there were.
    said: usize,
    last: String,
    cost: String,
    ended: bool,
}

/// The lines of a job, for Actions.
pub struct Console<W: Write> {
    out: W,
    secrets: Secrets,
    words: Words,
    /// The token that ends what was stopped, while commands are stopped.
    stopped: Option<String>,
    /// The first one's group is open; groups cannot hold groups, so that the others wait.
    attempts: VecDeque<Shown>,
}

impl<W: Write> Console<W> {
    /// A console that has every value of `secrets` masked from now on.
    pub fn new(out: W, secrets: Secrets, words: Words) -> Self {
        let mut console = Self {
            out,
            secrets: Secrets::default(),
            words,
            stopped: None,
            attempts: VecDeque::new(),
        };
        console.mask(secrets);
        console
    }

    /// Has more values masked: which variables hold an agent's key is known only with its order.
    pub fn mask(&mut self, secrets: Secrets) {
        let new = self.secrets.join(secrets);
        let masks: String = new.iter().map(|value| actions::add_mask(value)).collect();
        self.command(&masks);
    }

    /// Prints commands of ours.
    fn command(&mut self, command: &str) {
        if let Some(token) = self.stopped.take() {
            self.write(&actions::go_on(&token));
        }
        self.write(command);
    }

    /// Prints a line that is no command.
    fn line(&mut self, line: &str) {
        if self.stopped.is_none() {
            let token = self.words.give();
            self.write(&actions::stop_commands(&token));
            self.stopped = Some(token);
        }
        self.write(&format!("{line}\n"));
    }

    /// Nobody is left to be told when this fails.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }

    /// Lines that others wrote, or that may quote them, as they are printed.
    fn lines(&self, said: &str, mark: &str) -> Vec<String> {
        // Cleaned first: what cannot be seen may stand inside of a secret.
        let clean = text::lines(said);
        let clean = self.secrets.redact(&clean);
        let lines = clean.lines();
        lines
            // The older form of a command begins anywhere in a line.
            .map(|line| text::clipped(line.replace("##[", "## ["), LINE))
            .map(|line| format!("{mark}{line}").trim_end().to_owned())
            .collect()
    }

    /// Prints lines of an attempt, or keeps them until its group can be opened.
    fn of(&mut self, item: &str, lines: Vec<String>) {
        match self.attempts.iter().position(|a| a.item == item) {
            Some(0) | None => lines.iter().for_each(|line| self.line(line)),
            Some(n) => self.attempts[n].lines.extend(lines),
        }
    }

    fn begin(&mut self, item: &str, name: &str) {
        self.attempts.push_back(Shown {
            item: item.to_owned(),
            name: self.secrets.redact(&text::line(name)).into_owned(),
            lines: Vec::new(),
            said: 0,
            last: String::new(),
            cost: String::new(),
            ended: false,
        });
        if self.attempts.len() == 1 {
            self.open();
        }
    }

    /// Opens the group of the first attempt, and prints what it has waited with.
    fn open(&mut self) {
        if let Some(first) = self.attempts.front_mut() {
            let (name, lines) = (
                actions::group(&first.name),
                std::mem::take(&mut first.lines),
            );
            self.command(&name);
            for line in lines {
                self.line(&line);
            }
        }
    }

    fn end(&mut self, item: &str) {
        let Some(n) = self
            .attempts
            .iter()
            .position(|a| a.item == item && !a.ended)
        else {
            return;
        };
        let cost = std::mem::take(&mut self.attempts[n].cost);
        if !cost.is_empty() {
            self.of(item, vec![format!("cost: {cost}")]);
        }
        self.attempts[n].ended = true;
        while self.attempts.front().is_some_and(|a| a.ended) {
            self.command(actions::END_GROUP);
            self.attempts.pop_front();
            self.open();
        }
    }

    /// Ends the group of a build: nobody says when that has ended.
    fn end_build(&mut self) {
        self.end("");
    }

    fn activity(&mut self, item: &str, said: &str) {
        let Some(shown) = self.attempts.iter_mut().find(|a| a.item == item) else {
            return;
        };
        if shown.last == said || shown.said > LINES {
            return;
        }
        said.clone_into(&mut shown.last);
        shown.said += 1;
        let lines = if shown.said > LINES {
            vec!["| … the agent goes on, and more of it is not shown here".to_owned()]
        } else {
            self.lines(&text::line(said), "| ")
        };
        self.of(item, lines);
    }

    fn checked(&mut self, item: &str, outcome: &CheckOutcome) {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
        let seconds = outcome.duration_ms as f64 / 1000.0;
        let (word, detail) = if outcome.passed {
            ("ok", String::new())
        } else {
            ("FAILED", format!(": {}", outcome.detail))
        };
        let said = format!("{word} {} ({seconds:.1}s){detail}", outcome.name);
        let mut lines = self.lines(&text::line(&said), "");
        if !outcome.passed {
            let output = text::shorten(&text::lines(&outcome.output), OUTPUT);
            lines.extend(self.lines(&output, "| "));
        }
        self.of(item, lines);
    }

    /// Prints the annotations of an attempt.
    pub fn remarks(&mut self, remarks: &Remarks) {
        self.end_build();
        let commands = self.secrets.redact(&remarks.commands).into_owned();
        self.command(&commands);
    }

    /// Says what went wrong, as an annotation of the step.
    pub fn error(&mut self, said: &str) {
        self.annotate(Gravity::Error, said);
    }

    fn annotate(&mut self, gravity: Gravity, said: &str) {
        let said = text::lines(said);
        let said = self.secrets.redact(&said);
        self.command(&actions::remark(gravity, "", None, &said));
    }

    /// Ends whatever is open, so that another may print.
    pub fn finish(&mut self) {
        while let Some(open) = self.attempts.iter().find(|a| !a.ended) {
            let item = open.item.clone();
            self.end(&item);
        }
        self.command("");
    }
}

impl<W: Write> Audience for Console<W> {
    fn said(&mut self, said: &str) {
        self.end_build();
        for line in self.lines(said, "") {
            self.line(&line);
        }
    }

    fn warn(&mut self, said: &str) {
        self.end_build();
        self.annotate(Gravity::Warning, said);
    }

    fn begins(&mut self, item: &str, name: &str) {
        self.end_build();
        self.begin(item, name);
    }

    fn event(&mut self, item: &str, event: &Event) {
        let known = self.attempts.iter().any(|a| a.item == item && !a.ended);
        if item.is_empty() && !known {
            self.begin("", "Build");
        }
        match event {
            Event::Agent(Progress::Started { .. }) => {
                self.of(item, vec!["the agent has started".to_owned()]);
            }
            Event::Agent(Progress::Activity(said)) => self.activity(item, said),
            Event::Agent(Progress::Cost { usd, tokens }) => {
                let said = match (usd, tokens) {
                    (Some(usd), _) => words::money(*usd),
                    (None, Some(tokens)) => format!("{tokens} tokens"),
                    (None, None) => String::new(),
                };
                if let Some(shown) = self.attempts.iter_mut().find(|a| a.item == item) {
                    shown.cost = said;
                }
            }
            Event::Checking => self.of(item, vec!["checking".to_owned()]),
            Event::Check(name) => {
                let lines = self.lines(&text::line(&format!("checking: {name}")), "");
                self.of(item, lines);
            }
            Event::Checked(outcome) => self.checked(item, outcome),
        }
    }

    fn ends(&mut self, item: &str) {
        self.end(item);
    }
}

impl<W: Write> Drop for Console<W> {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests;
