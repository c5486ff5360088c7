//! The history of a run, for `git pertask log`.

use super::clean::{block, line};
use super::style::Style;
use super::words;
use crate::ledger::Step;
use crate::run::transition::short;

/// The steps in the order given (the ledger gives the newest first), in the manner of `git log`.
#[must_use]
pub fn text(steps: &[Step], style: Style) -> String {
    let mut out = String::new();
    for (i, step) in steps.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let id = line(&step.commit);
        let head = format!(
            "{}  {}  {}\n",
            style.paint(super::style::Tone::Warn, short(&id)),
            words::time(step.at),
            words::cut(&line(&step.by.name), 40)
        );
        out.push_str(&head);
        for part in words::wrap(&line(&step.what), words::WIDTH - 4) {
            out.push_str("    ");
            out.push_str(&part);
            out.push('\n');
        }
        let detail = block(&step.detail);
        for (n, part) in detail.lines().enumerate() {
            if n == 0 {
                out.push('\n');
            }
            out.push_str(format!("      {part}").trim_end());
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, at, oid};

    #[test]
    fn newest_first_as_given() {
        let step = |c, what: &str, detail: &str| Step {
            commit: oid(c),
            at: at(0),
            by: sample::ada(),
            what: what.to_owned(),
            detail: detail.to_owned(),
        };
        let steps = [
            step(
                '2',
                "Task 2 of 4, client (HTTP client): attempt 1 fails, another follows: go build ./... fails",
                "wiz.go:3: undefined: x\n\n\u{1b}[31mbuild failed",
            ),
            step('1', "Run wiz begins", ""),
        ];
        insta::assert_snapshot!(text(&steps, Style::PLAIN), @r"
        2222222222  2026-01-14T15:30:00Z  Ada Lovelace
            Task 2 of 4, client (HTTP client): attempt 1 fails, another follows: go
            build ./... fails

              wiz.go:3: undefined: x

              build failed

        1111111111  2026-01-14T15:30:00Z  Ada Lovelace
            Run wiz begins
        ");
        assert_eq!(text(&[], Style::PLAIN), "");
    }
}
