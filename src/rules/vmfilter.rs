//! `vmfilter`: the handler has a `VMFilter` that is initialised, and every `Job.Send` is reached only
//! through a branch on what a `VMFilter` said (true: processing of the entity stops).
//!
//! Sends are followed into functions of the package: a function that sends without asking is right
//! when every place that uses it has asked.

mod field;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tree_sitter::Node;

use self::field::Filters;
use super::Report;
use super::affiliation::handler_place;
use super::go::flow::{Flow, Guard, Know, State};
use super::go::reach::last_part;
use super::go::{At, Callee, Package};
use crate::facts::syntax::{children, text};

const RULE: &str = "vmfilter";

pub(super) fn check(report: &mut Report<'_, '_>) {
    let package = report.package;
    let handlers = package.handlers();
    if handlers.is_empty() {
        return;
    }
    let filters = Filters::of(package);
    for (handler, invoke) in handlers {
        let fields = filters.fields(handler);
        let place = handler_place(package, handler, invoke);
        if fields.is_empty() {
            report.add(
                RULE,
                place,
                format!("handler {handler} has no VMFilter field"),
            );
        } else if !fields
            .iter()
            .any(|field| filters.is_initialised(handler, field.name))
        {
            let name = fields[0].name;
            report.add(
                RULE,
                place,
                format!("the VMFilter field `{name}` of handler {handler} is never initialised"),
            );
        }
    }
    sends(report, &filters);
}

/// A use of a function of the package.
struct Use {
    by: usize,
    passed: bool,
    line: usize,
}

struct Watch<'p, 't> {
    package: &'p Package<'t>,
    filters: &'p Filters<'p, 't>,
    /// Index of the function being walked; `None` while a predicate is read.
    func: Option<usize>,
    sends: BTreeMap<(usize, usize), (At<'t>, usize, bool)>,
    uses: HashMap<usize, Vec<Use>>,
    memo: HashMap<(usize, usize), Vec<Know>>,
    active: HashSet<(usize, usize)>,
    returned: Vec<Vec<Know>>,
}

fn sends<'t>(report: &mut Report<'_, 't>, filters: &Filters<'_, 't>) {
    let package = report.package;
    let mut watch = Watch {
        package,
        filters,
        func: None,
        sends: BTreeMap::new(),
        uses: HashMap::new(),
        memo: HashMap::new(),
        active: HashSet::new(),
        returned: Vec::new(),
    };
    for (index, func) in package.funcs.iter().enumerate() {
        if func.body.is_some() {
            watch.func = Some(index);
            watch.returned.clear();
            Flow::run(package, func.at, &mut watch, State::default());
        }
    }
    let open = open_functions(package, &watch.uses);
    let mut with_findings = HashSet::new();
    for (at, func, passed) in watch.sends.values() {
        if *passed || !open.contains_key(func) {
            continue;
        }
        with_findings.insert(*func);
        let through = match open.get(func) {
            Some(Some(line)) => format!(" (by way of line {line})"),
            _ => String::new(),
        };
        report.add(
            RULE,
            *at,
            format!("Job.Send is reached{through} without a branch on what the VMFilter says"),
        );
    }
    for (index, func) in package.funcs.iter().enumerate() {
        if with_findings.contains(&index) {
            continue;
        }
        for call in ignored_answers(package, filters, func.at) {
            report.add(
                RULE,
                call,
                "the VMFilter is asked and its answer is ignored".to_owned(),
            );
        }
    }
}

/// The functions that may be entered without a filter having been asked, with the line of a use that
/// has not asked, if it is one within the package.
fn open_functions(
    package: &Package<'_>,
    uses: &HashMap<usize, Vec<Use>>,
) -> BTreeMap<usize, Option<usize>> {
    let mut open: BTreeMap<usize, Option<usize>> = BTreeMap::new();
    for index in 0..package.funcs.len() {
        if uses.get(&index).is_none_or(Vec::is_empty) {
            open.insert(index, None);
        }
    }
    loop {
        let before = open.len();
        for (index, places) in uses {
            if open.contains_key(index) {
                continue;
            }
            if let Some(place) = places
                .iter()
                .find(|p| !p.passed && open.contains_key(&p.by))
            {
                open.insert(*index, Some(place.line));
            }
        }
        if open.len() == before {
            return open;
        }
    }
}

impl<'t> Watch<'_, 't> {
    /// What the results of a function tell, each for being true and for being false.
    fn summary(&mut self, function: At<'t>, index: usize) -> Know {
        let key = (function.file, function.node.start_byte());
        if let Some(known) = self.memo.get(&key) {
            return known.get(index).copied().unwrap_or_default();
        }
        // A predicate that asks itself, or a very long chain of them, tells nothing.
        if self.active.len() > 24 || !self.active.insert(key) {
            return Know::default();
        }
        let func = self.func.take();
        let outer = std::mem::take(&mut self.returned);
        let package = self.package;
        Flow::run(package, function, self, State::default());
        let mut all = std::mem::replace(&mut self.returned, outer).into_iter();
        let mut knows = all.next().unwrap_or_default();
        for other in all {
            // A bare return at the end of a function without results tells nothing.
            knows.truncate(other.len());
            for (know, other) in knows.iter_mut().zip(other) {
                *know = know.either(other);
            }
        }
        self.func = func;
        self.active.remove(&key);
        let found = knows.get(index).copied().unwrap_or_default();
        self.memo.insert(key, knows);
        found
    }

    fn record(&mut self, at: At<'t>, passed: bool) {
        let Some(func) = self.func else { return };
        let key = (at.file, at.node.start_byte());
        let entry = self.sends.entry(key).or_insert((at, func, passed));
        entry.2 &= passed;
    }
}

impl<'t> Guard<'t> for Watch<'_, 't> {
    fn know(&mut self, expr: At<'t>, index: usize) -> Know {
        if expr.node.kind() != "call_expression" {
            return Know::default();
        }
        if self.filters.is_question(expr) {
            return Know {
                when_true: false,
                when_false: true,
            };
        }
        match self.package.callee(expr) {
            Callee::Func(func) => {
                let at = self.package.funcs[func].at;
                self.summary(at, index)
            }
            Callee::Literal(at) => self.summary(at, index),
            _ => Know::default(),
        }
    }

    fn reached(&mut self, at: At<'t>, state: &mut State) {
        let passed = state.passed();
        match at.node.kind() {
            "selector_expression" | "identifier" => {
                // A job may be declared in this very package, so this comes before the functions.
                if is_send(self.package, at) {
                    if !is_kept(at.node) {
                        self.record(at, passed);
                    }
                } else if let Callee::Func(func) = self.package.function_value(at)
                    && let Some(by) = self.func
                {
                    let line = at.node.start_position().row + 1;
                    self.uses
                        .entry(func)
                        .or_default()
                        .push(Use { by, passed, line });
                }
            }
            "call_expression" => {
                // A call of a variable that holds `job.Send`.
                if let Some(function) = at.node.child_by_field_name("function")
                    && let Some(decl) = self.package.decl(At {
                        file: at.file,
                        node: function,
                    })
                    && let [value] = self.package.decl_data(decl).values.as_slice()
                    && is_send(
                        self.package,
                        At {
                            file: decl.0,
                            node: value.expr,
                        },
                    )
                {
                    self.record(at, passed);
                }
            }
            _ => {}
        }
    }

    fn returned(&mut self, _values: &[At<'t>], knows: &[Know], _state: &State) {
        self.returned.push(knows.to_vec());
    }
}

/// Whether an expression is the method `Send` of a job.
fn is_send<'t>(package: &Package<'t>, at: At<'t>) -> bool {
    if at.node.kind() != "selector_expression" {
        return false;
    }
    let source = package.files[at.file].text;
    let (Some(operand), Some(field)) = (
        at.node.child_by_field_name("operand"),
        at.node.child_by_field_name("field"),
    ) else {
        return false;
    };
    if text(field, source) != "Send" {
        return false;
    }
    let operand = At {
        file: at.file,
        node: operand,
    };
    if package.import(operand).is_some() {
        return false;
    }
    if is_job_name(last_part(operand.node, source)) {
        return true;
    }
    let Some(ty) = package.type_of(operand) else {
        return false;
    };
    if package.last_name(ty).is_some_and(is_job_name) {
        return true;
    }
    // A job that is embedded lends its methods.
    package.local_name(ty).is_some_and(|name| {
        package.method(name, "Send").is_none()
            && package
                .struct_fields(name)
                .into_iter()
                .any(|field| field.embedded && is_job_name(field.name))
    })
}

fn is_job_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("job") || name.ends_with("Job") || name.ends_with("_job")
}

/// Whether a method value is only kept in a variable, whose calls are judged instead.
fn is_kept(node: Node<'_>) -> bool {
    node.parent()
        .filter(|list| list.kind() == "expression_list")
        .and_then(|list| list.parent())
        .is_some_and(|statement| matches!(statement.kind(), "short_var_declaration" | "var_spec"))
}

/// Questions to a filter whose answer nobody looks at.
fn ignored_answers<'t>(
    package: &Package<'t>,
    filters: &Filters<'_, 't>,
    function: At<'t>,
) -> Vec<At<'t>> {
    let source = package.files[function.file].text;
    let mut found = BTreeSet::new();
    let mut calls = Vec::new();
    crate::facts::syntax::walk(function.node, |node| {
        let ignored = match node.kind() {
            "expression_statement" | "go_statement" | "defer_statement" => {
                children(node).first().copied()
            }
            "assignment_statement" | "short_var_declaration" => {
                let blank = node.child_by_field_name("left").is_some_and(|left| {
                    children(left).iter().all(|name| text(*name, source) == "_")
                });
                node.child_by_field_name("right")
                    .filter(|_| blank)
                    .and_then(|right| children(right).first().copied())
            }
            _ => None,
        };
        if let Some(call) = ignored
            && call.kind() == "call_expression"
            && filters.is_question(At {
                file: function.file,
                node: call,
            })
            && found.insert(call.start_byte())
        {
            calls.push(At {
                file: function.file,
                node: call,
            });
        }
        true
    });
    calls
}
