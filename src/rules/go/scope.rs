//! Which declaration an identifier in a Go file means, and what is assigned to it.
//!
//! Follows the block scopes of the language (<https://go.dev/ref/spec#Declarations_and_scope>).
//! Names that are not declared within the file's functions are left to the package.

use std::collections::HashMap;

use tree_sitter::Node;

use crate::facts::syntax::{children, fields, list, text};

/// Index of a declaration within its file.
pub type DeclId = usize;

/// A variable, constant or parameter.
#[derive(Debug)]
pub struct Decl<'t> {
    /// Its name.
    pub name: &'t str,
    /// The identifier that declares it.
    pub node: Node<'t>,
    /// What kind of declaration it is.
    pub kind: DeclKind,
    /// Its written type.
    pub ty: Option<Node<'t>>,
    /// What it is given, in source order, the declaration included.
    pub values: Vec<Value<'t>>,
    /// Where it is counted up (`true`) or down (`false`).
    pub steps: Vec<(Node<'t>, bool)>,
}

/// Kinds of declarations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclKind {
    /// A parameter or receiver.
    Parameter,
    /// A named result.
    Result,
    /// A variable.
    Variable,
    /// A constant.
    Constant,
    /// The variable of a `for` clause, or the key of a range clause.
    Loop,
    /// The value of a range clause.
    LoopValue,
}

/// What a declaration is given.
#[derive(Debug, Clone, Copy)]
pub struct Value<'t> {
    /// The expression; for a range clause what is ranged over.
    pub expr: Node<'t>,
    /// Which of the expression's results.
    pub index: usize,
    /// How many results are taken.
    pub of: usize,
}

/// The declarations of a file.
#[derive(Debug, Default)]
pub struct Scope<'t> {
    /// All declarations.
    pub decls: Vec<Decl<'t>>,
    /// Package-level variables and constants by name.
    pub globals: HashMap<&'t str, DeclId>,
    uses: HashMap<usize, DeclId>,
}

impl<'t> Scope<'t> {
    /// Reads a file. The caller has bounded the depth of the tree.
    pub fn of(root: Node<'t>, source: &'t str) -> Self {
        let mut builder = Builder {
            source,
            scope: Self::default(),
            blocks: Vec::new(),
        };
        for node in children(root) {
            if matches!(node.kind(), "var_declaration" | "const_declaration") {
                builder.specs(node, true);
            }
        }
        for node in children(root) {
            builder.visit(node);
        }
        builder.scope
    }

    /// The declaration an identifier means, when it lies within the file's functions.
    pub fn local(&self, identifier: Node<'_>) -> Option<DeclId> {
        self.uses.get(&identifier.start_byte()).copied()
    }
}

struct Builder<'t> {
    source: &'t str,
    scope: Scope<'t>,
    blocks: Vec<HashMap<&'t str, DeclId>>,
}

impl<'t> Builder<'t> {
    fn declare(&mut self, node: Node<'t>, kind: DeclKind, ty: Option<Node<'t>>) -> Option<DeclId> {
        let name = text(node, self.source);
        if name == "_" || name.is_empty() || node.kind() != "identifier" {
            return None;
        }
        let id = self.scope.decls.len();
        self.scope.decls.push(Decl {
            name,
            node,
            kind,
            ty,
            values: Vec::new(),
            steps: Vec::new(),
        });
        self.scope.uses.insert(node.start_byte(), id);
        if let Some(block) = self.blocks.last_mut() {
            block.insert(name, id);
        } else {
            self.scope.globals.insert(name, id);
        }
        Some(id)
    }

    fn lookup(&self, name: &str) -> Option<DeclId> {
        self.blocks
            .iter()
            .rev()
            .find_map(|block| block.get(name).copied())
    }

    fn scoped(&mut self, visit: impl FnOnce(&mut Self)) {
        self.blocks.push(HashMap::new());
        visit(self);
        self.blocks.pop();
    }

    fn give(&mut self, id: DeclId, left: usize, lefts: usize, rights: &[Node<'t>]) {
        let value = if rights.len() == lefts {
            rights.get(left).map(|expr| Value {
                expr: *expr,
                index: 0,
                of: 1,
            })
        } else {
            rights.first().map(|expr| Value {
                expr: *expr,
                index: left,
                of: lefts,
            })
        };
        self.scope.decls[id].values.extend(value);
    }

    fn parameters(&mut self, list: Option<Node<'t>>, kind: DeclKind) {
        for parameter in list.map(children).unwrap_or_default() {
            let ty = parameter.child_by_field_name("type");
            // A variadic parameter is a slice: its type is the declaration itself.
            let ty = if parameter.kind() == "variadic_parameter_declaration" {
                Some(parameter)
            } else {
                ty
            };
            for name in fields(parameter, "name") {
                self.declare(name, kind, ty);
            }
        }
    }

    /// A function's parameters share the scope of its body.
    fn function(&mut self, node: Node<'t>) {
        self.scoped(|b| {
            b.parameters(node.child_by_field_name("receiver"), DeclKind::Parameter);
            b.parameters(node.child_by_field_name("parameters"), DeclKind::Parameter);
            if let Some(result) = node.child_by_field_name("result")
                && result.kind() == "parameter_list"
            {
                b.parameters(Some(result), DeclKind::Result);
            }
            if let Some(body) = node.child_by_field_name("body") {
                b.inner(body);
            }
        });
    }

    fn inner(&mut self, node: Node<'t>) {
        for child in children(node) {
            self.visit(child);
        }
    }

    fn specs(&mut self, node: Node<'t>, top: bool) {
        let mut specs = children(node);
        if specs.len() == 1 && specs[0].kind() == "var_spec_list" {
            specs = children(specs[0]);
        }
        for spec in specs {
            let values = spec
                .child_by_field_name("value")
                .map(children)
                .unwrap_or_default();
            if !top {
                for value in &values {
                    self.visit(*value);
                }
            }
            let names = fields(spec, "name");
            let kind = if spec.kind() == "const_spec" {
                DeclKind::Constant
            } else {
                DeclKind::Variable
            };
            for (i, name) in names.iter().enumerate() {
                if let Some(id) = self.declare(*name, kind, spec.child_by_field_name("type")) {
                    self.give(id, i, names.len(), &values);
                }
            }
        }
    }

    fn short(&mut self, lefts: &[Node<'t>], rights: &[Node<'t>], kinds: [DeclKind; 2]) {
        for (i, left) in lefts.iter().enumerate() {
            let name = text(*left, self.source);
            let known = self
                .blocks
                .last()
                .and_then(|block| block.get(name).copied());
            let id = if let Some(id) = known {
                self.scope.uses.insert(left.start_byte(), id);
                Some(id)
            } else {
                self.declare(*left, kinds[i.min(1)], None)
            };
            if let Some(id) = id {
                self.give(id, i, lefts.len(), rights);
            }
        }
    }

    fn assign(&mut self, lefts: &[Node<'t>], rights: &[Node<'t>], operator: &str) {
        for (i, left) in lefts.iter().enumerate() {
            self.visit(*left);
            if left.kind() != "identifier" {
                continue;
            }
            let name = text(*left, self.source);
            let Some(id) = self
                .lookup(name)
                .or_else(|| self.scope.globals.get(name).copied())
            else {
                continue;
            };
            match operator {
                "+=" => self.scope.decls[id].steps.push((*left, true)),
                "-=" => self.scope.decls[id].steps.push((*left, false)),
                "=" => {
                    // `i = i + 1` is a step, too.
                    if let Some(right) = rights.get(i)
                        && right.kind() == "binary_expression"
                        && let Some(up) = self.step(*right, name)
                    {
                        self.scope.decls[id].steps.push((*left, up));
                    } else {
                        self.give(id, i, lefts.len(), rights);
                    }
                }
                _ => self.give(id, i, lefts.len(), rights),
            }
        }
    }

    fn step(&self, right: Node<'t>, name: &str) -> Option<bool> {
        let left = right.child_by_field_name("left")?;
        let other = right.child_by_field_name("right")?;
        match text(right.child_by_field_name("operator")?, self.source) {
            "+" if text(left, self.source) == name || text(other, self.source) == name => {
                Some(true)
            }
            "-" if text(left, self.source) == name => Some(false),
            _ => None,
        }
    }

    fn visit_field(&mut self, node: Node<'t>, field: &str) {
        if let Some(child) = node.child_by_field_name(field) {
            self.visit(child);
        }
    }

    fn has_token(node: Node<'t>, token: &str) -> bool {
        let mut cursor = node.walk();
        node.children(&mut cursor)
            .any(|child| child.kind() == token)
    }

    fn repeat(&mut self, node: Node<'t>) {
        for child in children(node) {
            if child.kind() == "for_clause" {
                let from = self.scope.decls.len();
                self.visit_field(child, "initializer");
                for decl in &mut self.scope.decls[from..] {
                    decl.kind = DeclKind::Loop;
                }
                self.visit_field(child, "condition");
                self.visit_field(child, "update");
            } else if child.kind() == "range_clause" {
                self.visit_field(child, "right");
                let lefts = list(child, "left");
                let rights = list(child, "right");
                if Self::has_token(child, ":=") {
                    self.short(&lefts, &rights, [DeclKind::Loop, DeclKind::LoopValue]);
                } else {
                    for left in lefts {
                        self.visit(left);
                    }
                }
            } else {
                self.visit(child);
            }
        }
    }

    fn visit(&mut self, node: Node<'t>) {
        match node.kind() {
            "identifier" => {
                if let Some(id) = self.lookup(text(node, self.source)) {
                    self.scope.uses.insert(node.start_byte(), id);
                }
            }
            "function_declaration" | "method_declaration" | "func_literal" => self.function(node),
            "block"
            | "expression_case"
            | "default_case"
            | "type_case"
            | "communication_case"
            | "if_statement"
            | "select_statement"
            | "expression_switch_statement" => {
                self.scoped(|b| b.inner(node));
            }
            "type_switch_statement" => self.scoped(|b| {
                b.visit_field(node, "initializer");
                b.visit_field(node, "value");
                for alias in list(node, "alias") {
                    b.declare(alias, DeclKind::Variable, None);
                }
                for case in children(node) {
                    if matches!(case.kind(), "type_case" | "default_case") {
                        b.visit(case);
                    }
                }
            }),
            "for_statement" => self.scoped(|b| b.repeat(node)),
            "short_var_declaration" | "receive_statement" => {
                self.visit_field(node, "right");
                let lefts = list(node, "left");
                let rights = list(node, "right");
                if Self::has_token(node, ":=") {
                    self.short(&lefts, &rights, [DeclKind::Variable; 2]);
                } else {
                    self.assign(&lefts, &rights, "=");
                }
            }
            "assignment_statement" => {
                self.visit_field(node, "right");
                let operator = node
                    .child_by_field_name("operator")
                    .map_or("=", |operator| text(operator, self.source));
                self.assign(&list(node, "left"), &list(node, "right"), operator);
            }
            "inc_statement" | "dec_statement" => {
                self.inner(node);
                if let Some(name) = children(node).first()
                    && let Some(id) = self.scope.local(*name)
                {
                    self.scope.decls[id]
                        .steps
                        .push((*name, node.kind() == "inc_statement"));
                }
            }
            "var_declaration" | "const_declaration" => {
                if self.blocks.is_empty() {
                    // Already declared; only what the values contain is left to read.
                    self.inner(node);
                } else {
                    self.specs(node, false);
                }
            }
            "composite_literal" => {
                let named = node.child_by_field_name("type").is_some_and(|ty| {
                    matches!(
                        ty.kind(),
                        "type_identifier" | "qualified_type" | "generic_type"
                    )
                });
                for body in fields(node, "body") {
                    for element in children(body) {
                        if named
                            && element.kind() == "keyed_element"
                            && let Some(value) = element.child_by_field_name("value")
                        {
                            self.visit(value);
                        } else {
                            self.visit(element);
                        }
                    }
                }
            }
            _ => self.inner(node),
        }
    }
}
