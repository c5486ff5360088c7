//! Whether a registry names what a task made, read from both syntax trees.
//!
//! A comment or a string never counts. What cannot be seen: a registration by reflection, by a name
//! put together at run time, or in a file that the task did not have to touch.

use crate::attempt::checks::scope;
use crate::facts::syntax::{Language, children, text, walk};
use crate::facts::{self, declared, names, uses};

/// Reads a file of the tree that is judged; `None` when it is not there.
pub type Read<'a> = &'a dyn Fn(&str) -> anyhow::Result<Option<String>>;

/// A file with its text.
#[derive(Debug, Clone, Copy)]
struct Source<'a> {
    path: &'a str,
    text: &'a str,
}

/// Looks for a task's `file` in the registries: those of the `changed` files that match `glob`.
///
/// `None` when none of them matches, which is for the scope check to say. Otherwise whether one of
/// them names it, with a line for people.
///
/// # Errors
/// When the tree cannot be read.
pub fn look(
    read: Read<'_>,
    file: &str,
    glob: &str,
    changed: &[&str],
) -> anyhow::Result<Option<Result<String, String>>> {
    let matcher = scope::matcher(&[glob.to_owned()]);
    let registries: Vec<&str> = changed
        .iter()
        .copied()
        .filter(|path| matcher.is_match(path))
        .collect();
    if registries.is_empty() {
        return Ok(None);
    }
    let Some(made) = read(file)? else {
        return Ok(Some(Err(format!("{file} is not there"))));
    };
    let made = Source {
        path: file,
        text: &made,
    };
    let mut said = None;
    for path in registries {
        let Some(registry) = read(path)? else {
            said = said.or(Some(Err(format!("{path} is not there any more"))));
            continue;
        };
        let registry = Source {
            path,
            text: &registry,
        };
        let import = import_path(read, file)?;
        match named(made, registry, import.as_deref()) {
            Ok(found) => return Ok(Some(Ok(found))),
            Err(why) => said = said.or(Some(Err(why))),
        }
    }
    Ok(said)
}

/// How the registry names what is declared in `made`.
fn named(made: Source<'_>, registry: Source<'_>, import: Option<&str>) -> Result<String, String> {
    let languages = (
        Language::of_path(made.path),
        Language::of_path(registry.path),
    );
    if made.path == registry.path || registry.path.ends_with("_test.go") {
        return Ok(format!("{} was changed", registry.path));
    }
    match languages {
        (Some(Language::Go), Some(Language::Go)) if folder(made.path) != folder(registry.path) => {
            across_packages(made, registry, import)
        }
        (Some(a), Some(b)) if a == b => beside(made, registry),
        _ => Ok(format!(
            "{} was changed; no syntax tree says more",
            registry.path
        )),
    }
}

/// Within one package, or in a language where imported names are used bare.
fn beside(made: Source<'_>, registry: Source<'_>) -> Result<String, String> {
    let found = uses((registry.path, registry.text), (made.path, made.text));
    match found.first() {
        Some(name) => Ok(format!("{} names {name}", registry.path)),
        None => Err(format!(
            "the code of {} names nothing that {} declares",
            registry.path, made.path
        )),
    }
}

fn across_packages(
    made: Source<'_>,
    registry: Source<'_>,
    import: Option<&str>,
) -> Result<String, String> {
    let package = package(made.text).unwrap_or_default();
    let last = folder(made.path).rsplit('/').next().unwrap_or_default();
    let wanted = import.unwrap_or(last);
    let imports: Vec<Import> = imports(registry.text)
        .into_iter()
        .filter(|i| match import {
            Some(path) => i.path == path,
            None => i.path.rsplit('/').next() == Some(last),
        })
        .collect();
    if imports.is_empty() {
        return Err(format!("{} does not import {wanted}", registry.path));
    }
    let exported: Vec<String> = declared(made.path, made.text)
        .into_iter()
        .filter(|name| name.chars().next().is_some_and(char::is_uppercase))
        .collect();
    for import in &imports {
        match import.name.as_deref().unwrap_or(&package) {
            "_" if has_init(made.text) => {
                return Ok(format!(
                    "{} imports {} for its init",
                    registry.path, import.path
                ));
            }
            "_" => {}
            "." => {
                if let Ok(said) = beside(made, registry) {
                    return Ok(said);
                }
            }
            local => {
                for name in &exported {
                    let selector = format!("{local}.{name}");
                    if names(registry.path, registry.text, &selector) {
                        return Ok(format!("{} names {selector}", registry.path));
                    }
                }
            }
        }
    }
    let offered = match exported.as_slice() {
        [] => "it exports nothing".to_owned(),
        some => some.join(", "),
    };
    Err(format!(
        "{} imports {wanted}, but its code names nothing that {} declares ({offered})",
        registry.path, made.path
    ))
}

/// One import of a Go file.
struct Import {
    /// What it is called there; `None` for the package's own name.
    name: Option<String>,
    path: String,
}

fn imports(source: &str) -> Vec<Import> {
    let mut found = Vec::new();
    let Some(tree) = Language::Go.parse(source) else {
        return found;
    };
    walk(tree.root_node(), |node| {
        if node.kind() == "import_spec"
            && let Some(path) = node.child_by_field_name("path")
        {
            let name = node.child_by_field_name("name");
            found.push(Import {
                name: name.map(|n| text(n, source).to_owned()),
                path: text(path, source).trim_matches(['"', '`']).to_owned(),
            });
        }
        matches!(
            node.kind(),
            "source_file" | "import_declaration" | "import_spec_list"
        )
    });
    found
}

/// The name in a Go file's package clause.
fn package(source: &str) -> Option<String> {
    let tree = Language::Go.parse(source)?;
    let clause = children(tree.root_node())
        .into_iter()
        .find(|n| n.kind() == "package_clause")?;
    let name = children(clause).first().map(|n| text(*n, source))?;
    Some(name.to_owned())
}

/// Whether a Go file has a function `init`, which an import runs.
fn has_init(source: &str) -> bool {
    let Some(tree) = Language::Go.parse(source) else {
        return false;
    };
    children(tree.root_node()).iter().any(|node| {
        node.kind() == "function_declaration"
            && node
                .child_by_field_name("name")
                .is_some_and(|name| text(name, source) == "init")
    })
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The path that Go files import the package of `file` by, from the nearest `go.mod`.
fn import_path(read: Read<'_>, file: &str) -> anyhow::Result<Option<String>> {
    let package = folder(file);
    let mut dir = package;
    loop {
        let go_mod = if dir.is_empty() {
            "go.mod".to_owned()
        } else {
            format!("{dir}/go.mod")
        };
        if let Some(text) = read(&go_mod)? {
            let below = package[dir.len()..].trim_start_matches('/');
            return Ok(facts::go_module(&text).map(|module| {
                if below.is_empty() {
                    module
                } else {
                    format!("{module}/{below}")
                }
            }));
        }
        if dir.is_empty() {
            return Ok(None);
        }
        dir = folder(dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDLER: &str = "package wiz\n\ntype Wiz struct{}\n\nfunc New() *Wiz { return &Wiz{} }\n";

    fn registry(imports: &str, code: &str) -> String {
        format!("package integrations\n\nimport (\n{imports}\n)\n\n{code}\n")
    }

    /// What is said of a registry beside the handler's folder.
    fn said(handler: &str, registry: &str, go_mod: Option<&str>) -> Result<String, String> {
        let read = |path: &str| -> anyhow::Result<Option<String>> {
            Ok(match path {
                "in/wiz/wiz.go" => Some(handler.to_owned()),
                "in/integrations.go" => Some(registry.to_owned()),
                "go.mod" => go_mod.map(str::to_owned),
                _ => None,
            })
        };
        look(
            &read,
            "in/wiz/wiz.go",
            "**/integrations.go",
            &["in/integrations.go", "in/wiz/wiz.go"],
        )
        .unwrap()
        .unwrap()
    }

    #[test]
    fn code_that_names_the_handler_registers_it() {
        let module = Some("module example.com/x\n");
        let own = r#"	"example.com/x/in/wiz""#;
        let cases = [
            (own, "var all = []any{wiz.New}"),
            (own, "var all = []any{&wiz.Wiz{}}"),
            (own, "func init() { register(\"wiz\", wiz.\n\tNew()) }"),
            (
                r#"	vendor "example.com/x/in/wiz""#,
                "var all = []any{vendor.New}",
            ),
            (r#"	. "example.com/x/in/wiz""#, "var all = []any{New}"),
        ];
        for (imports, code) in cases {
            let found = said(HANDLER, &registry(imports, code), module);
            assert!(found.is_ok(), "{imports} {code}: {found:?}");
        }
        // Without a module file the folder's name is what there is to compare.
        let found = said(HANDLER, &registry(own, "var all = []any{wiz.New}"), None);
        assert_eq!(found, Ok("in/integrations.go names wiz.New".to_owned()));
        let init = format!("{HANDLER}\nfunc init() {{ register(New) }}\n");
        let blank = registry(r#"	_ "example.com/x/in/wiz""#, "");
        assert!(said(&init, &blank, module).is_ok());
        assert!(said(HANDLER, &blank, module).is_err());
    }

    #[test]
    fn comments_strings_and_other_packages_do_not() {
        let module = Some("module example.com/x\n");
        let own = r#"	"example.com/x/in/wiz""#;
        let cases = [
            (own, "// wiz.New"),
            (own, "var all = []string{\"wiz.New\"}"),
            (own, "var all = []any{wiz.Other}"),
            (own, "var all = []any{wizard.New}"),
            (
                r#"	"example.com/x/in/wizard""#,
                "var all = []any{wizard.New}",
            ),
            (r#"	"example.com/other/wiz""#, "var all = []any{wiz.New}"),
            ("	// \"example.com/x/in/wiz\"", "var all = []any{wiz.New}"),
        ];
        for (imports, code) in cases {
            let found = said(HANDLER, &registry(imports, code), module);
            assert!(found.is_err(), "{imports} {code}: {found:?}");
        }
    }

    #[test]
    fn other_languages_are_read_by_their_own_tree() {
        let read = |path: &str| -> anyhow::Result<Option<String>> {
            Ok(match path {
                "src/wiz.ts" => Some("export function wiz() {}".to_owned()),
                "src/index.ts" => Some("// wiz\nconst all = ['wiz'];".to_owned()),
                "src/main.ts" => Some("import { wiz } from './wiz';\nwiz();".to_owned()),
                "CHANGES.md" => Some("wiz".to_owned()),
                _ => None,
            })
        };
        let ask = |glob: &str| look(&read, "src/wiz.ts", glob, &[glob]).unwrap();
        assert!(ask("src/index.ts").unwrap().is_err());
        assert!(ask("src/main.ts").unwrap().is_ok());
        assert!(ask("CHANGES.md").unwrap().is_ok());
        assert!(ask("gone.md").unwrap().is_err());
        assert_eq!(look(&read, "src/wiz.ts", "a.md", &["b.md"]).unwrap(), None);
    }
}
