//! The person at the terminal: progress on stderr, questions, pager and editor.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal, Write as _};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::attempt::Event;
use crate::attempt::agent::Progress;
use crate::driver::Audience;

/// Whether this stream gets colours: a terminal, and `NO_COLOR` not set.
pub(super) fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Progress on stderr: a line for what was done; on a terminal also a live line per attempt.
pub(super) struct Terminal {
    live: Option<MultiProgress>,
    attempts: BTreeMap<String, Shown>,
}

struct Shown {
    name: String,
    bar: Option<ProgressBar>,
    began: Instant,
    doing: String,
    cost: String,
}

impl Terminal {
    pub(super) fn new() -> Self {
        let live = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self {
            live,
            attempts: BTreeMap::new(),
        }
    }

    fn line(&self, text: &str) {
        let print = || {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        };
        match &self.live {
            Some(live) => live.suspend(print),
            None => print(),
        }
    }

    fn show(&mut self, item: &str, doing: String) {
        if let Some(shown) = self.attempts.get_mut(item) {
            shown.doing = doing;
            shown.refresh();
        }
    }
}

impl Shown {
    fn refresh(&self) {
        if let Some(bar) = &self.bar {
            let time = duration(self.began.elapsed());
            bar.set_message(format!(
                "{}  {time}{}  {}",
                self.name, self.cost, self.doing
            ));
        }
    }
}

fn duration(time: Duration) -> String {
    let s = time.as_secs();
    if s < 60 {
        format!("{s}s")
    } else {
        format!("{}m{:02}s", s / 60, s % 60)
    }
}

impl Audience for Terminal {
    fn said(&mut self, text: &str) {
        self.line(text);
    }

    fn warn(&mut self, text: &str) {
        self.line(&format!("warning: {text}"));
    }

    fn begins(&mut self, item: &str, name: &str) {
        let bar = self.live.as_ref().map(|live| {
            let bar = live.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let shown = Shown {
            name: name.to_owned(),
            bar,
            began: Instant::now(),
            doing: "preparing the workspace".to_owned(),
            cost: String::new(),
        };
        shown.refresh();
        self.attempts.insert(item.to_owned(), shown);
    }

    fn event(&mut self, item: &str, event: &Event) {
        match event {
            Event::Agent(Progress::Started { .. }) => {
                self.show(item, "the agent has started".to_owned());
            }
            Event::Agent(Progress::Activity(text)) => self.show(item, text.clone()),
            Event::Agent(Progress::Cost { usd, tokens }) => {
                if let Some(shown) = self.attempts.get_mut(item) {
                    shown.cost = match (usd, tokens) {
                        (Some(usd), _) => format!("  ${usd:.2}"),
                        (None, Some(tokens)) => format!("  {tokens} tokens"),
                        (None, None) => String::new(),
                    };
                    shown.refresh();
                }
            }
            Event::Checking => self.show(item, "checking".to_owned()),
            Event::Check(name) => self.show(item, format!("checking: {name}")),
            Event::Checked(outcome) => {
                let word = if outcome.passed { "ok" } else { "FAILED" };
                let detail = if outcome.passed {
                    String::new()
                } else {
                    format!(": {}", outcome.detail)
                };
                #[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
                let seconds = outcome.duration_ms as f64 / 1000.0;
                self.line(&format!(
                    "  {word} {} ({seconds:.1}s){detail}",
                    outcome.name
                ));
            }
        }
    }

    fn ends(&mut self, item: &str) {
        if let Some(shown) = self.attempts.remove(item)
            && let Some(bar) = shown.bar
        {
            bar.finish_and_clear();
        }
    }

    fn tick(&mut self) {
        for shown in self.attempts.values() {
            shown.refresh();
        }
    }
}

/// Whether a person can be asked: all three streams that matter are a terminal.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks one question on stderr; `None` at the end of the input.
pub(super) fn ask(question: &str) -> Option<String> {
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "{question}");
    let _ = err.flush();
    drop(err);
    let mut answer = String::new();
    match std::io::stdin().lock().read_line(&mut answer) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(answer.trim().to_owned()),
    }
}

/// Lets the person write a text in their editor (as git finds it); lines that begin with `#` are
/// left out.
///
/// # Errors
/// When there is no editor, or it fails.
pub(super) fn edit(editor: &str, hint: &str) -> anyhow::Result<String> {
    use anyhow::Context as _;
    let mut file = tempfile::Builder::new()
        .prefix("pertask-")
        .suffix(".md")
        .tempfile()
        .context("making a file to edit")?;
    writeln!(
        file,
        "\n{}",
        hint.lines()
            .map(|l| format!("# {l}"))
            .collect::<Vec<_>>()
            .join("\n")
    )?;
    let status = std::process::Command::new("sh")
        .args(["-c", &format!("{editor} \"$@\""), "editor"])
        .arg(file.path())
        .status()
        .with_context(|| format!("starting the editor {editor}"))?;
    if !status.success() {
        return Err(super::usage!("the editor {editor} failed; say it with -m instead").into());
    }
    let text = std::fs::read_to_string(file.path()).context("reading what was written")?;
    Ok(text
        .lines()
        .filter(|l| !l.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
        .trim()
        .to_owned())
}
