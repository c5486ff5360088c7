//! `git pertask init`.
//!
//! Safe against losing what is there: nothing is overwritten, and either every file is written or none.

mod action;

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::cli::InitArgs;
use super::{Exit, context, print, usage};
use crate::doctor::{self, Level};
use crate::forge::github::Place;
use crate::git::Repo;
use crate::plan::{Config, Documents, ForgeKind, config};
use crate::workflow;

/// What a new configuration says: every setting with its default, as comments.
const CONFIG: &str = include_str!("../../templates/config.toml");

/// The comment in it that gives way to the setting for GitHub.
const LOCAL: &str = "# forge = \"local\"\n";
const GITHUB: &str = "forge = \"github\"\n";

/// `git pertask init`.
pub(super) fn run(args: &InitArgs) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    if args.github {
        return github(&repo, args.action.as_deref());
    }
    let file = (config::PATH, CONFIG.to_owned());
    if !left_to_write(repo.workdir(), std::slice::from_ref(&file))?.contains(&file.0) {
        return Err(usage!("{} is there already and is left as it is", config::PATH).into());
    }
    write(repo.workdir(), &[file])?;
    print(
        "Wrote .pertask/config.toml. Next:\n  1. write .pertask/<plan>/architecture.md or plan.toml\n  2. git add .pertask && git commit\n  3. git pertask plan <plan>\n  4. git pertask start <plan>\n",
    )?;
    Ok(Exit::Done)
}

/// Writes the settings and the workflows, and says what a person has to do on GitHub.
fn github(repo: &Repo, action: Option<&str>) -> anyhow::Result<Exit> {
    let root = repo.workdir();
    let settings = config::load(&InTree(root))?;
    let agent = settings.agents.get(&settings.agent);
    let agent = agent.ok_or_else(|| usage!("the settings know no agent {}", settings.agent))?;
    let place = Place::find(repo).ok();
    let action = action::line(repo, place.as_ref(), action)?;
    let mut files = vec![(config::PATH, CONFIG.replacen(LOCAL, GITHUB, 1))];
    files.extend(workflow::render(&action, &settings.agent, agent));
    let missing = left_to_write(root, &files)?;
    let said: Vec<String> = files
        .iter()
        .map(|(path, _)| match (missing.contains(path), *path) {
            (true, path) => format!("Wrote {path}"),
            (false, config::PATH) if settings.forge == ForgeKind::Local => format!(
                "{} is there, and is left as it is; set in it: {}",
                config::PATH,
                GITHUB.trim_end()
            ),
            (false, config::PATH) => format!("{} is there, and is left as it is", config::PATH),
            (false, path) => format!("{path} is there, as it would be written"),
        })
        .collect();
    files.retain(|(path, _)| missing.contains(path));
    write(root, &files)?;
    let keys = workflow::keys(agent);
    let text = format!(
        "{}\n{}{}",
        said.join("\n"),
        steps(place.as_ref(), &settings, &keys),
        others(repo)
    );
    print(&text)?;
    Ok(Exit::Done)
}

/// What only a person can do.
fn steps(place: Option<&Place>, settings: &Config, keys: &[String]) -> String {
    let page = |page: &str| match place {
        Some(place) => format!("{}/{}/{page}", place.web, place.slug()),
        None => format!("https://github.com/OWNER/NAME/{page}"),
    };
    let secrets = if keys.is_empty() {
        format!(
            "     {} has no key in the settings: if it needs one, give its name where the workflows say EDIT.\n",
            settings.agent
        )
    } else {
        let lines = keys
            .iter()
            .map(|key| format!("     gh secret set {key} --env pertask\n"));
        lines.collect::<Vec<_>>().concat()
    };
    format!(
        "
Five steps remain:
  1. Look at what the workflows say behind EDIT, then commit, on the default branch:
     git add .pertask .github/workflows && git commit -m \"Carry runs on in GitHub Actions\" && git push
  2. Make the environment pertask, with the default branch as its only deployment branch, and put the
     agent's key there, not among the repository's secrets:
     {environments}
{secrets}  3. Tick \"Allow GitHub Actions to create and approve pull requests\":
     {actions}
  4. Protect the default branch, so that only pull requests that somebody approved reach it: plans, settings
     and these workflows are trusted because they are there. Leave branches pertask/** out of it:
     {rules}
  5. Start a plan with the form, or: gh workflow run pertask.yml -f plan=<plan>
     {form}
Then `git pertask doctor` says what is still missing.
",
        environments = page("settings/environments"),
        actions = page("settings/actions"),
        rules = page("settings/rules"),
        form = page("actions/workflows/pertask.yml"),
    )
}

/// The repository's own workflows that run what agents write, with something to steal.
fn others(repo: &Repo) -> String {
    let findings = doctor::workflows(repo);
    let lines: Vec<String> = findings
        .iter()
        .filter(|finding| finding.level != Level::Ok)
        .map(|finding| {
            let mend = finding.mend.iter().map(|mend| format!("\n    {mend}"));
            format!("  {}{}", finding.text, mend.collect::<String>())
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "
Your own workflows that run what agents write. With GITHUB_TOKEN a pull request starts them once somebody
has let it, and a push never does; with the token of an App both do, at once:
{}
",
        lines.join("\n")
    )
}

/// The files that are not there yet.
///
/// # Errors
/// When one is there with another text; nothing was written.
fn left_to_write(
    root: &Path,
    files: &[(&'static str, String)],
) -> anyhow::Result<Vec<&'static str>> {
    let mut missing = Vec::new();
    let mut other = Vec::new();
    for (path, text) in files {
        match fs::read(root.join(path)) {
            Ok(there) if workflow::same(&String::from_utf8_lossy(&there), text) => {}
            // Settings are meant to differ.
            Ok(_) if *path == config::PATH => {}
            Ok(_) => other.push(*path),
            Err(e) if e.kind() == ErrorKind::NotFound => missing.push(*path),
            Err(e) => return Err(e).with_context(|| format!("reading {path}")),
        }
    }
    if other.is_empty() {
        return Ok(missing);
    }
    Err(usage!(
        "{} {} there already and {} something else; nothing was written. To compare, move {} aside and run this again",
        other.join(" and "),
        if other.len() == 1 { "is" } else { "are" },
        if other.len() == 1 { "says" } else { "say" },
        if other.len() == 1 { "it" } else { "them" },
    )
    .into())
}

/// Writes all of these, or none.
fn write(root: &Path, files: &[(&str, String)]) -> anyhow::Result<()> {
    let mut written: Vec<PathBuf> = Vec::new();
    for (path, text) in files {
        if let Err(error) = write_one(&root.join(path), text) {
            for path in &written {
                let _ = fs::remove_file(path);
            }
            return Err(error);
        }
        written.push(root.join(path));
    }
    Ok(())
}

/// Writes a file that is not there yet, whole or not at all.
fn write_one(path: &Path, text: &str) -> anyhow::Result<()> {
    let what = || format!("writing {}", path.display());
    let dir = path.parent().unwrap_or(path);
    fs::create_dir_all(dir).with_context(what)?;
    let mut file = tempfile::Builder::new()
        .prefix(".pertask-")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(dir)
        .with_context(what)?;
    file.write_all(text.as_bytes()).with_context(what)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == ErrorKind::AlreadyExists => {
            Err(usage!("{} is there already; nothing was written", path.display()).into())
        }
        Err(e) => Err(e.error).with_context(what),
    }
}

/// The settings as they are about to be committed.
struct InTree<'r>(&'r Path);

impl Documents for InTree<'_> {
    fn read(&self, path: &str) -> anyhow::Result<Option<String>> {
        match fs::read_to_string(self.0.join(path)) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn exists(&self, path: &str) -> anyhow::Result<bool> {
        Ok(self.0.join(path).is_file())
    }

    fn list(&self, _: &str) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }
}
