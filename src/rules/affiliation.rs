//! `check-affiliation`: the handler's `CheckAffiliation` really asks the vendor's API.

use tree_sitter::Node;

use super::Report;
use super::go::reach::{Reach, reachable_nodes};
use super::go::{At, Callee, Package};
use crate::facts::syntax::{children, text};

const RULE: &str = "check-affiliation";
const METHOD: &str = "CheckAffiliation";

pub(super) fn check(report: &mut Report<'_, '_>) {
    let package = report.package;
    let mut reach = Reach::new(package);
    for (handler, invoke) in package.handlers() {
        let Some(method) = package.method(handler, METHOD) else {
            let at = handler_place(package, handler, invoke);
            report.add(
                RULE,
                at,
                format!("handler {handler} has no method {METHOD}"),
            );
            continue;
        };
        let func = &package.funcs[method];
        let Some(body) = func.body else { continue };
        let place = func
            .at
            .node
            .child_by_field_name("name")
            .unwrap_or(func.at.node);
        let place = At {
            file: func.at.file,
            node: place,
        };
        match asks(
            package,
            &mut reach,
            At {
                file: func.at.file,
                node: body,
            },
        ) {
            Asks::Yes => {}
            Asks::Ignored(call) => report.add(
                RULE,
                call,
                format!("{METHOD} of {handler} asks the vendor's API and ignores the answer"),
            ),
            Asks::No => report.add(
                RULE,
                place,
                format!("{METHOD} of {handler} answers without asking the vendor's API"),
            ),
        }
    }
}

/// Where a finding about a handler as a whole belongs: its type, or `Invoke` when the type is
/// declared elsewhere.
pub(super) fn handler_place<'t>(package: &Package<'t>, handler: &str, invoke: usize) -> At<'t> {
    let func = &package.funcs[invoke];
    match package.types.get(handler) {
        Some(at) if at.file == func.at.file => At {
            file: at.file,
            node: at.node.child_by_field_name("name").unwrap_or(at.node),
        },
        _ => At {
            file: func.at.file,
            node: func
                .at
                .node
                .child_by_field_name("name")
                .unwrap_or(func.at.node),
        },
    }
}

enum Asks<'t> {
    Yes,
    Ignored(At<'t>),
    No,
}

fn asks<'t>(package: &Package<'t>, reach: &mut Reach<'_, 't>, body: At<'t>) -> Asks<'t> {
    let mut ignored = None;
    for at in reachable_nodes(package, body) {
        if at.node.kind() != "call_expression" {
            // A function given away: `retry(ctx, w.lookup)`.
            if let Callee::Func(func) = package.function_value(at)
                && reach.func(func)
            {
                return Asks::Yes;
            }
            continue;
        }
        if !reach.call(at) {
            continue;
        }
        if is_ignored(at.node, package.files[at.file].text) {
            ignored.get_or_insert(at);
        } else {
            return Asks::Yes;
        }
    }
    ignored.map_or(Asks::No, Asks::Ignored)
}

/// Whether nothing is done with what a call returns.
fn is_ignored(call: Node<'_>, source: &str) -> bool {
    let Some(parent) = call.parent() else {
        return false;
    };
    match parent.kind() {
        "expression_statement" | "go_statement" | "defer_statement" => true,
        "expression_list" => parent
            .parent()
            .and_then(|statement| statement.child_by_field_name("left"))
            .is_some_and(|left| children(left).iter().all(|name| text(*name, source) == "_")),
        _ => false,
    }
}
