//! Languages and their syntax trees.
//!
//! Safe against any input: a tree exists for every text, errors are nodes in it, and the walks here
//! use a cursor instead of recursion, so deep nesting cannot exhaust the stack.

use std::path::Path;

use tree_sitter::{Node, Parser, Tree};

/// A language that facts and rules can be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Go.
    Go,
    /// Rust.
    Rust,
    /// TypeScript without JSX.
    TypeScript,
    /// TypeScript with JSX.
    Tsx,
    /// JavaScript, JSX included.
    JavaScript,
    /// Python.
    Python,
    /// Java.
    Java,
}

impl Language {
    /// The language a path's extension stands for; `None` for everything else.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let extension = Path::new(path).extension()?.to_str()?;
        Some(match extension {
            "go" => Self::Go,
            "rs" => Self::Rust,
            "ts" | "mts" | "cts" => Self::TypeScript,
            "tsx" => Self::Tsx,
            "js" | "mjs" | "cjs" | "jsx" => Self::JavaScript,
            "py" | "pyi" => Self::Python,
            "java" => Self::Java,
            _ => return None,
        })
    }

    /// The grammar.
    #[must_use]
    pub fn grammar(self) -> tree_sitter::Language {
        match self {
            Self::Go => tree_sitter_go::LANGUAGE.into(),
            Self::Rust => tree_sitter_rust::LANGUAGE.into(),
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
            Self::Tsx => tree_sitter_typescript::LANGUAGE_TSX.into(),
            Self::JavaScript => tree_sitter_javascript::LANGUAGE.into(),
            Self::Python => tree_sitter_python::LANGUAGE.into(),
            Self::Java => tree_sitter_java::LANGUAGE.into(),
        }
    }

    /// The syntax tree of a text; `None` only when the grammar does not fit the library, which a
    /// test rules out.
    #[must_use]
    pub fn parse(self, text: &str) -> Option<Tree> {
        let mut parser = Parser::new();
        parser.set_language(&self.grammar()).ok()?;
        parser.parse(text, None)
    }
}

/// The text a node stands for.
#[must_use]
pub fn text<'t>(node: Node<'_>, source: &'t str) -> &'t str {
    source.get(node.byte_range()).unwrap_or_default()
}

/// Calls `visit` for a node and all below it, from the top down; `false` leaves out what is below.
pub fn walk<'t>(node: Node<'t>, mut visit: impl FnMut(Node<'t>) -> bool) {
    let mut cursor = node.walk();
    let mut depth = 0_usize;
    loop {
        if visit(cursor.node()) && cursor.goto_first_child() {
            depth += 1;
            continue;
        }
        loop {
            if depth == 0 {
                return;
            }
            if cursor.goto_next_sibling() {
                break;
            }
            cursor.goto_parent();
            depth -= 1;
        }
    }
}

/// How deep the tree below a node is.
#[must_use]
pub fn depth(node: Node<'_>) -> usize {
    let mut cursor = node.walk();
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    loop {
        if cursor.goto_first_child() {
            depth += 1;
            deepest = deepest.max(depth);
            continue;
        }
        loop {
            if depth == 0 {
                return deepest;
            }
            if cursor.goto_next_sibling() {
                break;
            }
            cursor.goto_parent();
            depth -= 1;
        }
    }
}

/// The named children of a node, comments left out.
#[must_use]
pub fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor)
        .filter(|child| !is_comment(child.kind()))
        .collect()
}

/// The children of a node that a field names, in order.
#[must_use]
pub fn fields<'t>(node: Node<'t>, field: &str) -> Vec<Node<'t>> {
    let mut cursor = node.walk();
    node.children_by_field_name(field, &mut cursor)
        .filter(Node::is_named)
        .collect()
}

/// The expressions of a field that holds a list of them, or one.
#[must_use]
pub fn list<'t>(node: Node<'t>, field: &str) -> Vec<Node<'t>> {
    match node.child_by_field_name(field) {
        Some(list) if list.kind() == "expression_list" => children(list),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

/// Whether a node kind is a comment in any of the languages.
#[must_use]
pub fn is_comment(kind: &str) -> bool {
    matches!(
        kind,
        "comment" | "line_comment" | "block_comment" | "html_comment"
    )
}

/// A text on one line: every run of white space becomes one space.
#[must_use]
pub fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Line and column of a byte, both from 1, the column in characters.
#[must_use]
pub fn position(source: &str, byte: usize) -> (u32, u32) {
    let before = source.get(..byte).unwrap_or(source);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (
        u32::try_from(line).unwrap_or(u32::MAX),
        u32::try_from(column).unwrap_or(u32::MAX),
    )
}

/// Line and column of a node's start, both from 1, the column in characters; looks at its line only.
#[must_use]
pub fn position_of(node: Node<'_>, source: &str) -> (u32, u32) {
    let point = node.start_position();
    let line_start = node.start_byte().saturating_sub(point.column);
    let column = source
        .get(line_start..node.start_byte())
        .map_or(0, |line| line.chars().count());
    let number = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
    (number(point.row), number(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grammar_fits_the_library() {
        for path in ["a.go", "a.rs", "a.ts", "a.tsx", "a.js", "a.py", "A.java"] {
            let language = Language::of_path(path).unwrap();
            assert!(language.parse("x").is_some(), "{path}");
        }
        assert_eq!(Language::of_path("README.md"), None);
        assert_eq!(Language::of_path("Makefile"), None);
    }

    #[test]
    fn walks_nesting_that_would_exhaust_a_recursion() {
        let source = format!(
            "package a\nvar x = {}1{}\n",
            "(".repeat(20_000),
            ")".repeat(20_000)
        );
        let tree = Language::Go.parse(&source).unwrap();
        let mut seen = 0_usize;
        walk(tree.root_node(), |_| {
            seen += 1;
            true
        });
        assert!(seen > 20_000, "{seen}");
        assert!(depth(tree.root_node()) > 20_000);
    }

    #[test]
    fn counts_columns_in_characters() {
        assert_eq!(position("ä\nßé x", "ä\nßé ".len()), (2, 4));
        assert_eq!(position("", 0), (1, 1));
    }
}
