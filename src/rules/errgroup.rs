//! `errgroup`: a group has a positive limit before its first `Go`, and below Go 1.22 what it runs
//! works on its own copy of loop variables.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::go::flow::{Flow, Guard, Know, State};
use super::go::scope::DeclKind;
use super::go::{At, Callee, Package};
use super::{Context, Report};
use crate::facts::syntax::{children, text, walk};

const RULE: &str = "errgroup";
/// First version with loop variables per iteration (<https://go.dev/blog/loopvar-preview>).
const PER_ITERATION: (u32, u32) = (1, 22);
/// How often facts are carried between functions before they are taken as they are.
const ROUNDS: usize = 6;

pub(super) fn check(report: &mut Report<'_, '_>, context: &Context) {
    let package = report.package;
    let uses = package.files.iter().any(|file| {
        file.imports
            .values()
            .chain(&file.dot_imports)
            .any(|path| is_errgroup(path))
    });
    if !uses {
        return;
    }
    let mut watch = Watch::new(package);
    // Limits travel with groups through parameters and results; each round carries them one call on.
    for _ in 0..ROUNDS {
        let before = watch.summaries();
        watch.start_round();
        for (index, func) in package.funcs.iter().enumerate() {
            if func.body.is_some() {
                let entry = watch.enter(index);
                Flow::run(package, func.at, &mut watch, entry);
                watch.leave(index);
            }
        }
        if watch.summaries() == before && watch.next_parameters == watch.parameters {
            break;
        }
    }
    for call in watch.bad_limits.values() {
        report.add(
            RULE,
            *call,
            "SetLimit with a number that is not positive sets no bound".to_owned(),
        );
    }
    let mut seen = HashSet::new();
    for (key, call) in watch.unlimited.values() {
        if seen.insert(*key) {
            report.add(
                RULE,
                *call,
                "the group starts work before SetLimit has given it a bound".to_owned(),
            );
        }
    }
    if context
        .go_version
        .is_some_and(|version| version < PER_ITERATION)
    {
        let calls: Vec<At<'_>> = watch.starts.values().copied().collect();
        for call in calls {
            for (use_, name) in captured(package, call) {
                report.add_with_hint(
                    RULE,
                    use_,
                    format!("the function given to Go shares the loop variable `{name}`"),
                    format!("copy it in the loop before Go: `{name} := {name}`"),
                );
            }
        }
    }
}

fn is_errgroup(path: &str) -> bool {
    path.ends_with("/errgroup") || path == "errgroup"
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Variable(usize, usize),
    Field(String),
}

struct Watch<'p, 't> {
    package: &'p Package<'t>,
    keys: BTreeMap<Key, usize>,
    /// Fields that get a limit anywhere in the package.
    limited_fields: HashSet<usize>,
    /// Parameters by function and position: whether every call gives a limited group.
    parameters: HashMap<(usize, usize), bool>,
    next_parameters: HashMap<(usize, usize), bool>,
    /// Results by function and position: whether they are limited groups.
    results: HashMap<(usize, usize), bool>,
    /// Parameters that have a limit when the function returns.
    exits: HashMap<(usize, usize), bool>,
    returns: Vec<(Vec<bool>, State)>,
    bad_limits: BTreeMap<(usize, usize), At<'t>>,
    unlimited: BTreeMap<(usize, usize), (usize, At<'t>)>,
    starts: BTreeMap<(usize, usize), At<'t>>,
}

type Summaries = [HashMap<(usize, usize), bool>; 3];

impl<'p, 't> Watch<'p, 't> {
    fn new(package: &'p Package<'t>) -> Self {
        let mut watch = Self {
            package,
            keys: BTreeMap::new(),
            limited_fields: HashSet::new(),
            parameters: HashMap::new(),
            next_parameters: HashMap::new(),
            results: HashMap::new(),
            exits: HashMap::new(),
            returns: Vec::new(),
            bad_limits: BTreeMap::new(),
            unlimited: BTreeMap::new(),
            starts: BTreeMap::new(),
        };
        for (index, file) in package.files.iter().enumerate() {
            walk(file.root, |node| {
                let at = At { file: index, node };
                if let Some((operand, "SetLimit")) = watch.method(at)
                    && let Some(key) = watch.group(operand)
                    && matches!(
                        watch.keys.iter().find(|(_, k)| **k == key),
                        Some((Key::Field(_), _))
                    )
                {
                    watch.limited_fields.insert(key);
                }
                true
            });
        }
        watch
    }

    fn summaries(&self) -> Summaries {
        [
            self.parameters.clone(),
            self.results.clone(),
            self.exits.clone(),
        ]
    }

    fn start_round(&mut self) {
        self.bad_limits.clear();
        self.unlimited.clear();
        self.starts.clear();
        self.parameters = std::mem::take(&mut self.next_parameters);
    }

    fn parameter_names(&self, func: usize) -> Vec<At<'t>> {
        let at = self.package.funcs[func].at;
        let list = at
            .node
            .child_by_field_name("parameters")
            .map(children)
            .unwrap_or_default();
        list.into_iter()
            .flat_map(|parameter| crate::facts::syntax::fields(parameter, "name"))
            .map(|node| At {
                file: at.file,
                node,
            })
            .collect()
    }

    fn enter(&mut self, func: usize) -> State {
        self.returns.clear();
        let mut state = State::default();
        for (position, name) in self.parameter_names(func).into_iter().enumerate() {
            if self.parameters.get(&(func, position)) == Some(&true)
                && let Some(key) = self.group(name)
            {
                state.facts.insert(key);
            }
        }
        state
    }

    fn leave(&mut self, func: usize) {
        let returns = std::mem::take(&mut self.returns);
        let width = returns
            .iter()
            .map(|(values, _)| values.len())
            .max()
            .unwrap_or(0);
        for position in 0..width {
            let limited = returns
                .iter()
                .all(|(values, _)| values.get(position).copied().unwrap_or(false));
            self.results.insert((func, position), limited);
        }
        for (position, name) in self.parameter_names(func).into_iter().enumerate() {
            if let Some(key) = self.group(name) {
                let limited = !returns.is_empty()
                    && returns.iter().all(|(_, state)| state.facts.contains(&key));
                self.exits.insert((func, position), limited);
            }
        }
    }

    /// Operand and name of a method call.
    fn method(&self, call: At<'t>) -> Option<(At<'t>, &'t str)> {
        if call.node.kind() != "call_expression" {
            return None;
        }
        let function = call.node.child_by_field_name("function")?;
        if function.kind() != "selector_expression" {
            return None;
        }
        let source = self.package.files[call.file].text;
        let name = text(function.child_by_field_name("field")?, source);
        Some((
            At {
                file: call.file,
                node: function.child_by_field_name("operand")?,
            },
            name,
        ))
    }

    /// Whether a type is `errgroup.Group`, or a struct of this package that embeds it.
    fn is_group_type(&self, ty: super::go::Ty<'t>) -> bool {
        if let Some((path, name)) = self.package.foreign_name(ty) {
            return is_errgroup(path) && name == "Group";
        }
        self.package.local_name(ty).is_some_and(|local| {
            self.package.method(local, "Go").is_none()
                && self.package.struct_fields(local).into_iter().any(|field| {
                    field.embedded
                        && self
                            .package
                            .foreign_name(field.ty)
                            .is_some_and(|(path, name)| is_errgroup(path) && name == "Group")
                })
        })
    }

    fn is_group(&self, expr: At<'t>) -> bool {
        if let Some(ty) = self.package.type_of(expr) {
            return self.is_group_type(ty);
        }
        let Some(decl) = self.package.decl(expr) else {
            return false;
        };
        self.package.decl_data(decl).values.iter().any(|value| {
            value.index == 0
                && value.expr.kind() == "call_expression"
                && matches!(
                    self.package.callee(At { file: decl.0, node: value.expr }),
                    Callee::Package { path, name: "WithContext" } if is_errgroup(path)
                )
        })
    }

    /// The number of the group an expression means.
    fn group(&mut self, expr: At<'t>) -> Option<usize> {
        let mut expr = expr;
        while matches!(
            expr.node.kind(),
            "unary_expression" | "parenthesized_expression"
        ) {
            expr.node = children(expr.node).into_iter().last()?;
        }
        let source = self.package.files[expr.file].text;
        let key = match expr.node.kind() {
            "identifier" => {
                let decl = self.package.decl(expr)?;
                if !self.is_group(expr) {
                    // `group := s.group` is the same group under another name.
                    let [value] = self.package.decl_data(decl).values.as_slice() else {
                        return None;
                    };
                    if value.expr.kind() != "selector_expression" {
                        return None;
                    }
                    let value = At {
                        file: decl.0,
                        node: value.expr,
                    };
                    return self.group(value);
                }
                if let [value] = self.package.decl_data(decl).values.as_slice()
                    && matches!(value.expr.kind(), "selector_expression" | "identifier")
                {
                    let value = At {
                        file: decl.0,
                        node: value.expr,
                    };
                    if let Some(same) = self.group(value) {
                        return Some(same);
                    }
                }
                Key::Variable(decl.0, decl.1)
            }
            "selector_expression" => {
                let name = text(expr.node.child_by_field_name("field")?, source);
                let operand = expr.node.child_by_field_name("operand")?;
                if name == "Group"
                    && self.is_group(At {
                        file: expr.file,
                        node: operand,
                    })
                {
                    return self.group(At {
                        file: expr.file,
                        node: operand,
                    });
                }
                if !self.is_group(expr) {
                    return None;
                }
                let owner = self
                    .package
                    .type_of(At {
                        file: expr.file,
                        node: operand,
                    })
                    .and_then(|ty| self.package.local_name(ty))
                    .unwrap_or_default();
                Key::Field(format!("{owner}.{name}"))
            }
            _ => return None,
        };
        let next = self.keys.len();
        Some(*self.keys.entry(key).or_insert(next))
    }

    fn is_limited(&self, expr: At<'t>, key: usize, state: &State) -> bool {
        if state.facts.contains(&key) || self.limited_fields.contains(&key) {
            return true;
        }
        // A group that a function of the package makes with its limit.
        self.package.decl(expr).is_some_and(|decl| {
            let values = &self.package.decl_data(decl).values;
            !values.is_empty()
                && values.iter().all(|value| {
                    value.expr.kind() == "call_expression"
                        && matches!(
                            self.package.callee(At { file: decl.0, node: value.expr }),
                            Callee::Func(func)
                                if self.results.get(&(func, value.index)) == Some(&true)
                        )
                })
        })
    }
}

impl<'t> Guard<'t> for Watch<'_, 't> {
    fn know(&mut self, _expr: At<'t>, _index: usize) -> Know {
        Know::default()
    }

    fn reached(&mut self, at: At<'t>, state: &mut State) {
        if at.node.kind() != "call_expression" {
            return;
        }
        let place = (at.file, at.node.start_byte());
        let arguments = at
            .node
            .child_by_field_name("arguments")
            .map(children)
            .unwrap_or_default();
        if let Some((operand, name)) = self.method(at)
            && matches!(name, "SetLimit" | "Go" | "TryGo")
            && let Some(key) = self.group(operand)
        {
            if name == "SetLimit" {
                let bound = arguments.first().and_then(|bound| {
                    constant(
                        self.package,
                        At {
                            file: at.file,
                            node: *bound,
                        },
                        8,
                    )
                });
                if bound.is_some_and(|bound| bound <= 0) {
                    self.bad_limits.insert(place, at);
                }
                state.facts.insert(key);
            } else {
                self.starts.insert(place, at);
                if !self.is_limited(operand, key, state) {
                    self.unlimited.entry(place).or_insert((key, at));
                }
            }
            return;
        }
        if let Callee::Func(func) = self.package.callee(at) {
            for (position, argument) in arguments.iter().enumerate() {
                let argument = At {
                    file: at.file,
                    node: *argument,
                };
                let Some(key) = self.group(argument) else {
                    continue;
                };
                let mut bare = argument;
                while bare.node.kind() == "unary_expression" {
                    let Some(inner) = children(bare.node).into_iter().last() else {
                        break;
                    };
                    bare.node = inner;
                }
                let limited = self.is_limited(bare, key, state);
                let all = self.next_parameters.entry((func, position)).or_insert(true);
                *all &= limited;
                if self.exits.get(&(func, position)) == Some(&true) {
                    state.facts.insert(key);
                }
            }
        }
    }

    fn returned(&mut self, values: &[At<'t>], _knows: &[Know], state: &State) {
        let limited = values
            .iter()
            .map(|at| {
                self.group(*at)
                    .is_some_and(|key| self.is_limited(*at, key, state))
            })
            .collect();
        self.returns.push((limited, state.clone()));
    }
}

/// The value of an integer expression of literals and constants.
pub(super) fn constant(package: &Package<'_>, expr: At<'_>, follow: usize) -> Option<i64> {
    let follow = follow.checked_sub(1)?;
    let source = package.files[expr.file].text;
    let inner = |node| At {
        file: expr.file,
        node,
    };
    match expr.node.kind() {
        "int_literal" => {
            let digits = text(expr.node, source)
                .replace('_', "")
                .to_ascii_lowercase();
            if let Some(hex) = digits.strip_prefix("0x") {
                i64::from_str_radix(hex, 16).ok()
            } else {
                digits.parse().ok()
            }
        }
        "parenthesized_expression" => {
            constant(package, inner(*children(expr.node).first()?), follow)
        }
        "unary_expression" => {
            let value = constant(
                package,
                inner(expr.node.child_by_field_name("operand")?),
                follow,
            )?;
            match text(expr.node.child_by_field_name("operator")?, source) {
                "-" => value.checked_neg(),
                "+" => Some(value),
                _ => None,
            }
        }
        "binary_expression" => {
            let left = constant(
                package,
                inner(expr.node.child_by_field_name("left")?),
                follow,
            )?;
            let right = constant(
                package,
                inner(expr.node.child_by_field_name("right")?),
                follow,
            )?;
            match text(expr.node.child_by_field_name("operator")?, source) {
                "+" => left.checked_add(right),
                "-" => left.checked_sub(right),
                "*" => left.checked_mul(right),
                "/" => left.checked_div(right),
                _ => None,
            }
        }
        "identifier" => {
            let decl = package.decl(expr)?;
            let data = package.decl_data(decl);
            let [value] = data.values.as_slice() else {
                return None;
            };
            if !data.steps.is_empty() {
                return None;
            }
            constant(
                package,
                At {
                    file: decl.0,
                    node: value.expr,
                },
                follow,
            )
        }
        _ => None,
    }
}

/// Loop variables that the function given to `Go` uses, each with its first use.
fn captured<'t>(package: &Package<'t>, call: At<'t>) -> Vec<(At<'t>, &'t str)> {
    let argument = call
        .node
        .child_by_field_name("arguments")
        .and_then(|arguments| children(arguments).into_iter().next());
    let Some(argument) = argument else {
        return Vec::new();
    };
    let Callee::Literal(literal) = package.function_value(At {
        file: call.file,
        node: argument,
    }) else {
        return Vec::new();
    };
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    walk(literal.node, |node| {
        if node.kind() == "identifier"
            && let Some(id) = package.files[literal.file].scope.local(node)
        {
            let decl = package.decl_data((literal.file, id));
            let outside = !literal.node.byte_range().contains(&decl.node.start_byte());
            if outside
                && matches!(decl.kind, DeclKind::Loop | DeclKind::LoopValue)
                && seen.insert(id)
            {
                found.push((
                    At {
                        file: literal.file,
                        node,
                    },
                    decl.name,
                ));
            }
        }
        true
    });
    found
}
