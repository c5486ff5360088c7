//! Sections of `architecture.md` that describe one file or one task.

use std::sync::Arc;

use super::table::{lines, risk};
use super::{Block, Cell, Kind, fill_path, is_test, named_file, plain};
use crate::plan::diagnostic::{At, Diagnostic, Diagnostics, Document, Sited};
use crate::plan::params::Params;
use crate::plan::reader::Text;
use crate::plan::{Found, Risk};

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
    pub(crate) risk: Option<Sited<Risk>>,
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
    /// A heading about the API: only a table with a column of methods says something there.
    Api,
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

/// The label of a heading; any that speaks of the API may be followed by a table of its methods.
fn heading_label(text: &str) -> Option<Label> {
    let api = || {
        plain(text)
            .split(' ')
            .any(|word| word == "api")
            .then_some(Label::Api)
    };
    label(text).or_else(api)
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
                    *current = heading_label(&block.text).unwrap_or(Label::Other);
                    continue;
                }
                sections.extend(
                    open.take()
                        .into_iter()
                        .flat_map(|(_, section, _)| section.parts()),
                );
                let Some(subject) = subject else { continue };
                let first = if whole {
                    heading_label(&block.text)
                } else {
                    None
                };
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
        sections.extend(open.into_iter().flat_map(|(_, section, _)| section.parts()));
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
            Ok(None) => matches!(
                heading_label(&heading.text),
                Some(Label::Methods | Label::Mapping | Label::Api)
            )
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
            Label::Risk => {
                section.risk = risk(text, at, self.out).map(|value| Sited {
                    value,
                    at: at.clone(),
                });
            }
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
            Label::Api | Label::Other => {}
        }
    }

    fn rows(&mut self, section: &mut Section, label: Label, rows: &[Vec<Cell>]) {
        let Some((header, rows)) = rows.split_first() else {
            return;
        };
        let titles: Vec<String> = header.iter().map(|cell| plain(&cell.text)).collect();
        let names = ["method", "function", "api method", "name", "go method"];
        let column = titles
            .iter()
            .position(|title| names.contains(&title.as_str()));
        for row in rows {
            let Some(first) = row.first() else { continue };
            let place = |cell: &Cell| At {
                document: Arc::clone(self.document),
                span: cell.span.clone(),
            };
            match label {
                Label::Methods => {
                    let cell = column.and_then(|index| row.get(index)).unwrap_or(first);
                    let at = place(cell);
                    self.value(section, label, &cell.text, &at);
                }
                Label::Api => {
                    let cell = column.and_then(|index| row.get(index));
                    let cell = cell.filter(|cell| method_name(&cell.text).is_some());
                    if let Some(cell) = cell {
                        let at = place(cell);
                        self.value(section, Label::Methods, &cell.text, &at);
                    }
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
    /// A section about the API or the mapping as a whole in its two parts, as far as they say
    /// something; any other section as it is.
    fn parts(self) -> Vec<Self> {
        if !matches!(self.subject, Subject::Whole) {
            return vec![self];
        }
        let methods = Self {
            mapping: Vec::new(),
            ..self.clone()
        };
        let mapping = Self {
            api_methods: Vec::new(),
            ..self
        };
        let says = |part: &Self| !(part.api_methods.is_empty() && part.mapping.is_empty());
        [methods, mapping].into_iter().filter(says).collect()
    }

    /// Whether the section's file holds tests, which belong to the task of the file they test.
    pub(crate) fn of_tests(&self) -> bool {
        matches!(&self.subject, Subject::File(file) if is_test(&file.value))
    }

    /// What it says about a task, piece by piece with the line of each, for the list of what was
    /// found.
    pub(crate) fn found(&self, task: &str) -> Vec<Found> {
        let mut found = Vec::new();
        let mut add = |at: &At, what: String| {
            found.push(Found::at(at, format!("task {task}: {what}")));
        };
        if let Some(purpose) = &self.purpose {
            add(&purpose.at, "purpose".to_owned());
        }
        if let Some(lines) = &self.estimated_lines {
            add(&lines.at, format!("estimated lines {}", lines.value));
        }
        if let Some(risk) = &self.risk {
            let word = if risk.value == Risk::High {
                "high"
            } else {
                "low"
            };
            add(&risk.at, format!("risk {word}"));
        }
        let lists = [
            (&self.depends_on, "depends on", "depends on"),
            (&self.requirements, "1 requirement", "requirements"),
            (
                &self.success,
                "1 acceptance criterion",
                "acceptance criteria",
            ),
            (
                &self.mapping,
                "1 line of the mapping",
                "lines of the mapping",
            ),
        ];
        for (list, one, many) in lists {
            let Some(first) = list.first() else { continue };
            if one == many {
                let names: Vec<&str> = list.iter().map(|name| name.value.as_str()).collect();
                add(&first.at, format!("{many} {}", names.join(", ")));
            } else if list.len() == 1 {
                add(&first.at, one.to_owned());
            } else {
                add(&first.at, format!("{} {many}", list.len()));
            }
        }
        if let Some(first) = self.api_methods.first() {
            let names = self
                .api_methods
                .iter()
                .filter_map(|method| method_name(&method.value));
            add(
                &first.at,
                format!("API methods {}", names.collect::<Vec<_>>().join(", ")),
            );
        }
        if found.is_empty() {
            found.push(Found::at(
                &self.at,
                format!("task {task}: a section that says nothing more"),
            ));
        }
        found
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
