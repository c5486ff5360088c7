//! Whether code reaches another system: an HTTP request, or a method of a client that another
//! package declares.

use std::collections::HashMap;

use tree_sitter::Node;

use super::{At, Callee, Package, is_standard};
use crate::facts::syntax::{children, depth, text, walk};

/// Answers, remembered per function, whether calls reach an API.
pub struct Reach<'p, 't> {
    package: &'p Package<'t>,
    known: HashMap<usize, bool>,
}

impl<'p, 't> Reach<'p, 't> {
    /// Nothing looked at yet.
    pub fn new(package: &'p Package<'t>) -> Self {
        Self {
            package,
            known: HashMap::new(),
        }
    }

    /// Whether a call is a request, or calls functions of this package that make one.
    pub fn call(&mut self, call: At<'t>) -> bool {
        match self.package.callee(call) {
            Callee::Func(func) => self.func(func),
            Callee::Interface(funcs) => {
                // Without an implementation in this package the interface's name decides.
                let implemented = funcs.iter().any(|func| self.func(*func));
                implemented || (funcs.is_empty() && self.may_ask(call))
            }
            Callee::Literal(literal) => self.body(literal),
            Callee::Package { path, name } => self.package_call(call, path, name),
            Callee::Foreign { operand, ty, name } => self.method_call(call, operand, ty, name),
            Callee::Value(_) => self.may_ask(call),
            Callee::Builtin(_) | Callee::Unknown => false,
        }
    }

    /// Whether a call of what is implemented elsewhere looks like a question to a remote system: it
    /// is named like one, takes a context or a request, or belongs to something named like a client.
    fn may_ask(&self, call: At<'t>) -> bool {
        let source = self.package.files[call.file].text;
        let name = call
            .node
            .child_by_field_name("function")
            .map_or("", |f| last_part(f, source));
        let arguments = call
            .node
            .child_by_field_name("arguments")
            .map(children)
            .unwrap_or_default();
        let takes = arguments.iter().any(|argument| {
            let word = last_part(*argument, source);
            matches!(word, "ctx" | "Background" | "TODO" | "WithContext")
                || self
                    .package
                    .type_of(At {
                        file: call.file,
                        node: *argument,
                    })
                    .and_then(|ty| self.package.foreign_name(ty))
                    .is_some_and(|(path, name)| {
                        matches!(
                            (path, name),
                            ("net/http", "Request") | ("context", "Context")
                        )
                    })
        });
        takes || is_query_name(name) || self.is_client(call, None)
    }

    /// Whether a function of the package makes a request, by itself or through others.
    pub fn func(&mut self, index: usize) -> bool {
        if let Some(known) = self.known.get(&index) {
            return *known;
        }
        // Functions still to look at; each is looked at once, without recursion through calls.
        let mut seen = vec![index];
        let mut next = 0;
        let mut found = false;
        while let Some(func) = seen.get(next).copied() {
            next += 1;
            if self.known.get(&func) == Some(&true) {
                found = true;
                break;
            }
            let func = &self.package.funcs[func];
            let Some(body) = func.body else { continue };
            for at in reachable_nodes(
                self.package,
                At {
                    file: func.at.file,
                    node: body,
                },
            ) {
                if at.node.kind() != "call_expression" {
                    // A method given away as a value may be called.
                    if let Callee::Func(other) = self.package.function_value(at)
                        && !seen.contains(&other)
                    {
                        seen.push(other);
                    }
                    continue;
                }
                match self.package.callee(at) {
                    Callee::Func(other) if !seen.contains(&other) => seen.push(other),
                    Callee::Interface(others) if !others.is_empty() => {
                        for other in others {
                            if !seen.contains(&other) {
                                seen.push(other);
                            }
                        }
                    }
                    Callee::Interface(_) | Callee::Value(_) => found |= self.may_ask(at),
                    Callee::Package { path, name } => found |= self.package_call(at, path, name),
                    Callee::Foreign { operand, ty, name } => {
                        found |= self.method_call(at, operand, ty, name);
                    }
                    _ => {}
                }
            }
            if found {
                break;
            }
        }
        self.known.insert(index, found);
        found
    }

    /// Whether a body, e.g. of a function literal, holds a call that reaches an API.
    pub fn body(&mut self, body: At<'t>) -> bool {
        let calls: Vec<At<'t>> = reachable_nodes(self.package, body)
            .into_iter()
            .filter(|at| at.node.kind() == "call_expression")
            .collect();
        calls
            .into_iter()
            .any(|call| match self.package.callee(call) {
                // What a literal within contains has been walked already.
                Callee::Literal(_) => false,
                _ => self.call(call),
            })
    }

    fn package_call(&self, call: At<'t>, path: &str, name: &str) -> bool {
        if path == "net/http" {
            return match name {
                "Get" | "Post" | "PostForm" | "Head" => true,
                // Creating a request is not sending it: somebody must be given it.
                "NewRequest" | "NewRequestWithContext" => self.request_is_used(call),
                _ => false,
            };
        }
        if path == "net" || path == "crypto/tls" {
            return name.starts_with("Dial");
        }
        !is_standard(path) && is_query_name(name) && !is_model(path)
    }

    fn request_is_used(&self, call: At<'t>) -> bool {
        let Some(declaration) =
            call.node
                .parent()
                .and_then(|list| list.parent())
                .filter(|statement| {
                    matches!(
                        statement.kind(),
                        "short_var_declaration" | "assignment_statement"
                    )
                })
        else {
            return call
                .node
                .parent()
                .is_some_and(|p| p.kind() == "argument_list");
        };
        let Some(name) = declaration
            .child_by_field_name("left")
            .and_then(|left| children(left).into_iter().next())
        else {
            return false;
        };
        let Some(request) = self.package.decl(At {
            file: call.file,
            node: name,
        }) else {
            return false;
        };
        let mut used = false;
        walk(self.package.files[call.file].root, |node| {
            if node.kind() == "identifier"
                && node.parent().is_some_and(|p| p.kind() == "argument_list")
                && self.package.decl(At {
                    file: call.file,
                    node,
                }) == Some(request)
            {
                used = true;
            }
            !used
        });
        used
    }

    fn method_call(
        &self,
        call: At<'t>,
        operand: At<'t>,
        ty: Option<super::Ty<'t>>,
        name: &str,
    ) -> bool {
        if let Some(ty) = ty
            && let Some((path, type_name)) = self.package.foreign_name(ty)
        {
            if path == "net/http" {
                return match type_name {
                    "Client" => {
                        matches!(name, "Do" | "Get" | "Head" | "Post" | "PostForm")
                    }
                    "RoundTripper" | "Transport" => name == "RoundTrip",
                    _ => false,
                };
            }
            if is_standard(path) {
                return false;
            }
            return is_client_name(type_name)
                || (self.is_client(call, Some(operand)) && !is_model(path));
        }
        // `http.DefaultClient.Do(request)`
        if operand.node.kind() == "selector_expression"
            && let Some(inner) = operand.node.child_by_field_name("operand")
            && self.package.import(At {
                file: operand.file,
                node: inner,
            }) == Some("net/http")
        {
            return matches!(
                name,
                "Do" | "Get" | "Head" | "Post" | "PostForm" | "RoundTrip"
            );
        }
        // A package of the standard library named like a client is none, and neither is a value
        // this package declares itself.
        if ty.is_some_and(|ty| self.package.local_name(ty).is_some()) {
            return false;
        }
        // Something another package made: what `resty.New().R()` gives is not written here.
        self.is_client(call, Some(operand))
    }

    /// Whether what a method is called on is named like a client.
    fn is_client(&self, call: At<'t>, operand: Option<At<'t>>) -> bool {
        let operand = operand.or_else(|| {
            let function = call.node.child_by_field_name("function")?;
            let node = function.child_by_field_name("operand")?;
            Some(At {
                file: call.file,
                node,
            })
        });
        let Some(operand) = operand else { return false };
        if let Some(ty) = self.package.type_of(operand)
            && self.package.last_name(ty).is_some_and(is_client_name)
        {
            return true;
        }
        is_client_name(last_part(
            operand.node,
            self.package.files[operand.file].text,
        ))
    }
}

/// The last name of an expression: `w.api.client` gives `client`, `newClient()` gives `newClient`.
pub fn last_part<'t>(node: Node<'t>, source: &'t str) -> &'t str {
    let mut node = node;
    loop {
        let inner = match node.kind() {
            "selector_expression" => node.child_by_field_name("field"),
            "call_expression" => node.child_by_field_name("function"),
            "index_expression" | "unary_expression" => node.child_by_field_name("operand"),
            "parenthesized_expression" => children(node).into_iter().next(),
            _ => None,
        };
        match inner {
            Some(inner) => node = inner,
            None => return text(node, source),
        }
    }
}

/// Whether a name is one that clients of remote systems bear.
pub fn is_client_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "client",
        "api",
        "sdk",
        "pager",
        "paginator",
        "session",
        "conn",
        "graphql",
        "http",
        "service",
    ]
    .iter()
    .any(|word| name.contains(word))
}

/// Whether a function's name says that it asks for something.
pub fn is_query_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "get", "list", "fetch", "query", "search", "request", "do", "describe", "retrieve",
        "download", "find", "lookup", "next",
    ]
    .iter()
    .any(|word| name.starts_with(word))
}

/// The packages that hold the platform's own data, which are not a vendor's API.
fn is_model(path: &str) -> bool {
    path.split('/')
        .any(|part| matches!(part, "model" | "models" | "tabularium" | "registry"))
}

/// The calls, and the names used as values, in a body, without what cannot run: statements after
/// one that ends the block, and `if false`.
pub fn reachable_nodes<'t>(package: &Package<'t>, body: At<'t>) -> Vec<At<'t>> {
    let mut found = Vec::new();
    let source = package.files[body.file].text;
    walk(body.node, |node| {
        match node.kind() {
            "call_expression" => found.push(At {
                file: body.file,
                node,
            }),
            "selector_expression" | "identifier"
                if node.parent().is_some_and(|parent| {
                    matches!(
                        parent.kind(),
                        "argument_list" | "expression_list" | "literal_element"
                    )
                }) =>
            {
                found.push(At {
                    file: body.file,
                    node,
                });
            }
            "if_statement"
                if node
                    .child_by_field_name("condition")
                    .is_some_and(|condition| text(condition, source) == "false") =>
            {
                return false;
            }
            _ => {}
        }
        true
    });
    // The values of a `return` are reached, what follows is not.
    let mut dead: Vec<std::ops::Range<usize>> = Vec::new();
    walk(body.node, |node| {
        if matches!(
            node.kind(),
            "return_statement" | "break_statement" | "continue_statement"
        ) && let Some(list) = node.parent().filter(|p| p.kind() == "statement_list")
        {
            dead.push(node.end_byte()..list.end_byte());
        }
        true
    });
    found.retain(|at| {
        !dead
            .iter()
            .any(|range| range.contains(&at.node.start_byte()))
    });
    found
}

/// Deepest nesting that is judged; deeper files get a finding that says so.
pub const DEEPEST: usize = 1_000;

/// Whether a tree is too deep to be judged by walks that recurse.
pub fn too_deep(root: Node<'_>) -> bool {
    depth(root) > DEEPEST
}
