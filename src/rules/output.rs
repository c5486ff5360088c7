//! Findings as text, JSON, SARIF and GitHub's workflow commands.
//!
//! Pure: nothing is printed here. File names and messages may hold anything; each format escapes
//! what would break it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Finding, all, by_id};
use crate::text::{command_data, command_property};

/// Version of [`Findings`] as JSON.
pub const SCHEMA: u32 = 1;

/// What `check --format json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Findings {
    /// Version of this format, [`SCHEMA`]; only grows.
    pub schema: u32,
    /// The findings, sorted by place.
    pub findings: Vec<Finding>,
}

/// For people: one paragraph per finding, then how many there are. Ends in a line break; empty when
/// there is nothing to say.
///
/// Control characters are shown as escapes, so that a file's name cannot drive a terminal.
#[must_use]
pub fn human(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let Finding {
            rule,
            file,
            line,
            column,
            message,
            hint,
        } = finding;
        let _ = writeln!(
            out,
            "{}:{line}:{column}: {} [{}]",
            plain(file),
            plain(message),
            plain(rule)
        );
        if !hint.is_empty() {
            let _ = writeln!(out, "    {}", plain(hint));
        }
    }
    match findings.len() {
        0 => {}
        1 => out.push_str("1 finding\n"),
        n => {
            let _ = writeln!(out, "{n} findings");
        }
    }
    out
}

fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_format_control(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Characters that change the direction of text or cannot be seen.
fn is_format_control(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `{"schema":1,"findings":[…]}` on one line, with a line break.
#[must_use]
pub fn json(findings: &[Finding]) -> String {
    let value = Findings {
        schema: SCHEMA,
        findings: findings.to_vec(),
    };
    let mut out = serde_json::to_string(&value).unwrap_or_default();
    out.push('\n');
    out
}

/// A SARIF 2.1.0 log with one run
/// (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>), with a line break.
///
/// Columns count characters (`columnKind`); paths are relative to the repository's root.
#[must_use]
pub fn sarif(findings: &[Finding]) -> String {
    let mut rules: BTreeMap<&str, Value> = BTreeMap::new();
    for finding in findings {
        rules
            .entry(&finding.rule)
            .or_insert_with(|| match by_id(&finding.rule) {
                Some(rule) => json!({
                    "id": rule.id,
                    "shortDescription": { "text": rule.title },
                    "fullDescription": { "text": rule.prompt_text.trim() },
                    "help": { "text": rule.hint },
                    "defaultConfiguration": { "level": "error" },
                }),
                None => json!({
                    "id": finding.rule,
                    "shortDescription": { "text": finding.rule },
                    "defaultConfiguration": { "level": "error" },
                }),
            });
    }
    let index: BTreeMap<&str, usize> = rules
        .keys()
        .enumerate()
        .map(|(index, id)| (*id, index))
        .collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let text = if finding.hint.is_empty() {
                finding.message.clone()
            } else {
                format!("{}\n{}", finding.message, finding.hint)
            };
            json!({
                "ruleId": finding.rule,
                "ruleIndex": index.get(finding.rule.as_str()),
                "level": "error",
                "message": { "text": text },
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": {
                            "uri": uri(&finding.file),
                            "uriBaseId": "SRCROOT",
                        },
                        "region": {
                            "startLine": finding.line.max(1),
                            "startColumn": finding.column.max(1),
                        },
                    },
                }],
            })
        })
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "git-pertask",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": rules.into_values().collect::<Vec<_>>(),
                },
            },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log}\n")
}

/// A relative path as a URI reference: everything that is not plainly allowed is percent-encoded.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    // A colon in the first part would read as a scheme, a leading slash as absolute.
    for byte in path.trim_start_matches("./").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@+,=".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// GitHub's workflow commands, one `::error` line per finding, which become annotations
/// (<https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>).
#[must_use]
pub fn github(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let title = by_id(&finding.rule).map_or(finding.rule.as_str(), |rule| rule.title);
        let text = if finding.hint.is_empty() {
            finding.message.clone()
        } else {
            format!("{}\n{}", finding.message, finding.hint)
        };
        let _ = writeln!(
            out,
            "::error file={},line={},col={},title={}::{}",
            command_property(&finding.file),
            finding.line,
            finding.column,
            command_property(&format!("{} ({title})", finding.rule)),
            command_data(&text),
        );
    }
    out
}

/// One of GitHub's `::error` lines that belongs to no file.
#[must_use]
pub fn github_error(title: &str, text: &str) -> String {
    format!(
        "::error title={}::{}\n",
        command_property(title),
        command_data(text)
    )
}

/// The ids of all shipped rules, for messages and completions.
#[must_use]
pub fn ids() -> Vec<&'static str> {
    all().iter().map(|rule| rule.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding {
                rule: "vmfilter".into(),
                file: "a b/wiz.go".into(),
                line: 7,
                column: 3,
                message: "Job.Send is reached".into(),
                hint: "ask".into(),
            },
            Finding {
                rule: "team-rule".into(),
                file: "x,y:\u{e4}%.ts".into(),
                line: 1,
                column: 1,
                message: "100% wrong\r\n::set-output name=x::1".into(),
                hint: String::new(),
            },
        ]
    }

    #[test]
    fn people_read_place_message_rule_and_hint() {
        assert_eq!(
            human(&findings()),
            "a b/wiz.go:7:3: Job.Send is reached [vmfilter]\n    ask\n\
             x,y:ä%.ts:1:1: 100% wrong\\u{d}\\u{a}::set-output name=x::1 [team-rule]\n2 findings\n"
        );
        assert_eq!(human(&[]), "");
        assert_eq!(human(&findings()[..1]).lines().last(), Some("1 finding"));
    }

    #[test]
    fn json_is_the_contract() {
        assert_eq!(
            json(&findings()[..1]),
            "{\"schema\":1,\"findings\":[{\"rule\":\"vmfilter\",\"file\":\"a b/wiz.go\",\"line\":7,\
             \"column\":3,\"message\":\"Job.Send is reached\",\"hint\":\"ask\"}]}\n"
        );
        assert_eq!(json(&[]), "{\"schema\":1,\"findings\":[]}\n");
    }

    #[test]
    fn github_commands_cannot_be_broken_out_of() {
        assert_eq!(
            github(&findings()),
            "::error file=a b/wiz.go,line=7,col=3,title=vmfilter (VMFilter is asked before every \
             Job.Send)::Job.Send is reached%0Aask\n\
             ::error file=x%2Cy%3Aä%25.ts,line=1,col=1,title=team-rule (team-rule)::100%25 \
             wrong%0D%0A::set-output name=x::1\n"
        );
    }

    #[test]
    fn sarif_names_rules_and_places() {
        let log: Value = serde_json::from_str(&sarif(&findings())).unwrap();
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
        }
        let place = &run["results"][1]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "x,y%3A%C3%A4%25.ts");
        assert_eq!(place["region"], json!({ "startLine": 1, "startColumn": 1 }));
        let empty: Value = serde_json::from_str(&sarif(&[])).unwrap();
        assert_eq!(empty["runs"][0]["results"], json!([]));
    }
}
