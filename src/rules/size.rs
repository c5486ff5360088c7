//! `file-size`: a Go file has fewer than 400 lines.

use super::{Context, Finding, Report, by_id};

const RULE: &str = "file-size";

pub(super) fn check(report: &mut Report<'_, '_>, context: &Context) {
    let limit = context.max_file_lines;
    for file in &report.package.files {
        let lines = u32::try_from(file.text.lines().count()).unwrap_or(u32::MAX);
        if !file.judged || lines < limit {
            continue;
        }
        report.findings.push(Finding {
            rule: RULE.to_owned(),
            file: file.path.to_owned(),
            line: limit.max(1),
            column: 1,
            message: format!(
                "the file has {lines} lines; at most {} are allowed",
                limit.max(1) - 1
            ),
            hint: by_id(RULE).map_or("", |rule| rule.hint).to_owned(),
        });
    }
}
