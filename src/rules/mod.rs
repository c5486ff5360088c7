//! P0 rules on syntax trees.
//!
//! A rule is one text for prompts and one check on the code. The shipped rules judge Go; a team adds
//! its own in ast-grep's format ([`user`]). Everything here is pure: files come in as text, findings
//! go out as data, and [`output`] turns them into what people and machines read.
//!
//! Safe against any input: a comment or a string is not code; text that does not parse is judged as
//! far as it is readable; nesting that no person writes is reported instead of followed; nothing an
//! author writes in a comment switches a rule off, except the two marks the language itself has for
//! generated and excluded files, and [`exemption`] tells the caller about those.

mod affiliation;
mod credentials;
mod errgroup;
mod errors;
mod go;
mod marks;
pub mod output;
mod pagination;
mod size;
pub mod user;
mod vmfilter;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tree_sitter::Node;

use self::go::{Package, Parsed};
use self::user::UserRule;
use crate::facts::syntax::{Language, children, position_of, text};

pub use marks::{Exemption, exemption};

/// Largest number of lines a file may have under `file-size`, plus one (the seed's "<400").
pub const FILE_SIZE_LIMIT: u32 = 400;

/// A shipped rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its id, as plans and findings name it.
    pub id: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// The text that goes into prompts: what the code must do (Markdown).
    pub prompt_text: &'static str,
    /// How a violation is usually put right.
    pub hint: &'static str,
}

/// The shipped rules: the seed's six P0 requirements in its order, then the file size.
#[must_use]
pub fn all() -> &'static [Rule] {
    const RULES: &[Rule] = &[
        Rule {
            id: "vmfilter",
            title: "VMFilter is asked before every Job.Send",
            prompt_text: include_str!("../../templates/rules/vmfilter.md"),
            hint: "initialise the VMFilter in the constructor, and skip the entity when it says \
                   true: `if h.Filter.Asset(&asset) { continue }` before `h.Job.Send(&asset)`",
        },
        Rule {
            id: "check-affiliation",
            title: "CheckAffiliation asks the vendor's API",
            prompt_text: include_str!("../../templates/rules/check-affiliation.md"),
            hint: "look the asset up through the client, e.g. `client.GetAsset(ctx, id)`, and \
                   answer from what comes back",
        },
        Rule {
            id: "validate-credentials",
            title: "ValidateCredentials is the first statement of Invoke",
            prompt_text: include_str!("../../templates/rules/validate-credentials.md"),
            hint: "begin Invoke with `if err := h.ValidateCredentials(); err != nil { return \
                   fmt.Errorf(\"validate credentials: %w\", err) }`",
        },
        Rule {
            id: "errgroup",
            title: "errgroup has a limit before it starts work",
            prompt_text: include_str!("../../templates/rules/errgroup.md"),
            hint: "call `g.SetLimit(10)`, or another positive number, right after the group is made",
        },
        Rule {
            id: "pagination",
            title: "Loops over pages are bounded",
            prompt_text: include_str!("../../templates/rules/pagination.md"),
            hint: "declare `const maxPages = 1000`, count the pages, and break when the count \
                   reaches it",
        },
        Rule {
            id: "error-handling",
            title: "No error is ignored, errors are wrapped",
            prompt_text: include_str!("../../templates/rules/error-handling.md"),
            hint: "take the error, check it, and return `fmt.Errorf(\"what was done: %w\", err)`",
        },
        Rule {
            id: "file-size",
            title: "Files stay below 400 lines",
            prompt_text: include_str!("../../templates/rules/file-size.md"),
            hint: "move a part with a purpose of its own into another file of the package",
        },
    ];
    RULES
}

/// The shipped rule of an id.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Rule> {
    all().iter().find(|rule| rule.id == id)
}

/// A file to judge.
#[derive(Debug, Clone, Copy)]
pub struct SourceFile<'a> {
    /// Path from the repository's root, with `/`.
    pub path: &'a str,
    /// The whole text.
    pub text: &'a str,
}

/// What the rules need to know beside the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The `go` directive of the module ([`crate::facts::go_version`]); `None` when unknown, which
    /// counts as a version with loop variables per iteration.
    pub go_version: Option<(u32, u32)>,
    /// A Go file must have fewer lines than this; [`FILE_SIZE_LIMIT`] by default.
    pub max_file_lines: u32,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            go_version: None,
            max_file_lines: FILE_SIZE_LIMIT,
        }
    }
}

/// A place where a rule does not hold.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Finding {
    /// Id of the rule.
    pub rule: String,
    /// Path from the repository's root.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong at that place.
    pub message: String,
    /// How to mend it.
    pub hint: String,
}

/// Judges files by the shipped rules and a team's own.
///
/// `wanted` says for a path and a rule's id whether findings there are asked for. Hand in all files
/// of the packages concerned, not only those asked about: a handler is judged together with the
/// client next to it. Every directory is a package of its own. The result is sorted by file, line,
/// column and rule, without doubles.
#[must_use]
pub fn check(
    files: &[SourceFile<'_>],
    wanted: &(dyn Fn(&str, &str) -> bool + Sync),
    context: &Context,
    user_rules: &[UserRule],
) -> Vec<Finding> {
    // Some walks recurse along the tree. Its depth is bounded, the thread's usual stack may not fit it.
    let judge = || {
        let mut findings = go_findings(files, context);
        findings.extend(files.iter().flat_map(|file| user::check(file, user_rules)));
        findings.retain(|finding| wanted(&finding.file, &finding.rule));
        findings
    };
    let mut findings = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, judge)
            .ok()
            .and_then(|thread| thread.join().ok())
    })
    .unwrap_or_else(|| unjudged(files, wanted));
    findings.sort_by(|a, b| {
        (&a.file, a.line, a.column, &a.rule, &a.message)
            .cmp(&(&b.file, b.line, b.column, &b.rule, &b.message))
    });
    findings.dedup();
    findings
}

/// Largest Go file that is judged, in bytes; nobody writes one by hand.
const LARGEST_FILE: usize = 1 << 20;

/// Stack of the judging thread, in bytes; only what is used takes memory.
const STACK: usize = 256 << 20;

/// When judging itself failed, that is said at each file: silence would mean that all is well.
fn unjudged(files: &[SourceFile<'_>], wanted: &dyn Fn(&str, &str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        for rule in all() {
            if Language::of_path(file.path) == Some(Language::Go) && wanted(file.path, rule.id) {
                findings.push(Finding {
                    rule: rule.id.to_owned(),
                    file: file.path.to_owned(),
                    line: 1,
                    column: 1,
                    message: "this file could not be judged".to_owned(),
                    hint: "please report this as a defect of git-pertask".to_owned(),
                });
            }
        }
    }
    findings
}

struct Member<'a> {
    file: &'a SourceFile<'a>,
    tree: tree_sitter::Tree,
    judged: bool,
}

fn go_findings(files: &[SourceFile<'_>], context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    // By directory and package clause.
    let mut packages: BTreeMap<(String, String), Vec<Member<'_>>> = BTreeMap::new();
    for file in files {
        if Language::of_path(file.path) != Some(Language::Go) {
            continue;
        }
        let judged = match exemption(file.path, file.text) {
            None => true,
            Some(Exemption::Generated) => false,
            Some(Exemption::Test | Exemption::Excluded) => continue,
        };
        if file.text.len() > LARGEST_FILE {
            if judged {
                let problem =
                    format!("the file has more than {LARGEST_FILE} bytes and cannot be judged");
                findings.extend(unreadable(file, &problem, "split it by purpose"));
            }
            continue;
        }
        let Some(tree) = Language::Go.parse(file.text) else {
            continue;
        };
        if judged && go::reach::too_deep(tree.root_node()) {
            let problem = format!(
                "the code is nested more than {} levels deep and cannot be judged",
                go::reach::DEEPEST
            );
            findings.extend(unreadable(file, &problem, "write it with less nesting"));
            continue;
        }
        let directory = file
            .path
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory);
        let name = package_clause(tree.root_node(), file.text);
        packages
            .entry((directory.to_owned(), name.to_owned()))
            .or_default()
            .push(Member { file, tree, judged });
    }
    for members in packages.values() {
        let parsed: Vec<Parsed<'_>> = members
            .iter()
            .map(|member| Parsed {
                path: member.file.path,
                text: member.file.text,
                tree: &member.tree,
                judged: member.judged,
            })
            .collect();
        let package = Package::new(&parsed);
        let mut report = Report {
            package: &package,
            findings: Vec::new(),
        };
        vmfilter::check(&mut report);
        affiliation::check(&mut report);
        credentials::check(&mut report);
        errgroup::check(&mut report, context);
        pagination::check(&mut report);
        errors::check(&mut report);
        size::check(&mut report, context);
        findings.append(&mut report.findings);
    }
    findings
}

fn package_clause<'s>(root: Node<'_>, source: &'s str) -> &'s str {
    children(root)
        .into_iter()
        .find(|node| node.kind() == "package_clause")
        .and_then(|clause| children(clause).first().map(|name| text(*name, source)))
        .unwrap_or_default()
}

/// A file that is not looked into gets a finding of every rule: silence would mean that all is well.
fn unreadable(file: &SourceFile<'_>, problem: &str, hint: &str) -> Vec<Finding> {
    all()
        .iter()
        .map(|rule| Finding {
            rule: rule.id.to_owned(),
            file: file.path.to_owned(),
            line: 1,
            column: 1,
            message: problem.to_owned(),
            hint: hint.to_owned(),
        })
        .collect()
}

/// Collects the findings in one package.
struct Report<'p, 't> {
    package: &'p Package<'t>,
    findings: Vec<Finding>,
}

impl<'t> Report<'_, 't> {
    /// Adds a finding at a node, unless the file is not judged.
    fn add(&mut self, rule: &str, at: go::At<'t>, message: String) {
        let hint = by_id(rule).map_or("", |rule| rule.hint);
        self.add_with_hint(rule, at, message, hint.to_owned());
    }

    fn add_with_hint(&mut self, rule: &str, at: go::At<'t>, message: String, hint: String) {
        let file = &self.package.files[at.file];
        if !file.judged {
            return;
        }
        let (line, column) = position_of(at.node, file.text);
        self.findings.push(Finding {
            rule: rule.to_owned(),
            file: file.path.to_owned(),
            line,
            column,
            message,
            hint,
        });
    }
}
