//! What is a `VMFilter`, and whether a handler's is initialised.

use std::collections::{HashMap, HashSet};

use tree_sitter::Node;

use crate::facts::syntax::{children, text, walk};
use crate::rules::go::reach::last_part;
use crate::rules::go::{At, Field, Package, Ty};

/// The `VMFilter` fields of a package's handlers.
pub struct Filters<'p, 't> {
    package: &'p Package<'t>,
    fields: HashMap<&'t str, Vec<Field<'t>>>,
    initialised: HashSet<(&'t str, &'t str)>,
    /// Written types of those fields, e.g. `model.Filter`.
    types: HashSet<&'t str>,
}

impl<'p, 't> Filters<'p, 't> {
    /// Looks for the fields and for what they are given.
    pub fn of(package: &'p Package<'t>) -> Self {
        let mut filters = Self {
            package,
            fields: HashMap::new(),
            initialised: HashSet::new(),
            types: HashSet::new(),
        };
        let given = given(package);
        for (handler, _) in package.handlers() {
            let found: Vec<Field<'t>> = all_fields(package, handler, 4)
                .into_iter()
                .filter(|(owner, field)| {
                    names_filter(field.name)
                        || package.last_name(field.ty).is_some_and(names_filter)
                        || given.iter().any(|g| {
                            g.owner == Some(*owner) && g.field == field.name && g.makes_filter
                        })
                })
                .map(|(owner, field)| {
                    let live = given.iter().any(|g| {
                        g.live
                            && g.field == field.name
                            && g.owner.is_none_or(|o| o == owner || o == handler)
                    });
                    if live {
                        filters.initialised.insert((handler, field.name));
                    }
                    field
                })
                .collect();
            for field in &found {
                let source = package.files[field.ty.file].text;
                filters.types.insert(text(field.ty.bare().node, source));
            }
            filters.fields.insert(handler, found);
        }
        filters
    }

    /// The `VMFilter` fields of a handler.
    pub fn fields(&self, handler: &str) -> &[Field<'t>] {
        self.fields.get(handler).map_or(&[], Vec::as_slice)
    }

    /// Whether a field is given a value somewhere that can run.
    pub fn is_initialised(&self, handler: &'t str, field: &'t str) -> bool {
        self.initialised.contains(&(handler, field))
    }

    /// Whether a call asks a `VMFilter` about an entity.
    pub fn is_question(&self, call: At<'t>) -> bool {
        let Some(function) = call.node.child_by_field_name("function") else {
            return false;
        };
        if function.kind() != "selector_expression" {
            return false;
        }
        // Asking without an entity is asking something else.
        let asked = call
            .node
            .child_by_field_name("arguments")
            .is_some_and(|a| !children(a).is_empty());
        let Some(operand) = function.child_by_field_name("operand") else {
            return false;
        };
        let source = self.package.files[call.file].text;
        let name = function
            .child_by_field_name("field")
            .map_or("", |field| text(field, source));
        if [
            "Set",
            "Add",
            "With",
            "Init",
            "Load",
            "Register",
            "Configure",
            "Close",
        ]
        .iter()
        .any(|word| name.starts_with(word))
        {
            return false;
        }
        asked
            && self.is_filter(
                At {
                    file: call.file,
                    node: operand,
                },
                8,
            )
    }

    fn is_filter(&self, expr: At<'t>, follow: usize) -> bool {
        let Some(follow) = follow.checked_sub(1) else {
            return false;
        };
        if self.package.import(expr).is_some() {
            return false;
        }
        if let Some(ty) = self.package.type_of(expr) {
            return self.is_filter_type(ty) || self.is_field(expr);
        }
        if self.is_field(expr) {
            return true;
        }
        let source = self.package.files[expr.file].text;
        if names_filter(last_part(expr.node, source)) {
            return true;
        }
        let Some(decl) = self.package.decl(expr) else {
            return false;
        };
        let data = self.package.decl_data(decl);
        data.values.first().is_some_and(|value| {
            self.is_filter(
                At {
                    file: decl.0,
                    node: value.expr,
                },
                follow,
            )
        })
    }

    fn is_filter_type(&self, ty: Ty<'t>) -> bool {
        let source = self.package.files[ty.file].text;
        self.package.last_name(ty).is_some_and(names_filter)
            || self.types.contains(text(ty.bare().node, source))
    }

    /// Whether an expression selects a `VMFilter` field of a handler.
    fn is_field(&self, expr: At<'t>) -> bool {
        if expr.node.kind() != "selector_expression" {
            return false;
        }
        let source = self.package.files[expr.file].text;
        let (Some(operand), Some(name)) = (
            expr.node.child_by_field_name("operand"),
            expr.node.child_by_field_name("field"),
        ) else {
            return false;
        };
        let name = text(name, source);
        let owner = self
            .package
            .type_of(At {
                file: expr.file,
                node: operand,
            })
            .and_then(|ty| self.package.local_name(ty));
        self.fields.iter().any(|(handler, fields)| {
            owner.is_none_or(|owner| owner == *handler)
                && fields.iter().any(|field| field.name == name)
        })
    }
}

/// Whether a name says `VMFilter`.
fn names_filter(name: &str) -> bool {
    name.to_ascii_lowercase()
        .replace('_', "")
        .contains("vmfilter")
}

/// A struct's fields and those of structs of this package it embeds, each with its owner.
fn all_fields<'t>(package: &Package<'t>, ty: &'t str, depth: usize) -> Vec<(&'t str, Field<'t>)> {
    let mut found = Vec::new();
    for field in package.struct_fields(ty) {
        found.push((ty, field));
        if depth > 0
            && field.embedded
            && let Some(inner) = package.local_name(field.ty)
        {
            found.extend(all_fields(package, inner, depth - 1));
        }
    }
    found
}

/// A value that a field is given.
struct Given<'t> {
    /// The struct, when it is known.
    owner: Option<&'t str>,
    field: &'t str,
    /// The value is made by something named like a `VMFilter`.
    makes_filter: bool,
    /// It is in code that something can run.
    live: bool,
}

fn given<'t>(package: &Package<'t>) -> Vec<Given<'t>> {
    let mut found = Vec::new();
    for (index, file) in package.files.iter().enumerate() {
        for node in children(file.root) {
            let before = found.len();
            walk(node, |inner| {
                let at = At {
                    file: index,
                    node: inner,
                };
                match inner.kind() {
                    "composite_literal" => literal(package, at, &mut found),
                    "assignment_statement" => assigned(package, at, &mut found),
                    "if_statement"
                        if inner
                            .child_by_field_name("condition")
                            .is_some_and(|condition| text(condition, file.text) == "false") =>
                    {
                        return false;
                    }
                    _ => {}
                }
                true
            });
            if found.len() > before && !is_live(package, index, node) {
                for given in &mut found[before..] {
                    given.live = false;
                }
            }
        }
    }
    found
}

/// Whether a top-level declaration can run: an unexported function that nothing names cannot.
fn is_live(package: &Package<'_>, file: usize, node: Node<'_>) -> bool {
    if !matches!(node.kind(), "function_declaration" | "method_declaration") {
        return true;
    }
    let Some(name) = node.child_by_field_name("name") else {
        return true;
    };
    let name = text(name, package.files[file].text);
    if matches!(name, "init" | "main") || name.starts_with(char::is_uppercase) {
        return true;
    }
    package.files.iter().any(|other| {
        let mut named = false;
        walk(other.root, |inner| {
            named |= matches!(inner.kind(), "identifier" | "field_identifier")
                && text(inner, other.text) == name
                && inner.parent().is_none_or(|parent| {
                    !matches!(parent.kind(), "function_declaration" | "method_declaration")
                })
                && (inner.start_byte() < node.start_byte()
                    || inner.start_byte() >= node.end_byte()
                    || !std::ptr::eq(other, &raw const package.files[file]));
            !named
        });
        named
    })
}

fn value_of(at: At<'_>) -> At<'_> {
    let mut node = at.node;
    while matches!(node.kind(), "literal_element" | "parenthesized_expression") {
        let Some(inner) = children(node).into_iter().next() else {
            break;
        };
        node = inner;
    }
    At {
        file: at.file,
        node,
    }
}

fn gives<'t>(
    package: &Package<'t>,
    owner: Option<&'t str>,
    field: &'t str,
    value: At<'t>,
) -> Option<Given<'t>> {
    let value = value_of(value);
    if value.node.kind() == "nil" {
        return None;
    }
    let source = package.files[value.file].text;
    // `*new(T)`, `&T{}` and a conversion are told by what they contain.
    let mut makes_filter = names_filter(last_part(value.node, source));
    walk(value.node, |inner| {
        makes_filter |= inner.child_count() == 0
            && inner.kind().ends_with("identifier")
            && names_filter(text(inner, source));
        !makes_filter
    });
    if let Some(decl) = package.decl(value) {
        makes_filter |= package
            .decl_data(decl)
            .values
            .iter()
            .any(|v| names_filter(last_part(v.expr, package.files[decl.0].text)));
    }
    Some(Given {
        owner,
        field,
        makes_filter,
        live: true,
    })
}

fn literal<'t>(package: &Package<'t>, at: At<'t>, found: &mut Vec<Given<'t>>) {
    let (Some(ty), Some(body)) = (
        at.node.child_by_field_name("type"),
        at.node.child_by_field_name("body"),
    ) else {
        return;
    };
    let Some(owner) = package.local_name(Ty {
        file: at.file,
        node: ty,
    }) else {
        return;
    };
    let source = package.files[at.file].text;
    let fields = package.struct_fields(owner);
    for (i, element) in children(body).into_iter().enumerate() {
        if element.kind() == "keyed_element" {
            let (Some(key), Some(value)) = (
                element.child_by_field_name("key"),
                element.child_by_field_name("value"),
            ) else {
                continue;
            };
            let value = At {
                file: at.file,
                node: value,
            };
            found.extend(gives(package, Some(owner), text(key, source), value));
        } else if let Some(field) = fields.get(i) {
            let value = At {
                file: at.file,
                node: element,
            };
            found.extend(gives(package, Some(owner), field.name, value));
        }
    }
}

fn assigned<'t>(package: &Package<'t>, at: At<'t>, found: &mut Vec<Given<'t>>) {
    let list = |field: &str| {
        at.node
            .child_by_field_name(field)
            .map(children)
            .unwrap_or_default()
    };
    let (lefts, rights) = (list("left"), list("right"));
    let source = package.files[at.file].text;
    for (i, left) in lefts.iter().enumerate() {
        if left.kind() != "selector_expression" {
            continue;
        }
        let (Some(operand), Some(name)) = (
            left.child_by_field_name("operand"),
            left.child_by_field_name("field"),
        ) else {
            continue;
        };
        let ty = package.type_of(At {
            file: at.file,
            node: operand,
        });
        let owner = ty.and_then(|ty| package.local_name(ty));
        if ty.is_some() && owner.is_none() {
            continue;
        }
        if let Some(right) = rights.get(i).or(rights.first()) {
            let value = At {
                file: at.file,
                node: *right,
            };
            found.extend(gives(package, owner, text(name, source), value));
        }
    }
}
