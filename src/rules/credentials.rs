//! `validate-credentials`: the first statement of `Invoke` asks `ValidateCredentials` and acts on its
//! error.

use tree_sitter::Node;

use super::Report;
use super::go::{At, Package};
use crate::facts::syntax::{children, text, walk};

const RULE: &str = "validate-credentials";
const METHOD: &str = "ValidateCredentials";

pub(super) fn check(report: &mut Report<'_, '_>) {
    for (handler, invoke) in report.package.handlers() {
        let func = &report.package.funcs[invoke];
        let file = func.at.file;
        let Some(body) = func.body else { continue };
        let statements = statements(body);
        let name = func
            .at
            .node
            .child_by_field_name("name")
            .unwrap_or(func.at.node);
        let Some(first) = statements.first().copied() else {
            let message = format!("Invoke of {handler} is empty and does not call {METHOD}");
            report.add(RULE, At { file, node: name }, message);
            continue;
        };
        let judge = Judge {
            package: report.package,
            file,
            function: func.at.node,
        };
        if let Err(problem) = judge.first(first, statements.get(1).copied()) {
            let message = format!("Invoke of {handler}: {problem}");
            report.add(RULE, At { file, node: first }, message);
        }
    }
}

fn statements(block: Node<'_>) -> Vec<Node<'_>> {
    children(block)
        .into_iter()
        .flat_map(|child| {
            if child.kind() == "statement_list" {
                children(child)
            } else {
                vec![child]
            }
        })
        .filter(|node| node.kind() != "empty_statement")
        .collect()
}

struct Judge<'p, 't> {
    package: &'p Package<'t>,
    file: usize,
    function: Node<'t>,
}

impl<'t> Judge<'_, 't> {
    fn text(&self, node: Node<'t>) -> &'t str {
        text(node, self.package.files[self.file].text)
    }

    fn first(&self, first: Node<'t>, second: Option<Node<'t>>) -> Result<(), String> {
        match first.kind() {
            "if_statement" => match first.child_by_field_name("initializer") {
                Some(initializer) => {
                    let error = self.error_of(initializer)?;
                    self.checked(first, &[error])
                }
                None => self.checked(first, &[]),
            },
            "expression_switch_statement" => {
                let Some(initializer) = first.child_by_field_name("initializer") else {
                    return Err(self.not_first());
                };
                let error = self.error_of(initializer)?;
                let handled = children(first).into_iter().any(|case| {
                    case.kind() == "expression_case"
                        && case.child_by_field_name("value").is_some_and(|values| {
                            children(values)
                                .iter()
                                .any(|v| self.asks(*v, &[error]) == Some(true))
                        })
                        && self.leaves(case).is_ok()
                });
                if handled {
                    Ok(())
                } else {
                    Err(format!("the error of {METHOD} is not returned"))
                }
            }
            "short_var_declaration" | "assignment_statement" | "var_declaration" => {
                let error = self.error_of(first)?;
                match second {
                    Some(second) if second.kind() == "if_statement" => {
                        self.checked(second, &[error])
                    }
                    Some(second)
                        if second.kind() == "return_statement" && self.returns(second, error) =>
                    {
                        Ok(())
                    }
                    _ => Err(format!(
                        "the error of {METHOD} is not checked by the statement that follows"
                    )),
                }
            }
            "return_statement" => {
                let calls = children(first)
                    .first()
                    .map(|values| children(*values))
                    .unwrap_or_default()
                    .into_iter()
                    .any(|value| self.is_call(value));
                if calls { Ok(()) } else { Err(self.not_first()) }
            }
            "expression_statement" if children(first).first().is_some_and(|c| self.is_call(*c)) => {
                Err(format!("the error of {METHOD} is dropped"))
            }
            _ => Err(self.not_first()),
        }
    }

    fn not_first(&self) -> String {
        let mut later = false;
        walk(self.function, |node| {
            later |= self.is_call(node);
            !later
        });
        if later {
            format!("{METHOD} is called, but not by the first statement")
        } else {
            format!("the first statement does not call {METHOD}")
        }
    }

    /// Whether a node is a call of a method `ValidateCredentials`.
    fn is_call(&self, node: Node<'t>) -> bool {
        let node = match node.kind() {
            "parenthesized_expression" => children(node).first().copied().unwrap_or(node),
            _ => node,
        };
        node.kind() == "call_expression"
            && node
                .child_by_field_name("function")
                .filter(|function| function.kind() == "selector_expression")
                .and_then(|function| function.child_by_field_name("field"))
                .is_some_and(|field| self.text(field) == METHOD)
    }

    /// The name the error is given by a statement that calls `ValidateCredentials`.
    fn error_of(&self, statement: Node<'t>) -> Result<&'t str, String> {
        let spec = match statement.kind() {
            "var_declaration" => children(statement).into_iter().next().unwrap_or(statement),
            _ => statement,
        };
        let values = spec
            .child_by_field_name("right")
            .or_else(|| spec.child_by_field_name("value"))
            .map(children)
            .unwrap_or_default();
        let [call] = values.as_slice() else {
            return Err(self.not_first());
        };
        if !self.is_call(*call) {
            return Err(self.not_first());
        }
        let names = match spec.child_by_field_name("left") {
            Some(left) => children(left),
            None => crate::facts::syntax::fields(spec, "name"),
        };
        match names.last().map(|name| self.text(*name)) {
            Some("_") | None => Err(format!("the error of {METHOD} is dropped")),
            Some(name) => Ok(name),
        }
    }

    /// Whether an `if` leaves the function when there is an error.
    fn checked(&self, statement: Node<'t>, errors: &[&str]) -> Result<(), String> {
        let unchecked = || format!("the error of {METHOD} is not checked");
        let condition = statement
            .child_by_field_name("condition")
            .ok_or_else(unchecked)?;
        match self.asks(condition, errors) {
            Some(true) => {
                let body = statement
                    .child_by_field_name("consequence")
                    .ok_or_else(unchecked)?;
                self.leaves(body)
            }
            // `err == nil`: what is done otherwise counts.
            Some(false) => match statement.child_by_field_name("alternative") {
                Some(body) => self.leaves(body),
                None => Err(format!("the error of {METHOD} is not returned")),
            },
            None if errors.is_empty() => Err(self.not_first()),
            None => Err(unchecked()),
        }
    }

    /// Whether a condition is true for every error (`Some(true)`), for none (`Some(false)`), or
    /// says nothing about it.
    fn asks(&self, condition: Node<'t>, errors: &[&str]) -> Option<bool> {
        match condition.kind() {
            "parenthesized_expression" => self.asks(*children(condition).first()?, errors),
            "unary_expression" => {
                let operator = condition.child_by_field_name("operator")?;
                let operand = condition.child_by_field_name("operand")?;
                (self.text(operator) == "!").then_some(())?;
                self.asks(operand, errors).map(|asks| !asks)
            }
            "binary_expression" => {
                let left = condition.child_by_field_name("left")?;
                let right = condition.child_by_field_name("right")?;
                let operator = self.text(condition.child_by_field_name("operator")?);
                match operator {
                    "!=" | "==" => {
                        let is_error = |node: Node<'t>| {
                            if errors.is_empty() {
                                self.is_call(node)
                            } else {
                                errors.contains(&self.text(node))
                            }
                        };
                        let is_nil = |node: Node<'t>| node.kind() == "nil";
                        ((is_error(left) && is_nil(right)) || (is_nil(left) && is_error(right)))
                            .then_some(operator == "!=")
                    }
                    "||" => [left, right]
                        .into_iter()
                        .any(|side| self.asks(side, errors) == Some(true))
                        .then_some(true),
                    "&&" => [left, right]
                        .into_iter()
                        .any(|side| self.asks(side, errors) == Some(false))
                        .then_some(false),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether a body ends by leaving the function with an error.
    fn leaves(&self, body: Node<'t>) -> Result<(), String> {
        let continues = || format!("Invoke goes on after {METHOD} has failed");
        let all = statements(body);
        let all = if body.kind() == "expression_case" {
            all[1.min(all.len())..].to_vec()
        } else {
            all
        };
        let last = all.last().copied().ok_or_else(continues)?;
        let ends = match last.kind() {
            "return_statement" => true,
            "expression_statement" => children(last).first().is_some_and(|call| {
                let name = call.child_by_field_name("function").map(|f| self.text(f));
                name.is_some_and(|name| {
                    name == "panic" || name == "os.Exit" || name.starts_with("log.Fatal")
                })
            }),
            "if_statement" => {
                let then = last
                    .child_by_field_name("consequence")
                    .map(|b| self.leaves(b));
                let other = last
                    .child_by_field_name("alternative")
                    .map(|b| self.leaves(b));
                matches!((then, other), (Some(Ok(())), Some(Ok(()))))
            }
            "block" => return self.leaves(last),
            _ => false,
        };
        if !ends {
            return Err(continues());
        }
        let mut dropped = false;
        walk(body, |node| {
            if node.kind() == "return_statement" {
                let values = children(node)
                    .first()
                    .map(|l| children(*l))
                    .unwrap_or_default();
                dropped |= values.last().is_some_and(|value| value.kind() == "nil");
                dropped |= values.is_empty() && self.has_unnamed_result();
            }
            node.kind() != "func_literal"
        });
        if dropped {
            Err(format!("Invoke returns no error after {METHOD} has failed"))
        } else {
            Ok(())
        }
    }

    fn has_unnamed_result(&self) -> bool {
        self.function
            .child_by_field_name("result")
            .is_some_and(|result| {
                result.kind() != "parameter_list"
                    || children(result)
                        .iter()
                        .all(|p| p.child_by_field_name("name").is_none())
            })
    }

    fn returns(&self, statement: Node<'t>, error: &str) -> bool {
        let values = children(statement)
            .first()
            .map(|l| children(*l))
            .unwrap_or_default();
        values
            .last()
            .is_some_and(|value| self.text(*value) == error)
    }
}
