//! `return err` of an error that came straight from elsewhere.

use tree_sitter::Node;

use super::call_name;
use super::known::{Results, is_error_type, results};
use crate::facts::syntax::{children, text, walk};
use crate::rules::go::reach::{is_client_name, is_query_name, last_part};
use crate::rules::go::{At, Callee, Package, is_standard};

/// Methods of well-known interfaces, whose callers compare the error with what they know.
const PASSES_ON: &[&str] = &[
    "UnmarshalJSON",
    "MarshalJSON",
    "UnmarshalText",
    "MarshalText",
    "UnmarshalXML",
    "MarshalXML",
    "UnmarshalYAML",
    "MarshalYAML",
    "Read",
    "Write",
    "Close",
    "Seek",
    "ReadFrom",
    "WriteTo",
    "RoundTrip",
    "Scan",
    "Value",
];

/// `return err` of an error that came straight from another package.
pub(super) fn bare_return<'t>(package: &Package<'t>, at: At<'t>, found: &mut super::Found<'t>) {
    let Some(last) = children(at.node)
        .first()
        .and_then(|list| children(*list).into_iter().last())
    else {
        return;
    };
    let error = At {
        file: at.file,
        node: last,
    };
    let Some(decl) = package.decl(error) else {
        return;
    };
    let Some(function) = function_around(at.node) else {
        return;
    };
    let function = At {
        file: at.file,
        node: function,
    };
    let returns_error = package
        .results(function)
        .and_then(|types| types.last().copied())
        .is_some_and(|ty| is_error_type(package, ty));
    if !returns_error || decl.0 != at.file || is_passed_on(package, function) {
        return;
    }
    // What was given last before the return, in the order of the text.
    let data = package.decl_data(decl);
    let given = data
        .values
        .iter()
        .filter(|value| value.expr.start_byte() < at.node.start_byte())
        .max_by_key(|value| value.expr.start_byte());
    let Some(value) = given else { return };
    let from = At {
        file: decl.0,
        node: value.expr,
    };
    if value.expr.kind() == "call_expression"
        && value.index + 1 == value.of
        && function_around(value.expr) == Some(function.node)
        && is_from_elsewhere(package, from)
    {
        found.push((
            error,
            format!(
                "the error of `{}` is returned without saying what was being done",
                call_name(package, from)
            ),
        ));
    }
}

fn function_around(node: Node<'_>) -> Option<Node<'_>> {
    let mut node = node;
    loop {
        node = node.parent()?;
        if matches!(
            node.kind(),
            "function_declaration" | "method_declaration" | "func_literal"
        ) {
            return Some(node);
        }
    }
}

/// Whether a function hands errors on as they are, or wraps them all in one `defer`.
fn is_passed_on(package: &Package<'_>, function: At<'_>) -> bool {
    let source = package.files[function.file].text;
    let name = function
        .node
        .child_by_field_name("name")
        .map_or("", |n| text(n, source));
    if function.node.kind() == "method_declaration" && PASSES_ON.contains(&name) {
        return true;
    }
    let mut wraps_all = false;
    walk(function.node, |node| {
        if node.kind() == "defer_statement" {
            walk(node, |inner| {
                if inner.kind() == "assignment_statement" {
                    let rights = inner
                        .child_by_field_name("right")
                        .map(children)
                        .unwrap_or_default();
                    wraps_all |= rights.iter().any(|right| {
                        right.kind() == "call_expression"
                            && matches!(
                                package.callee(At {
                                    file: function.file,
                                    node: *right
                                }),
                                Callee::Package {
                                    path: "fmt",
                                    name: "Errorf"
                                }
                            )
                    });
                }
                true
            });
            return false;
        }
        true
    });
    wraps_all
}

/// Whether a call's error was made by the standard library or by a vendor's client.
///
/// Other packages may be the team's own; what they return has been wrapped there.
fn is_from_elsewhere<'t>(package: &Package<'t>, call: At<'t>) -> bool {
    let fails = || results(package, call) != Results::NoError;
    match package.callee(call) {
        // A walk returns what the function given to it returned.
        Callee::Package {
            path: "path/filepath" | "io/fs",
            name: "Walk" | "WalkDir",
        }
        | Callee::Foreign {
            name: "Err" | "Wait" | "Acquire",
            ..
        } => false,
        Callee::Package { path, name } => {
            let last = path.rsplit('/').next().unwrap_or(path);
            let makes_errors =
                matches!(path, "fmt" | "context") || last.contains("err") || last == "status";
            !makes_errors && (is_standard(path) || is_query_name(name)) && fails()
        }
        Callee::Foreign {
            operand,
            ty: Some(ty),
            ..
        } => match package.foreign_name(ty) {
            Some(("context", _)) | None => false,
            Some((path, _)) if is_standard(path) => {
                let known = results(package, call);
                !matches!(known, Results::NoError | Results::Unknown)
            }
            Some((path, name)) => {
                let source = package.files[operand.file].text;
                let vendor =
                    is_client_name(name) || is_client_name(last_part(operand.node, source));
                vendor && !path.ends_with("/errgroup") && fails()
            }
        },
        // What a package function made: `json.NewDecoder(r).Decode(&v)`.
        Callee::Foreign {
            operand, ty: None, ..
        } => made_by_standard(package, operand, 8) && fails(),
        _ => false,
    }
}

/// Whether a value was made by the standard library.
pub fn made_by_standard(package: &Package<'_>, expr: At<'_>, follow: usize) -> bool {
    let Some(follow) = follow.checked_sub(1) else {
        return false;
    };
    match expr.node.kind() {
        "identifier" => {
            if let Some(path) = package.import(expr) {
                return is_standard(path) && path != "context";
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
