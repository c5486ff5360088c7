//! The P0 rules, on exactly the tree that will be committed.

use std::collections::BTreeMap;

use super::outcome;
use crate::facts;
use crate::git::Repo;
use crate::rules::{self, Context, Exemption, Finding, SourceFile};
use crate::run::order::{CheckKind, CheckOutcome, FileRules, Order, RuleFile, Waived};

/// Judges the order's files by the rules that apply to each; `None` when none applies to any.
///
/// # Errors
/// When the tree cannot be read, or a rule of the team's is not in ast-grep's format.
pub fn run(repo: &Repo, tree: &str, order: &Order) -> anyhow::Result<Option<CheckOutcome>> {
    let count: usize = order.rules.iter().map(|r| r.rules.len()).sum();
    if count == 0 {
        return Ok(None);
    }
    let mut findings = findings(
        repo,
        tree,
        &order.rules,
        &order.rule_files,
        &order.directory,
    )?;
    let mut waived: Vec<&Waived> = order.waived.iter().collect();
    findings.retain(|f| {
        let covers = |w: &&Waived| w.rule == f.rule && w.file == f.file && w.message == f.message;
        match waived.iter().position(covers) {
            Some(at) => {
                waived.remove(at);
                false
            }
            None => true,
        }
    });
    let detail = match findings.as_slice() {
        [] => format!("{count} hold"),
        [one] => format!("{}:{}: {} ({})", one.file, one.line, one.message, one.rule),
        [first, ..] => format!(
            "{} findings, the first at {}:{}: {} ({})",
            findings.len(),
            first.file,
            first.line,
            first.message,
            first.rule
        ),
    };
    let output = if findings.is_empty() {
        String::new()
    } else {
        rules::output::human(&findings)
    };
    Ok(Some(outcome(
        CheckKind::Rules,
        "rules",
        findings.is_empty(),
        detail,
        output,
    )))
}

/// What the rules find in these files of a tree. `rule_files` are the team's own rules, `directory`
/// is where the module is built.
///
/// # Errors
/// When the tree cannot be read, or a rule of the team's is not in ast-grep's format.
pub fn findings(
    repo: &Repo,
    tree: &str,
    asked: &[FileRules],
    rule_files: &[RuleFile],
    directory: &str,
) -> anyhow::Result<Vec<Finding>> {
    let wanted: BTreeMap<&str, &[String]> = asked
        .iter()
        .filter(|r| !r.rules.is_empty())
        .map(|r| (r.path.as_str(), r.rules.as_slice()))
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut team = Vec::new();
    for file in rule_files {
        team.extend(rules::user::parse(&file.path, &file.yaml)?);
    }
    let files = package_files(repo, tree, wanted.keys().copied())?;
    let sources: Vec<SourceFile<'_>> = files
        .iter()
        .map(|(path, text)| SourceFile { path, text })
        .collect();
    let context = Context {
        go_version: go_version(repo, tree, directory)?,
        ..Context::default()
    };
    let asked = |path: &str, rule: &str| {
        wanted
            .get(path)
            .is_some_and(|ids| ids.iter().any(|id| id == rule))
    };
    let mut found = rules::check(&sources, &asked, &context, &team);
    // Generated code is not judged; a file that an agent writes is not generated code.
    let judged = files
        .iter()
        .filter(|(path, _)| wanted.contains_key(path.as_str()));
    for (path, text) in judged {
        if let Some(Exemption::Generated | Exemption::Excluded) = rules::exemption(path, text) {
            found.push(Finding {
                rule: "exempt".to_owned(),
                file: path.clone(),
                line: 1,
                column: 1,
                message: "the file says that it is generated or left out of the build, so no rule judges it".to_owned(),
                hint: "remove the mark; this file is written by a task".to_owned(),
            });
        }
    }
    Ok(found)
}

/// All source files of the folders that the asked files are in: a rule may have to look at what
/// lies beside them.
fn package_files<'p>(
    repo: &Repo,
    tree: &str,
    paths: impl Iterator<Item = &'p str>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for path in paths {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let extension = name.rsplit_once('.').map(|(_, e)| e);
        for beside in repo.list(tree, folder)? {
            let same = beside
                .rsplit('/')
                .next()
                .and_then(|n| n.rsplit_once('.'))
                .map(|(_, e)| e)
                == extension;
            if (same || beside == path)
                && !files.contains_key(&beside)
                && let Some(bytes) = repo.file(tree, &beside)?
            {
                files.insert(beside, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    Ok(files)
}

/// The `go` directive of the module that `directory` is in.
fn go_version(repo: &Repo, tree: &str, directory: &str) -> anyhow::Result<Option<(u32, u32)>> {
    let mut folder = directory.trim_matches('/');
    loop {
        let path = if folder.is_empty() {
            "go.mod".to_owned()
        } else {
            format!("{folder}/go.mod")
        };
        if let Some(bytes) = repo.file(tree, &path)? {
            return Ok(facts::go_version(&String::from_utf8_lossy(&bytes)));
        }
        match folder.rsplit_once('/') {
            Some((parent, _)) => folder = parent,
            None if folder.is_empty() => return Ok(None),
            None => folder = "",
        }
    }
}
