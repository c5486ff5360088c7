//! `p0-compliance-review.md`: the report of the P0 validation (the seed's Phase 4.5).
//!
//! Rendered whole from the state, so that nobody can edit it into saying something else. It tells no
//! times and no commits but those of people's decisions: the same state gives the same text.

use std::fmt::Write as _;

use super::clean::{self, markdown};
use super::markdown::cell;
use super::words;
use crate::rules::Finding;
use crate::run::compliance::{Compliance, Exception, NoteStanding, same};
use crate::run::order::FileRules;
use crate::run::state::State;

/// Longest text of a rule or a person that is quoted, in characters.
const QUOTE: usize = 400;

/// The report; `judged` are the files of the merged tasks with the rules each is asked about.
#[must_use]
pub fn render(state: &State, judged: &[FileRules]) -> String {
    let compliance = &state.compliance;
    let mut out = format!(
        "# P0 compliance review: {}\n\n**{}**\n\nRun {} of plan {}. Written by `git pertask` from the run's ledger; edits made here are lost.\n",
        markdown(&state.title),
        result(compliance),
        markdown(&state.run),
        markdown(&state.plan),
    );
    findings(&mut out, compliance);
    out.push_str("\n## Files judged\n\n");
    if judged.iter().all(|f| f.rules.is_empty()) {
        out.push_str("The plan names no P0 rule.\n");
        return out;
    }
    out.push_str("| File | Rules | Result |\n|---|---|---|\n");
    let standing = compliance.standing();
    for file in judged.iter().filter(|f| !f.rules.is_empty()) {
        let mut all = 0;
        let mut open = 0;
        for (_, exception) in standing.iter().filter(|(f, _)| f.file == file.path) {
            all += 1;
            open += usize::from(exception.is_none());
        }
        let said = match (open, all) {
            (0, 0) => "hold".to_owned(),
            (0, excepted) => format!("{excepted} let pass"),
            (open, _) => format!("{open} open"),
        };
        let rules: Vec<String> = file.rules.iter().map(|r| clean::code(r)).collect();
        let _ = writeln!(
            out,
            "| {} | {} | {said} |",
            cell(&clean::path(&file.path)),
            cell(&rules.join(", "))
        );
    }
    out
}

/// `COMPLIANT` or `NON-COMPLIANT`, with what there is to know about it.
#[must_use]
pub fn result(compliance: &Compliance) -> String {
    let count = |n: usize, noun| words::counted(u64::try_from(n).unwrap_or(u64::MAX), noun);
    match (compliance.open(), compliance.exceptions.len()) {
        (0, 0) => "COMPLIANT".to_owned(),
        (0, n) => format!("NON-COMPLIANT, with {} accepted", count(n, "exception")),
        (n, _) => format!("NON-COMPLIANT: {}", count(n, "violation")),
    }
}

fn findings(out: &mut String, compliance: &Compliance) {
    // What was to be put right, paired with what is still there; lines move meanwhile.
    let mut there = compliance.standing();
    let mut rows: Vec<(&Finding, String)> = Vec::new();
    let said = |exception: Option<&Exception>| exception.map_or("open".to_owned(), let_pass);
    for finding in &compliance.to_mend {
        match there.iter().position(|(f, _)| same(f, finding)) {
            Some(at) => {
                let (finding, exception) = there.remove(at);
                rows.push((finding, said(exception)));
            }
            None => rows.push((finding, "put right".to_owned())),
        }
    }
    rows.extend(there.into_iter().map(|(f, e)| (f, said(e))));
    out.push_str("\n## Findings\n\n");
    if rows.is_empty() && compliance.notes.is_empty() {
        out.push_str("None.\n");
        return;
    }
    out.push_str("| Rule | Where | Finding | Status |\n|---|---|---|---|\n");
    for (finding, status) in rows {
        row(
            out,
            &clean::code(&finding.rule),
            &format!("{}:{}", clean::path(&finding.file), finding.line),
            &finding.message,
            &status,
        );
    }
    for note in &compliance.notes {
        let exception = compliance
            .exceptions
            .iter()
            .find(|e| e.rule == "note" && e.message == note.text && e.file == note.file);
        let status = match (note.standing, exception) {
            (NoteStanding::Open, _) => "open".to_owned(),
            (NoteStanding::Mended, _) => "put right".to_owned(),
            (NoteStanding::Excepted, Some(exception)) => let_pass(exception),
            (NoteStanding::Excepted, None) => "exception".to_owned(),
        };
        let place = if note.file.is_empty() {
            "the whole".to_owned()
        } else {
            clean::path(&note.file)
        };
        let rule = format!("note by {}", markdown(&note.by.name));
        row(out, &rule, &place, &note.text, &status);
    }
}

fn let_pass(exception: &Exception) -> String {
    format!(
        "exception by {}, {}: {}",
        markdown(&exception.by.name),
        words::time(exception.at),
        markdown(&clean::short_line(&exception.why, QUOTE))
    )
}

fn row(out: &mut String, rule: &str, place: &str, finding: &str, status: &str) {
    let finding = markdown(&clean::short_line(finding, QUOTE));
    let _ = writeln!(
        out,
        "| {} | {} | {} | {} |",
        cell(rule),
        cell(place),
        cell(&finding),
        cell(status)
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, ada, at};
    use crate::run::compliance::Note;
    use crate::run::transition;

    fn finding(line: u32, message: &str) -> Finding {
        Finding {
            rule: "error-handling".to_owned(),
            file: "pkg/wiz/wiz_client.go".to_owned(),
            line,
            column: 2,
            message: message.to_owned(),
            hint: "check it".to_owned(),
        }
    }

    #[test]
    fn a_report() {
        let mut state = sample::midway();
        let judged = [FileRules {
            path: "pkg/wiz/wiz_client.go".to_owned(),
            rules: vec!["error-handling".to_owned(), "file-size".to_owned()],
        }];
        transition::judged(&mut state, "c1", vec![finding(3, "a | b"), finding(9, "c")]);
        state.compliance.notes.push(Note {
            task: Some("client".to_owned()),
            file: "pkg/wiz/wiz_client.go".to_owned(),
            text: "No timeout\n| x".to_owned(),
            by: ada(),
            at: at(1),
            standing: NoteStanding::Open,
        });
        transition::validation_opened(&mut state, "report.md");
        assert!(render(&state, &judged).contains("**NON-COMPLIANT: 3 violations**"));
        transition::judged(&mut state, "c2", vec![finding(4, "a | b")]);
        transition::excepted(&mut state, "agreed with the vendor", &ada(), at(2)).unwrap();
        insta::assert_snapshot!(render(&state, &judged), @r"
        # P0 compliance review: Wiz integration

        **NON-COMPLIANT, with 2 exceptions accepted**

        Run wiz of plan wiz. Written by `git pertask` from the run's ledger; edits made here are lost.

        ## Findings

        | Rule | Where | Finding | Status |
        |---|---|---|---|
        | `error-handling` | pkg/wiz/wiz_client.go:4 | a \| b | exception by Ada Lovelace, 2026-01-14T15:30:02Z: agreed with the vendor |
        | `error-handling` | pkg/wiz/wiz_client.go:9 | c | put right |
        | note by Ada Lovelace | pkg/wiz/wiz_client.go | No timeout \| x | exception by Ada Lovelace, 2026-01-14T15:30:02Z: agreed with the vendor |

        ## Files judged

        | File | Rules | Result |
        |---|---|---|
        | pkg/wiz/wiz_client.go | `error-handling`, `file-size` | 1 let pass |
        ");
    }
}
