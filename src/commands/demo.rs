//! `git pertask demo`: the sample repository in a fresh folder, and a scripted agent.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;

use super::cli::{DemoArgs, Driving, Settings, StartArgs};
use super::terminal::{self, Terminal};
use super::{Exit, drive, print, start, usage};
use crate::attempt::process;
use crate::demo;
use crate::git::Repo;
use crate::ledger::Ledger;
use crate::run::state::{Decision, Phase, Review};

/// `git pertask demo`.
pub(super) fn run(args: &DemoArgs) -> anyhow::Result<Exit> {
    let path = std::env::var_os("PATH");
    let here = std::env::current_dir().context("reading the current folder")?;
    if process::find_program("go".as_ref(), path.as_deref(), &here).is_err() {
        return Err(usage!(
            "the sample is a Go module, and there is no program `go` on the PATH; install Go 1.23 or newer and try again"
        )
        .into());
    }
    let folder = folder(args.folder.as_deref())?;
    set_up(&folder)?;
    print(&format!(
        "A sample repository is in {}\nIts plan `{}` has four tasks; a scripted agent works on them, no model is asked.\n\n",
        folder.display(),
        demo::PLAN
    ))?;
    std::env::set_current_dir(&folder).with_context(|| format!("entering {}", folder.display()))?;
    let driving = Driving {
        jobs: 1,
        yes: args.yes,
        watch: false,
    };
    let start = StartArgs {
        plan: demo::PLAN.to_owned(),
        settings: Settings::default(),
        driving: driving.clone(),
        dry_run: false,
    };
    let exit = start::run(&start)?;
    if args.yes {
        run_through(&driving, exit)
    } else {
        Ok(after(&folder, exit))
    }
}

fn after(folder: &Path, exit: Exit) -> Exit {
    if !terminal::can_ask() {
        let _ = print(&format!(
            "\nDecide in that folder, or run through it all: git pertask demo --yes\n  cd {}\n",
            folder.display()
        ));
    }
    exit
}

/// Plays the reviewer: one revision, everything else approved.
fn run_through(driving: &Driving, mut exit: Exit) -> anyhow::Result<Exit> {
    let repo = super::context::repository()?;
    let by = repo.identity()?;
    let mut revised = false;
    while exit == Exit::Done {
        let state = Ledger::of(&repo, demo::PLAN).read()?.state;
        let Some(item) = state.items.iter().find(|i| i.phase == Phase::Review) else {
            break;
        };
        let (task, feedback) = demo::REVISION;
        let revise = item.key == task && !revised;
        revised |= revise;
        let review = Review {
            decision: if revise {
                Decision::Revise
            } else {
                Decision::Approve
            },
            by: by.clone(),
            at: Timestamp::now(),
            commit: item
                .branch
                .as_ref()
                .map(|b| b.head.clone())
                .unwrap_or_default(),
            text: if revise {
                feedback.to_owned()
            } else {
                String::new()
            },
            round: item.round,
            source: None,
        };
        let command = if revise {
            format!("git pertask revise {} -m \"{feedback}\"", item.key)
        } else {
            format!("git pertask approve {}", item.key)
        };
        print(&format!("\n$ {command}\n"))?;
        drive::decide(
            &repo,
            demo::PLAN,
            &item.key,
            &review,
            &by,
            &mut Terminal::new(),
        )?;
        exit = drive::drive(&repo, demo::PLAN, driving)?;
    }
    Ok(exit)
}

fn folder(wanted: Option<&Path>) -> anyhow::Result<PathBuf> {
    match wanted {
        Some(path) => {
            std::fs::create_dir_all(path)
                .with_context(|| format!("creating {}", path.display()))?;
            let mut entries =
                std::fs::read_dir(path).with_context(|| format!("reading {}", path.display()))?;
            if entries.next().is_some() {
                return Err(usage!("{} is not empty; name a fresh folder", path.display()).into());
            }
            path.canonicalize()
                .with_context(|| format!("finding {}", path.display()))
        }
        None => Ok(tempfile::Builder::new()
            .prefix("git-pertask-demo-")
            .tempdir()
            .context("making a temporary folder")?
            .keep()),
    }
}

fn set_up(folder: &Path) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("finding this program")?;
    let config = demo::config(&program.to_string_lossy());
    let mut files: Vec<(String, Vec<u8>)> = demo::repository()
        .into_iter()
        .map(|f| (f.path, f.contents.to_vec()))
        .collect();
    files.push((".pertask/config.toml".to_owned(), config.into_bytes()));
    for (path, bytes) in &files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("creating {}", parent.display()))?;
        }
        std::fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    Repo::create_with(folder, &files, "Start with the sample")?;
    Ok(())
}

/// The scripted agent.
pub(super) fn agent() -> anyhow::Result<Exit> {
    let prompt = std::io::read_to_string(std::io::stdin()).context("reading the prompt")?;
    let here = std::env::current_dir().context("reading the current folder")?;
    let code = demo::agent::act(
        &|name| std::env::var(name).ok(),
        &here,
        &prompt,
        &mut std::io::stdout(),
    )?;
    Ok(if code == 0 {
        Exit::Done
    } else {
        Exit::PersonNeeded
    })
}
