//! The rules over a directory, without a run and, if need be, without a repository.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::super::cli::CheckFormat;
use super::super::{Exit, usage};
use crate::facts::syntax::Language;
use crate::git::Repo;
use crate::rules::user::{self, UserRule};
use crate::rules::{self, Context, Exemption, Finding, SourceFile};

/// Folders that hold other people's code, or what tests feed to programs. Those that begin with
/// `.` or `_` are left out too, as Go's own tools do.
const LEFT_OUT: [&str; 3] = ["vendor", "node_modules", "testdata"];

/// A source file that was found.
struct Found {
    /// Path as findings show it.
    shown: String,
    text: String,
    go_version: Option<(u32, u32)>,
}

/// Judges every source file below `dir` by the shipped rules, and by the team's own when it is in a
/// repository that has some.
pub(super) fn run(dir: &Path, format: CheckFormat) -> anyhow::Result<Exit> {
    let root =
        fs::canonicalize(dir).map_err(|e| usage!("{} cannot be looked at: {e}", dir.display()))?;
    if !root.is_dir() {
        return Err(usage!(
            "{} is a file; rules judge whole packages: name the folder it is in",
            dir.display()
        )
        .into());
    }
    // Paths are those of the repository, which is what SARIF and GitHub expect; else those below
    // the folder. A repository that we cannot work with is still a folder of files.
    let top = Repo::discover(&root)
        .ok()
        .and_then(|repo| fs::canonicalize(repo.workdir()).ok());
    let team = match &top {
        Some(top) => team_rules(top)?,
        None => Vec::new(),
    };
    let base = top.as_ref().unwrap_or(&root);
    let mut versions = Versions::default();
    let mut files = Vec::new();
    for path in sources(&root)? {
        let bytes = fs::read(&path).map_err(|e| unreadable(&path, &e))?;
        let shown = path.strip_prefix(base).unwrap_or(&path);
        files.push(Found {
            shown: shown.to_string_lossy().replace('\\', "/"),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            go_version: path.parent().and_then(|folder| versions.of(folder)),
        });
    }
    let findings = judge(&files, &team);
    say_what_was_looked_at(&files, team.len());
    super::say(format, &findings, None)?;
    Ok(super::exit(&findings, &[]))
}

/// Modules of different Go versions are judged apart: the version decides what a rule asks.
fn judge(files: &[Found], team: &[UserRule]) -> Vec<Finding> {
    let mut by_version: BTreeMap<Option<(u32, u32)>, Vec<SourceFile<'_>>> = BTreeMap::new();
    for file in files {
        by_version
            .entry(file.go_version)
            .or_default()
            .push(SourceFile {
                path: &file.shown,
                text: &file.text,
            });
    }
    let mut findings = Vec::new();
    for (go_version, files) in by_version {
        let context = Context {
            go_version,
            ..Context::default()
        };
        findings.extend(rules::check(&files, &|_, _| true, &context, team));
    }
    findings.sort_by(|a, b| {
        (&a.file, a.line, a.column, &a.rule).cmp(&(&b.file, b.line, b.column, &b.rule))
    });
    findings
}

/// On stderr: how much was judged, and what the rules passed over though it is no test.
fn say_what_was_looked_at(files: &[Found], team: usize) {
    let mut err = std::io::stderr().lock();
    for file in files {
        let why = match rules::exemption(&file.shown, &file.text) {
            Some(Exemption::Generated) => "it says that it is generated",
            Some(Exemption::Excluded) => "its build constraint keeps it out of every build",
            Some(Exemption::Test) | None => continue,
        };
        let name = crate::report::clean::line(&file.shown);
        let _ = writeln!(
            err,
            "note: {name} is not judged by the shipped rules: {why}"
        );
    }
    let own = match team {
        0 => String::new(),
        n => format!(" and {n} of .pertask/rules"),
    };
    let _ = match files.len() {
        0 => writeln!(err, "No source file there that the rules can read"),
        n => writeln!(
            err,
            "Looked at {n} source file{} by the {} shipped rules{own}",
            if n == 1 { "" } else { "s" },
            rules::all().len()
        ),
    };
}

fn team_rules(top: &Path) -> anyhow::Result<Vec<UserRule>> {
    let folder = top.join(".pertask/rules");
    let mut rules = Vec::new();
    if !folder.is_dir() {
        return Ok(rules);
    }
    for path in entries(&folder)? {
        let yaml = path.extension().is_some_and(|e| e == "yml" || e == "yaml");
        if yaml && path.is_file() {
            let text = fs::read_to_string(&path).map_err(|e| unreadable(&path, &e))?;
            let name = path.strip_prefix(top).unwrap_or(&path).to_string_lossy();
            rules.extend(user::parse(&name, &text).map_err(|e| usage!("{e}"))?);
        }
    }
    Ok(rules)
}

/// The source files below a folder, sorted.
fn sources(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let kind = path
                .symlink_metadata()
                .map_err(|e| unreadable(&path, &e))?
                .file_type();
            if name.starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                if !name.starts_with('_') && !LEFT_OUT.contains(&name.as_ref()) {
                    folders.push(path);
                }
            } else if kind.is_file() && Language::of_path(&name).is_some() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?
            .map(|entry| entry.map(|e| e.path()))
            .collect()
    };
    let mut found = read().map_err(|e| unreadable(folder, &e))?;
    found.sort();
    Ok(found)
}

fn unreadable(path: &Path, error: &std::io::Error) -> super::super::Usage {
    usage!("{} cannot be read: {error}", path.display())
}

/// The `go` directive that counts for a folder: that of the nearest `go.mod` at or above it.
#[derive(Default)]
struct Versions {
    known: BTreeMap<PathBuf, Option<(u32, u32)>>,
}

impl Versions {
    fn of(&mut self, folder: &Path) -> Option<(u32, u32)> {
        if let Some(known) = self.known.get(folder) {
            return *known;
        }
        let version = match fs::read_to_string(folder.join("go.mod")) {
            Ok(text) => crate::facts::go_version(&text),
            Err(_) => folder.parent().and_then(|parent| self.of(parent)),
        };
        self.known.insert(folder.to_owned(), version);
        version
    }
}
