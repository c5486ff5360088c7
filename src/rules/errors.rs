//! `error-handling`: no error is thrown away, and what comes from another package is wrapped.
//!
//! Three kinds of findings: an error given to `_` or not taken at all; `fmt.Errorf` with an error and
//! without `%w`; `return err` where `err` came straight from a function of another package. A call
//! that is itself returned (`return c.http.Do(request)`) passes its error through and is left alone.

pub(super) mod bare;
mod known;

use self::known::{Results, is_error_type, results, takes_context};
use super::Report;
use super::go::reach::last_part;
use super::go::{At, Callee, Package};
use crate::facts::syntax::{children, fields, text, walk};

const RULE: &str = "error-handling";

pub(super) fn check(report: &mut Report<'_, '_>) {
    let package = report.package;
    for (index, file) in package.files.iter().enumerate() {
        if !file.judged {
            continue;
        }
        let mut found: Vec<(At<'_>, String)> = Vec::new();
        walk(file.root, |node| {
            let at = At { file: index, node };
            match node.kind() {
                "assignment_statement" | "short_var_declaration" | "var_spec" => {
                    blanks(package, at, &mut found);
                }
                "expression_statement" => dropped(package, at, &mut found),
                "call_expression" => unwrapped_text(package, at, &mut found),
                "return_statement" => bare::bare_return(package, at, &mut found),
                _ => {}
            }
            true
        });
        for (at, message) in found {
            report.add(RULE, at, message);
        }
    }
}

type Found<'t> = Vec<(At<'t>, String)>;

fn call_name<'t>(package: &Package<'t>, call: At<'t>) -> &'t str {
    let source = package.files[call.file].text;
    call.node
        .child_by_field_name("function")
        .map_or("", |f| last_part(f, source))
}

/// Errors that are given to `_`.
fn blanks<'t>(package: &Package<'t>, at: At<'t>, found: &mut Found<'t>) {
    let source = package.files[at.file].text;
    let lefts = match at.node.child_by_field_name("left") {
        Some(list) => children(list),
        None => fields(at.node, "name"),
    };
    let rights = at
        .node
        .child_by_field_name("right")
        .or_else(|| at.node.child_by_field_name("value"))
        .map(children)
        .unwrap_or_default();
    let blank = |node: &tree_sitter::Node<'t>| text(*node, source) == "_";
    if lefts.len() == rights.len() {
        for (left, right) in lefts.iter().zip(&rights) {
            let value = At {
                file: at.file,
                node: *right,
            };
            if blank(left) && is_ignored_error(package, value) {
                found.push((
                    At {
                        file: at.file,
                        node: *left,
                    },
                    format!("the error `{}` is ignored", describe(package, value)),
                ));
            }
        }
        return;
    }
    let [call] = rights.as_slice() else { return };
    if call.kind() != "call_expression" {
        return;
    }
    let call = At {
        file: at.file,
        node: *call,
    };
    let known = results(package, call);
    for (i, left) in lefts.iter().enumerate() {
        let last = i + 1 == lefts.len();
        let is_error = match &known {
            Results::Signature(errors) => errors.get(i).copied().unwrap_or(false),
            // A signature that cannot be read: the last of several is an error more often than not.
            Results::LastIsError | Results::Likely | Results::Unknown => last,
            Results::NoError => false,
        };
        if blank(left) && is_error {
            found.push((
                At {
                    file: at.file,
                    node: *left,
                },
                format!("the error of `{}` is ignored", call_name(package, call)),
            ));
        }
    }
}

fn describe<'t>(package: &Package<'t>, value: At<'t>) -> &'t str {
    match value.node.kind() {
        "call_expression" => call_name(package, value),
        _ => package.text(value),
    }
}

/// Whether `_ = value` throws an error away.
fn is_ignored_error<'t>(package: &Package<'t>, value: At<'t>) -> bool {
    match value.node.kind() {
        "identifier" => is_error(package, value, 4),
        "call_expression" => {
            let name = call_name(package, value);
            // Closing after the work is done has nothing to report to.
            if matches!(name, "Close" | "CloseWithError") {
                return false;
            }
            match results(package, value) {
                Results::Signature(errors) => errors == [true],
                Results::LastIsError => true,
                Results::Likely => takes_context(package, value),
                Results::NoError | Results::Unknown => false,
            }
        }
        _ => false,
    }
}

/// Calls whose error is not even taken. Only what is certain: `defer` and `go` are left alone.
fn dropped<'t>(package: &Package<'t>, at: At<'t>, found: &mut Found<'t>) {
    let Some(call) = children(at.node)
        .into_iter()
        .find(|n| n.kind() == "call_expression")
    else {
        return;
    };
    let call = At {
        file: at.file,
        node: call,
    };
    let name = call_name(package, call);
    if name == "Close" {
        return;
    }
    let fails = match results(package, call) {
        Results::Signature(errors) => errors.last() == Some(&true),
        Results::LastIsError => !matches!(name, "WriteTo" | "ReadFrom" | "Shutdown"),
        _ => false,
    };
    if fails {
        found.push((call, format!("the error of `{name}` is ignored")));
    }
}

/// Errors whose text is taken instead of the error.
fn unwrapped_text<'t>(package: &Package<'t>, call: At<'t>, found: &mut Found<'t>) {
    let arguments: Vec<At<'t>> = call
        .node
        .child_by_field_name("arguments")
        .map(children)
        .unwrap_or_default()
        .into_iter()
        .map(|node| At {
            file: call.file,
            node,
        })
        .collect();
    match package.callee(call) {
        Callee::Package {
            path: "fmt",
            name: "Errorf",
        } => {
            let Some((format, rest)) = arguments.split_first() else {
                return;
            };
            let Some(format) = literal(package, *format, 8) else {
                return;
            };
            if wraps(&format) {
                return;
            }
            if rest
                .iter()
                .any(|a| is_error(package, *a, 8) || is_error_text(package, *a))
            {
                found.push((
                    call,
                    "fmt.Errorf takes an error and does not wrap it with %w".into(),
                ));
            }
        }
        Callee::Package {
            path: "errors",
            name: "New",
        } => {
            let Some(first) = arguments.first() else {
                return;
            };
            let mut inner = Vec::new();
            walk(first.node, |node| {
                if matches!(node.kind(), "call_expression" | "identifier") {
                    inner.push(At {
                        file: first.file,
                        node,
                    });
                }
                true
            });
            if inner.iter().any(|at| {
                is_error_text(package, *at)
                    || (at.node.kind() == "identifier" && is_error(package, *at, 8))
            }) {
                found.push((
                    call,
                    "errors.New takes the text of an error and loses the error; wrap it with %w"
                        .into(),
                ));
            }
        }
        _ => {}
    }
}

/// The text of a format: literals, their sum, constants.
fn literal<'t>(package: &Package<'t>, expr: At<'t>, follow: usize) -> Option<String> {
    let follow = follow.checked_sub(1)?;
    let side = |field: &str| {
        let node = expr.node.child_by_field_name(field)?;
        literal(
            package,
            At {
                file: expr.file,
                node,
            },
            follow,
        )
    };
    match expr.node.kind() {
        "interpreted_string_literal" | "raw_string_literal" => Some(package.text(expr).to_owned()),
        "parenthesized_expression" => {
            let node = children(expr.node).into_iter().next()?;
            literal(
                package,
                At {
                    file: expr.file,
                    node,
                },
                follow,
            )
        }
        "binary_expression" => Some(side("left")? + &side("right")?),
        "identifier" => {
            let decl = package.decl(expr)?;
            let [value] = package.decl_data(decl).values.as_slice() else {
                return None;
            };
            literal(
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

/// Whether a format has a `%w`.
fn wraps(format: &str) -> bool {
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        rest = &rest[at + 1..];
        let verb = rest
            .trim_start_matches(['+', '-', '#', ' ', '0', '[', ']', '.', '*'])
            .trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '[' | ']' | '.' | '*'));
        match verb.chars().next() {
            Some('w') => return true,
            Some(c) => rest = &verb[c.len_utf8()..],
            None => return false,
        }
    }
    false
}

/// `err.Error()`
fn is_error_text<'t>(package: &Package<'t>, expr: At<'t>) -> bool {
    expr.node.kind() == "call_expression"
        && expr
            .node
            .child_by_field_name("arguments")
            .is_some_and(|a| children(a).is_empty())
        && expr
            .node
            .child_by_field_name("function")
            .filter(|function| function.kind() == "selector_expression")
            .is_some_and(|_| call_name(package, expr) == "Error")
}

fn is_error<'t>(package: &Package<'t>, expr: At<'t>, follow: usize) -> bool {
    let Some(follow) = follow.checked_sub(1) else {
        return false;
    };
    let source = package.files[expr.file].text;
    match expr.node.kind() {
        "identifier" => {
            let name = text(expr.node, source);
            if let Some(decl) = package.decl(expr) {
                let data = package.decl_data(decl);
                if let Some(ty) = package.type_of_decl(decl) {
                    return is_error_type(package, ty);
                }
                if let Some(value) = data.values.first() {
                    let value_at = At {
                        file: decl.0,
                        node: value.expr,
                    };
                    if value.expr.kind() == "call_expression" {
                        return match results(package, value_at) {
                            Results::Signature(errors) => {
                                errors.get(value.index).copied().unwrap_or(false)
                            }
                            Results::NoError => {
                                is_error(package, value_at, follow) && names_error(name)
                            }
                            _ => value.index + 1 == value.of && names_error(name),
                        };
                    }
                    return is_error(package, value_at, follow);
                }
            }
            names_error(name)
        }
        "selector_expression" => match package.type_of(expr) {
            Some(ty) => is_error_type(package, ty),
            None => names_error(last_part(expr.node, source)),
        },
        "call_expression" => match package.callee(expr) {
            Callee::Package {
                path: "errors",
                name: "New" | "Join" | "Unwrap",
            }
            | Callee::Package {
                path: "fmt",
                name: "Errorf",
            }
            | Callee::Foreign { name: "Err", .. } => true,
            _ => results(package, expr) == Results::Signature(vec![true]),
        },
        "parenthesized_expression" => children(expr.node).first().is_some_and(|node| {
            is_error(
                package,
                At {
                    file: expr.file,
                    node: *node,
                },
                follow,
            )
        }),
        _ => false,
    }
}

fn names_error(name: &str) -> bool {
    name == "err"
        || name.ends_with("Err")
        || name
            .strip_prefix("err")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        || name
            .strip_prefix("Err")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::wraps;

    #[test]
    fn finds_the_wrapping_verb() {
        for format in ["%w", "x: %w", "%d%% %w", "%[2]w", "%-5d %w", "%+v: %w"] {
            assert!(wraps(format), "{format}");
        }
        for format in ["", "%", "%%w", "%v w", "100%", "%s", "% "] {
            assert!(!wraps(format), "{format}");
        }
    }
}
