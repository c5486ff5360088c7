//! Many trials, in shards that may be stopped, resumed, and spread over machines.
//!
//! What is tried follows from the seed alone. A shard that is through adds a line to a results file, and
//! is not done again by whoever is given that file. `bench/reliability` sets the variables.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::struct_field_names,
    reason = "a program of the bench: it tells what it does, and keeps records as JSON"
)]
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test program uses its own part; a failing helper is a failing test"
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// How a campaign is to be done.
pub struct Campaign {
    name: String,
    /// `PERTASK_SEED`, else 1.
    pub seed: u64,
    shards: usize,
    only: Option<usize>,
    results: PathBuf,
    threads: usize,
    _folder: Option<tempfile::TempDir>,
}

/// What came of one trial.
pub struct Tried {
    /// What it is counted with.
    pub class: String,
    /// What is not as it should be.
    pub wrong: Option<String>,
    /// What else is counted, summed up over all trials.
    pub counts: Vec<(&'static str, usize)>,
}

/// What came of a shard: a line of the results file.
#[derive(Debug, Serialize, Deserialize)]
struct Shard {
    campaign: String,
    seed: u64,
    shard: usize,
    of: usize,
    seconds: f64,
    tried: BTreeMap<String, usize>,
    wrong: BTreeMap<String, usize>,
    counts: BTreeMap<String, usize>,
}

/// Everything that is in the results file.
#[derive(Debug, Default)]
pub struct Sum {
    pub shards: usize,
    pub seconds: f64,
    pub tried: BTreeMap<String, usize>,
    pub wrong: BTreeMap<String, usize>,
    pub counts: BTreeMap<String, usize>,
}

fn variable<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} cannot be {text}")),
        Err(_) => default,
    }
}

impl Campaign {
    /// As the environment says: `PERTASK_SEED`, `PERTASK_SHARD` (`3/40`: this shard of 40; `40`: all of
    /// 40), `PERTASK_RESULTS` (a file), `PERTASK_THREADS`.
    pub fn from_env(name: &str, shards: usize) -> Self {
        let shard: String = variable("PERTASK_SHARD", shards.to_string());
        let (only, of) = match shard.split_once('/') {
            Some((one, of)) => (Some(one.parse().unwrap()), of.to_owned()),
            None => (None, shard),
        };
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let mut folder = None;
        let results = std::env::var_os("PERTASK_RESULTS").map_or_else(
            || {
                let made = folder.insert(tempfile::tempdir().unwrap());
                made.path().join("results")
            },
            PathBuf::from,
        );
        Self {
            name: name.to_owned(),
            seed: variable("PERTASK_SEED", 1),
            shards: of.parse().unwrap(),
            only,
            results,
            threads: variable("PERTASK_THREADS", processors),
            _folder: folder,
        }
    }

    fn done(&self) -> Vec<Shard> {
        let text = std::fs::read_to_string(&self.results).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str::<Shard>(line).ok())
            .filter(|s| s.campaign == self.name && s.seed == self.seed && s.of == self.shards)
            .collect()
    }

    /// Does what is not done yet, on as many worlds as there are threads, and sums everything up.
    pub fn drive<W, T: Sync + Send>(
        &self,
        world: impl Fn() -> W + Sync,
        list: impl Fn(&W) -> Vec<T> + Sync,
        trial: impl Fn(&W, &T) -> Tried + Sync,
    ) -> Sum {
        let done: Vec<usize> = self.done().iter().map(|s| s.shard).collect();
        let mut left: Vec<usize> = (1..=self.shards)
            .filter(|n| self.only.is_none_or(|only| only == *n) && !done.contains(n))
            .rev()
            .collect();
        let threads = self.threads.min(left.len());
        eprintln!(
            "{}: {} of {} shards are left, seed {}",
            self.name,
            left.len(),
            self.shards,
            self.seed
        );
        let next = Mutex::new(());
        let left = Mutex::new(std::mem::take(&mut left));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let world = world();
                    // Each the same: it follows from the seed.
                    let all = list(&world);
                    loop {
                        let Some(n) = left.lock().unwrap().pop() else {
                            return;
                        };
                        let began = Instant::now();
                        let mut shard = Shard {
                            campaign: self.name.clone(),
                            seed: self.seed,
                            shard: n,
                            of: self.shards,
                            seconds: 0.0,
                            tried: BTreeMap::new(),
                            wrong: BTreeMap::new(),
                            counts: BTreeMap::new(),
                        };
                        for one in all.iter().skip(n - 1).step_by(self.shards) {
                            let tried = trial(&world, one);
                            if let Some(what) = tried.wrong {
                                *shard.wrong.entry(tried.class.clone()).or_default() += 1;
                                eprintln!("WRONG: {what}\n");
                            }
                            *shard.tried.entry(tried.class).or_default() += 1;
                            for (name, count) in tried.counts {
                                *shard.counts.entry(name.to_owned()).or_default() += count;
                            }
                        }
                        shard.seconds = began.elapsed().as_secs_f64();
                        let line = serde_json::to_string(&shard).unwrap();
                        let one_by_one = next.lock().unwrap();
                        let mut file = std::fs::OpenOptions::new()
                            .create(true)
                            .append(true)
                            .open(&self.results)
                            .unwrap();
                        file.write_all(format!("{line}\n").as_bytes()).unwrap();
                        drop(one_by_one);
                        eprintln!(
                            "{}: shard {n} of {}: {} trials, {} wrong, {:.0} s",
                            self.name,
                            self.shards,
                            shard.tried.values().sum::<usize>(),
                            shard.wrong.values().sum::<usize>(),
                            shard.seconds
                        );
                    }
                });
            }
        });
        self.sum()
    }

    fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        let add = |to: &mut BTreeMap<String, usize>, from: BTreeMap<String, usize>| {
            for (name, count) in from {
                *to.entry(name).or_default() += count;
            }
        };
        for shard in self.done() {
            sum.shards += 1;
            sum.seconds += shard.seconds;
            add(&mut sum.tried, shard.tried);
            add(&mut sum.wrong, shard.wrong);
            add(&mut sum.counts, shard.counts);
        }
        sum
    }

    /// Prints the figures, and fails when something is wrong.
    pub fn report(&self, sum: &Sum, counts: &[(&str, &str)]) {
        let part = if sum.shards == self.shards {
            String::new()
        } else {
            format!(" ({} of {} shards)", sum.shards, self.shards)
        };
        let figure = |name: &str, value: &str| {
            println!("figure: {name} | {value} | {}{part}", self.seed);
        };
        for (class, tried) in &sum.tried {
            let wrong = sum.wrong.get(class).copied().unwrap_or_default();
            figure(class, &format!("{wrong} wrong of {tried}"));
        }
        for (name, words) in counts {
            let count = sum.counts.get(*name).copied().unwrap_or_default();
            figure(words, &count.to_string());
        }
        let tried: usize = sum.tried.values().sum();
        let wrong: usize = sum.wrong.values().sum();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = tried as f64 / sum.seconds.max(0.001);
        figure(
            &format!("{}: trials per second and thread", self.name),
            &format!("{rate:.1}"),
        );
        assert_eq!(wrong, 0, "{wrong} of {tried} trials are wrong");
    }
}
