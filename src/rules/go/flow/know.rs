//! What the truth of an expression tells.

use tree_sitter::Node;

use super::{Flow, Guard, Know, State};
use crate::facts::syntax::children;

impl<'t, G: Guard<'t>> Flow<'_, 't, G> {
    pub(super) fn know(&mut self, node: Node<'t>, index: usize, state: &State) -> Know {
        let know = self.know_bare(node, index, state);
        let passed = state.passed();
        Know {
            when_true: know.when_true || passed,
            when_false: know.when_false || passed,
        }
    }

    fn know_bare(&mut self, node: Node<'t>, index: usize, state: &State) -> Know {
        match node.kind() {
            "true" => Know {
                when_true: false,
                when_false: true,
            },
            "false" => Know {
                when_true: true,
                when_false: false,
            },
            "parenthesized_expression" => match children(node).first() {
                Some(inner) => self.know_bare(*inner, index, state),
                None => Know::default(),
            },
            "unary_expression" => {
                let operator = node.child_by_field_name("operator").map(|o| self.text(o));
                match (operator, node.child_by_field_name("operand")) {
                    (Some("!"), Some(operand)) => self.know_bare(operand, 0, state).negated(),
                    _ => Know::default(),
                }
            }
            "binary_expression" => {
                let (Some(left), Some(right), Some(operator)) = (
                    node.child_by_field_name("left"),
                    node.child_by_field_name("right"),
                    node.child_by_field_name("operator").map(|o| self.text(o)),
                ) else {
                    return Know::default();
                };
                match operator {
                    "&&" | "||" => {
                        let a = self.know_bare(left, 0, state);
                        let b = self.know_bare(right, 0, state);
                        if operator == "&&" {
                            Know {
                                when_true: a.when_true || b.when_true,
                                when_false: a.when_false && b.when_false,
                            }
                        } else {
                            Know {
                                when_true: a.when_true && b.when_true,
                                when_false: a.when_false || b.when_false,
                            }
                        }
                    }
                    "==" | "!=" => {
                        let sides = [(left, self.text(right)), (right, self.text(left))];
                        for (side, literal) in sides {
                            if matches!(literal, "true" | "false") {
                                let know = self.know_bare(side, 0, state);
                                return if (literal == "true") == (operator == "==") {
                                    know
                                } else {
                                    know.negated()
                                };
                            }
                        }
                        self.guard.know(self.at(node), index)
                    }
                    _ => self.guard.know(self.at(node), index),
                }
            }
            "identifier" => {
                if let Some((file, id)) = self.package.decl(self.at(node))
                    && file == self.file
                    && let Some(know) = state.vars.get(&id)
                {
                    return *know;
                }
                self.guard.know(self.at(node), index)
            }
            _ => self.guard.know(self.at(node), index),
        }
    }
}
