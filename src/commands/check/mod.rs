//! `git pertask check`: the P0 rules and the gate on what is there now, or the rules on a directory.
//!
//! It changes nothing: no ref, no file of the repository, no workspace. Safe against a tree of any
//! shape: links are not followed, and what cannot be read is an error rather than a silence.

mod folder;
mod run;

use serde::Serialize;

use super::cli::{CheckArgs, CheckFormat};
use super::{Exit, print};
use crate::rules::{Finding, output};
use crate::run::state::GateItem;

/// `git pertask check`.
pub(super) fn run(args: &CheckArgs) -> anyhow::Result<Exit> {
    match &args.path {
        Some(dir) => folder::run(dir, args.format),
        None => run::run(args.run.as_deref(), args.format),
    }
}

/// Findings and gate as JSON: what `--path` prints, grown by the gate.
#[derive(Serialize)]
struct WithGate<'a> {
    schema: u32,
    findings: &'a [Finding],
    gate: &'a [GateItem],
}

/// Says what was found as the format wants it; `gate` is there for a run only. SARIF has the
/// findings alone: an item of the gate has no place in a file.
fn say(format: CheckFormat, findings: &[Finding], gate: Option<&[GateItem]>) -> anyhow::Result<()> {
    match (format, gate) {
        (CheckFormat::Text, _) => print(&output::human(findings)),
        (CheckFormat::Json, None) => print(&output::json(findings)),
        (CheckFormat::Json, Some(gate)) => {
            let value = WithGate {
                schema: output::SCHEMA,
                findings,
                gate,
            };
            print(&format!("{}\n", serde_json::to_string(&value)?))
        }
        (CheckFormat::Sarif, _) => print(&output::sarif(findings)),
        (CheckFormat::Github, gate) => {
            let mut text = output::github(findings);
            for item in gate.unwrap_or_default().iter().filter(|g| !g.holds) {
                let title = format!("Gate: {}", item.item);
                text.push_str(&output::github_error(&title, &item.detail));
            }
            print(&text)
        }
    }
}

/// The exit code: findings, or a gate item that does not hold, need a person.
fn exit(findings: &[Finding], gate: &[GateItem]) -> Exit {
    if findings.is_empty() && gate.iter().all(|g| g.holds) {
        Exit::Done
    } else {
        Exit::PersonNeeded
    }
}
