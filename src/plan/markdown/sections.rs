//! Sections of `architecture.md` that describe one file or one task.

use std::sync::Arc;

use super::table::{lines, risk};
use super::{Block, Cell, Kind, fill_path, is_test, named_file, plain};
use crate::plan::Risk;
use crate::plan::diagnostic::{At, Diagnostic, Diagnostics, Document, Sited};
use crate::plan::params::Params;
use crate::plan::reader::Text;

/// What a section describes.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    /// The file its heading names.
    File(Text),
    /// The task whose id its heading starts with.
    Task(Text),
    /// The API as a whole or the mapping as a whole, in a section of its own.
    Whole,
}

/// One section.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) subject: Subject,
    pub(crate) at: At,
    pub(crate) purpose: Option<Text>,
    pub(crate) estimated_lines: Option<Sited<u32>>,
    pub(crate) risk: Option<Risk>,
    pub(crate) depends_on: Vec<Text>,
    pub(crate) requirements: Vec<Text>,
    pub(crate) success: Vec<Text>,
    pub(crate) api_methods: Vec<Text>,
    pub(crate) mapping: Vec<Text>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Purpose,
    Lines,
    Risk,
    DependsOn,
    Requirements,
    Success,
    Methods,
    Mapping,
    Other,
}

const LABELS: &[(&str, Label)] = &[
    ("purpose", Label::Purpose),
    ("estimated lines", Label::Lines),
    ("est lines", Label::Lines),
    ("lines", Label::Lines),
    ("risk", Label::Risk),
    ("depends on", Label::DependsOn),
    ("requirements", Label::Requirements),
    ("requirement", Label::Requirements),
    ("acceptance criteria", Label::Success),
    ("success criteria", Label::Success),
    ("api methods", Label::Methods),
    ("api method", Label::Methods),
    ("methods", Label::Methods),
    ("tabularium mapping", Label::Mapping),
    ("tabularium mappings", Label::Mapping),
    ("mapping", Label::Mapping),
];

fn label(text: &str) -> Option<Label> {
    let text = plain(text);
    LABELS
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, label)| *label)
}

/// A label with what follows it on the same line: `Purpose: …`.
fn labelled(text: &str) -> Option<(Label, &str)> {
    if let Some((name, rest)) = text.split_once(':')
        && let Some(label) = label(name)
    {
        return Some((label, rest.trim()));
    }
    label(text).map(|label| (label, ""))
}

/// Reads the sections; `ids` are the tasks of the table.
pub(super) struct Sections<'a> {
    pub(super) document: &'a Arc<Document>,
    pub(super) params: &'a mut Params,
    pub(super) out: &'a mut Diagnostics,
    pub(super) ids: &'a [String],
}

impl Sections<'_> {
    pub(super) fn read(&mut self, blocks: &[Block]) -> Vec<Section> {
        let mut sections: Vec<Section> = Vec::new();
        let mut open: Option<(u8, Section, Label)> = None;
        for block in blocks {
            if let Kind::Heading(level) = block.kind {
                let subject = self.subject(block);
                let deeper = open.as_ref().is_some_and(|(above, ..)| level > *above);
                let whole = matches!(subject, Some(Subject::Whole));
                if let (true, Some((_, _, current))) =
                    (deeper && (subject.is_none() || whole), &mut open)
                {
                    *current = label(&block.text).unwrap_or(Label::Other);
                    continue;
                }
                sections.extend(open.take().map(|(_, section, _)| section));
                let Some(subject) = subject else { continue };
                let first = if whole { label(&block.text) } else { None };
                let section = Section {
                    subject,
                    at: self.at(block),
                    purpose: None,
                    estimated_lines: None,
                    risk: None,
                    depends_on: Vec::new(),
                    requirements: Vec::new(),
                    success: Vec::new(),
                    api_methods: Vec::new(),
                    mapping: Vec::new(),
                };
                // Text before any label is the purpose, as far as it is one paragraph.
                open = Some((level, section, first.unwrap_or(Label::Purpose)));
            } else if let Some((_, section, current)) = &mut open {
                self.content(section, current, block);
            }
        }
        sections.extend(open.map(|(_, section, _)| section));
        sections
    }

    fn subject(&mut self, heading: &Block) -> Option<Subject> {
        let at = self.at(heading);
        if let Some(id) = self.task_id(&heading.text) {
            return Some(Subject::Task(Sited { value: id, at }));
        }
        match named_file(&heading.text) {
            Ok(Some(path)) if path.to_ascii_lowercase().ends_with(".md") => None,
            Ok(Some(path)) => {
                let path = fill_path(&path, self.params.values());
                self.params.mark_used(&heading.text);
                let place = at.document.text.get(at.span.clone()).unwrap_or_default();
                let at = match place.find(path.as_str()) {
                    Some(from) => At {
                        span: at.span.start + from..at.span.start + from + path.len(),
                        document: Arc::clone(&at.document),
                    },
                    None => at,
                };
                Some(Subject::File(Sited { value: path, at }))
            }
            Ok(None) => matches!(label(&heading.text), Some(Label::Methods | Label::Mapping))
                .then_some(Subject::Whole),
            Err(()) => {
                self.out.push(
                    Diagnostic::warning(
                        &at,
                        "this heading names several files; its section is not used",
                    )
                    .help("give each file a section of its own"),
                );
                None
            }
        }
    }

    /// The task of the table whose id a heading starts with: `T001`, `T001: …`, `Task T001 - …`.
    fn task_id(&self, heading: &str) -> Option<String> {
        let heading = heading.strip_prefix("Task ").unwrap_or(heading);
        let (word, rest) = heading
            .split_once(char::is_whitespace)
            .unwrap_or((heading, ""));
        let alone = rest.is_empty()
            || word.ends_with([':', '.', ')'])
            || rest.trim_start().starts_with([':', '-', '–', '—', '(']);
        let id = word
            .trim_matches(|c: char| "`:.()[]".contains(c))
            .to_lowercase();
        (alone && self.ids.contains(&id)).then_some(id)
    }

    fn content(&mut self, section: &mut Section, current: &mut Label, block: &Block) {
        let at = self.at(block);
        match &block.kind {
            Kind::Paragraph | Kind::Item => {
                let mut text = block.text.as_str();
                if let Some((label, rest)) = labelled(text) {
                    *current = label;
                    if rest.is_empty() {
                        return;
                    }
                    text = rest;
                } else if matches!(block.kind, Kind::Paragraph) {
                    // A new paragraph ends a list; only a lead-in ending in a colon keeps it.
                    if *current == Label::Purpose && section.purpose.is_some() {
                        *current = Label::Other;
                    }
                    if text.ends_with(':') && *current != Label::Purpose {
                        return;
                    }
                }
                self.value(section, *current, text, &at);
                if matches!(*current, Label::Lines | Label::Risk | Label::Purpose) {
                    *current = Label::Other;
                }
            }
            Kind::Table(rows) => self.rows(section, *current, rows),
            Kind::Code if *current == Label::Methods => {
                for line in block.text.lines().filter(|line| is_declaration(line)) {
                    let text = line.trim().trim_end_matches('{').trim_end();
                    section.api_methods.push(Sited {
                        value: text.to_owned(),
                        at: at.clone(),
                    });
                }
            }
            Kind::Code | Kind::Heading(_) => {}
        }
    }

    fn value(&mut self, section: &mut Section, label: Label, text: &str, at: &At) {
        let text = text
            .trim_start_matches("[ ] ")
            .trim_start_matches("[x] ")
            .trim();
        if text.is_empty() {
            return;
        }
        let value = Sited {
            value: text.to_owned(),
            at: at.clone(),
        };
        match label {
            Label::Purpose => section.purpose = section.purpose.take().or(Some(value)),
            Label::Lines => section.estimated_lines = lines(text, at, self.out),
            Label::Risk => section.risk = risk(text, at, self.out),
            Label::DependsOn => {
                for word in text.split([',', ';']) {
                    let word = word.replace('`', "").trim().to_owned();
                    if !matches!(word.to_lowercase().as_str(), "" | "-" | "—" | "none") {
                        section.depends_on.push(Sited {
                            value: word,
                            at: at.clone(),
                        });
                    }
                }
            }
            Label::Requirements => section.requirements.push(value),
            Label::Success => section.success.push(value),
            Label::Methods => {
                if method_name(text).is_some() {
                    section.api_methods.push(value);
                } else {
                    self.out.push(
                        Diagnostic::warning(at, "no method is named here")
                            .help("start with the method, like `ListAssets(ctx)`"),
                    );
                }
            }
            Label::Mapping => section.mapping.push(value),
            Label::Other => {}
        }
    }

    fn rows(&mut self, section: &mut Section, label: Label, rows: &[Vec<Cell>]) {
        let Some((header, rows)) = rows.split_first() else {
            return;
        };
        let titles: Vec<String> = header.iter().map(|cell| plain(&cell.text)).collect();
        for row in rows {
            let Some(first) = row.first() else { continue };
            let place = |cell: &Cell| At {
                document: Arc::clone(self.document),
                span: cell.span.clone(),
            };
            match label {
                Label::Methods => {
                    let named = ["method", "function", "api method", "name", "go method"];
                    let column = titles
                        .iter()
                        .position(|title| named.contains(&title.as_str()));
                    let cell = column.and_then(|index| row.get(index)).unwrap_or(first);
                    let at = place(cell);
                    self.value(section, label, &cell.text, &at);
                }
                Label::Mapping => {
                    let cells: Vec<&str> = row.iter().map(|cell| cell.text.trim()).collect();
                    let at = place(first);
                    self.value(section, label, &cells.join(" → "), &at);
                }
                Label::Requirements | Label::Success => {
                    let cells: Vec<&str> = row.iter().map(|cell| cell.text.trim()).collect();
                    let at = place(first);
                    self.value(section, label, &cells.join(": "), &at);
                }
                _ => {}
            }
        }
    }

    fn at(&self, block: &Block) -> At {
        At {
            document: Arc::clone(self.document),
            span: block.span.clone(),
        }
    }
}

impl Section {
    /// Whether the section's file holds tests, which belong to the task of the file they test.
    pub(crate) fn of_tests(&self) -> bool {
        matches!(&self.subject, Subject::File(file) if is_test(&file.value))
    }

    /// What it says, in words, for the list of what was found.
    pub(crate) fn summary(&self) -> String {
        let mut parts = Vec::new();
        let mut add = |count: usize, one: &str, many: &str| match count {
            0 => {}
            1 => parts.push(one.to_owned()),
            count => parts.push(format!("{count} {many}")),
        };
        add(usize::from(self.purpose.is_some()), "purpose", "");
        add(
            usize::from(self.estimated_lines.is_some()),
            "estimated lines",
            "",
        );
        add(usize::from(self.risk.is_some()), "risk", "");
        add(self.depends_on.len(), "1 dependency", "dependencies");
        add(self.requirements.len(), "1 requirement", "requirements");
        add(
            self.success.len(),
            "1 acceptance criterion",
            "acceptance criteria",
        );
        add(self.api_methods.len(), "1 API method", "API methods");
        add(
            self.mapping.len(),
            "1 line of the mapping",
            "lines of the mapping",
        );
        if parts.is_empty() {
            "nothing that is used".to_owned()
        } else {
            parts.join(", ")
        }
    }
}

fn is_declaration(line: &str) -> bool {
    let line = line.trim_start();
    [
        "func ",
        "fn ",
        "pub fn ",
        "def ",
        "async def ",
        "function ",
        "export function ",
    ]
    .iter()
    .any(|start| line.starts_with(start))
        || (line.contains('(') && method_name(line).is_some())
}

/// The bare name of an API method as a document writes it: `ListAssets` of
/// `` `ListAssets(ctx, token) (*List, error)` ``, of `func (c *client) ListAssets(…)` and of
/// `ListAssets - lists the assets`. `None` when what is written names no method.
#[must_use]
pub fn method_name(text: &str) -> Option<&str> {
    let text = text.trim();
    // The first code span, when there is one, is the method; else the text's start.
    let code = text.split('`').nth(1);
    let text = code.unwrap_or(text).trim();
    let mut text = text;
    for start in [
        "export ",
        "pub ",
        "async ",
        "func ",
        "fn ",
        "def ",
        "function ",
    ] {
        text = text.strip_prefix(start).unwrap_or(text).trim_start();
    }
    if text.starts_with('(') {
        // A Go receiver.
        text = text.split_once(')')?.1.trim_start();
    }
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || "_.:*".contains(c)))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let colon = name.ends_with(':');
    let name = name
        .trim_end_matches([':', '.'])
        .rsplit(['.', ':', '*'])
        .next()?;
    let first = name.chars().next()?;
    let rest = rest.trim_start();
    let follows = colon
        || rest.is_empty()
        || rest.starts_with(['(', '[', '<', '-', '—', '–', '=', '→'])
        || code.is_some_and(|_| rest.is_empty());
    let verb = matches!(name, "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD");
    ((first.is_alphabetic() || first == '_') && follows && !verb).then_some(name)
}
