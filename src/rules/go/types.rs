//! Types of expressions, as far as one package's source tells.

use tree_sitter::Node;

use super::scope::{DeclId, DeclKind};
use super::{At, Package};
use crate::facts::syntax::{children, text};

/// How many declarations a type is followed through, so that a cycle ends.
const FOLLOW: usize = 24;

/// A type as it is written somewhere in the package.
#[derive(Debug, Clone, Copy)]
pub struct Ty<'t> {
    /// Index of the file it is written in.
    pub file: usize,
    /// The type's node; for a function value its literal or declaration.
    pub node: Node<'t>,
}

impl<'t> Ty<'t> {
    /// The type without pointers and parentheses.
    #[must_use]
    pub fn bare(self) -> Self {
        let mut node = self.node;
        while matches!(node.kind(), "pointer_type" | "parenthesized_type") {
            let Some(inner) = children(node).into_iter().next() else {
                break;
            };
            node = inner;
        }
        Self {
            file: self.file,
            node,
        }
    }

    /// The last part of a named type: `*http.Client` gives `Client`.
    #[must_use]
    pub fn base_name(self, source: &'t str) -> Option<&'t str> {
        let node = self.bare().node;
        match node.kind() {
            "type_identifier" | "identifier" => Some(text(node, source)),
            "qualified_type" => Some(text(node.child_by_field_name("name")?, source)),
            "generic_type" => Self {
                file: self.file,
                node: node.child_by_field_name("type")?,
            }
            .base_name(source),
            _ => None,
        }
    }
}

/// What a call calls.
#[derive(Debug, Clone)]
pub enum Callee<'t> {
    /// A function or method of this package.
    Func(usize),
    /// A method of an interface of this package; the methods that may stand behind it.
    Interface(Vec<usize>),
    /// A function literal, called in place or through the variable it is kept in.
    Literal(At<'t>),
    /// A function of another package.
    Package {
        /// Its import path.
        path: &'t str,
        /// Its name.
        name: &'t str,
    },
    /// A method of a value whose type this package does not declare.
    Foreign {
        /// What it is called on.
        operand: At<'t>,
        /// Its type, if it is written in this package.
        ty: Option<Ty<'t>>,
        /// Its name.
        name: &'t str,
    },
    /// A value of function type: parameter, field, result.
    Value(Ty<'t>),
    /// A built-in function or a conversion.
    Builtin(&'t str),
    /// Not known.
    Unknown,
}

impl<'t> Package<'t> {
    fn at(node: Node<'t>, file: usize) -> At<'t> {
        At { file, node }
    }

    /// The name of a type when this package declares it.
    pub fn local_name(&self, ty: Ty<'t>) -> Option<&'t str> {
        let mut bare = ty.bare();
        if bare.node.kind() == "generic_type" {
            bare.node = bare.node.child_by_field_name("type")?;
        }
        if !matches!(bare.node.kind(), "type_identifier" | "identifier") {
            return None;
        }
        let name = text(bare.node, self.files[bare.file].text);
        self.types.contains_key(name).then_some(name)
    }

    /// Import path and name of a type of another package.
    pub fn foreign_name(&self, ty: Ty<'t>) -> Option<(&'t str, &'t str)> {
        let mut bare = ty.bare();
        if bare.node.kind() == "generic_type" {
            bare.node = bare.node.child_by_field_name("type")?;
        }
        let file = &self.files[bare.file];
        match bare.node.kind() {
            "qualified_type" => {
                let package = text(bare.node.child_by_field_name("package")?, file.text);
                let name = text(bare.node.child_by_field_name("name")?, file.text);
                Some((file.imports.get(package).copied().unwrap_or(package), name))
            }
            "type_identifier" => {
                let name = text(bare.node, file.text);
                if let Some(body) = self.underlying(name) {
                    // `type job = model.Job` is the other package's type.
                    let spec = self.types.get(name)?;
                    let through = Ty {
                        file: body.file,
                        node: body.node,
                    };
                    return (spec.node.kind() == "type_alias" && body.node != bare.node)
                        .then(|| self.foreign_name(through))
                        .flatten();
                }
                let path = file.dot_imports.first()?;
                Some((path, name))
            }
            _ => None,
        }
    }

    /// The last part of a type's name, aliases followed.
    pub fn last_name(&self, ty: Ty<'t>) -> Option<&'t str> {
        if let Some((_, name)) = self.foreign_name(ty) {
            return Some(name);
        }
        ty.base_name(self.files[ty.file].text)
    }

    /// The type of an expression.
    pub fn type_of(&self, expr: At<'t>) -> Option<Ty<'t>> {
        self.result_type(expr, 0, FOLLOW)
    }

    /// The type of a declaration.
    pub fn type_of_decl(&self, decl: (usize, DeclId)) -> Option<Ty<'t>> {
        self.decl_type(decl, FOLLOW)
    }

    fn decl_type(&self, decl: (usize, DeclId), follow: usize) -> Option<Ty<'t>> {
        let follow = follow.checked_sub(1)?;
        let (file, _) = decl;
        let data = self.decl_data(decl);
        if let Some(node) = data.ty {
            return Some(Ty { file, node });
        }
        let value = data.values.first()?;
        let from = Self::at(value.expr, file);
        match data.kind {
            DeclKind::LoopValue => self.element(self.result_type(from, 0, follow)?),
            DeclKind::Loop if value.expr.parent()?.kind() == "range_clause" => {
                // The key; only a channel's is its element.
                let ty = self.result_type(from, 0, follow)?;
                (ty.bare().node.kind() == "channel_type")
                    .then(|| self.element(ty))
                    .flatten()
            }
            _ => self.result_type(from, value.index, follow),
        }
    }

    /// The element of a slice, array, map or channel.
    fn element(&self, ty: Ty<'t>) -> Option<Ty<'t>> {
        let mut ty = ty.bare();
        if let Some(name) = self.local_name(ty) {
            let body = self.underlying(name)?;
            ty = Ty {
                file: body.file,
                node: body.node,
            };
        }
        let field = match ty.node.kind() {
            "slice_type" | "array_type" | "implicit_length_array_type" => "element",
            "map_type" | "channel_type" => "value",
            "variadic_parameter_declaration" => "type",
            _ => return None,
        };
        Some(Ty {
            file: ty.file,
            node: ty.node.child_by_field_name(field)?,
        })
    }

    fn result_type(&self, expr: At<'t>, index: usize, follow: usize) -> Option<Ty<'t>> {
        let follow = follow.checked_sub(1)?;
        let At { file, node } = expr;
        let sub = |field: &str| Some(Self::at(node.child_by_field_name(field)?, file));
        match node.kind() {
            "identifier" => {
                if let Some(decl) = self.decl(expr) {
                    return self.decl_type(decl, follow);
                }
                let name = self.text(expr);
                if let Some(func) = self.function(name) {
                    let at = self.funcs[func].at;
                    return Some(Ty {
                        file: at.file,
                        node: at.node,
                    });
                }
                None
            }
            "parenthesized_expression" | "literal_element" => {
                self.result_type(Self::at(*children(node).first()?, file), index, follow)
            }
            "selector_expression" => {
                let operand = sub("operand")?;
                if self.import(operand).is_some() {
                    return None;
                }
                let base = self.result_type(operand, 0, follow)?;
                let name = text(node.child_by_field_name("field")?, self.files[file].text);
                self.field_type(base, name, 8)
            }
            "call_expression" => self.call_result(expr, index, follow),
            "composite_literal" | "type_assertion_expression" | "type_conversion_expression" => {
                (index == 0).then_some(())?;
                Some(Ty {
                    file,
                    node: node.child_by_field_name("type")?,
                })
            }
            "unary_expression" => {
                let operand = sub("operand")?;
                let ty = self.result_type(operand, 0, follow)?;
                let operator = text(node.child_by_field_name("operator")?, self.files[file].text);
                match operator {
                    "&" | "*" => Some(ty),
                    "<-" => self.element(ty),
                    _ => None,
                }
            }
            "index_expression" => self.element(self.result_type(sub("operand")?, 0, follow)?),
            "slice_expression" => self.result_type(sub("operand")?, 0, follow),
            "func_literal" => Some(Ty { file, node }),
            _ => None,
        }
    }

    /// The type of a field, found through embedded structs of this package.
    pub fn field_type(&self, base: Ty<'t>, name: &str, depth: usize) -> Option<Ty<'t>> {
        let fields = match self.local_name(base) {
            Some(local) => self.struct_fields(local),
            None => return None,
        };
        if let Some(field) = fields.iter().find(|field| field.name == name) {
            return Some(field.ty);
        }
        let depth = depth.checked_sub(1)?;
        fields
            .iter()
            .filter(|field| field.embedded)
            .find_map(|field| self.field_type(field.ty, name, depth))
    }

    fn call_result(&self, call: At<'t>, index: usize, follow: usize) -> Option<Ty<'t>> {
        let function = call.node.child_by_field_name("function")?;
        match self.callee_within(call, follow) {
            Callee::Func(func) => self.result_of(self.funcs[func].at, index),
            Callee::Interface(funcs) => {
                let func = funcs.first()?;
                self.result_of(self.funcs[*func].at, index)
            }
            Callee::Literal(at) => self.result_of(at, index),
            Callee::Value(ty) => self.result_of(Self::at(ty.node, ty.file), index),
            Callee::Builtin("new" | "make") => {
                let arguments = call.node.child_by_field_name("arguments")?;
                Some(Ty {
                    file: call.file,
                    node: *children(arguments).first()?,
                })
            }
            Callee::Builtin(_) => {
                // A conversion to a type of this package.
                let name = text(function, self.files[call.file].text);
                self.types.contains_key(name).then_some(Ty {
                    file: call.file,
                    node: function,
                })
            }
            _ => None,
        }
    }

    /// The written type of a function's result; works for declarations, literals and types.
    pub fn result_of(&self, function: At<'t>, index: usize) -> Option<Ty<'t>> {
        self.results(function)?.into_iter().nth(index)
    }

    /// The written types of a function's results, one per value; `None` when `function` is none.
    pub fn results(&self, function: At<'t>) -> Option<Vec<Ty<'t>>> {
        let mut function = function;
        if let Some(name) = self.local_name(Ty {
            file: function.file,
            node: function.node,
        }) {
            function = self.underlying(name)?;
        }
        if !matches!(
            function.node.kind(),
            "function_declaration"
                | "method_declaration"
                | "func_literal"
                | "function_type"
                | "method_elem"
        ) {
            return None;
        }
        let file = function.file;
        let Some(result) = function.node.child_by_field_name("result") else {
            return Some(Vec::new());
        };
        if result.kind() != "parameter_list" {
            return Some(vec![Ty { file, node: result }]);
        }
        let mut types = Vec::new();
        for parameter in children(result) {
            let Some(node) = parameter.child_by_field_name("type") else {
                continue;
            };
            let names = crate::facts::syntax::fields(parameter, "name").len().max(1);
            types.extend(std::iter::repeat_n(Ty { file, node }, names));
        }
        Some(types)
    }

    /// What a call expression calls.
    pub fn callee(&self, call: At<'t>) -> Callee<'t> {
        self.callee_within(call, FOLLOW)
    }

    fn callee_within(&self, call: At<'t>, follow: usize) -> Callee<'t> {
        let Some(follow) = follow.checked_sub(1) else {
            return Callee::Unknown;
        };
        let Some(function) = call.node.child_by_field_name("function") else {
            return Callee::Unknown;
        };
        self.target(Self::at(function, call.file), follow)
    }

    /// What a function expression stands for.
    pub fn function_value(&self, expr: At<'t>) -> Callee<'t> {
        self.target(expr, FOLLOW)
    }

    fn target(&self, expr: At<'t>, follow: usize) -> Callee<'t> {
        let Some(follow) = follow.checked_sub(1) else {
            return Callee::Unknown;
        };
        let At { file, node } = expr;
        match node.kind() {
            "parenthesized_expression" => children(node).first().map_or(Callee::Unknown, |inner| {
                self.target(Self::at(*inner, file), follow)
            }),
            "func_literal" => Callee::Literal(expr),
            "identifier" => {
                if let Some(decl) = self.decl(expr) {
                    let data = self.decl_data(decl);
                    if let [value] = data.values.as_slice()
                        && value.expr.kind() == "func_literal"
                    {
                        return Callee::Literal(Self::at(value.expr, decl.0));
                    }
                    if data.ty.is_none()
                        && let [value] = data.values.as_slice()
                        && matches!(value.expr.kind(), "identifier" | "selector_expression")
                    {
                        return self.target(Self::at(value.expr, decl.0), follow);
                    }
                    return self
                        .decl_type(decl, follow)
                        .map_or(Callee::Unknown, Callee::Value);
                }
                let name = self.text(expr);
                if let Some(func) = self.function(name) {
                    return Callee::Func(func);
                }
                match self.files[file].dot_imports.first() {
                    Some(path)
                        if !self.types.contains_key(name)
                            && name.starts_with(char::is_uppercase) =>
                    {
                        Callee::Package { path, name }
                    }
                    _ => Callee::Builtin(name),
                }
            }
            "selector_expression" => {
                let (Some(operand), Some(field)) = (
                    node.child_by_field_name("operand"),
                    node.child_by_field_name("field"),
                ) else {
                    return Callee::Unknown;
                };
                let operand = Self::at(operand, file);
                let name = text(field, self.files[file].text);
                if let Some(path) = self.import(operand) {
                    return Callee::Package { path, name };
                }
                self.method_target(operand, name, follow)
            }
            // An instantiation, `decode[T]`.
            "index_expression" => node
                .child_by_field_name("operand")
                .map_or(Callee::Unknown, |inner| {
                    self.target(Self::at(inner, file), follow)
                }),
            "type_instantiation_expression" => node
                .child_by_field_name("type")
                .and_then(|ty| self.function(text(ty, self.files[file].text)))
                .map_or(Callee::Unknown, Callee::Func),
            _ => Callee::Unknown,
        }
    }

    fn method_target(&self, operand: At<'t>, name: &'t str, follow: usize) -> Callee<'t> {
        let ty = self.result_type(operand, 0, follow);
        // A method expression names the type itself: `(*client).List`.
        let ty = ty.or_else(|| {
            let inner = match operand.node.kind() {
                "parenthesized_expression" => *children(operand.node).first()?,
                _ => operand.node,
            };
            let written = text(inner, self.files[operand.file].text).trim_start_matches('*');
            let spec = self.types.get(written)?;
            Some(Ty {
                file: spec.file,
                node: spec.node.child_by_field_name("name")?,
            })
        });
        let Some(ty) = ty else {
            return Callee::Foreign {
                operand,
                ty: None,
                name,
            };
        };
        let Some(local) = self.local_name(ty) else {
            return Callee::Foreign {
                operand,
                ty: Some(ty),
                name,
            };
        };
        if let Some(method) = self.method(local, name) {
            return Callee::Func(method);
        }
        if let Some(body) = self.underlying(local)
            && body.node.kind() == "interface_type"
        {
            return Callee::Interface(self.methods_named(name));
        }
        if let Some(field) = self.field_type(ty, name, 8) {
            return Callee::Value(field);
        }
        Callee::Foreign {
            operand,
            ty: Some(ty),
            name,
        }
    }
}
