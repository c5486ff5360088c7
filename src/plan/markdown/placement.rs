//! `file-placement.md`: the files that must exist at the end.

use std::sync::Arc;

use super::{Block, Cell, Kind, blocks, ends_with_path, file_word, fill_path, is_test, plain};
use crate::plan::diagnostic::{At, Diagnostic, Diagnostics, Document, Sited};
use crate::plan::params::Params;
use crate::plan::reader::Text;
use crate::plan::{Documents, PlacedFile, Plan, glob};

/// A file the document lists.
#[derive(Debug)]
struct Listed {
    path: Text,
    optional: bool,
}

/// Reads the document and checks every file of it against the plan: a task creates it, or may
/// touch it, or it is there already. What nobody creates is a warning.
pub(crate) fn read(
    document: &Arc<Document>,
    plan: &Plan,
    docs: &dyn Documents,
    params: &mut Params,
    out: &mut Diagnostics,
) -> Vec<PlacedFile> {
    let mut reader = Reader {
        document,
        params,
        folder: String::new(),
        listed: Vec::new(),
    };
    let mut optional = false;
    for block in blocks(&document.text) {
        if matches!(block.kind, Kind::Heading(_)) {
            optional = is_optional(&block.text);
            reader.folder.clear();
        }
        reader.block(&block, optional);
    }
    let listed = reader.listed;
    if listed.is_empty() {
        let at = At {
            document: Arc::clone(document),
            span: 0..0,
        };
        out.push(
            Diagnostic::warning(&at, "no file is listed here")
                .help("list the files as list items, in a table or as a tree, by their paths"),
        );
    }
    let mut placed: Vec<PlacedFile> = Vec::new();
    for Listed { path, optional } in listed {
        let Some(full) = resolve(&path.value, plan, docs) else {
            out.push(
                Diagnostic::warning(
                    &path.at,
                    format!(
                        "`{}` has no folder, and no task has such a file",
                        path.value
                    ),
                )
                .help("write the path from the repository's root"),
            );
            continue;
        };
        if placed.iter().any(|other| other.path == full) {
            continue;
        }
        if !optional && !covered(&full, plan) && !docs.exists(&full).unwrap_or(false) {
            out.push(
                Diagnostic::warning(&path.at, format!("no task creates `{full}`")).help(
                    "add a task for it, or allow a task to touch it, or take it off the list",
                ),
            );
        }
        placed.push(PlacedFile {
            path: full,
            line: path.at.position().0,
            optional,
        });
    }
    placed
}

/// The path from the root. A bare name is looked up among the tasks' files, beside them (tests),
/// and in the folders above them (`integrations.go`).
fn resolve(path: &str, plan: &Plan, docs: &dyn Documents) -> Option<String> {
    if path.contains('/')
        && plan
            .tasks
            .iter()
            .all(|task| !ends_with_path(&task.file, path))
    {
        return Some(path.to_owned());
    }
    if let Some(task) = plan
        .tasks
        .iter()
        .find(|task| ends_with_path(&task.file, path))
    {
        return Some(task.file.clone());
    }
    let mut folders: Vec<&str> = Vec::new();
    for task in &plan.tasks {
        let mut path = task.file.as_str();
        while let Some((folder, _)) = path.rsplit_once('/') {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
            path = folder;
        }
    }
    folders.push("");
    let join = |folder: &str| {
        if folder.is_empty() {
            path.to_owned()
        } else {
            format!("{folder}/{path}")
        }
    };
    if let Some(there) = folders
        .iter()
        .map(|f| join(f))
        .find(|p| docs.exists(p).unwrap_or(false))
    {
        return Some(there);
    }
    if let Some(named) = plan
        .tasks
        .iter()
        .flat_map(|task| &task.allow)
        .find(|glob| !glob.contains(['*', '?', '[', '{']) && ends_with_path(glob, path))
    {
        return Some(named.clone());
    }
    if !is_test(path) {
        return None;
    }
    let beside = |task: &crate::plan::Task| {
        task.file
            .rsplit_once('/')
            .map_or(String::new(), |(folder, _)| folder.to_owned())
    };
    let first = beside(plan.tasks.first()?);
    plan.tasks
        .iter()
        .all(|task| beside(task) == first)
        .then(|| join(&first))
}

fn covered(path: &str, plan: &Plan) -> bool {
    plan.tasks.iter().any(|task| {
        task.file == path
            || task
                .allow
                .iter()
                .chain(&task.requires)
                .any(|pattern| glob(pattern).is_ok_and(|glob| glob.is_match(path)))
    })
}

fn is_optional(text: &str) -> bool {
    plain(text).split(' ').any(|word| word == "optional")
}

struct Reader<'a> {
    document: &'a Arc<Document>,
    params: &'a mut Params,
    /// The last folder a line named, for the bare names that follow it.
    folder: String,
    listed: Vec<Listed>,
}

impl Reader<'_> {
    fn block(&mut self, block: &Block, optional: bool) {
        match &block.kind {
            Kind::Heading(_) | Kind::Paragraph => {
                if let Some(folder) = folder_word(&block.text) {
                    self.folder = fill_path(folder, self.params.values());
                }
            }
            Kind::Item => {
                let optional = optional || is_optional(&block.text);
                let words: Vec<String> = paths(&block.text).map(ToOwned::to_owned).collect();
                if words.is_empty()
                    && let Some(folder) = folder_word(&block.text)
                {
                    self.folder = fill_path(folder, self.params.values());
                }
                // Only the first path of an item is the file; what follows explains it.
                if let Some(word) = words.first() {
                    self.list(word, block.span.clone(), optional);
                }
            }
            Kind::Table(rows) => self.table(rows, optional),
            Kind::Code => self.code(block, optional),
        }
    }

    fn table(&mut self, rows: &[Vec<Cell>], optional: bool) {
        let Some((header, rows)) = rows.split_first() else {
            return;
        };
        let named =
            |cell: &Cell| matches!(plain(&cell.text).as_str(), "file" | "path" | "file path");
        let column = header.iter().position(named);
        for row in rows {
            let optional = optional || row.iter().any(|cell| is_optional(&cell.text));
            let cell = match column {
                Some(index) => row.get(index),
                None => row.iter().find(|cell| paths(&cell.text).next().is_some()),
            };
            let Some(cell) = cell else { continue };
            let word = paths(&cell.text).next().map(ToOwned::to_owned);
            if let Some(word) = word {
                self.list(&word, cell.span.clone(), optional);
            }
        }
    }

    /// A code block: one path per line, or a tree drawn with lines.
    fn code(&mut self, block: &Block, optional: bool) {
        let document = Arc::clone(self.document);
        let source = document.text.get(block.span.clone()).unwrap_or_default();
        let mut start = block.span.start;
        let mut folders: Vec<(usize, String)> = Vec::new();
        for line in source.split_inclusive('\n') {
            let span = start..start + line.trim_end().len();
            start += line.len();
            if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
                continue;
            }
            let name_at = line.find(|c: char| !(c.is_whitespace() || "│├└─|`+->".contains(c)));
            let Some(name_at) = name_at else { continue };
            let depth = line[..name_at].chars().count();
            let (entry, comment) = line[name_at..]
                .split_once(['#', '←'])
                .unwrap_or((&line[name_at..], ""));
            let entry = entry.split_whitespace().next().unwrap_or_default();
            folders.retain(|(above, _)| *above < depth);
            let above = folders
                .last()
                .map(|(_, path)| path.clone())
                .unwrap_or_default();
            let optional = optional || is_optional(comment) || is_optional(&line[name_at..]);
            if entry.ends_with('/') {
                folders.push((depth, format!("{above}{entry}")));
            } else if let Some(name) = file_word(entry) {
                let word = format!("{above}{name}");
                self.list(&word, span, optional);
            }
        }
    }

    fn list(&mut self, word: &str, span: std::ops::Range<usize>, optional: bool) {
        self.params.mark_used(word);
        let mut path = fill_path(word.trim_start_matches("./"), self.params.values());
        if !path.contains('/') && !self.folder.is_empty() {
            path = format!("{}{path}", self.folder);
        }
        let raw = self.document.text.get(span.clone()).unwrap_or_default();
        let span = match raw.find(word) {
            Some(from) => span.start + from..span.start + from + word.len(),
            None => span,
        };
        let at = At {
            document: Arc::clone(self.document),
            span,
        };
        self.listed.push(Listed {
            path: Sited { value: path, at },
            optional,
        });
    }
}

/// Paths of files in a text: those in code spans, else any word that is one.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let spans = text.split('`').skip(1).step_by(2);
    let words = if text.contains('`') { "" } else { text }.split_whitespace();
    spans.chain(words).filter_map(file_word)
}

/// A folder a text names, `…/` in a code span or as a word.
fn folder_word(text: &str) -> Option<&str> {
    text.split(|c: char| c.is_whitespace() || c == '`')
        .map(|word| word.trim_matches(|c: char| "()*:,\"'".contains(c)))
        .find(|word| word.ends_with('/') && word.len() > 1 && !word.contains("://"))
        .map(|word| word.trim_start_matches("./"))
}
