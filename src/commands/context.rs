//! What commands need to begin: the repository, the run meant, the plan and its base.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::cli::{ModeChoice, Settings};
use super::{Usage, usage};
use crate::driver::orders;
use crate::forge::Forge;
use crate::forge::github::{GitHub, Patience};
use crate::git::AtCommit;
use crate::git::{GitError, Repo};
use crate::ledger::{self, Ledger, LedgerError, Snapshot};
use crate::plan::{self, CheckpointPolicy, Config, ForgeKind, Loaded, mode};
use crate::rules::user::UserRule;
use crate::run::state::{Base, Item, State};

/// The repository of the current directory.
pub(super) fn repository() -> anyhow::Result<Repo> {
    let dir =
        std::env::current_dir().map_err(|e| usage!("the current folder cannot be read: {e}"))?;
    Ok(Repo::discover(&dir)?)
}

/// The newest state of every run, in the order of their names.
pub(super) fn all_runs(repo: &Repo) -> anyhow::Result<Vec<(String, Snapshot)>> {
    let mut found = Vec::new();
    for run in ledger::runs(repo)? {
        let snapshot = Ledger::of(repo, &run).read()?;
        found.push((run, snapshot));
    }
    Ok(found)
}

/// Runs by name, and the names of those that cannot be read.
type Readable = (Vec<(String, Snapshot)>, Vec<String>);

/// As [`all_runs`], for where one that cannot be read is no reason to stop: those are named apart, and
/// why is said.
pub(super) fn readable_runs(repo: &Repo) -> anyhow::Result<Readable> {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    for run in ledger::runs(repo)? {
        match Ledger::of(repo, &run).read() {
            Ok(snapshot) => found.push((run, snapshot)),
            Err(e @ (LedgerError::Damaged { .. } | LedgerError::Newer { .. })) => {
                use std::io::Write as _;
                let _ = writeln!(std::io::stderr().lock(), "warning: {e}");
                unreadable.push(run);
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok((found, unreadable))
}

/// The run of this name, or the only unfinished one.
pub(super) fn run_named(repo: &Repo, name: Option<&str>) -> anyhow::Result<String> {
    if let Some(name) = name {
        if plan::valid_name(name) && Ledger::of(repo, name).tip()?.is_some() {
            return Ok(name.to_owned());
        }
        let known = ledger::runs(repo)?;
        return Err(match known.as_slice() {
            [] => usage!("there is no run named {name}; start one: git pertask start {name}"),
            known => usage!(
                "there is no run named {name}; there are: {}",
                known.join(", ")
            ),
        }
        .into());
    }
    let runs = all_runs(repo)?;
    let open: Vec<&str> = runs
        .iter()
        .filter(|(_, s)| s.state.end.is_none())
        .map(|(n, _)| n.as_str())
        .collect();
    match open.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] if runs.is_empty() => {
            Err(usage!("there is no run yet; start one: git pertask start <plan>").into())
        }
        [] => {
            let ended: Vec<_> = runs.iter().map(|(n, _)| n.as_str()).collect();
            Err(usage!(
                "no run is unfinished; name one of these: {}",
                ended.join(", ")
            )
            .into())
        }
        several => Err(usage!(
            "several runs are unfinished, name one of them: {}",
            several.join(", ")
        )
        .into()),
    }
}

/// Sorts out `[<run>] [<task>]`: a single name that is no run is a task of the only unfinished run.
pub(super) fn run_and_task(
    repo: &Repo,
    first: Option<&str>,
    second: Option<&str>,
) -> anyhow::Result<(String, Option<String>)> {
    match (first, second) {
        (Some(run), Some(task)) => Ok((run_named(repo, Some(run))?, Some(task.to_owned()))),
        (Some(name), None) if run_named(repo, Some(name)).is_err() => match run_named(repo, None) {
            Ok(run) => Ok((run, Some(name.to_owned()))),
            Err(_) => run_named(repo, Some(name)).map(|run| (run, None)),
        },
        (name, _) => Ok((run_named(repo, name)?, None)),
    }
}

/// The item meant: the named one, or the only one for which `wanted` holds.
pub(super) fn item_meant<'s>(
    state: &'s State,
    task: Option<&str>,
    wanted: impl Fn(&Item) -> bool,
    what: &str,
) -> Result<&'s Item, Usage> {
    if let Some(task) = task {
        return state.item(task).ok_or_else(|| {
            let known: Vec<_> = state
                .items
                .iter()
                .flat_map(|i| &i.tasks)
                .map(|t| t.id.as_str())
                .collect();
            usage!(
                "run {} has no task named {task}; its tasks are {}",
                state.run,
                known.join(", ")
            )
        });
    }
    let found: Vec<&Item> = state.items.iter().filter(|i| wanted(i)).collect();
    match found.as_slice() {
        [only] => Ok(only),
        [] => Err(usage!(
            "no task of run {} {what}; `git pertask status {}` says where it stands",
            state.run,
            state.run
        )),
        several => {
            let keys: Vec<_> = several.iter().map(|i| i.key.as_str()).collect();
            Err(usage!(
                "several tasks of run {}: name one that {what}: {}",
                state.run,
                keys.join(", ")
            ))
        }
    }
}

/// A plan as it stands on its base.
pub(super) struct Prepared {
    /// Branch and commit it was read from.
    pub(super) base: Base,
    /// The configuration, with the command line's choices in it.
    pub(super) config: Config,
    /// The plan with what there is to say about it.
    pub(super) loaded: Loaded,
    /// Mode and why.
    pub(super) choice: mode::Choice,
    /// What a person should know about the working tree.
    pub(super) warnings: Vec<String>,
    /// The forge, when it is not the terminal.
    pub(super) forge: Option<RefCell<GitHub>>,
    /// What the base itself says about checkpoints.
    pub(super) base_checkpoint: CheckpointPolicy,
}

/// Reads configuration and plan from the base: on a forge, that of its remote.
pub(super) fn prepare(repo: &Repo, name: &str, settings: &Settings) -> anyhow::Result<Prepared> {
    if !plan::valid_name(name) {
        return Err(usage!(
            "`{name}` cannot be the name of a plan: use {}",
            plan::NAME_SHAPE
        )
        .into());
    }
    let mut forge = there(repo, settings)?;
    let base = match &mut forge {
        Some(forge) => forge_base(repo, forge, settings.base.as_deref())?,
        None => base(repo, settings.base.as_deref())?,
    };
    let docs = AtCommit::new(repo, &base.commit);
    let mut warnings = uncommitted(repo, name, &docs, &base, forge.is_some())?;
    let base_checkpoint = plan::config::load(&docs)?.checkpoint;
    let config = configuration(&docs, settings)?;
    let forge = forge.filter(|_| config.forge == ForgeKind::Github || settings.forge.is_some());
    if forge.is_none() && config.forge == ForgeKind::Github {
        warnings.push(format!(
            "{} asks for GitHub, the configuration here does not; commit or fetch it",
            base.branch
        ));
    }
    let forge = forge.map(RefCell::new);
    let team = orders::parse_rules(&orders::rule_files(&docs)?).map_err(|e| usage!("{e:#}"))?;
    let mut rules: Vec<&str> = plan::RULES.to_vec();
    rules.extend(team.iter().map(UserRule::id));
    let loaded = plan::load(name, &docs, &config, &parameters(&settings.params)?, &rules)?;
    let forced = match settings.mode {
        ModeChoice::Auto => None,
        ModeChoice::PerTask => Some(plan::Mode::PerTask),
        ModeChoice::Batch => Some(plan::Mode::Batch),
    };
    let choice = mode::choose(&loaded.plan, forced);
    Ok(Prepared {
        base,
        config,
        loaded,
        choice,
        warnings,
        forge,
        base_checkpoint,
    })
}

/// The forge that settings or the configuration here ask for; `None` for the terminal.
fn there(repo: &Repo, settings: &Settings) -> anyhow::Result<Option<GitHub>> {
    let kind = match settings.forge {
        Some(kind) => kind,
        None => forge_here(repo, settings.base.as_deref())?,
    };
    match kind {
        ForgeKind::Local => Ok(None),
        ForgeKind::Github => Ok(Some(GitHub::open(repo, patience())?)),
    }
}

/// The forge that the configuration of the current branch, or of the base named, asks for.
fn forge_here(repo: &Repo, wanted: Option<&str>) -> anyhow::Result<ForgeKind> {
    let commit = match wanted.map(|b| repo.resolve(b)).transpose()?.flatten() {
        Some(commit) => commit,
        None => match repo.head() {
            Ok(head) => head.commit,
            Err(_) => return Ok(ForgeKind::Local),
        },
    };
    let docs = AtCommit::new(repo, &commit);
    // What is wrong with it is said when it is read for good.
    Ok(plan::config::load(&docs).map_or(ForgeKind::Local, |c| c.forge))
}

/// An error with what is to be changed, when it is git that GitHub did not let in.
pub(super) fn explained(repo: &Repo, error: anyhow::Error) -> anyhow::Error {
    let detail = error.chain().find_map(|cause| {
        let direct = cause.downcast_ref::<GitError>();
        let inside = match cause.downcast_ref::<LedgerError>() {
            Some(LedgerError::Git(git)) => Some(git),
            _ => None,
        };
        match direct.or(inside) {
            Some(GitError::Remote {
                denied: true,
                detail,
                ..
            }) => Some(detail.clone()),
            _ => None,
        }
    });
    match detail.map(|d| (GitHub::open(repo, patience()), d)) {
        Some((Ok(forge), detail)) => forge.denied(&detail).into(),
        _ => error,
    }
}

/// How long GitHub is waited for, and where a long wait is announced.
pub(super) fn patience() -> Patience {
    Patience {
        tell: Box::new(|text| {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }),
        ..Patience::default()
    }
}

/// Fetches the base of the remote, and the ledgers of all runs there: names are never used again.
fn forge_base(repo: &Repo, forge: &mut GitHub, wanted: Option<&str>) -> anyhow::Result<Base> {
    // What the token may not do is said by GitHub in better words than by git.
    forge.look(&[])?;
    let Some(remote) = forge.remote().cloned() else {
        return base(repo, wanted);
    };
    let branch = match wanted {
        Some(branch) => branch.to_owned(),
        None => repo.remote_default_branch(&remote)?.ok_or_else(|| {
            usage!(
                "the remote {} has no branch yet; push one first: git push {} HEAD",
                remote.name,
                remote.name
            )
        })?,
    };
    let tracking = format!("refs/remotes/{}/{branch}", remote.name);
    let refspecs = [
        format!("+refs/heads/{branch}:{tracking}"),
        format!("+refs/heads/pertask*:refs/remotes/{}/pertask*", remote.name),
    ];
    match repo.fetch(&remote, &refspecs) {
        Err(GitError::NoSuchRef { .. }) => {
            return Err(usage!(
                "the remote {} has no branch named {branch}; push it first: git push {} {branch}",
                remote.name,
                remote.name
            )
            .into());
        }
        other => other?,
    }
    ledger::fetch_all(repo, &remote)?;
    let commit = repo
        .target(&tracking)?
        .ok_or_else(|| usage!("the remote {} has no branch named {branch}", remote.name))?;
    Ok(Base { branch, commit })
}

/// Fetches the ledgers of all runs from the remote, when runs here are reviewed on a forge or the
/// configuration asks for one.
pub(super) fn sync(repo: &Repo, forge: Option<ForgeKind>) -> anyhow::Result<()> {
    let on_forge = |(_, s): &(String, Snapshot)| s.state.forge == ForgeKind::Github;
    let wanted = match forge {
        Some(kind) => kind == ForgeKind::Github,
        None => {
            all_runs(repo)?.iter().any(on_forge) || forge_here(repo, None)? == ForgeKind::Github
        }
    };
    if !wanted {
        return Ok(());
    }
    let mut forge = GitHub::open(repo, patience())?;
    if let Some(remote) = forge.remote() {
        let fetched = ledger::fetch_all(repo, remote);
        if let Err(LedgerError::Git(GitError::Remote { denied: true, .. })) = &fetched {
            // GitHub says in better words than git what is wrong with a token.
            forge.look(&[])?;
        }
        fetched?;
    }
    Ok(())
}

/// Brings ledger and branches of one run on a forge up to the remote.
pub(super) fn fetch_run(repo: &Repo, run: &str) -> anyhow::Result<()> {
    let forge = GitHub::open(repo, patience())?;
    let ledger = Ledger::of(repo, run).kept_at(forge.remote().cloned());
    let base = ledger.read()?.state.base.branch;
    Ok(ledger.refresh(&base)?)
}

/// Says that something is shown as it was last seen here.
pub(super) fn seen_here(error: &anyhow::Error) {
    use std::io::Write as _;
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "warning: this is how it was last seen here: {error:#}");
}

/// The configuration of a commit, with the command line's choices in it.
pub(super) fn configuration(docs: &AtCommit<'_>, settings: &Settings) -> anyhow::Result<Config> {
    let mut config = plan::config::load(docs)?;
    if let Some(forge) = settings.forge {
        config.forge = forge;
    }
    if let Some(checkpoint) = settings.checkpoint {
        config.checkpoint = checkpoint;
    }
    if let Some(agent) = &settings.agent {
        config.agent.clone_from(agent);
    }
    if !config.agents.contains_key(&config.agent) {
        let known: Vec<_> = config.agents.keys().map(String::as_str).collect();
        return Err(usage!(
            "there is no agent named {}; the configuration knows {}; add one under [agents.{}] in .pertask/config.toml",
            config.agent,
            known.join(", "),
            config.agent
        )
        .into());
    }
    let (name, limits) = (&config.agent, config.limits.of_money());
    if let Some(agent) = config.agents.get(name)
        && let Some(limit) = limits.first()
        && !agent.tells_cost()
    {
        return Err(usage!(
            "the agent {name} reports no cost, so `{limit}` of .pertask/config.toml cannot be kept; {}",
            plan::config::how_to_hold(name, agent)
        )
        .into());
    }
    Ok(config)
}

/// The branch and commit that everything is read from.
pub(super) fn base(repo: &Repo, wanted: Option<&str>) -> anyhow::Result<Base> {
    let head = repo.head();
    if let Some(branch) = wanted {
        if matches!(head, Err(GitError::NoCommits)) && repo.resolve(branch)?.is_none() {
            return Err(GitError::NoCommits.into());
        }
        let commit = repo.resolve(branch)?;
        let commit = commit.ok_or_else(|| usage!("there is no branch or commit named {branch}"))?;
        return Ok(Base {
            branch: branch.to_owned(),
            commit,
        });
    }
    let head = head?;
    Ok(Base {
        branch: head.branch.unwrap_or_else(|| "HEAD".to_owned()),
        commit: head.commit,
    })
}

fn parameters(given: &[String]) -> Result<BTreeMap<String, String>, Usage> {
    let mut found = BTreeMap::new();
    for one in given {
        let (key, value) = one
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| usage!("--param {one} has no value; write --param key=value"))?;
        if found.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(usage!("--param {key} is given twice"));
        }
    }
    Ok(found)
}

/// Refuses a plan that is only in the working tree; names what else differs there.
fn uncommitted(
    repo: &Repo,
    name: &str,
    docs: &AtCommit<'_>,
    base: &Base,
    on_forge: bool,
) -> anyhow::Result<Vec<String>> {
    use crate::plan::Documents as _;
    let dir = format!(".pertask/{name}");
    let sources = [format!("{dir}/plan.toml"), format!("{dir}/architecture.md")];
    let mut committed = false;
    for path in &sources {
        committed |= docs.exists(path)?;
    }
    if !committed
        && on_forge
        && let Ok(head) = repo.head()
    {
        let here = AtCommit::new(repo, &head.commit);
        for path in &sources {
            if here.exists(path)? {
                return Err(usage!(
                    "{path} is committed here, but not on {} of the remote, from where plans are read on GitHub; push it, or merge it there first:\n  git push",
                    base.branch
                )
                .into());
            }
        }
    }
    let on_disk = sources.iter().find(|p| repo.workdir().join(p).is_file());
    if !committed && let Some(path) = on_disk {
        return Err(usage!(
            "{path} is not committed on {}; plans are read from a commit, so that nothing can change them unseen. Commit it:\n  git add .pertask\n  git commit -m \"Add the plan {name}\"",
            base.branch
        )
        .into());
    }
    let mut differing = repo.uncommitted(&dir)?;
    differing.extend(repo.uncommitted(".pertask/config.toml")?);
    if differing.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "not committed, so not part of this: {}",
        differing.join(", ")
    )])
}
