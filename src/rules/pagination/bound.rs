//! The bound of a loop over pages: what is compared, with what, and whether every turn passes it.

use tree_sitter::Node;

use crate::facts::syntax::{children, text, walk};
use crate::rules::go::flow::{Guard, Know, State};
use crate::rules::go::reach::{is_query_name, last_part};
use crate::rules::go::scope::{DeclId, DeclKind};
use crate::rules::go::{At, Package};

/// Looks whether each way back to the loop's start passes a comparison with a bound.
pub(super) struct Bound<'p, 't> {
    /// The package.
    pub package: &'p Package<'t>,
    /// The loop.
    pub at: At<'t>,
    /// Its body.
    pub body: Node<'t>,
    /// Whether anything is compared with a bound.
    pub compared: bool,
    /// Whether the loop can go on without such a comparison.
    pub unbounded: bool,
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
        // `n > 0` of what is counted up asks whether there is any.
        if counter && self.text(bound) == "0" {
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
    pub(super) fn is_only_bound(&self, condition: Node<'t>) -> bool {
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
