//! `git pertask continue`, and the loop that all commands share which carry on with a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;

use super::cli::{ContinueArgs, Driving};
use super::terminal::{self, Terminal};
use super::{Exit, context, print};
use crate::attempt::process::{Cancel, Canceller};
use crate::driver::home::{Held, RunLock};
use crate::driver::pulls::poll_pause;
use crate::driver::{Audience as _, Driver, Options, Rest};
use crate::forge;
use crate::git::Repo;
use crate::ledger::{Ledger, Snapshot};
use crate::plan::ForgeKind;
use crate::report;
use crate::run::decide::{Standing, Wait};
use crate::run::state::{Decision, Item, Person, Phase, Review, State};
use crate::run::transition;

/// `git pertask continue`.
pub(super) fn run(args: &ContinueArgs) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    context::sync(&repo, args.forge)?;
    let run = context::run_named(&repo, args.run.as_deref())?;
    let snapshot = Ledger::of(&repo, &run).read()?;
    // What became of the last pull request is still to be seen.
    let over = snapshot.state.forge == ForgeKind::Local || snapshot.state.merged.is_some();
    if snapshot.state.end.is_some() && (over || args.dry_run) {
        if !args.dry_run {
            catch_up(&repo, &snapshot.state)?;
        }
        print(&format!("{}\n", ended(&snapshot)))?;
        return Ok(Exit::Done);
    }
    if args.dry_run {
        print(&report::status::text(
            &snapshot.state,
            &[],
            Timestamp::now(),
            style(&std::io::stdout()),
        ))?;
        return Ok(Exit::Done);
    }
    drive(&repo, &run, &args.driving)
}

/// Moves the branch of a run that has ended to where it belongs, if it was left behind because
/// somebody had it checked out. One that is gone was deleted by somebody, and stays so.
fn catch_up(repo: &Repo, state: &State) -> anyhow::Result<()> {
    let branch = &state.run_branch;
    if let Standing::Behind { at } =
        repo.standing(&format!("refs/heads/{}", branch.name), &branch.head)?
        && repo.checked_out_at(&branch.name)?.is_none()
    {
        repo.swap(
            &format!("refs/heads/{}", branch.name),
            Some(&at),
            &branch.head,
            "pertask: as the ledger says",
        )?;
    }
    Ok(())
}

/// How text for this stream looks.
pub(super) fn style(stream: &impl std::io::IsTerminal) -> report::Style {
    report::Style {
        colour: terminal::colour(stream),
    }
}

/// Carries on with a run until a person is needed; at a terminal that person is asked.
pub(super) fn drive(repo: &Repo, run: &str, driving: &Driving) -> anyhow::Result<Exit> {
    let lock = RunLock::take(repo, run)?;
    drive_with(repo, run, driving, lock)
}

/// As [`drive`], with the lock in hand.
pub(super) fn drive_with(
    repo: &Repo,
    run: &str,
    driving: &Driving,
    mut lock: RunLock,
) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let mut audience = Terminal::new();
    let options = Options::here(usize::from(driving.jobs), interrupt.cancel.clone());
    let kind = Ledger::of(repo, run).read()?.state.forge;
    let forge = forge::open(kind, repo, context::patience())?;
    let mut driver = Driver::new(repo, run, forge, options)?;
    let here = kind == ForgeKind::Local;
    let ask = here && terminal::can_ask() && !driving.yes;
    let mut told = String::new();
    let rest = loop {
        let rest = driver
            .run(&mut audience)
            .map_err(|e| context::explained(repo, e))?;
        if rest.interrupted {
            break rest;
        }
        let reviews: Vec<&str> = rest
            .waits
            .iter()
            .filter_map(|w| {
                if let Wait::Review { item } = w {
                    Some(item.as_str())
                } else {
                    None
                }
            })
            .collect();
        let asks_now = ask && !reviews.is_empty();
        if !asks_now && let Some(until) = limit_to_wait_for(&rest, driving.watch) {
            let goes_on = if driving.watch && !here && can_watch(&rest) {
                watch_there(&mut driver, &rest, &interrupt, &mut told, Some(until))?
            } else {
                wait_until(repo, &rest, &interrupt, until)?
            };
            if !goes_on {
                break Rest {
                    interrupted: true,
                    ..rest
                };
            }
            continue;
        }
        if driving.watch && !ask && (only_reviews(&rest) || (!here && can_watch(&rest))) {
            let goes_on = if here {
                watch(repo, &rest.snapshot, &interrupt)?
            } else {
                watch_there(&mut driver, &rest, &interrupt, &mut told, None)?
            };
            if !goes_on {
                break Rest {
                    interrupted: true,
                    ..rest
                };
            }
            continue;
        }
        let Some(key) = reviews.first().filter(|_| ask) else {
            // Who decides something while we hold the lock leaves it to us. So nobody is left
            // waiting, look once more when it is free.
            drop(lock);
            if !here {
                break rest;
            }
            if Ledger::of(repo, run).tip()?.as_ref() == Some(&rest.snapshot.commit) {
                break rest;
            }
            match RunLock::take(repo, run) {
                Ok(again) => lock = again,
                Err(e) if e.is::<Held>() => break rest,
                Err(e) => return Err(e),
            }
            continue;
        };
        match checkpoint(repo, &rest.snapshot, key, &interrupt)? {
            Answer::Later => break rest,
            Answer::Decided(review) => {
                let by = repo.identity()?;
                decide(repo, run, key, &review, &by, &mut audience)?;
            }
        }
    };
    finish(repo, &rest)
}

/// Whether something on the forge can move the run on.
fn can_watch(rest: &Rest) -> bool {
    let state = &rest.snapshot.state;
    let ended = state.end.as_ref();
    match ended {
        Some(end) => !end.aborted && state.merged.is_none(),
        None => !rest.waits.iter().any(|w| matches!(w, Wait::BaseBroken)),
    }
}

/// Longest wait for an agent's usage limit to end without being told to stay.
const PATIENCE: Duration = Duration::from_hours(1);

/// When the first limit of an agent ends that is waited for here.
fn limit_to_wait_for(rest: &Rest, watching: bool) -> Option<Timestamp> {
    let ends = rest.waits.iter().filter_map(|w| match w {
        Wait::Limited { until, .. } => Some(*until),
        _ => None,
    });
    let first = ends.min()?;
    let short = Timestamp::now() + PATIENCE;
    (watching || first <= short).then_some(first)
}

/// Waits until then, or until somebody records something; false when the person interrupts.
fn wait_until(
    repo: &Repo,
    rest: &Rest,
    interrupt: &Interrupt,
    until: Timestamp,
) -> anyhow::Result<bool> {
    let state = &rest.snapshot.state;
    let mut text = format!(
        "Run {} goes on by itself at {} (Ctrl-C stops waiting). Waiting for:\n",
        state.run,
        report::words::time(until)
    );
    for sentence in report::waits::sentences(state, &rest.waits) {
        text.push_str("- ");
        text.push_str(&sentence);
        text.push('\n');
    }
    eprint(&text);
    let ledger = Ledger::of(repo, &state.run);
    while !interrupt.cancel.is_cancelled() {
        if Timestamp::now() >= until || ledger.tip()?.as_ref() != Some(&rest.snapshot.commit) {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(false)
}

/// Asks the forge for news, at first every quarter of a minute, then up to every two minutes, until
/// then at the latest; false when the person interrupts.
fn watch_there(
    driver: &mut Driver<'_>,
    rest: &Rest,
    interrupt: &Interrupt,
    told: &mut String,
    limit: Option<Timestamp>,
) -> anyhow::Result<bool> {
    const FIRST: Duration = Duration::from_secs(15);
    const LONGEST: Duration = Duration::from_mins(2);
    let state = &rest.snapshot.state;
    let mut text = format!(
        "Watching run {} on GitHub (Ctrl-C stops watching)",
        state.run
    );
    for sentence in report::waits::sentences(state, &rest.waits) {
        text.push_str("\n- ");
        text.push_str(&sentence);
    }
    if let (Some(_), Some(pull)) = (&state.end, &state.pull) {
        text.push_str("\n- the merge of ");
        text.push_str(&pull.url);
    }
    if *told != text {
        eprint(&format!("{text}\n"));
        *told = text;
    }
    let mut pause = FIRST;
    let mut lost = false;
    loop {
        match driver.has_news() {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            // A line that is down for a while is what watching is for; a limit is said at once.
            Err(e) if forge::is_passing(&e) && !forge::is_limit(&e) => {
                if !lost {
                    eprint(&format!("{e:#}; still watching\n"));
                }
                lost = true;
            }
            Err(e) => return Err(e),
        }
        let until = Instant::now() + poll_pause(pause);
        while Instant::now() < until {
            if interrupt.cancel.is_cancelled() {
                return Ok(false);
            }
            if limit.is_some_and(|limit| Timestamp::now() >= limit) {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(100).min(until - Instant::now()));
        }
        pause = (pause * 3 / 2).min(LONGEST);
    }
}

fn only_reviews(rest: &Rest) -> bool {
    !rest.waits.is_empty() && rest.waits.iter().all(|w| matches!(w, Wait::Review { .. }))
}

/// Waits until somebody records something; false when the person interrupts.
fn watch(repo: &Repo, snapshot: &Snapshot, interrupt: &Interrupt) -> anyhow::Result<bool> {
    eprint(&format!(
        "Watching run {}; it goes on when a review is recorded (Ctrl-C stops watching)\n",
        snapshot.state.run
    ));
    let ledger = Ledger::of(repo, &snapshot.state.run);
    while !interrupt.cancel.is_cancelled() {
        if ledger.tip()?.as_ref() != Some(&snapshot.commit) {
            return Ok(true);
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    Ok(false)
}

/// Records a review in the ledger, reading again when a race is lost.
pub(super) fn decide(
    repo: &Repo,
    run: &str,
    key: &str,
    review: &Review,
    by: &Person,
    audience: &mut Terminal,
) -> anyhow::Result<()> {
    let said = change(repo, run, by, |state| {
        transition::reviewed(state, key, review.clone())
    })?;
    audience.said(&said);
    Ok(())
}

/// Applies a transition to the newest state and records it; a lost race reads again.
pub(super) fn change(
    repo: &Repo,
    run: &str,
    by: &Person,
    mut transition: impl FnMut(&mut State) -> Result<String, transition::NotPossible>,
) -> anyhow::Result<String> {
    let kind = Ledger::of(repo, run).read()?.state.forge;
    let forge = forge::open(kind, repo, context::patience())?;
    let ledger = Ledger::of(repo, run).kept_at(forge.remote().cloned());
    for _ in 0..20 {
        ledger.refresh_run()?;
        let snapshot = ledger.read()?;
        let mut state = snapshot.state.clone();
        let said = transition(&mut state)?;
        match ledger.append(&snapshot, state, &said, Vec::new(), by, Timestamp::now()) {
            Ok(_) => return Ok(said),
            Err(crate::ledger::LedgerError::Raced(_)) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(crate::ledger::LedgerError::Raced(run.to_owned()).into())
}

enum Answer {
    Decided(Box<Review>),
    Later,
}

/// The seed's checkpoint: summary, then Continue / Review first / Revise.
fn checkpoint(
    repo: &Repo,
    snapshot: &Snapshot,
    key: &str,
    interrupt: &Interrupt,
) -> anyhow::Result<Answer> {
    let state = &snapshot.state;
    let item = state.item(key).context("the task to review is gone")?;
    let head = item
        .branch
        .as_ref()
        .map(|b| b.head.clone())
        .unwrap_or_default();
    let review = |decision, text: String| -> anyhow::Result<Answer> {
        Ok(Answer::Decided(Box::new(Review {
            decision,
            by: repo.identity()?,
            at: Timestamp::now(),
            commit: head.clone(),
            text,
            round: item.round,
            source: None,
        })))
    };
    let success = success(repo, snapshot, item)?;
    let text = report::checkpoint::text(state, item, &success, style(&std::io::stderr()));
    eprint(&format!("\n{}\n", text.trim_end()));
    loop {
        let answer = interrupt.while_asking(|| terminal::ask("c, r or v (q decides later): "));
        let Some(answer) = answer else {
            return Ok(Answer::Later);
        };
        match answer.to_ascii_lowercase().as_str() {
            "c" | "continue" | "y" | "yes" => return review(Decision::Approve, String::new()),
            "r" | "review" | "review first" => {
                let origin = repo.merge_base(&state.run_branch.head, &head)?;
                repo.page_difference(&origin, &head)?;
            }
            "v" | "revise" => {
                let words = interrupt.while_asking(|| {
                    terminal::ask("What should change? (an empty line opens your editor)\n> ")
                });
                let Some(words) = words else {
                    return Ok(Answer::Later);
                };
                let words = if words.is_empty() {
                    match terminal::edit(&repo.editor(), &hint(item)) {
                        Ok(words) => words,
                        // The run is under way: the question stays, whatever the editor does.
                        Err(e) => {
                            eprint(&format!("{e:#}\n"));
                            continue;
                        }
                    }
                } else {
                    words
                };
                if words.is_empty() {
                    eprint("Nothing was said, so nothing is changed.\n");
                    continue;
                }
                return review(Decision::Revise, words);
            }
            "q" | "quit" => return Ok(Answer::Later),
            _ => eprint("Please answer c, r, v or q.\n"),
        }
    }
}

/// What stands in the file that an editor opens for a revision.
pub(super) fn hint(item: &Item) -> String {
    let question = match &item.phase {
        Phase::Blocked {
            question: Some(question),
            ..
        } => format!("The agent asks: {question}\n"),
        _ => String::new(),
    };
    format!(
        "{question}Say what should change in {}, or answer the question. Lines that begin with # are left out;\nan empty text changes nothing.",
        item.key
    )
}

fn eprint(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn ended(snapshot: &Snapshot) -> String {
    let state = &snapshot.state;
    match &state.end {
        Some(end) if end.aborted => format!(
            "Run {} was ended by {}; every branch is kept. Start anew: git pertask start {}",
            state.run,
            end.by.as_ref().map_or("somebody", |p| p.name.as_str()),
            state.plan
        ),
        _ if state.forge == ForgeKind::Github => ended_there(state),
        _ => {
            let merged = state.items.iter().filter(|i| i.phase == Phase::Merged);
            let cost = state.cost_usd();
            let cost = if cost > 0.0 {
                format!(", for ${cost:.2}")
            } else {
                String::new()
            };
            format!(
                "Run {} is complete: {} of {} tasks merged into {branch}{cost}.\nTake it into your branch: git merge {branch}",
                state.run,
                merged.map(|i| i.tasks.len()).sum::<usize>(),
                state.total(),
                branch = state.run_branch.name,
            )
        }
    }
}

/// How a run on a forge has ended.
fn ended_there(state: &State) -> String {
    let merged = state.items.iter().filter(|i| i.phase == Phase::Merged);
    let tasks = merged.map(|i| i.tasks.len()).sum::<usize>();
    let cost = state.cost_usd();
    let cost = if cost > 0.0 {
        format!(", for ${cost:.2}")
    } else {
        String::new()
    };
    let done = format!(
        "Run {} is complete: {tasks} of {} tasks merged into {}{cost}.",
        state.run,
        state.total(),
        state.run_branch.name
    );
    let base = &state.base.branch;
    match (&state.merged, &state.pull) {
        (Some(merged), _) => format!(
            "{done}\nIt is in {base} as {} ({}).",
            transition::short(&merged.commit),
            merged.because
        ),
        (None, Some(pull)) if pull.closed => format!(
            "{done}\nIts pull request was closed without a merge: {}",
            pull.url
        ),
        (None, Some(pull)) => format!("{done}\nMerge it into {base} there: {}", pull.url),
        (None, None) => done,
    }
}

/// The success criteria that the pinned plan names for an item's tasks.
fn success(repo: &Repo, snapshot: &Snapshot, item: &Item) -> anyhow::Result<Vec<String>> {
    let plan = Ledger::of(repo, &snapshot.state.run).plan(&snapshot.commit)?;
    Ok(plan.success_of(item.tasks.iter().map(|t| t.id.as_str())))
}

/// What the check printed that the latest attempt failed.
fn failing_output(repo: &Repo, snapshot: &Snapshot, item: &Item) -> Option<String> {
    let attempt = item.latest_work()?;
    let path = format!(
        "{}/result.json",
        crate::publish::attempt_dir(item, attempt.number)
    );
    let bytes = Ledger::of(repo, &snapshot.state.run)
        .file(&snapshot.commit, &path)
        .ok()??;
    let result: crate::run::order::AttemptResult = serde_json::from_slice(&bytes).ok()?;
    let failed = result
        .checks
        .into_iter()
        .find(|c| !c.passed && !c.output.is_empty())
        .map(|c| c.output);
    // An agent that could not work says why only in what it printed.
    let agent = result
        .agent
        .filter(|a| crate::attempt::agent::failure(a).is_some())
        .map(|a| a.output_tail);
    agent.filter(|o| !o.trim().is_empty()).or(failed)
}

/// Says where things stand now, and what that means for the exit code.
fn finish(repo: &Repo, rest: &Rest) -> anyhow::Result<Exit> {
    let state = &rest.snapshot.state;
    if rest.interrupted {
        eprint(&format!(
            "Interrupted; go on with: git pertask continue {}\n",
            state.run
        ));
        return Ok(Exit::Interrupted);
    }
    if state.end.is_some() {
        print(&format!("{}\n", ended(&rest.snapshot)))?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    for wait in &rest.waits {
        match wait {
            Wait::Review { item } => {
                if let Some(item) = state.item(item) {
                    text.push_str(&report::checkpoint::summary(
                        state,
                        item,
                        style(&std::io::stdout()),
                    ));
                    text.push_str(&report::checkpoint::criteria(
                        &success(repo, &rest.snapshot, item)?,
                        style(&std::io::stdout()),
                    ));
                    text.push('\n');
                }
            }
            Wait::Stopped { item } => {
                if let Some(item) = state.item(item) {
                    let output = failing_output(repo, &rest.snapshot, item);
                    text.push_str(&report::checkpoint::stopped(
                        state,
                        item,
                        output.as_deref(),
                        style(&std::io::stdout()),
                    ));
                    text.push('\n');
                }
            }
            _ => {}
        }
    }
    text.push_str("Waiting for:\n");
    for sentence in report::waits::sentences(state, &rest.waits) {
        text.push_str("- ");
        text.push_str(&sentence);
        text.push('\n');
    }
    print(&text)?;
    let person = |w: &Wait| {
        matches!(
            w,
            Wait::Stopped { .. }
                | Wait::Rewritten { .. }
                | Wait::Budget { .. }
                | Wait::BaseBroken
                | Wait::Gate
                | Wait::Closed { .. }
                | Wait::Base { .. }
        )
    };
    let elsewhere = |w: &Wait| {
        matches!(
            w,
            Wait::Elsewhere { .. } | Wait::SetAside { .. } | Wait::Limited { .. }
        )
    };
    Ok(if rest.waits.iter().any(person) {
        Exit::PersonNeeded
    } else if rest.waits.iter().any(elsewhere) {
        Exit::Temporary
    } else {
        Exit::Done
    })
}

/// After a decision was recorded: carries on, unless another process does so anyway.
pub(super) fn carry_on(repo: &Repo, run: &str, driving: &Driving) -> anyhow::Result<Exit> {
    match drive(repo, run, driving) {
        Err(e) if e.is::<Held>() => {
            print("Recorded; the process that works on the run goes on with it.\n")?;
            Ok(Exit::Done)
        }
        other => other,
    }
}

/// Ctrl-C and SIGTERM: the first ends the agents and keeps their work; at a question it ends us.
struct Interrupt {
    cancel: Cancel,
    asking: Arc<AtomicBool>,
}

impl Interrupt {
    fn listen() -> anyhow::Result<Self> {
        let (canceller, cancel): (Canceller, Cancel) = Canceller::new();
        let asking = Arc::new(AtomicBool::new(false));
        let seen = asking.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (ready, is_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            runtime.block_on(async move {
                use tokio::signal::unix::{SignalKind, signal};
                let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
                let _ = ready.send(());
                let (Ok(mut int), Ok(mut term)) = signals else { return };
                let mut times = 0;
                loop {
                    tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
                    times += 1;
                    canceller.cancel();
                    // Nothing is lost by ending here: the ledger has all that was decided.
                    if seen.load(Ordering::SeqCst) || times > 2 {
                        std::process::exit(Exit::Interrupted as i32);
                    }
                    if times == 1 {
                        eprint("\nEnding the agents and keeping their work; once more does not wait.\n");
                    }
                }
            });
        });
        // From here on no signal ends us in the middle of an effect.
        let _ = is_ready.recv();
        Ok(Self { cancel, asking })
    }

    fn while_asking<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.asking.store(true, Ordering::SeqCst);
        let answer = ask();
        self.asking.store(false, Ordering::SeqCst);
        answer
    }
}
