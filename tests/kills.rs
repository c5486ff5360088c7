//! Killed at any instant, the next `git pertask continue` finishes the same work.
//!
//! The program numbers its lasting effects. A story is told once undisturbed; then each of its commands
//! is told again and killed, before or after one of its effects, or at any time; so may be the command
//! that goes on. After one more command everything must be where the undisturbed story came to: the
//! ledger's state, every branch, what is on GitHub, the files; nobody is told or asked anything twice,
//! no lock is left, `git fsck --strict` is content, and nothing of the person's own has changed.
//!
//! `cargo test` does a selection with a fixed seed; `bench/reliability kills` does all of it
//! (docs/reliability.md).

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failing helper is a failing test; what a campaign did is printed"
)]

#[path = "kills/actions.rs"]
mod actions;
#[path = "support/campaign.rs"]
mod campaign;
#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
#[path = "support/jobs.rs"]
mod jobs;
#[path = "kills/local.rs"]
mod local;
#[path = "kills/locks.rs"]
mod locks;
#[path = "support/site.rs"]
mod site;
#[path = "support/story.rs"]
mod story;
mod support;
#[path = "kills/there.rs"]
mod there;
#[path = "support/trial.rs"]
mod trial;

use std::cell::OnceCell;
use std::collections::BTreeSet;

use actions::Actions;
use campaign::{Campaign, Tried};
use local::Local;
use rustix::process::Signal;
use site::Site;
use story::Story;
use trial::{Dice, Kill, Met, Trial, With, World};

/// The stories, each told when it is first needed.
#[derive(Default)]
struct Worlds {
    local: OnceCell<Local>,
    there: OnceCell<Story>,
    actions: OnceCell<Actions>,
}

impl Worlds {
    fn local(&self) -> &Local {
        self.local.get_or_init(Local::told)
    }

    fn there(&self) -> &Story {
        self.there.get_or_init(Story::told)
    }

    fn actions(&self) -> &Actions {
        self.actions.get_or_init(Actions::told)
    }

    fn effects(&self, world: World) -> Vec<Vec<String>> {
        match world {
            World::Local => self.local().effects(),
            World::GitHub => {
                let stages = self.there().stages.iter();
                stages.map(|s| s.effects.clone()).collect()
            }
            World::Actions => self.actions().effects(),
        }
    }

    fn trial(&self, trial: &Trial) -> Result<Met, String> {
        let tried = || match trial.world {
            World::Local => self.local().trial(trial),
            World::GitHub => there::trial(self.there(), trial),
            World::Actions => self.actions().trial(trial),
        };
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(tried)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            Err(format!("it panicked: {}", text.unwrap_or_default()))
        })
    }
}

/// Each effect of each command, killed before it and after it.
fn singles(world: World, effects: &[Vec<String>], packed: bool, dice: &mut Dice) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (stage, names) in effects.iter().enumerate() {
        for n in 1..=names.len() {
            for kill in [Kill::Before(n), Kill::After(n)] {
                trials.push(Trial {
                    world,
                    packed,
                    with: with(world, dice),
                    stage,
                    kills: vec![kill],
                });
            }
        }
    }
    trials
}

fn with(world: World, dice: &mut Dice) -> With {
    match (world, dice.coin()) {
        (_, true) => With::All,
        (World::Actions, false) => With::Rerun,
        (_, false) => With::Group,
    }
}

/// Killed at an effect, and going on again at one that is left or a little later.
fn pair(world: World, effects: &[Vec<String>], dice: &mut Dice) -> Trial {
    let all: Vec<(usize, usize)> = effects
        .iter()
        .enumerate()
        .flat_map(|(stage, names)| (1..=names.len()).map(move |n| (stage, n)))
        .collect();
    let (stage, first) = all[dice.below(all.len())];
    let left = effects[stage].len() - first;
    let second = 1 + dice.below(left + 3);
    let kill = |n, dice: &mut Dice| {
        if dice.coin() {
            Kill::Before(n)
        } else {
            Kill::After(n)
        }
    };
    Trial {
        world,
        packed: dice.coin(),
        with: with(world, dice),
        stage,
        kills: vec![kill(first, dice), kill(second, dice)],
    }
}

/// Killed at any time; one in four once more.
fn any_time(world: World, stages: usize, dice: &mut Dice) -> Trial {
    let mut share = || Kill::Share((dice.share() * 10_000.0).round() / 10_000.0);
    let (first, second) = (share(), share());
    let mut kills = vec![first];
    if dice.below(4) == 0 {
        kills.push(second);
    }
    Trial {
        world,
        packed: dice.coin(),
        with: with(world, dice),
        stage: dice.below(stages),
        kills,
    }
}

/// What an effect is, without numbers and names.
fn kind_of(name: &str) -> String {
    let words = name
        .split(' ')
        .take(if name.starts_with("note ") { 3 } else { 2 });
    let kind: Vec<_> = words
        .map(|w| w.trim_start_matches("/repos/acme/widgets/"))
        .collect();
    let kind = kind.join(" ");
    kind.chars().filter(|c| !c.is_ascii_hexdigit()).collect()
}

/// Each kind of effect killed before it, or after it, once; some pairs; some at any time.
fn selection(worlds: &Worlds, world: World, [kinds, pairs, times]: [usize; 3]) -> Vec<Trial> {
    let mut dice = Dice(6);
    let effects = worlds.effects(world);
    let mut all = singles(world, &effects, false, &mut dice);
    dice.shuffle(&mut all);
    let mut met = BTreeSet::new();
    all.retain(|trial| {
        let (Kill::Before(n) | Kill::After(n)) = trial.kills[0] else {
            return false;
        };
        let after = matches!(trial.kills[0], Kill::After(_));
        let kind = kind_of(&effects[trial.stage][n - 1]);
        met.insert((kind, after && world == World::Local))
    });
    all.truncate(kinds);
    for trial in &mut all {
        trial.packed = dice.coin();
    }
    all.extend((0..pairs).map(|_| pair(world, &effects, &mut dice)));
    all.extend((0..times).map(|_| any_time(world, effects.len(), &mut dice)));
    all
}

fn short(worlds: &Worlds, world: World, amounts: [usize; 3]) {
    let trials = selection(worlds, world, amounts);
    let began = std::time::Instant::now();
    let mut wrong = Vec::new();
    for trial in &trials {
        if let Err(what) = worlds.trial(trial) {
            wrong.push(failure(trial, &what));
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!("{world:?}: {} trials in {took:.1} s", trials.len());
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        trials.len(),
        wrong.join("\n\n")
    );
}

fn failure(trial: &Trial, what: &str) -> String {
    format!("{trial}\n  repeat it: bench/reliability --trial {trial} kills\n{what}")
}

#[test]
fn a_local_run_killed_anywhere_comes_to_the_same_end() {
    short(&Worlds::default(), World::Local, [60, 4, 4]);
}

#[test]
fn a_run_on_github_killed_anywhere_comes_to_the_same_end() {
    short(&Worlds::default(), World::GitHub, [40, 2, 2]);
}

#[test]
fn a_run_in_actions_killed_anywhere_comes_to_the_same_end() {
    short(&Worlds::default(), World::Actions, [20, 1, 1]);
}

#[test]
#[ignore = "one trial, named by PERTASK_TRIAL"]
fn one_trial() {
    let name = std::env::var("PERTASK_TRIAL").expect("PERTASK_TRIAL names a trial");
    let trial: Trial = name.parse().unwrap();
    match Worlds::default().trial(&trial) {
        Ok(met) => println!("{trial}: as it should be ({met:?})"),
        Err(what) => panic!("{}", failure(&trial, &what)),
    }
}

#[test]
fn a_trial_is_found_again_by_its_name() {
    for name in [
        "local/loose/all/0/before:12",
        "github/packed/group/3/after:1,share:0.1234",
        "actions/loose/rerun/11/us:1234",
    ] {
        assert_eq!(name.parse::<Trial>().unwrap().to_string(), name);
    }
}

impl Trial {
    /// What it is counted with.
    fn class(&self) -> String {
        let world = match self.world {
            World::Local => "a local run",
            World::GitHub => "a run on GitHub",
            World::Actions => "a run in Actions",
        };
        let refs = if self.packed { "packed" } else { "loose" };
        let at_effect = self.kills[0].is_at_effect();
        let how = match (at_effect, self.kills.len()) {
            (true, 1) => format!("killed before or after an effect, {refs} refs"),
            (true, _) => "killed at an effect, and again while going on".to_owned(),
            (false, _) => "killed at any time".to_owned(),
        };
        format!("{world}, {how}")
    }
}

#[test]
#[ignore = "takes most of an hour: bench/reliability --long kills"]
fn campaign() {
    let campaign = Campaign::from_env("kills", 50);
    let seed = campaign.seed;
    let sum = campaign.drive(
        Worlds::default,
        |worlds| everything(worlds, seed),
        |worlds, trial| {
            let tried = worlds.trial(trial);
            let met = tried.as_ref().copied().unwrap_or_default();
            Tried {
                class: trial.class(),
                wrong: tried.err().map(|what| failure(trial, &what)),
                counts: vec![("kills", met.kills), ("locks", met.locks)],
            }
        },
    );
    campaign.report(
        &sum,
        &[
            ("kills", "SIGKILLs that met a program"),
            (
                "locks",
                "lock files that lay around after one, none after going on",
            ),
        ],
    );
}

/// Pairs and moments in each world.
const AMOUNTS: [(World, usize, usize); 3] = [
    (World::Local, 600, 2000),
    (World::GitHub, 200, 800),
    (World::Actions, 50, 200),
];

/// Each effect killed before and after it with loose and with packed refs; pairs; moments.
fn everything(worlds: &Worlds, seed: u64) -> Vec<Trial> {
    let mut dice = Dice(seed);
    let mut all = Vec::new();
    for (world, pairs, times) in AMOUNTS {
        let effects = worlds.effects(world);
        for packed in [false, true] {
            all.extend(singles(world, &effects, packed, &mut dice));
        }
        all.extend((0..pairs).map(|_| pair(world, &effects, &mut dice)));
        all.extend((0..times).map(|_| any_time(world, effects.len(), &mut dice)));
    }
    dice.shuffle(&mut all);
    all
}

#[test]
fn killed_while_the_agent_runs_its_processes_end_and_its_work_is_kept_without_its_key() {
    let mut site = Site::new();
    site.set("MY_AGENT_KEY", "marked-agent-key-0001");
    site.agent(
        "if [ ! -e $OUT/second ]; then touch $OUT/second; echo half $MY_AGENT_KEY > a.txt
           (setsid sleep 300 &)
           touch $OUT/working; await $OUT/never; fi
         echo good > a.txt; echo b > b.txt; rm -f b.txt; complete",
    );
    site.write("check.sh", "true\n");
    site.plan(
        "build = [[\"true\"]]\n[[task]]\nid = \"a\"\nfile = \"a.txt\"\npurpose = \"The first file\"\n",
        "env = [\"OUT\", \"MY_AGENT_KEY\"]",
        "",
    );
    let run = site.spawn(&["start", "wiz", "--mode", "per-task"]);
    site.wait_for("working");
    run.signal(Signal::KILL);
    assert_eq!(run.end().code, -9);
    assert!(
        !site.processes().is_empty(),
        "the agent went with the program"
    );
    // Whoever goes on has another key by now.
    site.set("MY_AGENT_KEY", "marked-agent-key-0002");
    let out = site.pertask(&["continue"]);
    assert_eq!((out.code, &*site.task("a")), (0, "review"), "{}", out.all());
    assert_eq!(site.processes(), Vec::<String>::new());
    assert!(
        out.stderr.contains("What it had written so far is kept on"),
        "{}",
        out.stderr
    );
    let kept = site.git(&[
        "for-each-ref",
        "--format=%(refname)",
        "refs/heads/pertask/wiz/kept",
    ]);
    assert_eq!(kept.lines().count(), 1, "{kept}");
    assert_eq!(site.git(&["show", &format!("{kept}:a.txt")]), "half ***");
    assert_eq!(site.git(&["show", "pertask/wiz/1-a:a.txt"]), "good");
    assert_eq!(site.locks(), Vec::<std::path::PathBuf>::new());
}
