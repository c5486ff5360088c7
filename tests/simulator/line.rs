//! The line to the forge: every way in which a request can go wrong, and what the client makes of it,
//! as `src/forge/github/client.rs`. How long a limit lasts is asked of the product itself.

use std::time::Duration;

use git_pertask::forge::github::limits::{self, Signs};
use git_pertask::forge::{Merging, Page, Target};
use git_pertask::plan::MergeMethod;
use git_pertask::run::seen::{PullStanding, Seen};
use git_pertask::run::state::Workflow;

use super::hub::{LAG, Pull};
use super::world::{Fail, Fault, Pid, Sim, World, pause};

/// How often a request that failed is sent again, if it may be.
const AGAIN: u32 = 3;
/// How often a limit is waited for in one request.
const STRIKES: u32 = 8;
/// The longest to wait within one request.
const LONGEST: Duration = Duration::from_mins(15);

/// What becomes of a request that is sent once.
enum Fate {
    Answered,
    /// It never left.
    NotSent,
    /// The server fails and has done nothing.
    Fails,
    /// The server fails, or says nothing, and has done it.
    DoneUnsaid,
    /// A limit: how long to wait.
    Limit(Duration),
}

impl World {
    fn fate(&mut self, strikes: u32) -> Fate {
        if self.fault(Fault::NotSent) {
            Fate::NotSent
        } else if self.fault(Fault::Fails) {
            Fate::Fails
        } else if self.fault(Fault::FailsAfter) || self.fault(Fault::NoAnswer) {
            Fate::DoneUnsaid
        } else {
            let wait = self.limit(strikes);
            wait.map_or(Fate::Answered, Fate::Limit)
        }
    }

    /// A limit as GitHub tells it, read as the client reads it.
    fn limit(&mut self, strikes: u32) -> Option<Duration> {
        let now = self.forge_time();
        let (mut after, mut reset) = (String::new(), String::new());
        let nothing = Signs {
            status: 403,
            retry_after: None,
            remaining: None,
            reset: None,
            message: "You have exceeded a secondary rate limit",
            graphql: false,
            now,
            strikes,
        };
        let signs = if self.fault(Fault::Secondary) {
            after.push_str(&self.random.between(1, 120).to_string());
            Signs {
                retry_after: Some(&after),
                ..nothing
            }
        } else if self.fault(Fault::SecondaryUnsaid) {
            nothing
        } else if self.fault(Fault::TooMany) {
            Signs {
                status: 429,
                message: "",
                ..nothing
            }
        } else if self.fault(Fault::Spent) {
            let left = self.random.between(5, 3_500);
            reset.push_str(&(now.as_second() + left).to_string());
            Signs {
                remaining: Some("0"),
                reset: Some(&reset),
                message: "API rate limit exceeded",
                ..nothing
            }
        } else {
            return None;
        };
        limits::wait(&signs)
    }

    /// Which process asks from this machine.
    fn asks(&self, machine: usize) -> Option<Pid> {
        let here = &self.machines[machine];
        here.lock.or_else(|| {
            let mut all = self.processes.iter();
            all.find(|(_, p)| p.machine == machine).map(|(pid, _)| *pid)
        })
    }
}

impl Sim {
    /// One request to the forge, as often as the client sends it. `changes`: something is another way
    /// afterwards, and so it is not sent again where it may have been done.
    pub async fn call<T>(
        &self,
        what: &str,
        machine: usize,
        changes: bool,
        effect: impl FnOnce(&mut World, usize) -> Result<T, Fail>,
    ) -> Result<T, Fail> {
        self.send(what, machine, (changes, false), effect).await
    }

    /// As `Client::send_at_once`.
    async fn at_once<T>(
        &self,
        what: &str,
        machine: usize,
        effect: impl FnOnce(&mut World, usize) -> Result<T, Fail>,
    ) -> Result<T, Fail> {
        let at_once = !git_pertask::plant::is("opened-after-a-wait");
        self.send(what, machine, (true, at_once), effect).await
    }

    async fn send<T>(
        &self,
        what: &str,
        machine: usize,
        (changes, at_once): (bool, bool),
        effect: impl FnOnce(&mut World, usize) -> Result<T, Fail>,
    ) -> Result<T, Fail> {
        let (mut failures, mut strikes) = (0, 0);
        let mut waited = Duration::ZERO;
        loop {
            pause().await;
            let fate = {
                let mut w = self.w();
                if w.machines[machine].limited > w.now {
                    w.audit.meets("a request kept back within a limit");
                    return Err(Fail::Limited);
                }
                w.fate(strikes)
            };
            let wait = match fate {
                Fate::Answered => break,
                Fate::Fails if changes => {
                    self.w()
                        .note(|| format!("  forge: {what} fails, and nothing is done"));
                    return Err(Fail::Passing(format!("{what}: no answer")));
                }
                Fate::DoneUnsaid if changes => {
                    let mut w = self.w();
                    let us = w.hub.token_of(machine, &w.machines[machine]);
                    let answer = effect(&mut w, us);
                    w.remember();
                    w.note(|| format!("  forge: the answer to {what} is lost"));
                    return answer.and(Err(Fail::Passing(format!("{what}: no answer"))));
                }
                _ if at_once && !matches!(fate, Fate::Limit(_)) => {
                    return Err(Fail::Passing(format!("{what}: not sent")));
                }
                Fate::NotSent | Fate::Fails | Fate::DoneUnsaid => {
                    failures += 1;
                    if failures > AGAIN {
                        self.w()
                            .note(|| format!("  forge: {what} fails again and again"));
                        self.w().audit.meets("a request given up");
                        return Err(Fail::Passing(format!("{what}: no answer")));
                    }
                    Duration::from_secs(3_u64.pow(failures - 1))
                }
                Fate::Limit(wait) => {
                    strikes += 1;
                    wait
                }
            };
            waited = waited.saturating_add(wait);
            let limited = matches!(fate, Fate::Limit(_));
            if waited > LONGEST || strikes > STRIKES {
                let mut w = self.w();
                w.note(|| format!("  forge: {what}: a limit of {wait:?}"));
                if limited {
                    w.audit.meets("a limit too long to wait for");
                    w.machines[machine].limited = w.now + millis(wait);
                    return Err(Fail::Limited);
                }
                return Err(Fail::Passing(format!("{what}: no answer")));
            }
            self.sleep(what, machine, wait).await?;
            if at_once {
                return Err(Fail::Passing(format!("{what}: after a wait")));
            }
        }
        let answer = {
            let mut w = self.w();
            let us = w.hub.token_of(machine, &w.machines[machine]);
            let answer = effect(&mut w, us);
            w.remember();
            answer
        };
        pause().await;
        answer
    }

    /// The process that asks from a machine waits.
    async fn sleep(&self, what: &str, machine: usize, time: Duration) -> Result<(), Fail> {
        let (until, pid) = {
            let mut w = self.w();
            w.note(|| format!("  forge: {what} waits for {time:?}"));
            (w.now + millis(time), w.asks(machine))
        };
        loop {
            {
                let mut w = self.w();
                let now = w.now;
                let asleep = (now < until).then_some(until);
                let process = pid.and_then(|pid| w.processes.get_mut(&pid));
                if let Some(process) = process {
                    process.asleep = asleep;
                    if process.cancelled && asleep.is_some() {
                        process.asleep = None;
                        w.audit.meets("a wait for a limit that is interrupted");
                        return Err(Fail::Limited);
                    }
                }
                if asleep.is_none() {
                    return Ok(());
                }
            }
            pause().await;
        }
    }

    pub async fn look(&self, machine: usize, targets: &[Target]) -> Result<Seen, Fail> {
        self.call("the look", machine, false, |w, us| {
            Ok(w.look_at(us, targets))
        })
        .await
    }

    /// Opens one, by somebody who `looked` for it at that time.
    pub async fn open_pull(&self, machine: usize, page: &Page, looked: i64) -> Result<u64, Fail> {
        self.at_once("opening a pull request", machine, |w, us| {
            let open = w.hub.pulls.iter().any(|p| {
                p.branch == page.branch && p.base == page.base && p.standing == PullStanding::Open
            });
            if open {
                w.audit.meets("a pull request that exists already");
                return Err(Fail::Passing("a pull request already exists".to_owned()));
            }
            let Some(head) = w.refs.get(&page.branch).cloned() else {
                w.audit.meets("a pull request from a branch that is gone");
                return Err(Fail::Error("422: head is invalid".to_owned()));
            };
            let base = w.refs.get(&page.base).cloned();
            if base.is_none_or(|base| w.git.is_in(&head, &base)) {
                return Err(Fail::Error("422: no commits between".to_owned()));
            }
            let number = w.new_id();
            w.audit_opens(&page.branch, number, looked);
            w.note(|| format!("  forge: #{number} is opened from {}", page.branch));
            let pull = Pull {
                number,
                branch: page.branch.clone(),
                base: page.base.clone(),
                author: us,
                standing: PullStanding::Open,
                draft: page.draft,
                head,
                title: page.title.clone(),
                body: page.body.clone(),
                said: Vec::new(),
                ours: Vec::new(),
                opened: w.now,
            };
            w.hub.pulls.push(pull);
            w.effects += 1;
            Ok(number)
        })
        .await
    }

    /// Changes a pull request of ours.
    pub async fn edit(
        &self,
        what: &str,
        machine: usize,
        number: u64,
        change: impl FnOnce(&mut Pull, usize),
    ) -> Result<(), Fail> {
        self.call(what, machine, true, |w, us| {
            let pull = w.hub.pull_mut(number);
            let pull = pull.ok_or_else(|| Fail::Error("404".to_owned()))?;
            change(pull, us);
            w.effects += 1;
            w.note(|| format!("  forge: {what} of #{number}"));
            Ok(())
        })
        .await
    }

    /// As `github::merge`.
    pub async fn merge_at(
        &self,
        machine: usize,
        (number, seen): (u64, i64),
        head: &str,
        method: MergeMethod,
    ) -> Result<Merging, Fail> {
        self.call("the merge", machine, true, |w, us| {
            if w.fault(Fault::Held) {
                let why = "the branch's protection wants something first".to_owned();
                return Ok(Merging::Held(why));
            }
            if w.hub.has_queue {
                let open = w
                    .hub
                    .pull(number)
                    .is_some_and(|p| p.head == head && !p.draft);
                if !open {
                    return Ok(Merging::Moved);
                }
                w.audit_merging(number, head, seen - LAG);
                w.hub.queue.retain(|(n, _)| *n != number);
                w.hub.queue.push((number, head.to_owned()));
                w.note(|| format!("  forge: #{number} is in the merge queue"));
                return Ok(Merging::Held("it is in the merge queue".to_owned()));
            }
            let merging = w.merge_pull(number, head, method, us);
            if let Merging::Done(_) = merging {
                w.audit_merging(number, head, seen - LAG);
            }
            Ok(merging)
        })
        .await
    }

    /// As `github::is_over`.
    pub async fn is_over(&self, machine: usize, workflow: &Workflow) -> Result<bool, Fail> {
        self.call("asking for a workflow run", machine, false, |w, _| {
            Ok(w.actions.is_over(workflow.run))
        })
        .await
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}
