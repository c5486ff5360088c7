//! The task table of `architecture.md`: columns known by name, in any order.

use std::sync::Arc;

use super::{Block, Cell, Kind, file_word, plain};
use crate::plan::Risk;
use crate::plan::diagnostic::{At, Diagnostic, Diagnostics, Document, Sited, suggest};
use crate::plan::draft::TaskDraft;
use crate::plan::load::RULES;
use crate::plan::params::Params;
use crate::plan::reader::Text;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Id,
    Task,
    File,
    Purpose,
    Dependencies,
    Lines,
    Risk,
    Rules,
    Ignored,
}

/// Column titles in the form of [`plain`]; the first of each kind is the one shown to people.
const COLUMNS: &[(&str, Column)] = &[
    ("id", Column::Id),
    ("task id", Column::Id),
    ("task", Column::Task),
    ("title", Column::Task),
    ("file", Column::File),
    ("file path", Column::File),
    ("path", Column::File),
    ("purpose", Column::Purpose),
    ("dependencies", Column::Dependencies),
    ("depends on", Column::Dependencies),
    ("estimated lines", Column::Lines),
    ("est lines", Column::Lines),
    ("lines", Column::Lines),
    ("risk", Column::Risk),
    ("rules", Column::Rules),
    ("p0 rules", Column::Rules),
    ("batch", Column::Ignored),
];

/// Tasks of the tables under a heading that names implementation tasks.
pub(super) struct Tables<'a> {
    pub(super) document: &'a Arc<Document>,
    pub(super) params: &'a mut Params,
    pub(super) out: &'a mut Diagnostics,
}

/// Whether a heading announces the task table.
pub(super) fn announces(heading: &str) -> bool {
    let heading = plain(heading);
    let words: Vec<&str> = heading.split(' ').collect();
    let tasks = words.iter().any(|word| matches!(*word, "task" | "tasks"));
    tasks && (words.contains(&"implementation") || words.len() <= 2)
}

impl Tables<'_> {
    /// Every task of the document's task tables.
    pub(super) fn tasks(&mut self, blocks: &[Block]) -> Vec<TaskDraft> {
        let mut tasks = Vec::new();
        let mut announced: Option<(u8, &Block, bool)> = None;
        for block in blocks {
            match &block.kind {
                Kind::Heading(level) => {
                    if announced.as_ref().is_some_and(|(above, ..)| level <= above) {
                        self.close(announced.take());
                    }
                    if announces(&block.text) {
                        announced = Some((*level, block, false));
                    }
                }
                Kind::Table(rows) => match &mut announced {
                    Some((_, _, found)) => *found |= self.table(rows, block, &mut tasks),
                    None => self.stray(rows, block),
                },
                _ => {}
            }
        }
        self.close(announced);
        tasks
    }

    fn close(&mut self, announced: Option<(u8, &Block, bool)>) {
        if let Some((_, heading, false)) = announced {
            self.out.push(Diagnostic::warning(
                &self.at(heading.span.clone()),
                "there is no task table under this heading",
            ));
        }
    }

    /// A table that looks like one of tasks, under a heading that does not say so.
    fn stray(&mut self, rows: &[Vec<Cell>], block: &Block) {
        let titles: Vec<String> = rows
            .first()
            .into_iter()
            .flatten()
            .map(|c| plain(&c.text))
            .collect();
        let has = |names: [&str; 2]| titles.iter().any(|title| names.contains(&title.as_str()));
        if has(["id", "task id"]) && has(["file", "file path"]) && has(["task", "title"]) {
            self.out.push(
                Diagnostic::warning(
                    &self.at(block.span.clone()),
                    "this looks like a task table, but its heading does not say so; it is not used",
                )
                .help("call the heading \"Implementation tasks\""),
            );
        }
    }

    fn table(&mut self, rows: &[Vec<Cell>], block: &Block, tasks: &mut Vec<TaskDraft>) -> bool {
        let Some((header, rows)) = rows.split_first() else {
            return false;
        };
        let columns: Vec<Option<Column>> = header
            .iter()
            .map(|cell| {
                let title = plain(&cell.text);
                COLUMNS
                    .iter()
                    .find(|(name, _)| *name == title)
                    .map(|(_, column)| *column)
            })
            .collect();
        let has = |column| columns.contains(&Some(column));
        if !has(Column::Id) && !has(Column::File) {
            return false;
        }
        for (index, (cell, column)) in header.iter().zip(&columns).enumerate() {
            let at = self.at(cell.span.clone());
            match column {
                None if !cell.text.trim().is_empty() => {
                    let names = COLUMNS.iter().map(|(name, _)| *name);
                    let warning = Diagnostic::warning(
                        &at,
                        format!(
                            "the column \"{}\" is not known and not used",
                            cell.text.trim()
                        ),
                    );
                    self.out.push(match suggest(&plain(&cell.text), names) {
                        Some(near) => warning.help(format!("did you mean \"{near}\"?")),
                        None => warning,
                    });
                }
                Some(column)
                    if *column != Column::Ignored && columns[..index].contains(&Some(*column)) =>
                {
                    self.out.error(&at, "this column is there twice");
                }
                _ => {}
            }
        }
        for (column, name) in [(Column::Id, "ID"), (Column::File, "File")] {
            if !has(column) {
                let at = self.at(block.span.clone());
                self.out
                    .error(&at, format!("the task table has no column \"{name}\""));
            }
        }
        if has(Column::Id) && has(Column::File) {
            for row in rows {
                tasks.extend(self.row(row, &columns));
            }
        }
        true
    }

    fn row(&mut self, row: &[Cell], columns: &[Option<Column>]) -> Option<TaskDraft> {
        let cell = |wanted: Column| {
            columns
                .iter()
                .position(|column| *column == Some(wanted))
                .and_then(|index| row.get(index))
        };
        let given = |wanted| cell(wanted).filter(|cell: &&Cell| !is_none(&cell.text));
        let Some(id) = given(Column::Id) else {
            let at = self.at(cell(Column::Id).or(row.first())?.span.clone());
            if row.iter().any(|cell| !is_none(&cell.text)) {
                self.out.error(&at, "this row has no ID");
            }
            return None;
        };
        let id = self.text(id).map(|id| id.to_lowercase());
        let Some(file) = given(Column::File) else {
            self.out.push(
                Diagnostic::error(&id.at, format!("the task `{}` names no file", id.value))
                    .help("each task creates or changes one file; name it in the column \"File\""),
            );
            return None;
        };
        let file = self.text(file);
        if file.value.contains([',', ' ']) && file_word(&file.value).is_none() {
            self.out.push(
                Diagnostic::error(&file.at, format!("`{}` is not one file", file.value)).help(
                    "a task has one file; split the task, or allow the others in a plan.toml",
                ),
            );
            return None;
        }
        let at = id.at.clone();
        let mut task = TaskDraft::new(id, file.map(|f| f.trim_start_matches("./").to_owned()), at);
        task.title = given(Column::Task).map(|cell| self.text(cell));
        task.purpose = given(Column::Purpose).map(|cell| self.prose(cell));
        task.estimated_lines = given(Column::Lines).and_then(|cell| {
            let at = self.at(cell.span.clone());
            lines(&cell.text, &at, self.out)
        });
        task.risk = given(Column::Risk).and_then(|cell| {
            let at = self.at(cell.span.clone());
            risk(&cell.text, &at, self.out)
        });
        task.depends_on = cell(Column::Dependencies).map(|cell| self.list(cell));
        task.rules = given(Column::Rules).map(|cell| {
            let named = self.list(cell);
            if let [one] = named.as_slice()
                && matches!(plain(&one.value).as_str(), "all" | "all p0" | "p0")
            {
                let all = |id: &&str| Sited {
                    value: (*id).to_owned(),
                    at: one.at.clone(),
                };
                return RULES.iter().map(all).collect();
            }
            named
                .into_iter()
                .map(|rule| rule.map(|rule| rule.replace([' ', '_'], "-")))
                .collect()
        });
        Some(task)
    }

    /// A cell's words between commas, in lower case, each with its own place.
    fn list(&mut self, cell: &Cell) -> Vec<Text> {
        let source = self
            .document
            .text
            .get(cell.span.clone())
            .unwrap_or_default()
            .to_owned();
        let mut words = Vec::new();
        let mut start = cell.span.start;
        for part in source.split_inclusive([',', ';']) {
            let word = part.trim_end_matches([',', ';']);
            let lead = word.len() - word.trim_start().len();
            let trimmed = word.trim();
            let at = self.at(start + lead..start + lead + trimmed.len());
            start += part.len();
            let value = trimmed.replace(['`', '*'], "").trim().to_lowercase();
            if !is_none(&value) {
                words.push(Sited { value, at });
            }
        }
        words
    }

    fn prose(&self, cell: &Cell) -> Text {
        Sited {
            value: cell.text.trim().to_owned(),
            at: self.at(cell.span.clone()),
        }
    }

    /// A cell as a name: no code marks, parameters filled in.
    fn text(&mut self, cell: &Cell) -> Text {
        let text = self.prose(cell).map(|text| text.replace('`', ""));
        self.params.fill(text, self.out)
    }

    fn at(&self, span: std::ops::Range<usize>) -> At {
        At {
            document: Arc::clone(self.document),
            span,
        }
    }
}

/// Whether a cell says that there is nothing.
fn is_none(text: &str) -> bool {
    matches!(
        text.trim().to_lowercase().as_str(),
        "" | "-" | "–" | "—" | "none" | "n/a" | "--"
    )
}

/// A number of lines: `120`, `~120`, `120 lines`; a range counts as its upper end, with a warning.
pub(super) fn lines(text: &str, at: &At, out: &mut Diagnostics) -> Option<Sited<u32>> {
    let numbers: Vec<u32> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map_while(|digits| digits.parse().ok())
        .collect();
    let odd = text.chars().any(char::is_alphabetic)
        && !["line", "loc"]
            .iter()
            .any(|word| text.to_lowercase().contains(word));
    match numbers.as_slice() {
        [value] if *value > 0 && !odd => Some(Sited {
            value: *value,
            at: at.clone(),
        }),
        [low, high] if low < high && !odd => {
            out.push(Diagnostic::warning(
                at,
                format!("a range of lines is taken as {high}"),
            ));
            Some(Sited {
                value: *high,
                at: at.clone(),
            })
        }
        _ => {
            out.push(
                Diagnostic::warning(
                    at,
                    format!("\"{}\" is no number of lines; it is not used", text.trim()),
                )
                .help("write it like 120 or ~120"),
            );
            None
        }
    }
}

/// Low or high; words between and above count as high, with a warning.
pub(super) fn risk(text: &str, at: &At, out: &mut Diagnostics) -> Option<Risk> {
    match plain(text).as_str() {
        "low" => Some(Risk::Low),
        "high" => Some(Risk::High),
        word @ ("medium" | "moderate" | "critical" | "very high") => {
            out.push(
                Diagnostic::warning(at, format!("the risk \"{word}\" is taken as high"))
                    .help("write low or high"),
            );
            Some(Risk::High)
        }
        _ => {
            let error = Diagnostic::error(at, format!("\"{}\" is no risk", text.trim()));
            out.push(error.help("write low or high"));
            None
        }
    }
}
