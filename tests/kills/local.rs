//! A run in one repository: a failing first attempt, a second task beside it, a revision, an
//! approval, and one more that needs the first merged in.

#![allow(
    clippy::similar_names,
    clippy::unused_self,
    clippy::allow_attributes,
    reason = "the kinds of trials share one shape"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::site::Site;
use super::trial::{self, Ended, Kill, Met, Trial, With};

const PLAN: &str = r#"
build = [["sh", "check.sh"]]
[[task]]
id = "a"
file = "a.txt"
purpose = "The first file"
[[task]]
id = "b"
file = "b.txt"
purpose = "The second file"
"#;

const AGENT: &str = r"
echo half > $PERTASK_TASK.txt
case $key in
    a-1) echo bad > a.txt ;;
    a-2) echo good > a.txt ;;
    a-*) echo better > a.txt ;;
    b-*) echo b > b.txt ;;
esac
complete
";

/// The commands of the story; all exit with 0.
const COMMANDS: [&[&str]; 4] = [
    &["start", "wiz", "--mode", "per-task"],
    &["revise", "wiz", "a", "-m", "Make it better"],
    &["approve", "wiz", "a"],
    &["approve", "wiz", "b"],
];

/// The story told once, undisturbed, to be told again from before each command.
pub struct Local {
    stages: Vec<Stage>,
    /// Where the agent's script is, for all of them.
    _first: Site,
}

struct Stage {
    loose: Site,
    packed: Site,
    effects: Vec<String>,
    took: Duration,
    end: Rest,
}

/// Where a run came to rest, without what may differ between two runs of the same work.
#[derive(Debug, PartialEq)]
struct Rest {
    state: Value,
    branches: BTreeMap<String, Vec<String>>,
    asked: Vec<String>,
}

impl Rest {
    fn of(site: &Site) -> Self {
        let repo = git2::Repository::open(site.path("repo")).unwrap();
        let mut state = site.state();
        plain(&repo, &mut state);
        let mut branches = BTreeMap::new();
        for reference in repo.references_glob("refs/heads/pertask/*").unwrap() {
            let reference = reference.unwrap();
            let name = reference.name().unwrap().to_owned();
            if name.contains("/kept/") && name.contains("unfinished") {
                continue;
            }
            branches.insert(name, history(&repo, reference.target().unwrap()));
        }
        let asked = site.out("asked");
        let mut asked: Vec<_> = asked.lines().map(str::to_owned).collect();
        asked.dedup();
        Self {
            state,
            branches,
            asked,
        }
    }
}

/// Parents, message and tree of a commit and all before it.
fn history(repo: &git2::Repository, head: git2::Oid) -> Vec<String> {
    let mut walk = repo.revwalk().unwrap();
    walk.set_sorting(git2::Sort::TOPOLOGICAL).unwrap();
    walk.push(head).unwrap();
    walk.map(|oid| {
        let commit = repo.find_commit(oid.unwrap()).unwrap();
        let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        format!(
            "{} parents, {:?}, {}",
            commit.parent_count(),
            no_numbers(&message),
            tree(repo, &commit.tree().unwrap())
        )
    })
    .collect()
}

/// Names and contents of a tree. The log says when things happened.
fn tree(repo: &git2::Repository, tree: &git2::Tree<'_>) -> String {
    let mut text = String::new();
    tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
        if let Some(git2::ObjectType::Blob) = entry.kind() {
            let blob = repo.find_blob(entry.id()).unwrap();
            let content = String::from_utf8_lossy(blob.content()).into_owned();
            let name = entry.name().unwrap();
            let _ = write!(text, "{folder}{name} {:?} ", no_numbers(&content));
        }
        git2::TreeWalkResult::Ok
    })
    .unwrap();
    text
}

fn no_numbers(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let hex = bare.len() >= 10 && bare.chars().all(|c| c.is_ascii_hexdigit());
        if hex || bare.starts_with(|c: char| c.is_ascii_digit()) {
            out.push('#');
            out.push_str(&word[bare.len()..]);
        } else {
            out.push_str(word);
        }
    }
    out.replace(" second\\n", " seconds\\n")
        .replace(" second\n", " seconds\n")
}

fn plain(repo: &git2::Repository, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields.iter_mut() {
                if key == "claim" || key.contains("duration") {
                    *field = Value::Null;
                } else {
                    plain(repo, field);
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|v| plain(repo, v)),
        Value::String(text) => {
            let object = (text.len() == 40)
                .then(|| git2::Oid::from_str(text).ok())
                .flatten();
            *text = match object.and_then(|oid| repo.find_object(oid, None).ok()) {
                Some(object) => tree(repo, &object.peel_to_tree().unwrap()),
                None => no_numbers(text),
            };
        }
        _ => {}
    }
}

/// The command that goes on after this one was killed: the same again if nobody's decision was
/// recorded, else `continue`.
fn onward(site: &Site, stage: usize) -> &'static [&'static str] {
    let begun = !site.git(&["for-each-ref", "refs/pertask"]).is_empty();
    let recorded = begun && {
        let state = site.state();
        let items = state["items"].as_array().unwrap();
        let reviews = |key: &str| {
            let item = items.iter().find(|i| i["key"] == key).unwrap();
            item["reviews"].as_array().map_or(0, Vec::len)
        };
        match stage {
            0 => true,
            1 => reviews("a") >= 1,
            2 => reviews("a") >= 2,
            _ => reviews("b") >= 1,
        }
    };
    if recorded {
        &["continue", "wiz"]
    } else {
        COMMANDS[stage]
    }
}

/// What a branch of the run is at, the ledger says: it is first, whenever the machine stops.
fn unrecorded(site: &Site) -> Result<(), String> {
    let heads = site.git(&[
        "for-each-ref",
        "--format=%(objectname) %(refname)",
        "refs/heads/pertask",
    ]);
    if heads.is_empty() {
        return Ok(());
    }
    let state = site.state().to_string();
    let unknown = heads.lines().filter(|line| {
        let (commit, name) = line.split_once(' ').unwrap();
        !name.contains("/kept/") && !state.contains(commit)
    });
    let unknown: Vec<_> = unknown.collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(format!("the ledger does not know {unknown:?}"))
}

fn command(site: &Site, args: &[&str]) -> Command {
    let mut command = site.command(env!("CARGO_BIN_EXE_git-pertask"));
    command.args(args);
    command
}

impl Local {
    pub fn told() -> Self {
        let mut site = Site::new();
        site.agent_elsewhere(AGENT);
        site.write("check.sh", "! grep bad a.txt\n");
        site.plan(PLAN, "env = [\"OUT\"]", "");
        let mut stages = Vec::new();
        for args in COMMANDS {
            let loose = site.copied(&trial::copy);
            let packed = site.copied(&trial::copy);
            packed.git(&["pack-refs", "--all", "--prune"]);
            let began = Instant::now();
            let out = trial::run(
                command(&site, args),
                &site.path("tmp"),
                None,
                Duration::ZERO,
            );
            assert_eq!(out.code, 0, "{}", out.said);
            stages.push(Stage {
                loose,
                packed,
                effects: out.effects,
                took: began.elapsed(),
                end: Rest::of(&site),
            });
        }
        assert_eq!(site.status()["state"], "complete");
        assert_eq!(site.out("asked"), "a-1\na-2\nb-1\na-3\n");
        Self {
            stages,
            _first: site,
        }
    }

    /// Names of the effects of each command.
    pub fn effects(&self) -> Vec<Vec<String>> {
        self.stages.iter().map(|s| s.effects.clone()).collect()
    }

    /// The run as it was before a command.
    pub fn before(&self, stage: usize, packed: bool) -> Site {
        let told = &self.stages[stage];
        if packed {
            told.packed.copied(&trial::copy)
        } else {
            told.loose.copied(&trial::copy)
        }
    }

    /// That command, or `continue` if its decision is recorded.
    pub fn again(&self, site: &Site, stage: usize) -> Ended {
        let args = onward(site, stage);
        trial::run(command(site, args), &site.path("tmp"), None, Duration::ZERO)
    }

    /// Kills at these points, carries on, and says what is not as it should be.
    pub fn trial(&self, trial: &Trial) -> Result<Met, String> {
        let told = &self.stages[trial.stage];
        let site = self.before(trial.stage, trial.packed);
        let (notes, place) = (site.path("tmp"), site.path("work"));
        let git = site.path("repo/.git");
        let users_own = site.users_own();
        let run = |args: &[&str], kill: Option<Kill>| {
            trial::run(command(&site, args), &notes, kill, told.took)
        };
        let mut met = Met::default();
        let (mut asked, mut lost) = (0, 0);
        let mut count = |out: &Ended, kill: Option<Kill>| {
            asked += out.asked();
            lost += usize::from(kill.is_some_and(|kill| out.lost_an_answer(kill)));
        };
        for (n, kill) in trial.kills.iter().enumerate() {
            let args = onward(&site, trial.stage);
            let out = run(args, Some(*kill));
            count(&out, Some(*kill));
            if out.was_killed() {
                met.kills += 1;
                if trial.with == With::All {
                    trial::kill_all(&place);
                }
                met.locks += trial::locks(&[&git, &place]).len();
                unrecorded(&site)?;
            } else if out.code != 0 || (n == 0 && kill.is_at_effect()) {
                return Err(format!(
                    "it was not killed: {args:?} {}\n{}",
                    out.code, out.said
                ));
            }
        }
        let args = onward(&site, trial.stage);
        let out = run(args, None);
        count(&out, None);
        if out.code != 0 {
            return Err(format!("{args:?} exits with {}\n{}", out.code, out.said));
        }
        self.compare(&site, trial.stage)
            .map_err(|what| format!("it differs:\n{what}\n{args:?} said:\n{}", out.said))?;
        // An answer that was noted is not asked for again.
        let wanted = told.effects.iter().filter(|e| *e == "ask the agent");
        let wanted = wanted.count();
        if asked < wanted || asked > wanted + lost {
            return Err(format!(
                "agents were asked {asked} times, {lost} answers were lost"
            ));
        }
        let left = trial::settle(&place);
        if !left.is_empty() {
            return Err(format!("still running: {left:?}"));
        }
        if trial::hash(&trial.to_string()).is_multiple_of(8) {
            for (later, args) in COMMANDS.iter().enumerate().skip(trial.stage + 1) {
                let out = run(args, None);
                if out.code != 0 {
                    return Err(format!("{args:?} exits with {}\n{}", out.code, out.said));
                }
                self.compare(&site, later)
                    .map_err(|what| format!("after {args:?} it differs:\n{what}"))?;
            }
        }
        let locks = trial::locks(&[&git, &place]);
        if !locks.is_empty() {
            return Err(format!("locks are left: {locks:?}"));
        }
        if site.users_own() != users_own {
            return Err("something of the person's own has changed".to_owned());
        }
        let fsck = site.git(&["fsck", "--strict", "--no-dangling", "--no-progress"]);
        if fsck.is_empty() { Ok(met) } else { Err(fsck) }
    }

    /// What is not as in the undisturbed run.
    pub fn compare(&self, site: &Site, stage: usize) -> Result<(), String> {
        let (wanted, found) = (&self.stages[stage].end, Rest::of(site));
        if found == *wanted {
            return Ok(());
        }
        let text = |rest: &Rest| format!("{rest:#?}\n{:#}", rest.state);
        let (wanted, found) = (text(wanted), text(&found));
        let lines: Vec<String> = wanted
            .lines()
            .zip(found.lines())
            .filter(|(a, b)| a != b)
            .take(4)
            .map(|(a, b)| format!("- {a}\n+ {b}"))
            .collect();
        Err(lines.join("\n"))
    }
}
