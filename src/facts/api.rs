//! The API a file offers: functions, methods and types declared at its top level.

use serde::{Deserialize, Serialize};
use tree_sitter::Node;

use super::syntax::{Language, children, fields, folded, text};

/// One function, method or type that a file declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiItem {
    /// What it is.
    pub kind: ApiKind,
    /// Its name.
    pub name: String,
    /// The type a method belongs to, without pointer and type parameters.
    pub receiver: Option<String>,
    /// The declaration on one line without its body, as one would write it in a list, e.g.
    /// `(c *wizClient) ListAssets(ctx context.Context, token string) (*ListResponse, error)`.
    pub signature: String,
}

/// What an [`ApiItem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApiKind {
    /// A function of its own.
    Function,
    /// A function that belongs to a type.
    Method,
    /// A type, class, interface or enumeration.
    Type,
}

/// The functions, methods and types a file declares at its top level, in source order.
///
/// Names that Go does not export are included: the files of a task are used within their package.
/// An unknown language, or text in which nothing is readable, gives an empty list.
#[must_use]
pub fn api(path: &str, source: &str) -> Vec<ApiItem> {
    let Some(language) = Language::of_path(path) else {
        return Vec::new();
    };
    let Some(tree) = language.parse(source) else {
        return Vec::new();
    };
    let mut items = Vec::new();
    for node in children(tree.root_node()) {
        match language {
            Language::Go => go(node, source, &mut items),
            Language::Rust => rust(node, source, &mut items),
            Language::TypeScript | Language::Tsx | Language::JavaScript => {
                script(node, source, &mut items);
            }
            Language::Python => python(node, source, &mut items),
            Language::Java => java(node, source, &mut items),
        }
    }
    items
}

fn field<'s>(node: Node<'_>, name: &str, source: &'s str) -> Option<&'s str> {
    node.child_by_field_name(name)
        .map(|n| text(n, source))
        .filter(|t| !t.is_empty())
}

/// The text of a declaration up to its body, folded.
fn head(node: Node<'_>, body: Option<Node<'_>>, source: &str) -> String {
    let end = body.map_or(node.end_byte(), |b| b.start_byte());
    let head = source.get(node.start_byte()..end).unwrap_or_default();
    folded(head)
        .trim_end_matches([':', '{', ';', '=', ' '])
        .to_owned()
}

/// A parameter list written over several lines ends in a comma; on one line it does not.
fn one_line(text: &str) -> String {
    folded(text)
        .replace("( ", "(")
        .replace(", )", ")")
        .replace(",)", ")")
        .replace(" )", ")")
}

fn go(node: Node<'_>, source: &str, items: &mut Vec<ApiItem>) {
    match node.kind() {
        "function_declaration" | "method_declaration" => {
            let Some(name) = field(node, "name", source) else {
                return;
            };
            let receiver = node.child_by_field_name("receiver");
            let mut signature = String::new();
            if let Some(receiver) = receiver {
                signature.push_str(&one_line(text(receiver, source)));
                signature.push(' ');
            }
            signature.push_str(name);
            for part in ["type_parameters", "parameters"] {
                signature.push_str(&one_line(field(node, part, source).unwrap_or_default()));
            }
            if let Some(result) = field(node, "result", source) {
                signature.push(' ');
                signature.push_str(&one_line(result));
            }
            items.push(ApiItem {
                kind: if receiver.is_some() {
                    ApiKind::Method
                } else {
                    ApiKind::Function
                },
                name: name.to_owned(),
                receiver: receiver.and_then(|r| go_receiver(r, source)),
                signature,
            });
        }
        "type_declaration" => {
            for spec in children(node) {
                let (Some(name), Some(body)) = (
                    field(spec, "name", source),
                    spec.child_by_field_name("type"),
                ) else {
                    continue;
                };
                let kind = match body.kind() {
                    "struct_type" => "struct".to_owned(),
                    "interface_type" => "interface".to_owned(),
                    _ => one_line(text(body, source)),
                };
                let parameters = field(spec, "type_parameters", source).unwrap_or_default();
                let alias = if spec.kind() == "type_alias" {
                    "= "
                } else {
                    ""
                };
                items.push(ApiItem {
                    kind: ApiKind::Type,
                    name: name.to_owned(),
                    receiver: None,
                    signature: format!("type {name}{} {alias}{kind}", one_line(parameters)),
                });
            }
        }
        _ => {}
    }
}

/// The name of a receiver's type: `(c *client[T])` gives `client`.
fn go_receiver(list: Node<'_>, source: &str) -> Option<String> {
    let mut node = children(list)
        .into_iter()
        .next()?
        .child_by_field_name("type")?;
    loop {
        node = match node.kind() {
            "type_identifier" => return Some(text(node, source).to_owned()),
            "generic_type" => node.child_by_field_name("type")?,
            "pointer_type" | "parenthesized_type" => children(node).into_iter().next()?,
            _ => return None,
        };
    }
}

fn push(
    items: &mut Vec<ApiItem>,
    kind: ApiKind,
    node: Node<'_>,
    receiver: Option<&str>,
    source: &str,
) {
    let Some(name) = field(node, "name", source) else {
        return;
    };
    let signature = one_line(&head(node, node.child_by_field_name("body"), source));
    items.push(ApiItem {
        kind,
        name: name.to_owned(),
        receiver: receiver.map(str::to_owned),
        signature: match receiver {
            Some(receiver) => format!("{receiver}: {signature}"),
            None => signature,
        },
    });
}

fn rust(node: Node<'_>, source: &str, items: &mut Vec<ApiItem>) {
    match node.kind() {
        "function_item" => push(items, ApiKind::Function, node, None, source),
        "struct_item" | "enum_item" | "union_item" | "trait_item" | "type_item" => {
            push(items, ApiKind::Type, node, None, source);
        }
        "impl_item" => {
            let receiver = field(node, "type", source).map(|t| {
                t.split('<')
                    .next()
                    .unwrap_or(t)
                    .rsplit("::")
                    .next()
                    .unwrap_or(t)
                    .to_owned()
            });
            for body in fields(node, "body") {
                for item in children(body)
                    .into_iter()
                    .filter(|n| n.kind() == "function_item")
                {
                    push(items, ApiKind::Method, item, receiver.as_deref(), source);
                }
            }
        }
        _ => {}
    }
}

fn script(node: Node<'_>, source: &str, items: &mut Vec<ApiItem>) {
    match node.kind() {
        "export_statement" => {
            for inner in fields(node, "declaration")
                .into_iter()
                .chain(fields(node, "value"))
            {
                script(inner, source, items);
            }
        }
        "function_declaration" | "generator_function_declaration" | "function_signature" => {
            push(items, ApiKind::Function, node, None, source);
        }
        "interface_declaration" | "type_alias_declaration" | "enum_declaration" => {
            let Some(name) = field(node, "name", source) else {
                return;
            };
            let word = node.child(0).map(|n| text(n, source)).unwrap_or_default();
            items.push(ApiItem {
                kind: ApiKind::Type,
                name: name.to_owned(),
                receiver: None,
                signature: format!("{word} {name}"),
            });
        }
        "class_declaration" | "abstract_class_declaration" => {
            push(items, ApiKind::Type, node, None, source);
            let class = field(node, "name", source);
            for body in fields(node, "body") {
                for item in children(body)
                    .into_iter()
                    .filter(|n| n.kind() == "method_definition")
                {
                    push(items, ApiKind::Method, item, class, source);
                }
            }
        }
        "lexical_declaration" | "variable_declaration" => {
            for item in children(node) {
                let Some(value) = item.child_by_field_name("value") else {
                    continue;
                };
                if !matches!(value.kind(), "arrow_function" | "function_expression") {
                    continue;
                }
                let Some(name) = field(item, "name", source) else {
                    continue;
                };
                let head = head(value, value.child_by_field_name("body"), source);
                let head = head.trim_end_matches(['>', '=', ' ']).to_owned();
                items.push(ApiItem {
                    kind: ApiKind::Function,
                    name: name.to_owned(),
                    receiver: None,
                    signature: format!("{name} = {}", one_line(&head)),
                });
            }
        }
        _ => {}
    }
}

fn python(node: Node<'_>, source: &str, items: &mut Vec<ApiItem>) {
    match node.kind() {
        "decorated_definition" => {
            for inner in fields(node, "definition") {
                python(inner, source, items);
            }
        }
        "function_definition" => push(items, ApiKind::Function, node, None, source),
        "class_definition" => {
            push(items, ApiKind::Type, node, None, source);
            let class = field(node, "name", source);
            for body in fields(node, "body") {
                for item in children(body) {
                    let item = item.child_by_field_name("definition").unwrap_or(item);
                    if item.kind() == "function_definition" {
                        push(items, ApiKind::Method, item, class, source);
                    }
                }
            }
        }
        _ => {}
    }
}

fn java(node: Node<'_>, source: &str, items: &mut Vec<ApiItem>) {
    if !matches!(
        node.kind(),
        "class_declaration" | "interface_declaration" | "enum_declaration" | "record_declaration"
    ) {
        return;
    }
    push(items, ApiKind::Type, node, None, source);
    let class = field(node, "name", source);
    for body in fields(node, "body") {
        for item in children(body) {
            if matches!(
                item.kind(),
                "method_declaration" | "constructor_declaration"
            ) {
                push(items, ApiKind::Method, item, class, source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signatures(path: &str, source: &str) -> Vec<String> {
        api(path, source)
            .into_iter()
            .map(|item| item.signature)
            .collect()
    }

    #[test]
    fn lists_what_a_go_client_offers() {
        let source = r"package wiz

// func Commented() {}
const s = `func InString() {}`

func newWizClient(apiKey string) *wizClient { return nil }

func (c *wizClient) ListAssets(
	ctx context.Context,
	token string,
) (*ListAssetsResponse, error) {
	inner := func() {}
	inner()
	return nil, nil
}

func Map[K comparable, V any](m map[K]V) []V { return nil }

func (p *page[T]) Next() (T, bool)

type WizAsset struct { ID string }
type (
	WizAssetType string
	lister interface{ List() }
	alias = WizAsset
)
";
        assert_eq!(
            signatures("a/wiz_client.go", source),
            [
                "newWizClient(apiKey string) *wizClient",
                "(c *wizClient) ListAssets(ctx context.Context, token string) (*ListAssetsResponse, error)",
                "Map[K comparable, V any](m map[K]V) []V",
                "(p *page[T]) Next() (T, bool)",
                "type WizAsset struct",
                "type WizAssetType string",
                "type lister interface",
                "type alias = WizAsset",
            ]
        );
        let items = api("a.go", source);
        assert_eq!(items[1].receiver.as_deref(), Some("wizClient"));
        assert_eq!(items[3].receiver.as_deref(), Some("page"));
        assert_eq!(
            (items[0].kind, items[1].kind),
            (ApiKind::Function, ApiKind::Method)
        );
    }

    #[test]
    fn broken_text_gives_what_is_readable() {
        let found = signatures(
            "a.go",
            "package a\nfunc Good() error { return nil }\nfunc Bad( {\n",
        );
        assert_eq!(found.first().map(String::as_str), Some("Good() error"));
        for text in [
            "",
            "\u{feff}",
            "func",
            "func (",
            "type",
            "\0\0\0",
            "((((((",
            "func f(,)",
        ] {
            for path in ["a.go", "a.rs", "a.ts", "a.js", "a.py", "a.java", "a.txt"] {
                let _ = api(path, text);
            }
        }
    }

    #[test]
    fn reads_the_other_languages() {
        let rust = "pub struct A;\nimpl<T> x::A<T> { pub fn get(&self) -> u8 { 1 } }\nfn b() {}\n";
        assert_eq!(
            signatures("a.rs", rust),
            ["pub struct A", "A: pub fn get(&self) -> u8", "fn b()"]
        );
        let script = "export class C { get(id: string): number { return 1 } }\n\
                      export const f = async (a: number) => a;\nfunction g() {}\n\
                      interface I { x: number }\n";
        assert_eq!(
            signatures("a.ts", script),
            [
                "class C",
                "C: get(id: string): number",
                "f = async (a: number)",
                "function g()",
                "interface I"
            ]
        );
        let python = "class C(B):\n    @property\n    def get(self) -> int:\n        return 1\n\ndef f(a):\n    pass\n";
        assert_eq!(
            signatures("a.py", python),
            ["class C(B)", "C: def get(self) -> int", "def f(a)"]
        );
        let java = "public class A { public int get(String id) { return 1; } A() {} }";
        assert_eq!(
            signatures("A.java", java),
            ["public class A", "A: public int get(String id)", "A: A()"]
        );
    }
}
