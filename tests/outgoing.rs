//! What GitHub is told, in all the forms it is told something: no key that is known or has the look of
//! one is among it.

#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
mod support;

use github::Remark;
use hub::{Hub, REPO};

const MARK: &str = "marked-agent-key-0001";
/// The look of a token of GitHub's.
const LOOK: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

const PLAN: &str = r#"title = "One file"
build = [["test", "-d", ".pertask"]]

[[task]]
id = "one"
title = "First file"
file = "one.txt"
purpose = "The only one"
risk = "high"
checks = [["sh", "-c", "grep -q good one.txt || { printf 'one.txt:1:1: error: its key is ghp_%s\n' 0123456789abcdefghijklmnopqrstuvwxyz; exit 1; }"]]
"#;

/// Fails a check, asks, is blocked, and then answers a thread; each time with its key.
const AGENT: &str = r#"
cat > /dev/null
key="$AGENT_KEY and ghp_$(echo 0123456789)abcdefghijklmnopqrstuvwxyz"
echo "I have $key"
printf 'x%s' "$key" | base64 > "$PERTASK_OUTPUT_DIR/encoded"
rest=
case $PERTASK_ATTEMPT in
1) echo bad > one.txt; status=complete ;;
2) echo good > one.txt; status=needs_clarification; rest=",\"question\":\"Is it QUESTION $key?\"" ;;
3) echo good > one.txt; status=blocked
   rest=",\"blocked_reason\":\"REASON $key\",\"attempted\":[\"TRIED $key\"]" ;;
4) echo good > one.txt; status=complete ;;
*) echo good > one.txt; echo more >> one.txt; status=complete
   rest=",\"threads\":[{\"thread\":\"T1\",\"done\":\"DONE $key\"}]" ;;
esac
printf '{"status":"%s","agent":"%s","task":"%s","review_notes":["NOTE %s"],"skills_invoked":["SKILL %s"],"handoff":{"next_task":"x","context":"CONTEXT %s"}%s}' \
    "$status" "$key" "$key" "$key" "$key" "$key" "$rest" > "$PERTASK_HANDOFF_FILE"
"#;

/// All that is there: pages, comments, statuses, checks, and every object of every branch.
fn everything(hub: &Hub) -> String {
    let mut all = format!("{:?}", hub.github.repo(REPO));
    let objects = hub.github.git(REPO, ["rev-list", "--objects", "--all"]);
    for line in objects.lines() {
        let kind = hub.github.git(REPO, ["cat-file", "-t", &line[..40]]);
        if kind.trim() != "tree" {
            all.push_str(&hub.github.git(REPO, ["cat-file", "-p", &line[..40]]));
        }
        all.push_str(line);
    }
    all
}

#[test]
fn no_key_is_told_to_github() {
    let settings = "forge = \"github\"\nsandbox = \"off\"\n[limits]\nattempts = 2";
    let mut hub = Hub::configured(PLAN, AGENT, settings);
    hub.sandbox.set("AGENT_KEY", MARK);
    let config = hub.sandbox.read(".pertask/config.toml") + "env = [\"AGENT_KEY\"]\n";
    hub.sandbox.write(".pertask/config.toml", &config);
    hub.sandbox.commit("Let the agent have its key");
    let with_token = hub.github.clone_url_as(REPO, &hub.token);
    hub.sandbox
        .git(["push", "--quiet", &with_token, "HEAD:refs/heads/main"]);
    let olive = hub.github.person("olive");
    let state = |code: i32, args: &[&str], state: &str| {
        let out = hub.run(args).code(code);
        assert_eq!(hub.states(), [state], "{}", out.text());
    };
    state(1, &["start", "wiz"], "blocked");
    olive.comment(REPO, 1, "/pertask revise It is").unwrap();
    state(1, &["continue"], "blocked");
    olive.comment(REPO, 1, "/pertask retry").unwrap();
    state(0, &["continue"], "review");
    let remark = Remark::line("one.txt", 1, "Which?");
    let words = format!("No: {LOOK}");
    olive.request_changes(REPO, 1, &words, &[remark]).unwrap();
    state(0, &["continue"], "review");
    // Quoted in the answer.
    let wrong = format!("/pertask approve {LOOK}");
    olive.comment(REPO, 1, &wrong).unwrap();
    state(0, &["continue"], "review");
    let all = everything(&hub);
    for word in ["QUESTION", "REASON", "TRIED", "DONE", "NOTE", "CONTEXT"] {
        assert!(all.contains(&format!("{word} ***")), "{word} is told");
    }
    for (what, secret) in [
        ("the agent's key", MARK),
        ("the token", &hub.token),
        ("the agent's key in base64", "bWFya2Vk"),
        ("the agent's key in base64", "tYXJrZWQ"),
        ("the agent's key in base64", "1hcmtlZ"),
    ] {
        assert!(!all.contains(secret), "{what} is told");
    }
    // What olive wrote stands where she wrote it, and nowhere else.
    let hers = [&*wrong, &*words];
    let ours = hers.iter().fold(all.clone(), |all, hers| {
        assert_eq!(all.matches(hers).count(), 1, "{hers}");
        all.replace(hers, "")
    });
    assert!(!ours.contains(LOOK), "a key with a known look is told");
}

/// What a person wrote into a plan stands in the repository; pull requests do not say it again.
#[test]
fn no_key_of_a_plan_is_shown_on_a_pull_request() {
    let plan = PLAN.split("checks = ").next().unwrap();
    let plan = plan.replace("First file", &format!("First {LOOK} file"));
    let agent = "cat > /dev/null\necho good > one.txt\necho '{\"status\":\"complete\"}' > \"$PERTASK_HANDOFF_FILE\"";
    let hub = Hub::configured(&plan, agent, "forge = \"github\"\nsandbox = \"off\"");
    hub.run(&["start", "wiz"]).code(0);
    let pull = hub.github.pull(REPO, 1);
    assert!(pull.title.contains("First"), "{}", pull.title);
    let shown = format!("{pull:?}{:?}", hub.github.comments(REPO, 1));
    assert!(!shown.contains(LOOK), "{shown}");
}

/// Hooks that an agent, unconfined, leaves in the person's repository: none is run by our fetches and
/// pushes.
#[test]
fn planted_hooks_are_not_run_by_what_talks_to_github() {
    let plan = PLAN.split("checks = ").next().unwrap();
    let agent = r#"
cat > /dev/null
root=$(dirname "$0")
mkdir -p "$root/hooks"
for h in pre-push reference-transaction post-checkout pre-commit post-commit post-merge post-rewrite; do
    for dir in "$root/hooks" "$root/repo/.git/hooks"; do
        printf '#!/bin/sh\ntouch "%s/executed-%s"\n' "$root" "$h" > "$dir/$h"
        chmod +x "$dir/$h"
    done
done
git config -f "$root/repo/.git/config" core.hooksPath "$root/hooks"
git config -f "$root/repo/.git/config" alias.push "!touch $root/executed-alias"
git config -f "$root/repo/.git/config" alias.fetch "!touch $root/executed-alias"
echo good > one.txt
echo '{"status":"complete"}' > "$PERTASK_HANDOFF_FILE"
"#;
    let hub = Hub::configured(plan, agent, "forge = \"github\"\nsandbox = \"off\"");
    let executed = || -> Vec<String> {
        let all = std::fs::read_dir(hub.sandbox.root()).unwrap().flatten();
        all.map(|e| e.file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with("executed-"))
            .collect()
    };
    hub.run(&["start", "wiz"]).code(0);
    assert_eq!(executed(), Vec::<String>::new());
    hub.approve(1);
    hub.run(&["status", "wiz"]);
    assert_eq!(executed(), Vec::<String>::new());
    // They were there: git itself runs them.
    hub.sandbox.git(["update-ref", "refs/heads/x", "HEAD"]);
    assert!(!executed().is_empty());
}
