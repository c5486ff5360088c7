//! A run on GitHub, driven from a clone: the story of tests/support/story.rs.

use std::process::Command;
use std::time::Duration;

use super::github::keep;
use super::hub::REPO;
use super::story::Story;
use super::trial::{self, Ended, Kill, Met, Trial, With};

fn command(story: &Story, args: &[&str]) -> Command {
    let sandbox = &story.hub.sandbox;
    let mut command = sandbox.program(&sandbox.repo);
    command.args(args);
    command
}

/// Runs a command in the clone.
pub fn run(story: &Story, args: &[&str]) -> Ended {
    let notes = story.hub.sandbox.root().join("tmp");
    trial::run(command(story, args), &notes, None, Duration::ZERO)
}

/// Kills at these points, carries on, and says what is not as it should be.
pub fn trial(story: &Story, trial: &Trial) -> Result<Met, String> {
    let stage = trial.stage;
    let told = story.go_back(stage);
    let sandbox = &story.hub.sandbox;
    let (notes, place) = (sandbox.root().join("notes"), sandbox.root().join("pertask"));
    std::fs::create_dir_all(&notes).unwrap();
    let git = sandbox.repo.join(".git");
    let bare = story.hub.github.repo(REPO).bare.path;
    if trial.packed {
        sandbox.git(["pack-refs", "--all", "--prune"]);
        story
            .hub
            .github
            .git(REPO, ["pack-refs", "--all", "--prune"]);
    }
    let files = sandbox.repo.clone();
    let users_own = || keep::plain_files(&files);
    let before = users_own();
    let run = |args: &[&str], kill: Option<Kill>| {
        trial::run(command(story, args), &notes, kill, told.took)
    };
    let mut met = Met::default();
    let (mut asked, mut lost) = (0, 0);
    let mut count = |out: &Ended, kill: Option<Kill>| {
        asked += out.asked();
        lost += usize::from(kill.is_some_and(|kill| out.lost_an_answer(kill)));
    };
    // What was not killed with the program may have begun the run since somebody looked.
    let begun_meanwhile = |out: &Ended| out.code == 2 && story.has_begun();
    for (n, kill) in trial.kills.iter().enumerate() {
        let args = if n == 0 { told.command } else { story.onward() };
        let out = run(args, Some(*kill));
        count(&out, Some(*kill));
        if out.was_killed() {
            met.kills += 1;
            if trial.with == With::All {
                trial::kill_all(&place);
            }
            met.locks += trial::locks(&[&git, &place]).len();
        } else if !(n > 0 && args[0] == "start" && begun_meanwhile(&out))
            && (![0, 75].contains(&out.code) && out.code != told.code
                || (n == 0 && kill.is_at_effect()))
        {
            return Err(format!(
                "it was not killed: {args:?} {}\n{}",
                out.code, out.said
            ));
        }
    }
    let mut args = story.onward();
    let mut out = run(args, None);
    if args[0] == "start" && begun_meanwhile(&out) {
        args = story.onward();
        out = run(args, None);
    }
    count(&out, None);
    if out.code != told.code {
        return Err(format!(
            "{args:?} exits with {}, not {}\n{}",
            out.code, told.code, out.said
        ));
    }
    let left = trial::settle(&place);
    if !left.is_empty() {
        return Err(format!("still running: {left:?}"));
    }
    // The ledger tells what happened, also that somebody went away.
    story
        .compare_but(stage, &["ledger"])
        .map_err(|what| format!("it differs:\n{what}\n{args:?} said:\n{}", out.said))?;
    if trial.kills.iter().all(|k| k.is_at_effect()) {
        // Elsewhere what a killed program asked for may have happened without being logged.
        story.once(stage, None, 1)?;
    }
    let wanted = told.effects.iter().filter(|e| *e == "ask the agent");
    let wanted = wanted.count();
    if asked < wanted || asked > wanted + lost {
        return Err(format!(
            "agents were asked {asked} times, {lost} answers were lost"
        ));
    }
    let locks = trial::locks(&[&git, &place, &bare]);
    if !locks.is_empty() {
        return Err(format!("locks are left: {locks:?}"));
    }
    if users_own() != before {
        return Err("something of the person's own has changed".to_owned());
    }
    let fsck = story.fsck();
    if fsck.is_empty() { Ok(met) } else { Err(fsck) }
}
