//! Limits of money and time, and limits that agents are under themselves.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "support/site.rs"]
mod site;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use site::{Output, Site};

const ONE: &str = r#"
[[task]]
id = "one"
file = "one.txt"
purpose = "One"
"#;

const TWO: &str = r#"
[[task]]
id = "one"
file = "one.txt"
purpose = "One"
[[task]]
id = "two"
file = "two.txt"
purpose = "Two"
"#;

/// What an agent that is read like Claude Code prints.
const CLAUDE: &str = r#"
echo "$*" > "$OUT/arguments-$key"
work() { echo x > "$PERTASK_TASK.txt"; complete; }
costs() { printf '{"type":"result","subtype":"success","is_error":false,"result":"","total_cost_usd":%s}\n' "$1"; }
limited() {
    printf '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":%s}}\n' "$1"
    printf '{"type":"result","subtype":"success","is_error":true,"result":"Usage limit reached","total_cost_usd":0}\n'
}
"#;

/// A run whose agent is read like Claude Code.
fn claude(plan: &str, script: &str, limits: &str) -> Site {
    let site = Site::new();
    site.agent(&format!("{CLAUDE}\n{script}"));
    site.plan(plan, "adapter = \"claude\"", limits);
    site
}

fn start(site: &Site) -> Output {
    site.pertask(&["start", "wiz", "--mode", "per-task"])
}

/// Changes the committed settings and takes them over.
fn amend(site: &Site, from: &str, to: &str) -> Output {
    let path = site.repo(".pertask/config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
    site.commit("Raise a limit");
    let out = site.pertask(&["amend", "wiz"]);
    assert_eq!(out.code, 0, "{}", out.all());
    out
}

/// What it waits for, as it is said at the end.
fn waiting(site: &Site, out: &Output) -> String {
    let said = out.stdout.split("Waiting for:\n").nth(1).unwrap_or("");
    site.plain(&format!("exit {}\n{}", out.code, said.trim_end()))
}

fn asked(site: &Site) -> Vec<String> {
    site.out("asked").lines().map(str::to_owned).collect()
}

#[test]
fn the_money_of_a_task_is_a_stop_until_it_is_raised() {
    let site = claude(
        ONE,
        "[ -e \"$OUT/good\" ] && work; costs 0.6",
        "[limits]\nattempts = 5\ntask_cost_usd = 1.0\n",
    );
    let out = start(&site);
    // The second attempt is told what is left, and is no success for going beyond it.
    assert_eq!(asked(&site), ["one-1", "one-2"]);
    assert!(site.out("arguments-one-1").contains("--max-budget-usd 1\n"));
    assert!(
        site.out("arguments-one-2")
            .contains("--max-budget-usd 0.4\n")
    );
    insta::assert_snapshot!(waiting(&site, &out), @r"
    exit 1
    - a larger budget for task 1 of 1, one (one): $1.20 of $1.00 are spent; raise `task_cost_usd` under `[limits]` in `.pertask/config.toml` and commit it, then `git pertask amend wiz` and `git pertask continue wiz`
    ");
    assert_eq!(site.status()["waiting_for"].as_array().unwrap().len(), 1);
    // Nothing goes on by itself.
    assert_eq!(site.pertask(&["continue"]).code, 1);
    assert_eq!(asked(&site).len(), 2);
    site.touch("good");
    let out = amend(&site, "task_cost_usd = 1.0", "task_cost_usd = 5.0");
    insta::assert_snapshot!(site.plain(&out.stdout), @r"
    From main at <id>:
    - configuration: limits: task_cost_usd: 1.0 → 5.0
    Recorded. Go on: git pertask continue wiz
    ");
    assert_eq!(site.pertask(&["continue"]).code, 0);
    assert_eq!((site.task("one"), asked(&site).len()), ("review".into(), 3));
    insta::assert_snapshot!(site.state()["items"][0]["attempts"][1]["reasons"], @r#"
    ["the agent script: the agent reached its money limit of $0.40","the limit `task_cost_usd` is reached"]
    "#);
}

#[test]
fn the_money_of_a_run_starts_no_further_task() {
    let site = claude(TWO, "work; costs 1.5", "[limits]\nrun_cost_usd = 1.5\n");
    let out = start(&site);
    assert_eq!(asked(&site), ["one-1"]);
    insta::assert_snapshot!(waiting(&site, &out), @r"
    exit 1
    - a review of task 1 of 2, one (one): read it with `git pertask show wiz one`, then `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    - a larger budget for the run: $1.50 of $1.50 are spent; raise `run_cost_usd` under `[limits]` in `.pertask/config.toml` and commit it, then `git pertask amend wiz` and `git pertask continue wiz`
    ");
    amend(&site, "run_cost_usd = 1.5", "run_cost_usd = 3");
    site.pertask(&["continue"]);
    assert_eq!(asked(&site), ["one-1", "two-1"]);
    assert_eq!(
        (site.task("one"), site.task("two")),
        ("review".into(), "review".into())
    );
}

#[test]
fn the_time_of_a_task_ends_its_attempt_and_is_a_stop_until_it_is_raised() {
    let site = Site::new();
    site.agent("[ -e \"$OUT/good\" ] || sleep 60; echo x > one.txt; complete");
    site.plan(ONE, "", "[limits]\ntask_time = \"1s\"\n");
    let out = start(&site);
    assert_eq!(asked(&site), ["one-1"]);
    insta::assert_snapshot!(waiting(&site, &out), @r"
    exit 1
    - more time for task 1 of 1, one (one): <time> of <time> are spent; raise `task_time` under `[limits]` in `.pertask/config.toml` and commit it, then `git pertask amend wiz` and `git pertask continue wiz`
    ");
    site.touch("good");
    amend(&site, "task_time = \"1s\"", "task_time = \"1h\"");
    assert_eq!(site.pertask(&["continue"]).code, 0);
    assert_eq!(site.task("one"), "review");
}

/// Attempts side by side keep to the money of the run together: what is under way may cost all of it, so
/// the other waits, or each has a limit of its own.
#[test]
fn the_money_of_a_run_is_shared_by_what_runs_side_by_side() {
    let agent = "until [ -e \"$OUT/go\" ]; do sleep 0.02; done; work; costs 0.4";
    let money = |site: &Site, key: &str| {
        let arguments = site.out(&format!("arguments-{key}"));
        let words: Vec<_> = arguments.split(' ').map(str::to_owned).collect();
        let at = words.iter().position(|w| w == "--max-budget-usd").unwrap();
        words[at + 1].trim().to_owned()
    };
    let both = &["start", "wiz", "--mode", "per-task", "--jobs", "2"];

    let site = claude(TWO, agent, "[limits]\nrun_cost_usd = 1.0\n");
    let run = site.spawn(both);
    wait_until(|| site.path("out/arguments-one-1").exists());
    wait_until(|| run.said_so_far().contains("side by side"));
    let said = run.said_so_far();
    insta::assert_snapshot!(said.lines().last().unwrap(), @"Waiting for the end of an attempt under way, before task 2 of 2, two (two) begins: what it may still cost leaves too little of `run_cost_usd` (`max_cost_usd` under `[agents.NAME]` or `task_cost_usd` lets more run side by side)");
    assert_eq!(asked(&site), ["one-1"]);
    site.touch("go");
    let out = run.end();
    assert_eq!(out.code, 0, "{}", out.all());
    assert_eq!(
        (money(&site, "one-1"), money(&site, "two-1")),
        ("1".into(), "0.6".into())
    );

    let site = Site::new();
    site.agent(&format!("{CLAUDE}\n{agent}"));
    let each = "adapter = \"claude\"\nmax_cost_usd = 0.5";
    site.plan(TWO, each, "[limits]\nrun_cost_usd = 1.0\n");
    let run = site.spawn(both);
    wait_until(|| {
        ["one", "two"]
            .iter()
            .all(|t| site.path(&format!("out/arguments-{t}-1")).exists())
    });
    site.touch("go");
    let out = run.end();
    assert_eq!(out.code, 0, "{}", out.all());
    assert_eq!(
        (money(&site, "one-1"), money(&site, "two-1")),
        ("0.5".into(), "0.5".into())
    );
}

#[test]
fn the_time_of_a_run_ends_an_attempt_too() {
    let site = Site::new();
    site.agent("sleep 60");
    site.plan(TWO, "", "[limits]\nrun_time = \"1s\"\n");
    let out = start(&site);
    assert_eq!(asked(&site), ["one-1"]);
    insta::assert_snapshot!(waiting(&site, &out), @r"
    exit 1
    - more time for the run: <time> of <time> are spent; raise `run_time` under `[limits]` in `.pertask/config.toml` and commit it, then `git pertask amend wiz` and `git pertask continue wiz`
    ");
}

#[test]
fn a_cost_that_does_not_come_is_a_stop() {
    let result =
        r#"work; echo '{"type":"result","subtype":"success","is_error":false,"result":""}'"#;
    for limit in ["task_cost_usd = 1", "run_cost_usd = 1"] {
        let site = claude(ONE, result, &format!("[limits]\nattempts = 3\n{limit}\n"));
        let out = start(&site);
        assert_eq!(asked(&site), ["one-1"], "{limit}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(waiting(&site, &out), @r"
            exit 1
            - a decision on task 1 of 1, one (one), which failed (the agent script did not say what it cost, though its money is limited, so another attempt is for a person to allow): `git pertask retry wiz one`, `git pertask revise wiz one -m …` or `git pertask skip wiz one -m …`
            ");
        }
        // A person may allow another.
        assert_eq!(site.pertask(&["retry"]).code, 1);
        assert_eq!(asked(&site), ["one-1", "one-2"], "{limit}");
    }
    // Without a limit of money nobody needs to know.
    let site = claude(ONE, result, "");
    assert_eq!(start(&site).code, 0);
    assert_eq!(site.task("one"), "review");
    // An agent that ends without a result says no cost either.
    let site = claude(ONE, "work", "[limits]\nrun_cost_usd = 1\n");
    let out = start(&site);
    assert_eq!((out.code, asked(&site).len()), (1, 1), "{}", out.all());
    insta::assert_snapshot!(site.state()["items"][0]["phase"]["reasons"], @r#"
    ["the agent script: the agent reported an error: it ended without giving a result","the agent script did not say what it cost, though its money is limited, so another attempt is for a person to allow"]
    "#);
}

/// Codex says tokens, and the table says what they cost.
#[test]
fn tokens_cost_what_the_price_table_says() {
    let site = Site::in_folder(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
    site.agent(
        r#"echo x > one.txt; complete
        echo '{"type":"turn.completed","usage":{"input_tokens":1000000,"cached_input_tokens":400000,"output_tokens":100000}}'"#,
    );
    let agent = "adapter = \"codex\"\nmodel = \"big\"\n[agents.script.prices.big]\ninput = 1.0\ncached_input = 0.5\noutput = 10\n";
    site.plan(ONE, agent, "[limits]\ntask_cost_usd = 2.0\n");
    let out = start(&site);
    assert_eq!(out.code, 0, "{}", out.all());
    assert_eq!(site.status()["tasks"][0]["cost_usd"], 1.8);
    // The next attempt has no more than what is left, and is no success beyond it.
    let out = site.pertask(&["revise", "-m", "again"]);
    assert_eq!(out.code, 1, "{}", out.all());
    insta::assert_snapshot!(waiting(&site, &out), @r"
    exit 1
    - a larger budget for task 1 of 1, one (one): $3.60 of $2.00 are spent; raise `task_cost_usd` under `[limits]` in `.pertask/config.toml` and commit it, then `git pertask amend wiz` and `git pertask continue wiz`
    ");
}

/// Of the two attempts that are allowed, the first meets the limit and does not count, and the next
/// fails: so there is one more.
#[test]
fn a_usage_limit_that_ends_soon_is_waited_for() {
    let site = claude(
        TWO,
        "case $key in
             one-1) echo half > one.txt; limited $(($(date +%s) + 3)); exit 1 ;;
             one-2) rm -f one.txt; complete; costs 0.1 ;;
             *) work; costs 0.1 ;;
         esac",
        "[limits]\nattempts = 2\n",
    );
    let out = start(&site);
    assert_eq!(out.code, 0, "{}", out.all());
    // The other task has the same agent, so it was not asked either.
    assert_eq!(asked(&site), ["one-1", "one-2", "one-3", "two-1"]);
    let told = out.stderr.lines().position(|l| l.contains("by itself"));
    let told = told.unwrap_or_else(|| panic!("{}", out.all()));
    let said: Vec<&str> = out.stderr.lines().skip(told - 1).take(4).collect();
    insta::assert_snapshot!(timeless(&said.join("\n")), @r"
      its work is kept on pertask/wiz/kept/1-one-1
    Run wiz goes on by itself at <when> (Ctrl-C stops waiting). Waiting for:
    - the usage limit of the agent script to end at <when>; then `git pertask continue wiz` goes on (`git pertask retry wiz` tries it before), or name another agent in `.pertask/config.toml`, commit it, and `git pertask amend wiz`
    Task 1 of 2, one (one): attempt 2 begins
    ");
    let attempts = &site.state()["items"][0]["attempts"];
    let (first, second) = (&attempts[0], &attempts[1]);
    let until: jiff::Timestamp = first["limited_until"].as_str().unwrap().parse().unwrap();
    let begun: jiff::Timestamp = second["started"].as_str().unwrap().parse().unwrap();
    assert!(begun >= until, "{begun} {until}");
    assert_eq!(first["outcome"], "failed");
    // It went on from what was there.
    assert!(
        first["kept"].is_string() && second["kind"] == "retry",
        "{attempts}"
    );
}

#[test]
fn a_usage_limit_that_ends_late_is_said_and_may_be_tried_before() {
    let site = claude(
        ONE,
        "[ -e \"$OUT/good\" ] && { work; costs 0.1; exit; }
         limited $(($(date +%s) + 7200)); exit 1",
        "[limits]\nattempts = 1\n",
    );
    let out = start(&site);
    insta::assert_snapshot!(timeless(&waiting(&site, &out)), @r"
    exit 75
    - the usage limit of the agent script to end at <when>; then `git pertask continue wiz` goes on (`git pertask retry wiz` tries it before), or name another agent in `.pertask/config.toml`, commit it, and `git pertask amend wiz`
    ");
    assert_eq!(site.task("one"), "pending");
    assert_eq!(site.status()["state"], "waiting");
    assert_eq!(site.pertask(&["continue"]).code, 75);
    assert_eq!(asked(&site), ["one-1"]);
    // Somebody knows better.
    let out = site.pertask(&["retry"]);
    assert_eq!(out.code, 75, "{}", out.all());
    assert_eq!(asked(&site), ["one-1", "one-2"]);
    site.touch("good");
    assert_eq!(site.pertask(&["retry"]).code, 0);
    assert_eq!(site.task("one"), "review");
}

#[test]
fn waiting_for_a_usage_limit_can_be_interrupted_and_told_otherwise() {
    let site = claude(
        ONE,
        "[ -e \"$OUT/good\" ] && { work; costs 0.1; exit; }
         limited $(($(date +%s) + 1800)); exit 1",
        "",
    );
    let run = site.spawn(&["start", "wiz", "--mode", "per-task"]);
    wait_until(|| run.said_so_far().contains("by itself"));
    run.signal(Signal::INT);
    let out = run.end();
    assert_eq!(out.code, 130, "{}", out.all());
    // With `--watch` it stays; what is recorded elsewhere moves it on.
    let run = site.spawn(&["continue", "--watch"]);
    wait_until(|| run.said_so_far().contains("by itself"));
    site.touch("good");
    let out = site.pertask(&["retry"]);
    assert_eq!(out.code, 0, "{}", out.all());
    wait_until(|| site.task("one") == "review");
    run.signal(Signal::INT);
    assert_eq!(run.end().code, 130);
    assert_eq!(asked(&site), ["one-1", "one-2"]);
}

/// However often it is said, an end is in sight.
#[test]
fn usage_limits_without_end_are_for_a_person() {
    let site = claude(ONE, "limited $(date +%s); exit 1", "");
    let out = start(&site);
    insta::assert_snapshot!(timeless(&waiting(&site, &out)), @r"
    exit 1
    - a decision on task 1 of 1, one (one), which failed (5 times in a row the agent script was at its usage limit, now until <when>): `git pertask retry wiz one`, `git pertask revise wiz one -m …` or `git pertask skip wiz one -m …`
    ");
    assert_eq!(asked(&site).len(), 5);
    // Nor is one waited for that ends in a year, or that does not say when.
    for until in ["$(($(date +%s) + 31536000))", "null"] {
        let site = claude(ONE, &format!("limited '{until}'").replace('\'', "\""), "");
        let out = start(&site);
        assert_eq!((out.code, asked(&site).len()), (1, 1), "{}", out.all());
        assert_eq!(site.task("one"), "failed");
        assert!(
            out.stdout.contains("is at its usage limit"),
            "{}",
            out.all()
        );
    }
}

/// Codex says why a turn failed in the session that it records.
#[test]
fn a_usage_limit_of_codex_is_read_from_its_session() {
    let site = Site::in_folder(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
    site.agent(
        r#"day="$CODEX_HOME/sessions/2026/11/23"; mkdir -p "$day"
        echo '{"type":"thread.started","thread_id":"t1"}'
        if [ ! -e "$OUT/good" ]; then
            echo '{"type":"turn.failed","error":{"message":"Try again at 8 PM."}}'
            {
                printf '{"type":"event_msg","payload":{"type":"token_count","rate_limits":{"primary":'
                printf '{"used_percent":100.0,"resets_at":%s}}}}\n' $(($(date +%s) + 7200))
                printf '{"type":"event_msg","payload":{"type":"task_complete","error":'
                printf '{"codex_error_info":"usage_limit_exceeded"}}}\n'
            } > "$day/rollout-t1.jsonl"
            exit 1
        fi
        echo x > one.txt; complete
        echo '{"type":"turn.completed","usage":{"input_tokens":1,"output_tokens":1}}'"#,
    );
    site.plan(ONE, "adapter = \"codex\"", "[limits]\nattempts = 1\n");
    let out = start(&site);
    insta::assert_snapshot!(timeless(&waiting(&site, &out)), @r"
    exit 75
    - the usage limit of the agent script to end at <when>; then `git pertask continue wiz` goes on (`git pertask retry wiz` tries it before), or name another agent in `.pertask/config.toml`, commit it, and `git pertask amend wiz`
    ");
    site.touch("good");
    assert_eq!(site.pertask(&["retry"]).code, 0);
    assert_eq!(site.task("one"), "review");
}

/// Of a rate limit nobody says when it ends.
#[test]
fn a_rate_limit_is_waited_for_some_minutes() {
    let site = claude(
        ONE,
        r#"[ -e "$OUT/good" ] && { work; costs 0.1; exit; }
        printf '{"type":"result","subtype":"success","is_error":true,"api_error_status":429,'
        printf '"result":"API Error: 429","total_cost_usd":0}\n'; exit 1"#,
        "[limits]\nattempts = 1\n",
    );
    let run = site.spawn(&["start", "wiz", "--mode", "per-task"]);
    wait_until(|| run.said_so_far().contains("by itself"));
    run.signal(Signal::INT);
    assert_eq!(run.end().code, 130);
    let attempt = &site.state()["items"][0]["attempts"][0];
    let at = |field: &str| -> jiff::Timestamp { attempt[field].as_str().unwrap().parse().unwrap() };
    let waited = at("limited_until").duration_since(at("finished"));
    assert!((290..=300).contains(&waited.as_secs()), "{waited}");
    site.touch("good");
    assert_eq!(site.pertask(&["retry"]).code, 0);
    assert_eq!(site.task("one"), "review");
}

/// Times of day as `<when>`.
fn timeless(text: &str) -> String {
    let mut out = Vec::new();
    for word in text.split(' ') {
        let bare = word.trim_end_matches(['.', ';', ',', ')', '\n', ':']);
        let rest = &word[bare.len()..];
        match bare.parse::<jiff::Timestamp>() {
            Ok(_) => out.push(format!("<when>{rest}")),
            Err(_) => out.push(word.to_owned()),
        }
    }
    out.join(" ")
}

fn wait_until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !what() {
        assert!(Instant::now() < deadline, "it did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}
