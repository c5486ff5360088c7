//! `pagination`: a loop over pages has a bound it cannot exceed, and leaves at it.
//!
//! A loop over pages is a `for` that calls an API and carries a token, cursor, page or offset from
//! one turn to the next, or asks whether there is more; an endless `for` that calls an API is one,
//! too, unless it waits. `range` loops end by themselves.

mod bound;

use std::collections::HashMap;

use tree_sitter::Node;

use self::bound::Bound;
use super::Report;
use super::errors::bare::made_by_standard;
use super::go::flow::Flow;
use super::go::reach::{Reach, is_query_name, last_part};
use super::go::{At, Callee, Package, is_standard};
use crate::facts::syntax::{children, fields, text, walk};

const RULE: &str = "pagination";

pub(super) fn check(report: &mut Report<'_, '_>) {
    let package = report.package;
    let mut reach = Reach::new(package);
    for (index, file) in package.files.iter().enumerate() {
        let mut loops = Vec::new();
        walk(file.root, |node| {
            if node.kind() == "for_statement" {
                loops.push(node);
            }
            true
        });
        for node in loops {
            if let Some(problem) = judge(package, &mut reach, At { file: index, node }) {
                report.add(RULE, At { file: index, node }, problem.to_owned());
            }
        }
    }
}

fn judge<'t>(package: &Package<'t>, reach: &mut Reach<'_, 't>, at: At<'t>) -> Option<&'static str> {
    let body = at.node.child_by_field_name("body")?;
    let head = children(at.node).into_iter().find(|child| *child != body);
    if head.is_some_and(|head| head.kind() == "range_clause") {
        return None;
    }
    let condition = match head {
        Some(head) if head.kind() == "for_clause" => head.child_by_field_name("condition"),
        other => other,
    };
    let pages = Pages::of(package, at, body, condition);
    let asks = pages
        .calls
        .iter()
        .any(|(call, _)| is_api_call(package, reach, *call));
    if !asks {
        return None;
    }
    let direct = pages
        .calls
        .iter()
        .any(|(call, nested)| !nested && is_api_call(package, reach, *call));
    let over_pages = pages.evidence || (condition.is_none() && direct && !pages.waits);
    if !over_pages {
        return None;
    }
    let mut bound = Bound {
        package,
        at,
        body,
        compared: false,
        unbounded: false,
    };
    Flow::run_loop(package, at, &mut bound);
    if bound.unbounded {
        return Some(if bound.compared {
            "this loop over pages compares with a bound, but can go on beyond it"
        } else {
            "this loop over pages has no bound that ends it"
        });
    }
    if let Some(condition) = condition
        && pages.evidence
        && bound.is_only_bound(condition)
        && !leaves_early(package, at, body)
    {
        return Some(
            "this loop asks for every page up to the bound, and never stops at the last one",
        );
    }
    None
}

/// Whether a call asks an API, or is of a kind that nobody can tell from one.
fn is_api_call<'t>(package: &Package<'t>, reach: &mut Reach<'_, 't>, call: At<'t>) -> bool {
    if reach.call(call) {
        return true;
    }
    let function = call.node.child_by_field_name("function");
    let name = function.map_or("", |f| last_part(f, package.files[call.file].text));
    let asks = is_query_name(name) || name.to_ascii_lowercase().contains("page");
    match package.callee(call) {
        Callee::Value(_) | Callee::Unknown | Callee::Interface(_) => asks,
        Callee::Foreign { operand, ty, name } => {
            let standard = ty
                .and_then(|ty| package.foreign_name(ty))
                .is_some_and(|(path, _)| is_standard(path));
            // Without a type, what a standard package made is taken for standard.
            let made = ty.is_none() && made_by_standard(package, operand, 8);
            asks && name != "Next" && !standard && !made && ty.is_some()
        }
        _ => false,
    }
}

/// What is in a loop that speaks for pages.
struct Pages<'t> {
    /// Calls, with whether they stand in a loop of their own within.
    calls: Vec<(At<'t>, bool)>,
    evidence: bool,
    waits: bool,
}

impl<'t> Pages<'t> {
    fn of(package: &Package<'t>, at: At<'t>, body: Node<'t>, condition: Option<Node<'t>>) -> Self {
        let file = &package.files[at.file];
        let mut pages = Self {
            calls: Vec::new(),
            evidence: false,
            waits: false,
        };
        let nested: Vec<std::ops::Range<usize>> = {
            let mut ranges = Vec::new();
            walk(body, |node| {
                if node.kind() == "for_statement"
                    && !children(node)
                        .iter()
                        .any(|child| child.kind() == "range_clause")
                {
                    ranges.push(node.byte_range());
                    return false;
                }
                true
            });
            ranges
        };
        let is_nested = |node: Node<'_>| nested.iter().any(|r| r.contains(&node.start_byte()));
        if let Some(condition) = condition {
            pages.evidence |= says_more(condition, file.text);
        }
        walk(at.node, |node| {
            let here = At {
                file: at.file,
                node,
            };
            match node.kind() {
                "call_expression" => {
                    pages.calls.push((here, is_nested(node)));
                    if let Callee::Package { path: "time", name } = package.callee(here) {
                        pages.waits |= matches!(name, "Sleep" | "After" | "Tick");
                    }
                }
                "select_statement" => pages.waits = true,
                "unary_expression" => {
                    pages.waits |= node
                        .child_by_field_name("operator")
                        .is_some_and(|operator| operator.kind() == "<-");
                }
                "if_statement" if !is_nested(node) => {
                    pages.evidence |= node
                        .child_by_field_name("condition")
                        .is_some_and(|condition| says_more(condition, file.text));
                }
                "assignment_statement" | "inc_statement" if !is_nested(node) => {
                    let lefts = match node.child_by_field_name("left") {
                        Some(list) => children(list),
                        None => children(node),
                    };
                    for left in lefts {
                        if !names_page(last_part(left, file.text)) {
                            continue;
                        }
                        let carried = match package.decl(At {
                            file: at.file,
                            node: left,
                        }) {
                            Some(decl) => {
                                let declared = package.decl_data(decl).node.start_byte();
                                decl.0 != at.file || !body.byte_range().contains(&declared)
                            }
                            None => left.kind() != "identifier",
                        };
                        pages.evidence |= carried;
                    }
                }
                _ => {}
            }
            true
        });
        pages
    }
}

/// Whether a variable's name is one that carries a place in a list.
fn names_page(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "token",
        "cursor",
        "page",
        "offset",
        "next",
        "marker",
        "continuation",
        "skip",
        "scroll",
    ]
    .iter()
    .any(|word| name.contains(word))
        || matches!(
            name.as_str(),
            "after" | "start" | "startat" | "since" | "more" | "hasmore"
        )
}

/// Whether a condition asks if there is another page.
fn says_more(condition: Node<'_>, source: &str) -> bool {
    let mut found = false;
    walk(condition, |node| {
        if matches!(node.kind(), "identifier" | "field_identifier") {
            let name = text(node, source).to_ascii_lowercase();
            found |= [
                "hasnext",
                "nextpage",
                "nexttoken",
                "nextcursor",
                "nextlink",
                "nexturl",
                "hasmore",
                "morepages",
                "pagetoken",
                "cursor",
                "continuation",
                "lastpage",
            ]
            .iter()
            .any(|word| name.contains(word));
        }
        !found
    });
    found
}

/// Whether the loop can be left before its bound for another reason than an error.
fn leaves_early(package: &Package<'_>, at: At<'_>, body: Node<'_>) -> bool {
    let source = package.files[at.file].text;
    let label = at
        .node
        .parent()
        .filter(|parent| parent.kind() == "labeled_statement")
        .and_then(|parent| {
            fields(parent, "label")
                .first()
                .map(|label| text(*label, source))
        });
    let mut leaves = false;
    // How deep a plain `break` would leave something else is told by the innermost holder.
    let mut memo: HashMap<usize, bool> = HashMap::new();
    walk(body, |node| {
        match node.kind() {
            "func_literal" => return false,
            "if_statement" => {
                let error = node
                    .child_by_field_name("condition")
                    .is_some_and(|condition| is_error_check(condition, source));
                memo.insert(node.start_byte(), error);
            }
            "return_statement" => leaves |= !in_error_branch(node, body, &memo),
            "break_statement" => {
                let named = children(node).first().map(|l| text(*l, source));
                let ours = match named {
                    Some(named) => Some(named) == label,
                    None => breaks(node, body),
                };
                leaves |= ours && !in_error_branch(node, body, &memo);
            }
            _ => {}
        }
        true
    });
    leaves
}

fn is_error_check(condition: Node<'_>, source: &str) -> bool {
    let folded = crate::facts::syntax::folded(text(condition, source)).to_ascii_lowercase();
    folded.ends_with("err != nil")
}

fn in_error_branch(node: Node<'_>, body: Node<'_>, memo: &HashMap<usize, bool>) -> bool {
    let mut child = node;
    while let Some(parent) = child.parent() {
        if parent == body {
            return false;
        }
        if parent.kind() == "if_statement"
            && memo.get(&parent.start_byte()) == Some(&true)
            && parent.child_by_field_name("consequence") == Some(child)
        {
            return true;
        }
        child = parent;
    }
    false
}

/// Whether a plain `break` leaves the loop of this body, not something within.
fn breaks(node: Node<'_>, body: Node<'_>) -> bool {
    let mut inner = node;
    while let Some(parent) = inner.parent() {
        if parent == body {
            return true;
        }
        if matches!(
            parent.kind(),
            "for_statement"
                | "expression_switch_statement"
                | "type_switch_statement"
                | "select_statement"
        ) {
            return false;
        }
        inner = parent;
    }
    false
}
