//! One trial: where a run stands, what kills it there, and the name by which it is done again.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test program uses its own part"
)]

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// Where the run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum World {
    /// All in one repository.
    Local,
    /// On GitHub, driven from a clone.
    GitHub,
    /// On GitHub, driven by the three `ci` steps.
    Actions,
}

/// What else ends when the program is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum With {
    /// Everything it has started, as when the power goes.
    All,
    /// Its process group alone: agents, and git programs with a group of their own, run on.
    Group,
    /// The job's machine; the job is run again as it is, as a person does it with "Re-run jobs".
    Rerun,
}

/// When the program is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kill {
    /// Before its nth effect.
    Before(usize),
    /// After its nth effect.
    After(usize),
    /// After this share of the time that the undisturbed command took.
    Share(f64),
    /// After so many microseconds.
    Micros(u64),
}

impl Kill {
    /// Whether it is at an effect.
    pub fn is_at_effect(self) -> bool {
        matches!(self, Self::Before(_) | Self::After(_))
    }
}

/// A trial. Its text is its name: `local/packed/all/2/before:12,after:3`.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    pub world: World,
    /// Refs are packed before the command.
    pub packed: bool,
    pub with: With,
    /// Which of the story's commands is disturbed.
    pub stage: usize,
    /// The first kills that command, each other one the command that goes on.
    pub kills: Vec<Kill>,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let world = match self.world {
            World::Local => "local",
            World::GitHub => "github",
            World::Actions => "actions",
        };
        let refs = if self.packed { "packed" } else { "loose" };
        let with = match self.with {
            With::All => "all",
            With::Group => "group",
            With::Rerun => "rerun",
        };
        let kills: Vec<_> = self.kills.iter().map(ToString::to_string).collect();
        write!(
            f,
            "{world}/{refs}/{with}/{}/{}",
            self.stage,
            kills.join(",")
        )
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(n) => write!(f, "before:{n}"),
            Self::After(n) => write!(f, "after:{n}"),
            Self::Share(share) => write!(f, "share:{share:.4}"),
            Self::Micros(us) => write!(f, "us:{us}"),
        }
    }
}

impl FromStr for Trial {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text} names no trial");
        let parts: Vec<&str> = text.split('/').collect();
        let [world, refs, with, stage, kills] = parts[..] else {
            return Err(bad());
        };
        let kill = |text: &str| {
            let (kind, number) = text.split_once(':')?;
            Some(match kind {
                "before" => Kill::Before(number.parse().ok()?),
                "after" => Kill::After(number.parse().ok()?),
                "share" => Kill::Share(number.parse().ok()?),
                "us" => Kill::Micros(number.parse().ok()?),
                _ => return None,
            })
        };
        Ok(Self {
            world: match world {
                "local" => World::Local,
                "github" => World::GitHub,
                "actions" => World::Actions,
                _ => return Err(bad()),
            },
            packed: refs == "packed",
            with: match with {
                "all" => With::All,
                "group" => With::Group,
                "rerun" => With::Rerun,
                _ => return Err(bad()),
            },
            stage: stage.parse().map_err(|_| bad())?,
            kills: kills
                .split(',')
                .map(kill)
                .collect::<Option<_>>()
                .ok_or_else(bad)?,
        })
    }
}

/// What a trial met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Met {
    /// How many times something was killed.
    pub kills: usize,
    /// How many lock files lay around after that.
    pub locks: usize,
}

/// What came of a program.
pub struct Ended {
    /// Exit code; -9 when it was killed.
    pub code: i32,
    /// All that it said.
    pub said: String,
    /// Names of the effects that it came to, in order.
    pub effects: Vec<String>,
}

impl Ended {
    pub fn was_killed(&self) -> bool {
        self.code == -9
    }

    /// Whether it may have been killed between coming to ask an agent and noting what that answered.
    pub fn lost_an_answer(&self, kill: Kill) -> bool {
        let last = self.effects.last().map_or("", String::as_str);
        self.was_killed()
            && match last {
                "ask the agent" => true,
                "note the agent's answer" => !matches!(kill, Kill::After(_)),
                _ => false,
            }
    }

    /// How many times it came to ask an agent.
    pub fn asked(&self) -> usize {
        let asked = self.effects.iter().filter(|e| *e == "ask the agent");
        asked.count()
    }
}

/// The longest that a program may take.
const LIMIT: Duration = Duration::from_mins(2);

/// Runs a program to its end, or until it is killed. What it says goes to files in `notes`, because
/// what it leaves running would keep pipes open.
pub fn run(mut command: Command, notes: &Path, kill: Option<Kill>, took: Duration) -> Ended {
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    let (said, trace) = (notes.join("said"), notes.join("effects"));
    let _ = fs::remove_file(&trace);
    let out = fs::File::create(&said).unwrap();
    command
        .stdin(Stdio::null())
        .stderr(out.try_clone().unwrap())
        .stdout(out)
        .process_group(0)
        .env("PERTASK_TEST_EFFECTS", &trace);
    if let Some(kill) = kill.filter(|k| k.is_at_effect()) {
        command.env("PERTASK_TEST_CRASH", kill.to_string());
    }
    let after = match kill {
        Some(Kill::Share(share)) => Some(took.mul_f64(share)),
        Some(Kill::Micros(us)) => Some(Duration::from_micros(us)),
        _ => None,
    };
    let mut child = command.spawn().unwrap();
    let began = Instant::now();
    let group = Pid::from_child(&child);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        let so_far = began.elapsed();
        if after.is_some_and(|after| so_far >= after) || so_far > LIMIT {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
            break child.wait().unwrap();
        }
        let pause = Duration::from_millis(2);
        std::thread::sleep(after.map_or(pause, |after| pause.min(after.saturating_sub(so_far))));
    };
    let effects = fs::read_to_string(trace).unwrap_or_default();
    let named = |line: &str| line.split_once(' ').map(|(_, name)| name.to_owned());
    Ended {
        code: status
            .code()
            .unwrap_or_else(|| -status.signal().unwrap_or_default()),
        said: String::from_utf8_lossy(&fs::read(said).unwrap()).into_owned(),
        effects: effects.lines().filter_map(named).collect(),
    }
}

/// Processes whose environment names this place, with their command lines.
pub fn processes(place: &Path) -> Vec<(Pid, String)> {
    let place = place.display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environ
            .windows(place.len())
            .any(|part| part == place.as_bytes())
        {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            found.extend(Pid::from_raw(pid).map(|pid| (pid, line)));
        }
    }
    found
}

/// Ends everything that has this place in its environment.
pub fn kill_all(place: &Path) {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let left = processes(place);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "cannot be killed: {left:?}");
        for (pid, _) in left {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until nothing is left of what ran there; what does not end is what is returned.
pub fn settle(place: &Path) -> Vec<String> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let left = processes(place);
        if left.is_empty() || Instant::now() > until {
            return left.into_iter().map(|(_, line)| line).collect();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Lock files below these folders, but those in which the kernel keeps the lock.
pub fn locks(folders: &[&Path]) -> Vec<String> {
    let mut found = Vec::new();
    let mut left: Vec<_> = folders.iter().map(|f| (*f).to_owned()).collect();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                if !path.ends_with(".git/pertask") {
                    left.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "lock") {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// Copies a folder to a place where there is none, or into one that is empty.
pub fn copy(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command.arg("-a").arg(from.join(".")).arg(to);
    assert!(command.status().unwrap().success());
}

/// Numbers that follow from a seed (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `end`, which is not included.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    /// From 0 to 1.
    pub fn share(&mut self) -> f64 {
        f64::from(u32::try_from(self.roll() >> 32).unwrap()) / f64::from(u32::MAX)
    }

    pub fn coin(&mut self) -> bool {
        self.roll() & 1 == 1
    }

    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for n in (1..all.len()).rev() {
            all.swap(n, self.below(n + 1));
        }
    }
}

/// A number that follows from a text (FNV-1a).
pub fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}
