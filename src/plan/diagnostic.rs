//! What is wrong with a document, and where, so that a person can put it right.
//!
//! Safe against hostile text: control characters of a document never reach the terminal, and long
//! lines are cut.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::text;

/// Bytes of a line shown after the place of the problem; the rest is cut.
const SHOWN_AFTER: usize = 200;

/// Most diagnostics rendered at once; how many more there are is said.
const SHOWN: usize = 100;

/// A document: its path and text, with the places where lines start.
#[derive(Debug)]
pub struct Document {
    /// Path from the repository's root, or a name for built-in text.
    pub path: String,
    /// The whole text.
    pub text: String,
    starts: Vec<usize>,
    /// Characters before each multiple of [`STEP`] bytes: a column is found in constant time even
    /// in a line of a megabyte.
    counts: Vec<usize>,
}

/// Bytes between two entries of [`Document::counts`].
const STEP: usize = 4096;

impl Document {
    /// Keeps a text under its path, without the byte order mark that some editors leave.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let starts = std::iter::once(0)
            .chain(
                text.bytes()
                    .enumerate()
                    .filter(|(_, byte)| *byte == b'\n')
                    .map(|(at, _)| at + 1),
            )
            .collect();
        let mut counts = vec![0];
        for block in text.as_bytes().chunks(STEP) {
            counts.push(counts.last().copied().unwrap_or_default() + starts_of_chars(block));
        }
        Arc::new(Self {
            path: path.into(),
            text,
            starts,
            counts,
        })
    }

    /// Line and column of a byte offset, both from 1, the column in characters. An offset beyond
    /// the end, or inside a character, is taken back to the nearest place before it.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.floor(offset);
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        (
            line,
            self.chars_before(offset) - self.chars_before(start) + 1,
        )
    }

    fn chars_before(&self, offset: usize) -> usize {
        let block = offset / STEP;
        let before = self.counts.get(block).copied().unwrap_or_default();
        before
            + self
                .text
                .as_bytes()
                .get(block * STEP..offset)
                .map_or(0, starts_of_chars)
    }

    /// Byte range of a line, from 1, without its line break; the last line when there are fewer.
    #[must_use]
    pub fn line_span(&self, line: usize) -> Range<usize> {
        let index = line.clamp(1, self.starts.len()) - 1;
        let start = self.starts[index];
        let end = self
            .starts
            .get(index + 1)
            .map_or(self.text.len(), |next| next - 1);
        start..end
    }

    fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }

    /// The line that holds `span`'s start, cut after the place of interest, and the span within it.
    fn window(&self, span: &Range<usize>) -> (&str, Range<usize>, usize) {
        let start = self.floor(span.start);
        let line = self.starts.partition_point(|at| *at <= start);
        let from = self.starts.get(line - 1).copied().unwrap_or(0);
        let to = self
            .starts
            .get(line)
            .map_or(self.text.len(), |next| next - 1);
        let to = self.floor(to.min(span.end.max(start).min(start + SHOWN_AFTER) + SHOWN_AFTER));
        let end = self.floor(span.end.clamp(start, to.max(start)));
        (&self.text[from..to], start - from..end - from, line)
    }
}

/// How many characters start in these bytes of UTF-8.
fn starts_of_chars(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// A place in a document.
#[derive(Debug, Clone)]
pub struct At {
    /// The document.
    pub document: Arc<Document>,
    /// Byte range in it.
    pub span: Range<usize>,
}

impl At {
    /// Line and column, both from 1.
    #[must_use]
    pub fn position(&self) -> (usize, usize) {
        self.document.position(self.span.start)
    }
}

/// A value with the place it was written at.
#[derive(Debug, Clone)]
pub struct Sited<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub at: At,
}

impl<T> Sited<T> {
    /// The same place with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Sited<U> {
        Sited {
            value: change(self.value),
            at: self.at,
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is started.
    Error,
    /// Shown; the plan can be run.
    Warning,
}

/// One problem in one place.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The document's path; empty when there is no document (a command-line argument).
    pub file: String,
    /// Line from 1; 0 when the document as a whole is meant.
    pub line: usize,
    /// Column from 1, in characters; 0 when the document as a whole is meant.
    pub column: usize,
    /// Byte range in the document.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What would mend it.
    pub help: Option<String>,
    document: Option<Arc<Document>>,
}

impl Diagnostic {
    fn new(severity: Severity, file: &str, message: impl Into<String>) -> Self {
        Self {
            severity,
            file: file.to_owned(),
            line: 0,
            column: 0,
            span: 0..0,
            message: printable(&message.into()),
            help: None,
            document: None,
        }
    }

    /// A problem at a place.
    #[must_use]
    pub fn at(severity: Severity, at: &At, message: impl Into<String>) -> Self {
        let (line, column) = at.position();
        Self {
            line,
            column,
            span: at.span.clone(),
            document: Some(Arc::clone(&at.document)),
            ..Self::new(severity, &at.document.path, message)
        }
    }

    /// An error at a place.
    #[must_use]
    pub fn error(at: &At, message: impl Into<String>) -> Self {
        Self::at(Severity::Error, at, message)
    }

    /// A warning at a place.
    #[must_use]
    pub fn warning(at: &At, message: impl Into<String>) -> Self {
        Self::at(Severity::Warning, at, message)
    }

    /// A problem with a document as a whole, or, when `file` is empty, with no document.
    #[must_use]
    pub fn whole(severity: Severity, file: &str, message: impl Into<String>) -> Self {
        Self::new(severity, file, message)
    }

    /// Adds what would mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(printable(&help.into()));
        self
    }

    /// `file:line:column`, or as much of it as is known.
    #[must_use]
    pub fn place(&self) -> String {
        if self.line == 0 {
            self.file.clone()
        } else {
            format!("{}:{}:{}", self.file, self.line, self.column)
        }
    }

    fn group(&self) -> Group<'_> {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let Some(document) = &self.document else {
            // Without a line there is nothing to draw beside: one sentence after the other.
            let mut title = self.message.clone();
            if !self.file.is_empty() {
                title = format!("{}: {title}", self.file);
            }
            if let Some(help) = &self.help {
                title = format!("{title}\nhelp: {help}");
            }
            return Group::with_title(level.primary_title(text::lines(&title)));
        };
        let (source, span, line) = document.window(&self.span);
        let mut group = Group::with_title(level.primary_title(text::lines(&self.message))).element(
            Snippet::source(source)
                .path(text::line(&document.path))
                .line_start(line)
                .annotation(AnnotationKind::Primary.span(span)),
        );
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(text::lines(help)));
        }
        group
    }
}

/// Every problem that was found, not only the first.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds an error at a place.
    pub fn error(&mut self, at: &At, message: impl Into<String>) {
        self.push(Diagnostic::error(at, message));
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|found| found.severity == Severity::Error)
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Adds all of another collection.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Errors first, then by document and place; the same problem only once.
    pub fn sort(&mut self) {
        self.0.sort_by(|a, b| {
            (a.severity, &a.file, a.span.start, &a.message).cmp(&(
                b.severity,
                &b.file,
                b.span.start,
                &b.message,
            ))
        });
        self.0
            .dedup_by(|a, b| (&a.file, &a.span, &a.message) == (&b.file, &b.span, &b.message));
    }

    /// As text for people: each with `file:line:column`, the line and a caret under the place.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut shown: Vec<String> = self
            .0
            .iter()
            .take(SHOWN)
            .map(|found| seen(&renderer.render(&[found.group()]), colour))
            .collect();
        if let Some(more) = self.0.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            shown.push(format!("… and {more} more of the kind"));
        }
        shown.join("\n\n")
    }
}

/// What is shown of a document without what a terminal would obey or a reader would not see: the
/// renderer leaves some of both. With colours, the escape sequences that are there are its own.
fn seen(shown: &str, colour: bool) -> String {
    if crate::plant::is("controls-shown") {
        return shown.to_owned();
    }
    let odd = |c: char| match c {
        '\n' => false,
        '\u{1b}' => !colour,
        c => c.is_control() || text::is_hidden(c),
    };
    shown.replace(odd, "\u{fffd}")
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Self {
        Self(vec![one])
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The nearest of `known` to what was written, when it is near enough to be meant.
#[must_use]
pub fn suggest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    known
        .into_iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&lower, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, name)| *distance <= name.chars().count().max(3) / 3)
        .min()
        .map(|(_, name)| name)
}

/// Text without control characters and not longer than a few lines of a terminal.
#[must_use]
fn printable(text: &str) -> String {
    const LONGEST: usize = 1_000;
    let mut clean: String = text
        .chars()
        .take(LONGEST)
        .map(|c| {
            if c.is_control() && c != '\n' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        clean.push('…');
    }
    clean
}
