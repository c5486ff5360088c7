//! A Go package as the rules see it: files, functions, types, and what an expression's type is as
//! far as one package's source tells.
//!
//! There is no type checker here. Types are followed through declarations, fields, constructors
//! and results within the package; what another package declares is known by its name only. Each
//! rule's page in `docs/rules.md` says what follows from that.

pub mod flow;
pub mod reach;
pub mod scope;
mod types;

use std::collections::{BTreeMap, HashMap, HashSet};

use tree_sitter::{Node, Tree};

pub use types::{Callee, Ty};

use self::scope::{Decl, DeclId, Scope};
use crate::facts::syntax::{children, fields, text};

/// A file before it is put into its package.
pub struct Parsed<'t> {
    /// Path from the repository's root.
    pub path: &'t str,
    /// The source.
    pub text: &'t str,
    /// Its tree.
    pub tree: &'t Tree,
    /// Whether findings in it are reported; generated files only say what they declare.
    pub judged: bool,
}

/// A file of a package.
pub struct File<'t> {
    /// Path from the repository's root.
    pub path: &'t str,
    /// The source.
    pub text: &'t str,
    /// The root of its tree.
    pub root: Node<'t>,
    /// Whether findings in it are reported.
    pub judged: bool,
    /// Import paths by the name they are used under.
    pub imports: HashMap<&'t str, &'t str>,
    /// Import paths whose names are used without a qualifier.
    pub dot_imports: Vec<&'t str>,
    /// Its declarations.
    pub scope: Scope<'t>,
}

/// A node with the file it is in.
#[derive(Debug, Clone, Copy)]
pub struct At<'t> {
    /// Index of the file within the package.
    pub file: usize,
    /// The node.
    pub node: Node<'t>,
}

/// A declared function or method.
#[derive(Debug)]
pub struct Func<'t> {
    /// Where it is declared.
    pub at: At<'t>,
    /// Its name.
    pub name: &'t str,
    /// The type it belongs to.
    pub receiver: Option<&'t str>,
    /// Its body; `None` for a declaration alone.
    pub body: Option<Node<'t>>,
}

/// A field of a struct.
#[derive(Debug, Clone, Copy)]
pub struct Field<'t> {
    /// Its name; for an embedded field the name of its type.
    pub name: &'t str,
    /// Its type.
    pub ty: Ty<'t>,
    /// Whether it is embedded.
    pub embedded: bool,
}

/// One directory's files with the same package clause.
pub struct Package<'t> {
    /// The files.
    pub files: Vec<File<'t>>,
    /// Functions and methods with a body or without.
    pub funcs: Vec<Func<'t>>,
    /// Type declarations by name.
    pub types: BTreeMap<&'t str, At<'t>>,
    functions: HashMap<&'t str, usize>,
    methods: HashMap<(&'t str, &'t str), usize>,
}

impl<'t> Package<'t> {
    /// Puts the files of one package together.
    pub fn new(parsed: &[Parsed<'t>]) -> Self {
        let mut package = Self {
            files: Vec::new(),
            funcs: Vec::new(),
            types: BTreeMap::new(),
            functions: HashMap::new(),
            methods: HashMap::new(),
        };
        for file in parsed {
            let root = file.tree.root_node();
            let index = package.files.len();
            let (imports, dot_imports) = imports(root, file.text);
            package.files.push(File {
                path: file.path,
                text: file.text,
                root,
                judged: file.judged,
                imports,
                dot_imports,
                scope: Scope::of(root, file.text),
            });
            for node in children(root) {
                package.declare(At { file: index, node }, file.text);
            }
        }
        package
    }

    fn declare(&mut self, at: At<'t>, source: &'t str) {
        match at.node.kind() {
            "function_declaration" | "method_declaration" => {
                let Some(name) = at.node.child_by_field_name("name") else {
                    return;
                };
                let name = text(name, source);
                let receiver = at.node.child_by_field_name("receiver").and_then(|list| {
                    let ty = children(list).first()?.child_by_field_name("type")?;
                    Ty {
                        file: at.file,
                        node: ty,
                    }
                    .base_name(source)
                });
                let index = self.funcs.len();
                self.funcs.push(Func {
                    at,
                    name,
                    receiver,
                    body: at.node.child_by_field_name("body"),
                });
                match receiver {
                    Some(receiver) => self.methods.insert((receiver, name), index),
                    None if at.node.kind() == "function_declaration" => {
                        self.functions.insert(name, index)
                    }
                    None => None,
                };
            }
            "type_declaration" => {
                for spec in children(at.node) {
                    if let Some(name) = spec.child_by_field_name("name") {
                        self.types.insert(
                            text(name, source),
                            At {
                                file: at.file,
                                node: spec,
                            },
                        );
                    }
                }
            }
            _ => {}
        }
    }

    /// The text of a node.
    pub fn text(&self, at: At<'t>) -> &'t str {
        text(at.node, self.files[at.file].text)
    }

    /// The function of a name.
    pub fn function(&self, name: &str) -> Option<usize> {
        self.functions.get(name).copied()
    }

    /// A method of a type, its own or one of an embedded type of this package.
    pub fn method(&self, ty: &'t str, name: &'t str) -> Option<usize> {
        self.method_within(ty, name, 8)
    }

    fn method_within(&self, ty: &'t str, name: &'t str, depth: usize) -> Option<usize> {
        if let Some(index) = self.methods.get(&(ty, name)) {
            return Some(*index);
        }
        if depth == 0 {
            return None;
        }
        self.struct_fields(ty)
            .into_iter()
            .filter(|field| field.embedded)
            .find_map(|field| {
                let inner = self.local_name(field.ty)?;
                self.method_within(inner, name, depth - 1)
            })
    }

    /// All methods of a name, whatever type they belong to.
    pub fn methods_named(&self, name: &str) -> Vec<usize> {
        (0..self.funcs.len())
            .filter(|i| self.funcs[*i].receiver.is_some() && self.funcs[*i].name == name)
            .collect()
    }

    /// The fields of a struct type, following `type A B`.
    pub fn struct_fields(&self, ty: &str) -> Vec<Field<'t>> {
        let Some(body) = self.underlying(ty) else {
            return Vec::new();
        };
        if body.node.kind() != "struct_type" {
            return Vec::new();
        }
        let source = self.files[body.file].text;
        let mut found = Vec::new();
        for list in children(body.node) {
            for declaration in children(list) {
                let Some(node) = declaration.child_by_field_name("type") else {
                    continue;
                };
                let ty = Ty {
                    file: body.file,
                    node,
                };
                let names = fields(declaration, "name");
                if names.is_empty() {
                    let name = ty.base_name(source).unwrap_or_default();
                    found.push(Field {
                        name,
                        ty,
                        embedded: true,
                    });
                }
                for name in names {
                    found.push(Field {
                        name: text(name, source),
                        ty,
                        embedded: false,
                    });
                }
            }
        }
        found
    }

    /// The type a declared type stands for, e.g. a `struct_type`.
    pub fn underlying(&self, ty: &str) -> Option<At<'t>> {
        let mut name = ty;
        for _ in 0..8 {
            let spec = self.types.get(name)?;
            let body = At {
                file: spec.file,
                node: spec.node.child_by_field_name("type")?,
            };
            if body.node.kind() != "type_identifier" {
                return Some(body);
            }
            name = self.text(body);
            if !self.types.contains_key(name) {
                return Some(body);
            }
        }
        None
    }

    /// The handlers: types of this package that have a method `Invoke` of their own, with the
    /// method, in source order.
    pub fn handlers(&self) -> Vec<(&'t str, usize)> {
        let mut seen = HashSet::new();
        self.funcs
            .iter()
            .enumerate()
            .filter(|(_, func)| func.name == "Invoke" && self.files[func.at.file].judged)
            .filter_map(|(index, func)| Some((func.receiver?, index)))
            .filter(|(receiver, _)| seen.insert(*receiver))
            .collect()
    }

    /// The declaration an identifier means: a local one, or a variable or constant of the package.
    pub fn decl(&self, identifier: At<'t>) -> Option<(usize, DeclId)> {
        if identifier.node.kind() != "identifier" {
            return None;
        }
        if let Some(id) = self.files[identifier.file].scope.local(identifier.node) {
            return Some((identifier.file, id));
        }
        let name = self.text(identifier);
        self.files
            .iter()
            .enumerate()
            .find_map(|(file, f)| f.scope.globals.get(name).map(|id| (file, *id)))
    }

    /// The data of a declaration.
    pub fn decl_data(&self, (file, id): (usize, DeclId)) -> &Decl<'t> {
        &self.files[file].scope.decls[id]
    }

    /// The import path of an identifier that names a package here.
    pub fn import(&self, identifier: At<'t>) -> Option<&'t str> {
        if identifier.node.kind() != "identifier" || self.decl(identifier).is_some() {
            return None;
        }
        self.files[identifier.file]
            .imports
            .get(self.text(identifier))
            .copied()
    }
}

type Imports<'t> = (HashMap<&'t str, &'t str>, Vec<&'t str>);

fn imports<'t>(root: Node<'t>, source: &'t str) -> Imports<'t> {
    let mut named = HashMap::new();
    let mut dotted = Vec::new();
    for node in children(root) {
        if node.kind() != "import_declaration" {
            continue;
        }
        let mut specs = children(node);
        if specs.len() == 1 && specs[0].kind() == "import_spec_list" {
            specs = children(specs[0]);
        }
        for spec in specs {
            let Some(path) = spec.child_by_field_name("path") else {
                continue;
            };
            let path = text(path, source).trim_matches(['"', '`']);
            match spec.child_by_field_name("name") {
                Some(name) if name.kind() == "dot" => dotted.push(path),
                Some(name) => {
                    named.insert(text(name, source), path);
                }
                None => {
                    named.insert(package_name(path), path);
                }
            }
        }
    }
    (named, dotted)
}

/// The name a package is used under when the import gives none: the last part of its path, without
/// a major version and without what does not belong into a name.
fn package_name(path: &str) -> &str {
    let mut parts = path.rsplit('/');
    let last = parts.next().unwrap_or(path);
    let is_version =
        last.len() > 1 && last.starts_with('v') && last[1..].bytes().all(|b| b.is_ascii_digit());
    let name = if is_version {
        parts.next().unwrap_or(last)
    } else {
        last
    };
    let name = name.split(".v").next().unwrap_or(name);
    name.strip_prefix("go-").unwrap_or(name)
}

/// Whether an import path is one of Go's own packages: its first part has no dot.
pub fn is_standard(path: &str) -> bool {
    !path.split('/').next().unwrap_or(path).contains('.')
}
