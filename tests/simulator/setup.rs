//! What a seed's world is made of: plan and settings, machines, people, and what goes wrong how often.
//! Each seed leaves most kinds of trouble out, so that those it has are met in depth.

use std::collections::BTreeMap;

use git_pertask::plan::{CheckpointPolicy, Config, ForgeKind, MergeMethod, Mode, Plan};

use super::content;
use super::random::Random;
use super::world::Fault;

/// What an agent does, how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Good,
    /// Good, and asks for a person's eyes.
    Unsure,
    /// Breaks the build in its own file.
    Breaks,
    /// Good by itself; breaks the build once another task's file is there.
    Trap,
    /// Writes nothing.
    Lazy,
    /// Does what the rules forbid.
    Rude,
    Blocked,
    Asks,
    /// At its usage limit, for a while.
    Spent,
    /// Its program fails for good.
    Dead,
}

/// What a person does, how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Approve,
    Revise,
    Retry,
    Skip,
    Abort,
    Note,
    Chat,
    Dismiss,
    Alter,
    Commit,
    CommitRun,
    MergeByHand,
    PushMerge,
    Close,
    Reopen,
    Retarget,
    DeleteBranch,
    Rewrite,
    Permission,
    Base,
    Last,
    Update,
    Amend,
    Draft,
}

#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what a world has and has not, each by itself"
)]
pub struct Setup {
    pub plan: Plan,
    pub config: Config,
    pub mode: Mode,
    /// People's own machines.
    pub machines: usize,
    /// Whether runs go on in a workflow's jobs.
    pub actions: bool,
    /// Whether people go on with runs on their own machines.
    pub own: bool,
    pub jobs: usize,
    /// The token of people's machines is an app's.
    pub robot_everywhere: bool,
    /// Approvals go when somebody pushes.
    pub dismisses: bool,
    /// The run branch has a merge queue.
    pub queue: bool,
    pub faults: BTreeMap<Fault, u32>,
    pub moods: Vec<(u32, Mood)>,
    pub deeds: Vec<(u32, Deed)>,
    /// How many of a thousand of an agent's changes touch what others touch too.
    pub shared: u32,
    /// Steps before all is calm.
    pub steps: usize,
}

impl Setup {
    /// The world of a seed.
    pub fn of(random: &mut Random) -> Self {
        let count = 1 + random.below(4);
        let names = ["a", "b", "c", "d"];
        let mut tasks = Vec::new();
        for n in 0..count {
            let needs: Vec<String> = (0..n)
                .filter(|_| random.chance(350))
                .map(|m| names[m].to_owned())
                .collect();
            tasks.push((names[n].to_owned(), needs, random.chance(250)));
        }
        let build = random.chance(850);
        let mut plan = content::plan(&tasks, random.chance(250), build);
        let mut config = Config {
            forge: if random.chance(300) {
                ForgeKind::Local
            } else {
                ForgeKind::Github
            },
            ..Config::default()
        };
        config.checkpoint = random
            .weighed(&[
                (6, CheckpointPolicy::Every),
                (2, CheckpointPolicy::HighRisk),
                (2, CheckpointPolicy::None),
            ])
            .expect("weights");
        config.merge = random
            .weighed(&[
                (5, MergeMethod::Squash),
                (3, MergeMethod::Merge),
                (2, MergeMethod::Rebase),
            ])
            .expect("weights");
        config.limits.attempts = u32::try_from(random.between(1, 3)).expect("small");
        config.limits.run_cost_usd = random.chance(200).then(|| 3.0 + dollars(random, 10));
        config.limits.run_time_s = random.chance(80).then(|| 1_000 + random.next() % 5_000);
        config.limits.task_cost_usd = random.chance(80).then(|| 2.0 + dollars(random, 4));
        config.limits.task_time_s = random.chance(80).then(|| 500 + random.next() % 3_000);
        let max = random.chance(150).then(|| 1.0 + dollars(random, 2));
        for agent in config.agents.values_mut() {
            agent.max_cost_usd = max;
        }
        config.github.approvals = if random.chance(250) { 2 } else { 1 };
        config.github.author_may_approve = random.chance(300);
        let mode = if count > 1 && random.chance(120) {
            Mode::Batch
        } else {
            Mode::PerTask
        };
        if random.chance(100) {
            plan.gate.build = vec![vec!["build".to_owned(), "--all".to_owned()]];
        }
        let local = config.forge == ForgeKind::Local;
        let actions = !local && random.chance(600);
        let own = !actions || random.chance(300);
        Self {
            mode,
            machines: 1 + random.below(2),
            actions,
            own,
            jobs: 1 + random.below(3),
            robot_everywhere: random.chance(300),
            dismisses: random.chance(200),
            queue: !local && random.chance(80),
            faults: faults(random),
            moods: moods(random),
            deeds: deeds(random),
            shared: *random.pick(&[0, 100, 500]).expect("some"),
            steps: 80 + random.below(300),
            plan,
            config,
        }
    }
}

fn dollars(random: &mut Random, below: usize) -> f64 {
    f64::from(u32::try_from(random.below(below)).expect("small"))
}

fn faults(random: &mut Random) -> BTreeMap<Fault, u32> {
    use Fault::{
        After, Again, Before, Clock, Double, Drop, Fails, FailsAfter, Flake, Held, Interrupt, Kill,
        LostJob, NoAnswer, NotSent, Reboot, Refuse, Secondary, SecondaryUnsaid, Spent, Stale,
        TooMany,
    };
    let mut found = BTreeMap::new();
    for (fault, most) in [
        (Before, 60),
        (After, 60),
        (NotSent, 60),
        (Fails, 60),
        (FailsAfter, 40),
        (NoAnswer, 40),
        (Secondary, 20),
        (SecondaryUnsaid, 15),
        (TooMany, 20),
        (Spent, 10),
        (Stale, 400),
        (Held, 200),
        (Refuse, 15),
        (Kill, 25),
        (Reboot, 5),
        (Interrupt, 20),
        (LostJob, 200),
        (Clock, 40),
        (Drop, 500),
        (Double, 400),
        (Again, 100),
        (Flake, 60),
    ] {
        if random.chance(300) {
            let often = 1 + random.below(most);
            found.insert(fault, u32::try_from(often).expect("small"));
        }
    }
    found
}

/// What agents do beside what they should.
pub const MOODS: &[Mood] = &[
    Mood::Unsure,
    Mood::Breaks,
    Mood::Trap,
    Mood::Lazy,
    Mood::Rude,
    Mood::Blocked,
    Mood::Asks,
    Mood::Spent,
    Mood::Dead,
];

fn moods(random: &mut Random) -> Vec<(u32, Mood)> {
    let mut found = vec![(20, Mood::Good)];
    for mood in MOODS {
        if random.chance(350) {
            found.push((1 + u32::try_from(random.below(12)).expect("small"), *mood));
        }
    }
    found
}

/// What people do, and how often at most; the first ones in every world.
pub const DEEDS: &[(usize, Deed)] = &[
    (40, Deed::Approve),
    (14, Deed::Revise),
    (10, Deed::Retry),
    (10, Deed::Last),
    (6, Deed::Reopen),
    (6, Deed::Skip),
    (1, Deed::Abort),
    (3, Deed::Note),
    (6, Deed::Chat),
    (10, Deed::Dismiss),
    (6, Deed::Alter),
    (12, Deed::Commit),
    (6, Deed::CommitRun),
    (8, Deed::MergeByHand),
    (5, Deed::PushMerge),
    (8, Deed::Close),
    (4, Deed::Retarget),
    (5, Deed::DeleteBranch),
    (5, Deed::Rewrite),
    (8, Deed::Permission),
    (10, Deed::Base),
    (8, Deed::Update),
    (4, Deed::Amend),
    (4, Deed::Draft),
];

fn deeds(random: &mut Random) -> Vec<(u32, Deed)> {
    let mut found = Vec::new();
    for (n, (most, deed)) in DEEDS.iter().enumerate() {
        if n < 5 {
            found.push((u32::try_from(*most).expect("small"), *deed));
        } else if random.chance(300) {
            let often = 1 + random.below(*most);
            found.push((u32::try_from(often).expect("small"), *deed));
        }
    }
    found
}
