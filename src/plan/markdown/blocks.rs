//! A Markdown document as a flat list of blocks with their places.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A piece of a document.
#[derive(Debug)]
pub struct Block {
    /// What it is.
    pub kind: Kind,
    /// Its text: emphasis removed, code spans kept between backticks, line breaks as spaces.
    pub text: String,
    /// Byte range in the document: the first line, except for code, where it is the whole.
    pub span: Range<usize>,
}

/// Kinds of blocks.
#[derive(Debug)]
pub enum Kind {
    /// A heading, level 1 to 6.
    Heading(u8),
    /// A paragraph outside lists.
    Paragraph,
    /// A list item's own text; nested items follow as blocks of their own.
    Item,
    /// A code block; its text is as written, line breaks as `\n`.
    Code,
    /// A table, the header first.
    Table(Vec<Vec<Cell>>),
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Its text, as in [`Block::text`].
    pub text: String,
    /// Byte range in the document.
    pub span: Range<usize>,
}

/// The blocks of a document in order.
pub fn blocks(text: &str) -> Vec<Block> {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut reader = Reader {
        blocks: Vec::new(),
        open: Vec::new(),
        source: text,
    };
    for (event, span) in Parser::new_ext(text, options).into_offset_iter() {
        reader.event(event, span);
    }
    for block in &mut reader.blocks {
        if !matches!(block.kind, Kind::Code) {
            block.text = block.text.trim().to_owned();
        }
    }
    reader.blocks
}

struct Reader<'a> {
    blocks: Vec<Block>,
    /// Indices of the blocks that text goes to, innermost last.
    open: Vec<usize>,
    source: &'a str,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, span: Range<usize>) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                self.start(Kind::Heading(number(level)), span);
            }
            Event::Start(Tag::Item) => self.start(Kind::Item, span),
            Event::Start(Tag::Paragraph) => {
                if self.in_item() {
                    self.text(" ");
                } else {
                    self.start(Kind::Paragraph, span);
                }
            }
            Event::End(TagEnd::Paragraph) if self.in_item() => {}
            Event::Start(Tag::CodeBlock(_)) => self.start(Kind::Code, span),
            Event::Start(Tag::Table(_)) => self.start(Kind::Table(Vec::new()), span),
            Event::Start(Tag::TableHead | Tag::TableRow) => {
                if let Some(rows) = self.rows() {
                    rows.push(Vec::new());
                }
            }
            Event::Start(Tag::TableCell) => {
                let span = self.trimmed(span);
                if let Some(row) = self.rows().and_then(|rows| rows.last_mut()) {
                    row.push(Cell {
                        text: String::new(),
                        span,
                    });
                }
            }
            Event::End(
                TagEnd::Paragraph
                | TagEnd::Heading(_)
                | TagEnd::Item
                | TagEnd::CodeBlock
                | TagEnd::Table,
            ) => {
                self.open.pop();
            }
            Event::Text(text) => self.text(&text),
            Event::Code(code) => {
                self.text("`");
                self.text(&code);
                self.text("`");
            }
            Event::SoftBreak | Event::HardBreak | Event::InlineHtml(_) => self.text(" "),
            _ => {}
        }
    }

    fn start(&mut self, kind: Kind, span: Range<usize>) {
        // Code is read again line by line, with places; elsewhere the first line is the place.
        let span = if matches!(kind, Kind::Code) {
            span
        } else {
            self.first_line(span)
        };
        self.open.push(self.blocks.len());
        self.blocks.push(Block {
            kind,
            text: String::new(),
            span,
        });
    }

    fn in_item(&self) -> bool {
        self.open
            .last()
            .is_some_and(|index| matches!(self.blocks[*index].kind, Kind::Item))
    }

    fn rows(&mut self) -> Option<&mut Vec<Vec<Cell>>> {
        match &mut self.blocks[*self.open.last()?].kind {
            Kind::Table(rows) => Some(rows),
            _ => None,
        }
    }

    fn text(&mut self, text: &str) {
        let Some(index) = self.open.last() else {
            return;
        };
        let block = &mut self.blocks[*index];
        match &mut block.kind {
            Kind::Table(rows) => {
                if let Some(cell) = rows.last_mut().and_then(|row| row.last_mut()) {
                    cell.text.push_str(text);
                }
            }
            _ => block.text.push_str(text),
        }
    }

    /// A block's place is its first line: a caret under a whole list says nothing.
    fn first_line(&self, span: Range<usize>) -> Range<usize> {
        let text = self.source.get(span.clone()).unwrap_or_default();
        let end = text.find('\n').map_or(span.end, |line| span.start + line);
        self.trimmed(span.start..end)
    }

    fn trimmed(&self, span: Range<usize>) -> Range<usize> {
        let text = self.source.get(span.clone()).unwrap_or_default();
        let start = span.start + (text.len() - text.trim_start().len());
        start.min(span.end)..start.max(span.start + text.trim_end().len())
    }
}

fn number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
