//! What holds at each place of a Go function, whichever way control came there.
//!
//! Statements are walked in the order they run. A [`State`] keeps the facts that hold on every path
//! to a place; where paths meet, only what all of them know remains. Facts come from branches (a
//! [`Guard`] says what an expression's truth tells) and from calls (the guard adds them). A path
//! ends at `return`, `break`, `continue`, `goto` and calls that do not come back. A function literal
//! that is kept in a variable is walked with what holds at every place the variable is used; any
//! other with what holds where it stands.

mod know;
mod state;

use std::collections::BTreeMap;

use tree_sitter::Node;

use self::state::meet;
pub use self::state::{Know, State};
use super::scope::DeclId;
use super::{At, Callee, Package};
use crate::facts::syntax::{children, list, text, walk};

/// A rule's part in the walk.
pub trait Guard<'t> {
    /// What an expression's `index`th result tells; only asked for what the walk cannot read itself.
    fn know(&mut self, expr: At<'t>, index: usize) -> Know;
    /// A call, selector or identifier is evaluated.
    fn reached(&mut self, node: At<'t>, state: &mut State);
    /// The function returns these values (none for a bare return), of which this is known.
    fn returned(&mut self, _values: &[At<'t>], _knows: &[Know], _state: &State) {}
    /// The body of a loop has run and the loop goes on.
    fn goes_on(&mut self, _loop_node: Node<'t>, _state: &State) {}
}

struct Target<'t> {
    node: Node<'t>,
    label: Option<&'t str>,
    is_loop: bool,
    breaks: Option<State>,
    continues: Option<State>,
}

struct Pending<'t> {
    literal: Node<'t>,
    created: State,
    used: Option<State>,
}

/// Walks one function.
pub struct Flow<'p, 't, G> {
    package: &'p Package<'t>,
    file: usize,
    guard: &'p mut G,
    targets: Vec<Target<'t>>,
    pending: BTreeMap<DeclId, Pending<'t>>,
    results: Vec<DeclId>,
    closures: usize,
}

impl<'p, 't, G: Guard<'t>> Flow<'p, 't, G> {
    /// Walks the body of a function (a declaration or a literal) from a state. The state at the end
    /// of the body, if control comes there.
    pub fn run(
        package: &'p Package<'t>,
        function: At<'t>,
        guard: &'p mut G,
        state: State,
    ) -> Option<State> {
        let body = function.node.child_by_field_name("body")?;
        let mut flow = Self {
            package,
            file: function.file,
            guard,
            targets: Vec::new(),
            pending: BTreeMap::new(),
            results: named_results(package, function),
            closures: 0,
        };
        let end = flow.statements(body, Some(state));
        if let Some(end) = &end {
            flow.guard.returned(&[], &[], end);
        }
        // A literal can only use variables declared before it, so the last comes first.
        while let Some((_, pending)) = flow.pending.pop_last() {
            flow.closure(pending.literal, pending.used.unwrap_or(pending.created));
        }
        end
    }

    /// Walks one loop by itself, nothing being known where it starts.
    pub fn run_loop(package: &'p Package<'t>, repeat: At<'t>, guard: &'p mut G) {
        let mut flow = Self {
            package,
            file: repeat.file,
            guard,
            targets: Vec::new(),
            pending: BTreeMap::new(),
            results: Vec::new(),
            closures: 1,
        };
        let label = repeat
            .node
            .parent()
            .filter(|parent| parent.kind() == "labeled_statement")
            .and_then(|parent| parent.child_by_field_name("label"))
            .map(|label| flow.text(label));
        flow.statement(repeat.node, State::default(), label);
    }

    fn at(&self, node: Node<'t>) -> At<'t> {
        At {
            file: self.file,
            node,
        }
    }

    fn text(&self, node: Node<'t>) -> &'t str {
        text(node, self.package.files[self.file].text)
    }

    fn closure(&mut self, literal: Node<'t>, state: State) {
        let Some(body) = literal.child_by_field_name("body") else {
            return;
        };
        let targets = std::mem::take(&mut self.targets);
        self.closures += 1;
        self.statements(body, Some(state));
        self.closures -= 1;
        self.targets = targets;
    }

    /// Statements of a block, a case or a list; a path that has ended stays ended, and what follows
    /// it is not reached.
    fn statements(&mut self, node: Node<'t>, state: Option<State>) -> Option<State> {
        let mut state = state;
        for child in children(node) {
            if child.kind() == "statement_list" {
                state = self.statements(child, state);
            } else if let Some(before) = state.take() {
                state = self.statement(child, before, None);
            } else if child.kind() == "labeled_statement" {
                // Where a `goto` may lead; nothing is known there.
                state = self.statement(child, State::default(), None);
            }
        }
        state
    }

    fn statement(
        &mut self,
        node: Node<'t>,
        mut state: State,
        label: Option<&'t str>,
    ) -> Option<State> {
        match node.kind() {
            "block" | "statement_list" => self.statements(node, Some(state)),
            "labeled_statement" => {
                let label = node.child_by_field_name("label").map(|l| self.text(l));
                let inner = children(node)
                    .into_iter()
                    .find(|n| n.kind() != "label_name");
                match inner {
                    Some(inner) => self.statement(inner, state, label),
                    None => Some(state),
                }
            }
            "expression_statement" => {
                self.expr_all(node, &mut state);
                let ends = children(node)
                    .first()
                    .is_some_and(|call| self.never_returns(*call));
                (!ends).then_some(state)
            }
            "short_var_declaration" | "assignment_statement" => {
                let rights = list(node, "right");
                let lefts = list(node, "left");
                self.assign(&lefts, &rights, &mut state);
                Some(state)
            }
            "var_declaration" => {
                let mut specs = children(node);
                if specs.len() == 1 && specs[0].kind() == "var_spec_list" {
                    specs = children(specs[0]);
                }
                for spec in specs {
                    let names = crate::facts::syntax::fields(spec, "name");
                    let values = list(spec, "value");
                    self.assign(&names, &values, &mut state);
                }
                Some(state)
            }
            "if_statement" => self.branch(node, state),
            "for_statement" => self.repeat(node, state, label),
            "expression_switch_statement" => self.switch(node, state, label),
            "type_switch_statement" | "select_statement" => self.select(node, state, label),
            "return_statement" => {
                let values: Vec<Node<'t>> = children(node)
                    .first()
                    .map(|l| children(*l))
                    .unwrap_or_default();
                for value in &values {
                    self.expr(*value, &mut state);
                }
                if self.closures == 0 {
                    let mut knows: Vec<Know> =
                        values.iter().map(|v| self.know(*v, 0, &state)).collect();
                    if let [call] = values.as_slice()
                        && call.kind() == "call_expression"
                    {
                        knows = (0..4).map(|i| self.know(*call, i, &state)).collect();
                    } else if values.is_empty() {
                        knows = self
                            .results
                            .iter()
                            .map(|id| state.vars.get(id).copied().unwrap_or_default())
                            .collect();
                    }
                    let values: Vec<At<'t>> = values.into_iter().map(|v| self.at(v)).collect();
                    self.guard.returned(&values, &knows, &state);
                }
                None
            }
            "break_statement" | "continue_statement" => {
                let wanted = children(node).first().map(|l| self.text(*l));
                let stops = node.kind() == "break_statement";
                let target = self.targets.iter_mut().rev().find(|target| match wanted {
                    Some(label) => target.label == Some(label),
                    None => stops || target.is_loop,
                });
                if let Some(target) = target {
                    let slot = if stops {
                        &mut target.breaks
                    } else {
                        &mut target.continues
                    };
                    *slot = meet(slot.take(), Some(state));
                }
                None
            }
            "goto_statement" => None,
            _ => {
                self.expr_all(node, &mut state);
                Some(state)
            }
        }
    }

    fn never_returns(&self, call: Node<'t>) -> bool {
        if call.kind() != "call_expression" {
            return false;
        }
        match self.package.callee(self.at(call)) {
            Callee::Builtin("panic")
            | Callee::Package {
                path: "os",
                name: "Exit",
            }
            | Callee::Package {
                path: "runtime",
                name: "Goexit",
            } => true,
            Callee::Package { path: "log", name } => {
                name.starts_with("Fatal") || name.starts_with("Panic")
            }
            _ => false,
        }
    }

    fn assign(&mut self, lefts: &[Node<'t>], rights: &[Node<'t>], state: &mut State) {
        for (i, right) in rights.iter().enumerate() {
            if right.kind() == "func_literal"
                && let Some(left) = lefts.get(i)
                && let Some((file, id)) = self.package.decl(self.at(*left))
                && file == self.file
                && self.package.decl_data((file, id)).values.len() == 1
            {
                self.pending.insert(
                    id,
                    Pending {
                        literal: *right,
                        created: state.clone(),
                        used: None,
                    },
                );
                continue;
            }
            self.expr(*right, state);
        }
        for (i, left) in lefts.iter().enumerate() {
            if left.kind() != "identifier" {
                self.expr(*left, state);
                continue;
            }
            let Some((file, id)) = self.package.decl(self.at(*left)) else {
                continue;
            };
            if file != self.file {
                continue;
            }
            let know = if rights.is_empty() {
                // The zero value is `false`.
                Know {
                    when_true: true,
                    when_false: false,
                }
            } else if rights.len() == lefts.len() {
                self.know(rights[i], 0, state)
            } else {
                self.know(rights[0], i, state)
            };
            state.vars.insert(id, know);
        }
    }

    fn branch(&mut self, node: Node<'t>, state: State) -> Option<State> {
        let mut state = self.initializer(node, state)?;
        let condition = node.child_by_field_name("condition")?;
        self.expr(condition, &mut state);
        let know = self.know(condition, 0, &state);
        let then = state.clone().with(know.when_true);
        let then = match self.package.text(self.at(condition)) {
            "false" => None,
            _ => match node.child_by_field_name("consequence") {
                Some(body) => self.statements(body, Some(then)),
                None => Some(then),
            },
        };
        let other = state.with(know.when_false);
        let other = match node.child_by_field_name("alternative") {
            Some(alternative) => self.statement(alternative, other, None),
            None => Some(other),
        };
        meet(then, other)
    }

    fn initializer(&mut self, node: Node<'t>, state: State) -> Option<State> {
        match node.child_by_field_name("initializer") {
            Some(initializer) => self.statement(initializer, state, None),
            None => Some(state),
        }
    }

    fn repeat(&mut self, node: Node<'t>, state: State, label: Option<&'t str>) -> Option<State> {
        let body = node.child_by_field_name("body")?;
        let head = children(node).into_iter().find(|child| *child != body);
        let mut state = state;
        let (mut condition, mut update) = (None, None);
        let mut endless = false;
        match head {
            Some(head) if head.kind() == "for_clause" => {
                state = self.initializer(head, state)?;
                condition = head.child_by_field_name("condition");
                update = head.child_by_field_name("update");
                endless = condition.is_none();
            }
            Some(head) if head.kind() == "range_clause" => {
                if let Some(right) = head.child_by_field_name("right") {
                    self.expr(right, &mut state);
                }
            }
            Some(head) => condition = Some(head),
            None => endless = true,
        }
        // What the body assigns is not known when the body starts again.
        walk(node, |inner| {
            if inner.kind() == "identifier"
                && let Some((file, id)) = self.package.decl(self.at(inner))
                && file == self.file
                && state.vars.contains_key(&id)
                && is_assigned(inner)
            {
                state.vars.remove(&id);
            }
            true
        });
        let mut know = Know::default();
        if let Some(condition) = condition {
            self.expr(condition, &mut state);
            know = self.know(condition, 0, &state);
        }
        self.targets.push(Target {
            node,
            label,
            is_loop: true,
            breaks: None,
            continues: None,
        });
        let end = self.statements(body, Some(state.clone().with(know.when_true)));
        let target = self.targets.pop()?;
        if let Some(mut again) = meet(end, target.continues) {
            if let Some(update) = update
                && let Some(after) = self.statement(update, again.clone(), None)
            {
                again = after;
            }
            self.guard.goes_on(target.node, &again);
        }
        let done = (!endless).then(|| state.with(know.when_false));
        meet(done, target.breaks)
    }

    fn switch(&mut self, node: Node<'t>, state: State, label: Option<&'t str>) -> Option<State> {
        let mut state = self.initializer(node, state)?;
        let value = node.child_by_field_name("value");
        if let Some(value) = value {
            self.expr(value, &mut state);
        }
        self.targets.push(Target {
            node,
            label,
            is_loop: false,
            breaks: None,
            continues: None,
        });
        // `rest` is what holds when no case so far applied.
        let mut rest = state;
        let (mut out, mut falling) = (None, None);
        let mut default = None;
        for case in children(node) {
            if case.kind() == "default_case" {
                default = Some(case);
                continue;
            }
            if case.kind() != "expression_case" {
                continue;
            }
            let mut enter = None;
            for option in list(case, "value") {
                self.expr(option, &mut rest);
                let know = match value {
                    None => self.know(option, 0, &rest),
                    Some(value) => match self.text(option) {
                        "true" => self.know(value, 0, &rest),
                        "false" => self.know(value, 0, &rest).negated(),
                        _ => Know::default(),
                    },
                };
                enter = meet(enter, Some(rest.clone().with(know.when_true)));
                rest = rest.with(know.when_false);
            }
            let enter = meet(enter, falling.take());
            let (end, falls) = self.case(case, enter);
            if falls {
                falling = end;
            } else {
                out = meet(out, end);
            }
        }
        // A default is taken when no case applies, wherever it stands.
        let last = match default {
            Some(case) => self.case(case, meet(Some(rest), falling)).0,
            None => Some(rest),
        };
        let breaks = self.targets.pop()?.breaks;
        meet(meet(out, last), breaks)
    }

    /// Runs a case; whether it ends in `fallthrough`.
    fn case(&mut self, case: Node<'t>, enter: Option<State>) -> (Option<State>, bool) {
        let Some(body) = children(case)
            .into_iter()
            .find(|n| n.kind() == "statement_list")
        else {
            return (enter, false);
        };
        let falls = children(body)
            .last()
            .is_some_and(|last| last.kind() == "fallthrough_statement");
        (self.statements(body, enter), falls)
    }

    /// A type switch or a select: any case may be taken.
    fn select(&mut self, node: Node<'t>, state: State, label: Option<&'t str>) -> Option<State> {
        let mut state = self.initializer(node, state)?;
        if let Some(value) = node.child_by_field_name("value") {
            self.expr(value, &mut state);
        }
        self.targets.push(Target {
            node,
            label,
            is_loop: false,
            breaks: None,
            continues: None,
        });
        let mut out = None;
        let mut complete = node.kind() == "select_statement";
        for case in children(node) {
            if !matches!(
                case.kind(),
                "type_case" | "default_case" | "communication_case"
            ) {
                continue;
            }
            complete |= case.kind() == "default_case";
            let mut enter = state.clone();
            if let Some(communication) = case.child_by_field_name("communication") {
                self.expr_all(communication, &mut enter);
            }
            out = meet(out, self.case(case, Some(enter)).0);
        }
        let breaks = self.targets.pop()?.breaks;
        if !complete {
            out = meet(out, Some(state));
        }
        meet(out, breaks)
    }

    fn expr_all(&mut self, node: Node<'t>, state: &mut State) {
        for child in children(node) {
            self.expr(child, state);
        }
    }

    fn expr(&mut self, node: Node<'t>, state: &mut State) {
        match node.kind() {
            "func_literal" => self.closure(node, state.clone()),
            "binary_expression" => {
                let (Some(left), Some(right)) = (
                    node.child_by_field_name("left"),
                    node.child_by_field_name("right"),
                ) else {
                    return;
                };
                self.expr(left, state);
                let know = self.know(left, 0, state);
                // The right side only runs when the left side has not decided.
                match node.child_by_field_name("operator").map(|o| self.text(o)) {
                    Some("&&") => self.expr(right, &mut state.clone().with(know.when_true)),
                    Some("||") => self.expr(right, &mut state.clone().with(know.when_false)),
                    _ => self.expr(right, state),
                }
            }
            "call_expression" => {
                if let Some(function) = node.child_by_field_name("function") {
                    self.expr(function, state);
                }
                if let Some(arguments) = node.child_by_field_name("arguments") {
                    self.expr_all(arguments, state);
                }
                self.guard.reached(self.at(node), state);
            }
            "selector_expression" => {
                if let Some(operand) = node.child_by_field_name("operand") {
                    self.expr(operand, state);
                }
                self.guard.reached(self.at(node), state);
            }
            "identifier" => {
                if let Some((file, id)) = self.package.decl(self.at(node))
                    && file == self.file
                    && let Some(pending) = self.pending.get_mut(&id)
                {
                    pending.used = meet(pending.used.take(), Some(state.clone()));
                }
                self.guard.reached(self.at(node), state);
            }
            "keyed_element" => {
                if let Some(value) = node.child_by_field_name("value") {
                    self.expr(value, state);
                }
            }
            _ => self.expr_all(node, state),
        }
    }
}

fn named_results(package: &Package<'_>, function: At<'_>) -> Vec<DeclId> {
    let Some(result) = function.node.child_by_field_name("result") else {
        return Vec::new();
    };
    children(result)
        .into_iter()
        .flat_map(|parameter| crate::facts::syntax::fields(parameter, "name"))
        .filter_map(|name| package.files[function.file].scope.local(name))
        .collect()
}

/// Whether an identifier stands on the left of an assignment.
fn is_assigned(identifier: Node<'_>) -> bool {
    let Some(parent) = identifier.parent() else {
        return false;
    };
    let holder = if parent.kind() == "expression_list" {
        match parent.parent() {
            Some(holder) => holder,
            None => return false,
        }
    } else {
        parent
    };
    holder.kind() == "assignment_statement"
        && holder.child_by_field_name("left").is_some_and(|left| {
            left.start_byte() <= identifier.start_byte() && identifier.end_byte() <= left.end_byte()
        })
}
