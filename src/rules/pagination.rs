//! `pagination`: a loop over pages has a bound it cannot exceed, and leaves at it.
//!
//! A loop over pages is a `for` that calls an API and carries a token, cursor, page or offset from
//! one turn to the next, or asks whether there is more; an endless `for` that calls an API is one,
//! too, unless it waits. `range` loops end by themselves.

use std::collections::HashMap;

use tree_sitter::Node;

use super::Report;
use super::go::flow::{Flow, Guard, Know, State};
use super::go::reach::{Reach, is_query_name, last_part};
use super::go::scope::{DeclId, DeclKind};
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

fn made_by_standard(package: &Package<'_>, expr: At<'_>, follow: usize) -> bool {
    let Some(follow) = follow.checked_sub(1) else {
        return false;
    };
    match expr.node.kind() {
        "identifier" => {
            if let Some(path) = package.import(expr) {
                return is_standard(path);
            }
            package.decl(expr).is_some_and(|decl| {
                package.decl_data(decl).values.first().is_some_and(|value| {
                    made_by_standard(
                        package,
                        At {
                            file: decl.0,
                            node: value.expr,
                        },
                        follow,
                    )
                })
            })
        }
        _ => expr
            .node
            .child_by_field_name("function")
            .or_else(|| expr.node.child_by_field_name("operand"))
            .is_some_and(|inner| {
                made_by_standard(
                    package,
                    At {
                        file: expr.file,
                        node: inner,
                    },
                    follow,
                )
            }),
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

/// Looks whether each way back to the loop's start passes a comparison with a bound.
struct Bound<'p, 't> {
    package: &'p Package<'t>,
    at: At<'t>,
    body: Node<'t>,
    compared: bool,
    unbounded: bool,
}

impl<'t> Guard<'t> for Bound<'_, 't> {
    fn know(&mut self, expr: At<'t>, _index: usize) -> Know {
        let know = self.comparison(expr);
        self.compared |= know != Know::default();
        know
    }

    fn reached(&mut self, _node: At<'t>, _state: &mut State) {}

    fn goes_on(&mut self, loop_node: Node<'t>, state: &State) {
        if loop_node == self.at.node && !state.passed() {
            self.unbounded = true;
        }
    }
}

impl<'t> Bound<'_, 't> {
    fn inner(&self, node: Node<'t>) -> At<'t> {
        At {
            file: self.at.file,
            node,
        }
    }

    fn text(&self, node: Node<'t>) -> &'t str {
        text(node, self.package.files[self.at.file].text)
    }

    fn comparison(&self, expr: At<'t>) -> Know {
        let none = Know::default();
        if expr.node.kind() != "binary_expression" {
            return none;
        }
        let (Some(left), Some(right), Some(operator)) = (
            expr.node.child_by_field_name("left"),
            expr.node.child_by_field_name("right"),
            expr.node
                .child_by_field_name("operator")
                .map(|o| self.text(o)),
        ) else {
            return none;
        };
        let (counter, bound, operator) = if let Some(up) = self.counts(left) {
            (up, right, operator)
        } else if let Some(up) = self.counts(right) {
            let turned = match operator {
                "<" => ">",
                "<=" => ">=",
                ">" => "<",
                ">=" => "<=",
                other => other,
            };
            (up, left, turned)
        } else {
            return none;
        };
        if !self.is_fixed(self.inner(bound), 8) {
            return none;
        }
        let below = Know {
            when_true: true,
            when_false: false,
        };
        match (operator, counter) {
            ("<" | "<=", true) | (">" | ">=", false) | ("!=", _) => below,
            (">" | ">=", true) | ("<" | "<=", false) | ("==", _) => below.negated(),
            _ => none,
        }
    }

    /// Whether an expression grows (`true`) or shrinks (`false`) from turn to turn.
    fn counts(&self, expr: Node<'t>) -> Option<bool> {
        match expr.kind() {
            "parenthesized_expression" => self.counts(*children(expr).first()?),
            "identifier" => {
                let decl = self.package.decl(self.inner(expr))?;
                let data = self.package.decl_data(decl);
                if decl.0 != self.at.file || !self.outlives_turn(decl) {
                    return None;
                }
                // Given a fixed value again in the loop, it counts nothing.
                let reset = data.values.iter().any(|value| {
                    self.body.byte_range().contains(&value.expr.start_byte())
                        && self.is_fixed(
                            At {
                                file: decl.0,
                                node: value.expr,
                            },
                            8,
                        )
                });
                let mut steps = data
                    .steps
                    .iter()
                    .filter(|(node, _)| self.at.node.byte_range().contains(&node.start_byte()));
                let first = steps.next()?.1;
                (!reset && steps.all(|(_, up)| *up == first)).then_some(first)
            }
            // What has been gathered so far.
            "call_expression" => {
                let function = expr.child_by_field_name("function")?;
                if self.text(function) != "len" {
                    return None;
                }
                let list = children(expr.child_by_field_name("arguments")?)
                    .into_iter()
                    .next()?;
                let grows = self.assigned_in_loop(list);
                let lasts = match self.package.decl(self.inner(list)) {
                    Some(decl) => self.outlives_turn(decl),
                    None => list.kind() == "selector_expression",
                };
                (grows && lasts).then_some(true)
            }
            "selector_expression" => {
                let wanted = self.text(expr);
                let mut direction = None;
                walk(self.at.node, |node| {
                    let steps = match node.kind() {
                        "inc_statement" => Some(true),
                        "dec_statement" => Some(false),
                        "assignment_statement" => {
                            match node.child_by_field_name("operator").map(|o| self.text(o)) {
                                Some("+=") => Some(true),
                                Some("-=") => Some(false),
                                _ => None,
                            }
                        }
                        _ => None,
                    };
                    if let Some(up) = steps {
                        let left = match node.child_by_field_name("left") {
                            Some(list) => children(list).into_iter().next(),
                            None => children(node).into_iter().next(),
                        };
                        if left.is_some_and(|left| self.text(left) == wanted) {
                            direction = Some(up);
                        }
                    }
                    true
                });
                direction
            }
            _ => None,
        }
    }

    fn outlives_turn(&self, decl: (usize, DeclId)) -> bool {
        let declared = self.package.decl_data(decl).node.start_byte();
        decl.0 != self.at.file || !self.body.byte_range().contains(&declared)
    }

    /// Whether the loop assigns to an expression, e.g. `all = append(all, page...)`.
    fn assigned_in_loop(&self, expr: Node<'t>) -> bool {
        let wanted = self.text(expr);
        let mut found = false;
        walk(self.at.node, |node| {
            if matches!(
                node.kind(),
                "assignment_statement" | "short_var_declaration"
            ) && let Some(left) = node.child_by_field_name("left")
            {
                found |= children(left).iter().any(|left| self.text(*left) == wanted);
            }
            !found
        });
        found
    }

    /// Whether an expression is a bound that nothing outside the code decides: a constant, something
    /// made of constants, or a limit that is handed in and not changed by the loop.
    fn is_fixed(&self, expr: At<'t>, follow: usize) -> bool {
        let Some(follow) = follow.checked_sub(1) else {
            return false;
        };
        let node = expr.node;
        let source = self.package.files[expr.file].text;
        let inner = |node| At {
            file: expr.file,
            node,
        };
        match node.kind() {
            "int_literal" | "float_literal" => true,
            "parenthesized_expression" => children(node)
                .first()
                .is_some_and(|n| self.is_fixed(inner(*n), follow)),
            "binary_expression" => ["left", "right"].iter().all(|side| {
                node.child_by_field_name(side)
                    .is_some_and(|n| self.is_fixed(inner(n), follow))
            }),
            "identifier" => {
                let Some(decl) = self.package.decl(expr) else {
                    return false;
                };
                let data = self.package.decl_data(decl);
                match data.kind {
                    DeclKind::Constant => true,
                    DeclKind::Parameter => {
                        data.values.is_empty() && data.steps.is_empty() && names_limit(data.name)
                    }
                    DeclKind::Variable => {
                        data.steps.is_empty()
                            && !data.values.is_empty()
                            && data.values.iter().all(|value| {
                                value.of == 1
                                    && self.is_fixed(
                                        At {
                                            file: decl.0,
                                            node: value.expr,
                                        },
                                        follow,
                                    )
                            })
                    }
                    _ => false,
                }
            }
            "selector_expression" => {
                let (Some(operand), Some(field)) = (
                    node.child_by_field_name("operand"),
                    node.child_by_field_name("field"),
                ) else {
                    return false;
                };
                if self.package.import(inner(operand)).is_some() {
                    return true;
                }
                names_limit(text(field, source)) && !self.comes_from_call(inner(operand), follow)
            }
            "call_expression" => {
                let function = node.child_by_field_name("function");
                let arguments = node
                    .child_by_field_name("arguments")
                    .map(children)
                    .unwrap_or_default();
                let mut fixed = arguments.iter().map(|n| self.is_fixed(inner(*n), follow));
                match function.map(|f| text(f, source)) {
                    // The smaller of a bound and something else is bounded.
                    Some("min") => fixed.any(|f| f),
                    Some("max" | "int" | "int32" | "int64" | "uint" | "uint32" | "uint64") => {
                        !arguments.is_empty() && fixed.all(|f| f)
                    }
                    _ => false,
                }
            }
            _ => false,
        }
    }

    /// Whether a value came out of a call, e.g. a response, so that somebody else decides it.
    fn comes_from_call(&self, expr: At<'t>, follow: usize) -> bool {
        let Some(follow) = follow.checked_sub(1) else {
            return true;
        };
        match expr.node.kind() {
            "identifier" => self.package.decl(expr).is_some_and(|decl| {
                let data = self.package.decl_data(decl);
                data.values.iter().any(|value| {
                    self.comes_from_call(
                        At {
                            file: decl.0,
                            node: value.expr,
                        },
                        follow,
                    )
                })
            }),
            "selector_expression" => expr.node.child_by_field_name("operand").is_some_and(|n| {
                self.comes_from_call(
                    At {
                        file: expr.file,
                        node: n,
                    },
                    follow,
                )
            }),
            "call_expression" => {
                let source = self.package.files[expr.file].text;
                let name = expr
                    .node
                    .child_by_field_name("function")
                    .map(|f| last_part(f, source));
                name.is_some_and(is_query_name)
                    || (expr.file == self.at.file
                        && self.body.byte_range().contains(&expr.node.start_byte()))
            }
            _ => false,
        }
    }

    /// Whether a loop's condition asks for nothing but the bound.
    fn is_only_bound(&self, condition: Node<'t>) -> bool {
        match condition.kind() {
            "parenthesized_expression" => children(condition)
                .first()
                .is_some_and(|inner| self.is_only_bound(*inner)),
            _ => self.comparison(self.inner(condition)) != Know::default(),
        }
    }
}

fn names_limit(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["max", "limit", "bound", "cap"]
        .iter()
        .any(|word| name.contains(word))
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
