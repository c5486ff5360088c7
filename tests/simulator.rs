//! The simulator: decide, the ledger and the forge under a seeded simulation, in process.
//!
//! `decide`, the transitions, the rule of approval and what follows from what people say are the real
//! ones; git, GitHub, GitHub Actions, agents and people are models (`tests/simulator/`). After every
//! step every invariant of the design is checked (`invariants.rs`), and in the end, when faults stop
//! and people approve everything, the run must come to its end.
//!
//! - `cargo test --test simulator`: fixed seeds, seconds;
//! - `cargo test --test simulator campaign -- --ignored --nocapture`: 10,000 seeds from `PERTASK_SEED` on
//!   (`PERTASK_SEEDS` another number), in shards as `tests/support/campaign.rs` has it;
//! - `PERTASK_SEED=4711 cargo test --test simulator one_seed -- --ignored --nocapture`: the trace of one.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "support/campaign.rs"]
mod campaign;

#[path = "simulator/acts.rs"]
mod acts;
#[path = "simulator/approved.rs"]
mod approved;
#[path = "simulator/audit.rs"]
mod audit;
#[path = "simulator/branches.rs"]
mod branches;
#[path = "simulator/calm.rs"]
mod calm;
#[path = "simulator/content.rs"]
mod content;
#[path = "simulator/decided.rs"]
mod decided;
#[path = "simulator/driver.rs"]
mod driver;
#[path = "simulator/ended.rs"]
mod ended;
#[path = "simulator/gate.rs"]
mod gate;
#[path = "simulator/git.rs"]
mod git;
#[path = "simulator/hub.rs"]
mod hub;
#[path = "simulator/invariants.rs"]
mod invariants;
#[path = "simulator/jobs.rs"]
mod jobs;
#[path = "simulator/line.rs"]
mod line;
#[path = "simulator/met.rs"]
mod met;
#[path = "simulator/orders.rs"]
mod orders;
#[path = "simulator/people.rs"]
mod people;
#[path = "simulator/random.rs"]
mod random;
#[path = "simulator/schedule.rs"]
mod schedule;
#[path = "simulator/setup.rs"]
mod setup;
#[path = "simulator/shown.rs"]
mod shown;
#[path = "simulator/store.rs"]
mod store;
#[path = "simulator/taken.rs"]
mod taken;
#[path = "simulator/there.rs"]
mod there;
#[path = "simulator/typed.rs"]
mod typed;
#[path = "simulator/worker.rs"]
mod worker;
#[path = "simulator/world.rs"]
mod world;

use std::collections::BTreeMap;

use campaign::{Campaign, Tried};
use schedule::Outcome;

/// How many seeds the quick form has.
const FIXED: u64 = 300;
/// How many seeds the long form has.
const LONG: u64 = 10_000;

/// Runs a seed; a panic of the product is a failure as well.
fn seed(seed: u64, traced: bool) -> Outcome {
    match std::panic::catch_unwind(|| schedule::run(seed, traced)) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let what = panic.downcast_ref::<String>().cloned();
            let what = what.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Outcome {
                broken: Some(format!("panic: {}", what.unwrap_or_default())),
                trace: Vec::new(),
                steps: 0,
                met: BTreeMap::new(),
            }
        }
    }
}

/// What a seed broke, with the command that shows it.
fn told(seed: u64, what: &str) -> String {
    format!(
        "seed {seed}: {what}\n  PERTASK_SEED={seed} cargo test --test simulator one_seed -- --ignored --nocapture"
    )
}

#[test]
fn fixed_seeds_keep_every_invariant() {
    let tried = (1..=FIXED).filter_map(|n| Some(told(n, &seed(n, false).broken?)));
    let broken: Vec<String> = tried.collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_same_seed_twice_gives_the_same_trace() {
    for n in 1..=20 {
        let (one, other) = (seed(n, true), seed(n, true));
        assert!(one.trace.len() > 20);
        assert_eq!(one.trace, other.trace, "seed {n}");
    }
}

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |v| v.parse().unwrap())
}

#[test]
#[ignore = "PERTASK_SEED=… shows the trace of one seed"]
fn one_seed() {
    let n = number("PERTASK_SEED", 1);
    let outcome = seed(n, true);
    for line in &outcome.trace {
        println!("{line}");
    }
    assert_eq!(outcome.broken, None, "seed {n}");
}

/// Every 21st seed is run twice: some in each shard.
const TWICE: u64 = 21;

#[test]
#[ignore = "the long form: many seeds, in shards"]
fn campaign_of_seeds() {
    let campaign = Campaign::from_env("simulator", 40);
    let count = number("PERTASK_SEEDS", LONG);
    let list = |(): &()| -> Vec<u64> { (campaign.seed..campaign.seed + count).collect() };
    let trial = |(): &(), n: &u64| {
        let twice = n.is_multiple_of(TWICE);
        let outcome = seed(*n, twice);
        let mut wrong = outcome.broken.clone();
        let mut counts = vec![("steps", outcome.steps)];
        if twice {
            counts.push(("twice", 1));
            if seed(*n, true).trace != outcome.trace {
                wrong = wrong.or_else(|| Some("another trace the second time".to_owned()));
            }
        }
        let met = outcome.met.iter();
        counts.extend(met.map(|(what, times)| (*what, usize::try_from(*times).unwrap())));
        Tried {
            class: "simulator: seeds".to_owned(),
            wrong: wrong.map(|what| told(*n, &what)),
            counts,
        }
    };
    let sum = campaign.drive(|| (), list, trial);
    let times = |what: &str| sum.counts.get(what).copied().unwrap_or_default();
    let mut kinds: Vec<(usize, &str)> = met::all().iter().map(|k| (times(k), *k)).collect();
    kinds.sort_unstable();
    for (times, kind) in &kinds {
        println!("met: {times:>8}  {kind}");
    }
    let met = kinds.iter().filter(|(times, _)| *times > 0).count();
    let seed = campaign.seed;
    println!(
        "figure: simulator: kinds of trouble met | {met} of {}, the rarest ({}) {} times | {seed}",
        kinds.len(),
        kinds[0].1,
        kinds[0].0
    );
    campaign.report(
        &sum,
        &[
            ("steps", "simulator: steps, each with every invariant"),
            ("twice", "simulator: seeds run twice, with the same trace"),
        ],
    );
    let tried: usize = sum.tried.values().sum();
    let whole = u64::try_from(tried).is_ok_and(|tried| tried >= LONG);
    assert!(!whole || met == kinds.len(), "some kinds were never met");
}
