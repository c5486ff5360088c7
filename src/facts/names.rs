//! Names in code: what a file declares, and whether another names it.

use std::collections::BTreeSet;

use super::api::{ApiKind, api};
use super::syntax::{Language, text, walk};

/// Whether an identifier, or a selector such as `wiz.New`, occurs in the code of a file.
///
/// What stands in comments, strings, import paths and package clauses does not count; neither does
/// a part of a longer name. The parts of a selector may stand on several lines. An unknown language
/// is `false`.
#[must_use]
pub fn names(path: &str, source: &str, identifier: &str) -> bool {
    let parts: Vec<&str> = identifier.split('.').map(str::trim).collect();
    if parts.iter().any(|part| part.is_empty()) {
        return false;
    }
    let found = identifiers(path, source);
    found.windows(parts.len()).any(|window| {
        window
            .iter()
            .zip(&parts)
            .enumerate()
            .all(|(i, ((name, _, start), part))| {
                // Between the parts of a selector stand only a dot and white space.
                let joined = i == 0
                    || source.get(window[i - 1].1..*start).is_some_and(|gap| {
                        let gap = gap.trim();
                        gap == "." || gap == "::"
                    });
                name == part && joined
            })
    })
}

/// The names a file declares at its top level: functions, types, and for Go also variables and
/// constants; methods are left out, since naming one needs a value.
#[must_use]
pub fn declared(path: &str, source: &str) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = api(path, source)
        .into_iter()
        .filter(|item| item.kind != ApiKind::Method)
        .map(|item| item.name)
        .collect();
    if Language::of_path(path) == Some(Language::Go)
        && let Some(tree) = Language::Go.parse(source)
    {
        walk(tree.root_node(), |node| {
            if matches!(node.kind(), "const_spec" | "var_spec") {
                for name in super::syntax::fields(node, "name") {
                    names.insert(text(name, source).to_owned());
                }
            }
            !matches!(
                node.kind(),
                "function_declaration" | "method_declaration" | "func_literal"
            )
        });
    }
    names.remove("_");
    names.remove("init");
    names.remove("main");
    names
}

/// The names that `other` declares and `file` refers to in its code, sorted; empty means that
/// `file` does not use the other. Both are a path and its text.
///
/// Meant for files of one package, where a bare name reaches across files. Methods count when
/// `file` calls a method of that name on something.
#[must_use]
pub fn uses(file: (&str, &str), other: (&str, &str)) -> Vec<String> {
    let mut wanted = declared(other.0, other.1);
    wanted.extend(
        api(other.0, other.1)
            .into_iter()
            .filter(|item| item.kind == ApiKind::Method)
            .map(|item| item.name),
    );
    // What the file declares by itself at top level is its own.
    let own = declared(file.0, file.1);
    let found: BTreeSet<&str> = identifiers(file.0, file.1)
        .into_iter()
        .map(|(name, _, _)| name)
        .collect();
    wanted.retain(|name| found.contains(name.as_str()) && !own.contains(name));
    wanted.into_iter().collect()
}

/// Every identifier in code with its end and start byte, in source order.
fn identifiers<'s>(path: &str, source: &'s str) -> Vec<(&'s str, usize, usize)> {
    let mut found = Vec::new();
    let Some(language) = Language::of_path(path) else {
        return found;
    };
    let Some(tree) = language.parse(source) else {
        return found;
    };
    walk(tree.root_node(), |node| {
        let kind = node.kind();
        if node.child_count() == 0 && (kind == "identifier" || kind.ends_with("_identifier")) {
            found.push((text(node, source), node.end_byte(), node.start_byte()));
        }
        !matches!(kind, "package_clause" | "import_declaration")
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: &str = r#"package integrations

import "example.com/chariot/wizard"

// wiz.NewHandler is registered later
var note = "okta.NewHandler"

func init() {
	register("wiz", wizard.
		NewHandler)
	register(`crowd`, crowd /* the vendor */ .New())
	register(tenable.Handler{})
}
"#;

    #[test]
    fn code_names_comments_and_strings_do_not() {
        let named = |identifier| names("integrations.go", REGISTRY, identifier);
        assert!(named("wizard.NewHandler"));
        assert!(named("NewHandler"));
        assert!(named("tenable.Handler"));
        assert!(!named("wiz.NewHandler"));
        assert!(!named("okta.NewHandler"));
        assert!(!named("wiz"));
        assert!(!named("integrations"));
        assert!(!named("chariot"));
        assert!(!named(""));
        assert!(!named("tenable."));
        assert!(!names("integrations.txt", REGISTRY, "init"));
    }

    #[test]
    fn one_file_uses_another() {
        let types = "package wiz\ntype WizAsset struct{}\nconst maxPages = 3\n";
        let client = "package wiz\nfunc (c *client) List() []WizAsset { return nil }\ntype client struct{}\n";
        let handler = "package wiz\n// WizAsset\nfunc run(c *client) { c.List() }\n";
        assert_eq!(uses(("b.go", client), ("a.go", types)), ["WizAsset"]);
        assert_eq!(
            uses(("c.go", handler), ("b.go", client)),
            ["List", "client"]
        );
        assert!(uses(("c.go", handler), ("a.go", types)).is_empty());
    }
}
