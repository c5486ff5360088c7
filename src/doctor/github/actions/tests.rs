use serde_json::json;

use super::*;

fn said(policy: &Value, names: Option<&[&str]>) -> String {
    let body = json!({ "deployment_branch_policy": policy, "protection_rules": [] });
    let policies = names.map(|names| {
        let list: Vec<Value> = names
            .iter()
            .map(|name| match name.strip_prefix("tag:") {
                Some(name) => json!({ "name": name, "type": "tag" }),
                None => json!({ "name": name, "type": "branch" }),
            })
            .collect();
        json!({ "total_count": list.len(), "branch_policies": list })
    });
    let (level, text) = limits(&body, policies.as_ref(), "main");
    format!("{} {text}", level.word())
}

#[test]
fn who_may_use_the_environment() {
    let custom = json!({ "protected_branches": false, "custom_branch_policies": true });
    let protected = json!({ "protected_branches": true, "custom_branch_policies": false });
    let all = [
        said(&Value::Null, None),
        said(&protected, None),
        said(&custom, None),
        said(&custom, Some(&["main"])),
        said(&custom, Some(&[])),
        said(&custom, Some(&["release/*"])),
        said(&custom, Some(&["tag:main"])),
        said(&custom, Some(&["main", "release/*"])),
        said(&custom, Some(&["*"])),
        said(&custom, Some(&["main", "tag:v*"])),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    warn the environment pertask is open to every branch, so whoever may push can take the agent's key
    ok the environment pertask is open to protected branches, which main has to be
    warn the environment pertask is limited to some branches; which ones cannot be seen
    ok the environment pertask is open to main only
    bad the environment pertask is open to nothing, not to main, where attempts run
    bad the environment pertask is open to release/*, not to main, where attempts run
    bad the environment pertask is open to tag main, not to main, where attempts run
    warn the environment pertask is open to main, release/*: whoever may push such a branch can take the agent's key
    warn the environment pertask is open to *: whoever may push such a branch can take the agent's key
    warn the environment pertask is open to main, tag v*: whoever may push such a branch can take the agent's key
    ");
    let reviewed = json!({
        "deployment_branch_policy": protected,
        "protection_rules": [{ "type": "required_reviewers" }],
    });
    let (_, text) = limits(&reviewed, None, "main");
    assert!(
        text.ends_with("waits there for a person's approval"),
        "{text}"
    );
}

#[test]
fn answers_that_are_none_are_no_panic() {
    let known = Known::default();
    for body in [
        json!(null),
        json!([]),
        json!({"secrets": 7}),
        json!({"secrets": [7, {}]}),
    ] {
        let _ = limits(&body, Some(&body), "main");
        let _ = secrets(&body, &known);
        assert_eq!(state(&body, "main").level, Level::Bad);
    }
    let has = secrets(&json!({"secrets": [{"name": "anthropic_api_key"}]}), &known).unwrap();
    assert_eq!(has.level, Level::Ok);
}
