//! The simulator: decide, the ledger and the forge under a seeded simulation, in process.
//!
//! `decide`, the transitions, the rule of approval and what follows from what people say are the real
//! ones; git, GitHub, GitHub Actions, agents and people are models (`tests/simulator/`). After every
//! step every invariant of the design is checked (`invariants.rs`), and in the end, when faults stop
//! and people approve everything, the run must come to its end.
//!
//! - `cargo test --test simulator`: fixed seeds, seconds;
//! - `SEEDS=10000 SHARD=1/4 cargo test --release --test simulator long -- --ignored --nocapture`;
//! - `SEED=4711 cargo test --test simulator one_seed -- --ignored --nocapture`: the trace of one.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "simulator/audit.rs"]
mod audit;
#[path = "simulator/calm.rs"]
mod calm;
#[path = "simulator/content.rs"]
mod content;
#[path = "simulator/driver.rs"]
mod driver;
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
#[path = "simulator/store.rs"]
mod store;
#[path = "simulator/there.rs"]
mod there;
#[path = "simulator/worker.rs"]
mod worker;
#[path = "simulator/world.rs"]
mod world;

use std::collections::BTreeMap;

/// A seed that broke something, and what.
struct Failure {
    seed: u64,
    what: String,
}

/// Runs seeds; panics of the product are failures as well.
fn campaign(seeds: impl Iterator<Item = u64>) -> (Vec<Failure>, u64, BTreeMap<&'static str, u64>) {
    let (mut failures, mut steps) = (Vec::new(), 0);
    let mut met = BTreeMap::new();
    for seed in seeds {
        match std::panic::catch_unwind(|| schedule::run(seed, false)) {
            Ok(outcome) => {
                steps += outcome.steps as u64;
                for (what, times) in outcome.met {
                    *met.entry(what).or_default() += times;
                }
                if let Some(what) = outcome.broken {
                    failures.push(Failure { seed, what });
                }
            }
            Err(panic) => {
                let what = panic.downcast_ref::<String>().cloned();
                let what = what.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                let what = format!("panic: {}", what.unwrap_or_default());
                failures.push(Failure { seed, what });
            }
        }
    }
    (failures, steps, met)
}

fn told(failures: &[Failure]) -> String {
    let lines = failures.iter().map(|f| {
        format!(
            "seed {}: {}\n  SEED={} cargo test --test simulator one_seed -- --ignored --nocapture",
            f.seed, f.what, f.seed
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn fixed_seeds_keep_every_invariant() {
    let (failures, _, _) = campaign(1..=300);
    assert!(failures.is_empty(), "{}", told(&failures));
}

#[test]
fn the_same_seed_twice_gives_the_same_trace() {
    for seed in 1..=20 {
        let (one, other) = (schedule::run(seed, true), schedule::run(seed, true));
        assert!(one.trace.len() > 50);
        assert_eq!(one.trace, other.trace, "seed {seed}");
    }
}

fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |v| v.parse().unwrap())
}

#[test]
#[ignore = "SEED=… shows the trace of one seed"]
fn one_seed() {
    let seed = number("SEED", 1);
    let outcome = schedule::run(seed, true);
    for line in &outcome.trace {
        println!("{line}");
    }
    assert_eq!(outcome.broken, None, "seed {seed}");
}

#[test]
#[ignore = "SEEDS=10000 SHARD=i/n: the long form"]
fn long() {
    let seeds = number("SEEDS", 10_000);
    let shard = std::env::var("SHARD").unwrap_or_else(|_| "1/1".to_owned());
    let (at, of) = shard.split_once('/').unwrap();
    let (at, of): (u64, u64) = (at.parse().unwrap(), of.parse().unwrap());
    let first = number("FROM", 1);
    let began = std::time::Instant::now();
    let mine = (first..first + seeds).filter(|s| s % of == at % of);
    let count = mine.clone().count();
    let (failures, steps, met) = campaign(mine);
    println!("{}", told(&failures));
    println!("met: {met:?}");
    println!(
        "{} seeds, {steps} steps, {:.1} s",
        count,
        began.elapsed().as_secs_f64()
    );
    println!(
        "figure: simulator seeds | {} of {count} | 1..{seeds} shard {shard}",
        count - failures.len()
    );
    assert!(
        failures.is_empty(),
        "{} seeds broke something",
        failures.len()
    );
}
