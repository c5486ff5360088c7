//! The findings for people and for programs; pure.

use serde_json::{Value, json};

use super::{Level, Report};
use crate::report::style::{Style, Tone};

/// Number of the JSON's shape; it only grows.
const SCHEMA: u32 = 1;

impl Level {
    /// As the JSON and the text have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

impl Report {
    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|f| {
                json!({
                    "section": f.section,
                    "check": f.check,
                    "level": f.level.word(),
                    "text": f.text,
                    "mend": f.mend,
                })
            })
            .collect();
        json!({ "schema": SCHEMA, "level": self.worst().word(), "findings": findings })
    }

    /// For people: a line for each finding, under it what mends it.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let mut lines = Vec::new();
        let mut section = "";
        for finding in &self.findings {
            if finding.section != section {
                section = finding.section;
                lines.push(style.strong(section));
            }
            let tone = match finding.level {
                Level::Ok => Tone::Good,
                Level::Warn => Tone::Warn,
                Level::Bad => Tone::Bad,
            };
            let word = style.paint(tone, &format!("{:<4}", finding.level.word()));
            lines.push(format!("  {word}  {}", finding.text));
            if let Some(mend) = &finding.mend {
                lines.push(format!("        {} {mend}", style.faint("→")));
            }
        }
        let count = |level| self.findings.iter().filter(|f| f.level == level).count();
        lines.push(String::new());
        lines.push(match (count(Level::Bad), count(Level::Warn)) {
            (0, 0) => "Nothing is missing.".to_owned(),
            (0, warn) => format!("Nothing is missing; {warn} to know about."),
            (bad, 0) => format!("{bad} to mend."),
            (bad, warn) => format!("{bad} to mend, {warn} to know about."),
        });
        lines.push(String::new());
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Finding;
    use super::*;

    #[test]
    fn findings_are_shown_by_section_with_their_mend() {
        let mut report = Report::default();
        assert_eq!(report.text(Style::PLAIN), "\nNothing is missing.\n");
        let found = |section, level, text: &str| Finding::new(section, "x", level, text.to_owned());
        report.findings = vec![
            found("git", Level::Ok, "git 2.50"),
            found("git", Level::Bad, "no identity").mend("git config …"),
            found("agents", Level::Warn, "no login"),
        ];
        assert_eq!(
            report.text(Style::PLAIN),
            "git\n  ok    git 2.50\n  bad   no identity\n        → git config …\nagents\n  warn  no login\n\n1 to mend, 1 to know about.\n"
        );
        assert_eq!(report.worst(), Level::Bad);
        let json = report.json();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["level"], "bad");
        assert_eq!(json["findings"][0]["mend"], Value::Null);
    }
}
