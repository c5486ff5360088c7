use serde_json::json;

use super::*;

fn place(address: &str) -> Place {
    Place::at("origin", address, &|_| None, &|_| None).unwrap()
}

fn https() -> Place {
    place("https://github.com/o/r")
}

fn said(findings: &[Finding]) -> Vec<String> {
    let line = |f: &Finding| match &f.mend {
        Some(mend) => format!("{} {} → {mend}", f.level.word(), f.text),
        None => format!("{} {}", f.level.word(), f.text),
    };
    findings.iter().map(line).collect()
}

fn good() -> Value {
    json!({
        "full_name": "o/r", "archived": false, "default_branch": "main",
        "permissions": {"admin": false, "maintain": false, "push": true, "triage": true, "pull": true},
        "allow_squash_merge": true, "allow_merge_commit": false, "allow_rebase_merge": false,
    })
}

#[test]
fn a_good_repository() {
    assert_eq!(
        said(&repository(&https(), &good(), MergeMethod::Squash)),
        [
            "ok the token's account may push (write)",
            "ok tasks are merged by squash, which the repository allows",
        ]
    );
}

#[test]
fn what_is_wrong_with_a_repository() {
    let mut body = good();
    body["full_name"] = json!("New/Name");
    body["archived"] = json!(true);
    body["permissions"]["push"] = json!(false);
    assert_eq!(
        said(&repository(&https(), &body, MergeMethod::Rebase)),
        [
            "warn o/r is called New/Name now → git remote set-url origin https://github.com/New/Name.git",
            "bad New/Name is archived: nothing can be changed there → unarchive it: https://github.com/New/Name/settings",
            "bad the token's account may not push to New/Name (triage) → ask an administrator for the role Write: https://github.com/New/Name/settings/access",
            "bad tasks are to be merged by rebase, which the repository does not allow → tick \"Allow rebase merging\" at https://github.com/New/Name/settings, or set another `merge` in .pertask/config.toml",
        ]
    );
    let ssh = repository(&place("git@github.com:o/r"), &body, MergeMethod::Squash);
    assert_eq!(
        ssh[0].mend.as_deref(),
        Some("git remote set-url origin git@github.com:New/Name.git")
    );
}

#[test]
fn what_cannot_be_seen_is_not_taken_for_good() {
    let findings = repository(&https(), &json!({"full_name": "O/R"}), MergeMethod::Squash);
    assert_eq!(
        said(&findings),
        [
            "warn GitHub does not say whether this token may push",
            "warn whether the repository allows merging by squash cannot be seen with this token",
        ]
    );
    // Whatever the server says, it is answered.
    for body in [
        json!(null),
        json!([1]),
        json!({"permissions": 7, "full_name": 1}),
    ] {
        let _ = repository(&https(), &body, MergeMethod::Merge);
    }
}

#[test]
fn scopes_where_there_are_some() {
    let level = |s, private| scopes(&https(), s, private).map(|f| f.level);
    assert_eq!(level(None, true), None);
    assert_eq!(level(Some(""), true), None);
    assert_eq!(level(Some("gist, repo"), true), Some(Level::Ok));
    assert_eq!(level(Some("public_repo"), false), Some(Level::Ok));
    assert_eq!(level(Some("public_repo"), true), Some(Level::Bad));
    assert_eq!(level(Some("repo:status"), true), Some(Level::Bad));
}

#[test]
fn rules_that_stand_in_the_way() {
    let rule = |kind: &str| json!({"type": kind, "ruleset_source_type": "Repository", "ruleset_source": "o/r", "ruleset_id": 42});
    let all = |kinds: &[&str], run, merge| {
        let list: Vec<Value> = kinds.iter().map(|k| rule(k)).collect();
        rules(&https(), &list, run, merge)
    };
    assert_eq!(
        said(&all(
            &["update", "update", "non_fast_forward", "unheard_of"],
            false,
            MergeMethod::Squash
        )),
        [
            "bad branches like pertask/run/1-task may not be pushed to (rule update of o/r) → exclude refs/heads/pertask/**/* at https://github.com/o/r/rules/42"
        ]
    );
    for (kind, run, merge, level) in [
        ("creation", false, MergeMethod::Squash, Level::Bad),
        ("pull_request", false, MergeMethod::Squash, Level::Bad),
        ("pull_request", true, MergeMethod::Squash, Level::Warn),
        (
            "required_status_checks",
            true,
            MergeMethod::Squash,
            Level::Bad,
        ),
        ("required_signatures", true, MergeMethod::Squash, Level::Bad),
        (
            "required_linear_history",
            true,
            MergeMethod::Squash,
            Level::Warn,
        ),
        (
            "required_linear_history",
            true,
            MergeMethod::Merge,
            Level::Bad,
        ),
        ("deletion", false, MergeMethod::Squash, Level::Warn),
        ("max_file_size", false, MergeMethod::Squash, Level::Warn),
    ] {
        let found = all(&[kind], run, merge);
        assert_eq!(found.len(), 1, "{kind}");
        assert_eq!(found[0].level, level, "{kind}");
    }
    let organisation = json!({"type": "pull_request", "ruleset_source_type": "Organization", "ruleset_source": "o", "ruleset_id": 1, "parameters": {"dismiss_stale_reviews_on_push": true}});
    let found = rules(&https(), &[organisation], true, MergeMethod::Squash);
    assert!(found[0].text.contains("lose their approvals"), "{found:?}");
    assert_eq!(
        found[0].mend.as_deref(),
        Some("have refs/heads/pertask/**/* excluded from the ruleset of o")
    );
    assert!(rules(&https(), &[json!(7), json!({})], true, MergeMethod::Squash).is_empty());
}

#[test]
fn protection_whose_pattern_is_ours() {
    for (pattern, covered) in [
        ("main", false),
        ("*", false),
        ("**/*", true),
        ("pertask/**/*", true),
        ("pertask/*/main", true),
        ("pertask/*", false),
        ("[", false),
    ] {
        let rule = json!({"pattern": pattern, "requiresStatusChecks": true, "dismissesStaleReviews": true, "requiresApprovingReviews": true});
        let found = protection(&https(), &[rule], MergeMethod::Squash);
        assert_eq!(!found.is_empty(), covered, "{pattern}");
    }
    let rule = json!({"pattern": "pertask/*/main", "requiresApprovingReviews": true, "dismissesStaleReviews": true});
    assert_eq!(
        said(&protection(&https(), &[rule], MergeMethod::Squash)),
        [
            "warn branch protection for pertask/*/main covers branches pertask/*: they lose their approvals when the branch below moves; the same people are asked again → narrow the pattern at https://github.com/o/r/settings/branches"
        ]
    );
}

#[test]
fn workflows_by_what_they_hold() {
    let running = |secrets: &[&str], writes, privileged| Running {
        events: vec!["push"],
        secrets: secrets.iter().map(|s| (*s).to_owned()).collect(),
        writes,
        privileged,
    };
    let of = |r: Running| said(&[workflow("ci.yml", &r)]).remove(0);
    assert_eq!(
        of(running(&[], false, false)),
        "ok ci.yml runs on branches pertask/* (push), without secrets"
    );
    assert_eq!(
        of(running(&["A", "B"], true, false)),
        "warn ci.yml runs on branches pertask/* (push), on what agents wrote and nobody has reviewed, with the secrets A, B and with a GITHUB_TOKEN that may write → ci.yml: leave our branches out: branches-ignore: ['pertask/**'] under push"
    );
    assert!(of(running(&["*", "A"], false, false)).contains("with every secret there is"));
    assert!(of(running(&[], false, true)).contains("with the base's rights"));
}
