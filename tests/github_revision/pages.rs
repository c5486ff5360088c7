//! What stands on a page besides: people's words, statuses, notes, labels, reviewers.

use super::hub::{Hub, REPO};
use super::support::TWO;
use super::{OPEN, WRITER, own_comments, page};

#[test]
fn what_people_write_into_the_page_stays_but_for_our_part() {
    let hub = Hub::configured(TWO, WRITER, OPEN);
    hub.run(&["start", "wiz"]).code(0);
    let body = hub.github.pull(REPO, 1).body.unwrap();
    let edited = format!(
        "Mine above.\n\n{}\n\nMine below: closes #7",
        body.replace("### Checks", "### Cheques, says olive")
    );
    let olive = hub.github.person("olive");
    olive.edit_body(REPO, 1, &edited).unwrap();
    hub.github
        .change_pull(REPO, 1, |p| p.title = "Better words".to_owned());
    olive.request_changes(REPO, 1, "Again", &[]).unwrap();
    hub.run(&["continue"]).code(0);
    let pull = hub.github.pull(REPO, 1);
    assert_eq!(pull.title, "Better words");
    let now = pull.body.unwrap();
    assert!(
        now.starts_with("Mine above.\n\n<!-- pertask:begin"),
        "{now}"
    );
    assert!(
        now.ends_with("pertask:end -->\n\nMine below: closes #7"),
        "{now}"
    );
    assert!(
        !now.contains("Cheques") && now.contains("### Checks"),
        "{now}"
    );
    assert!(now.contains(&pull.head_sha), "{now}");
    hub.github.clear_log();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.github.count().changing, 0);
}

#[test]
fn a_page_that_a_person_emptied_or_filled_stays_within_what_github_takes() {
    let hub = Hub::configured(TWO, WRITER, OPEN);
    hub.run(&["start", "wiz"]).code(0);
    let olive = hub.github.person("olive");
    olive.edit_body(REPO, 1, "All mine").unwrap();
    hub.run(&["continue"]).code(0);
    let body = hub.github.pull(REPO, 1).body.unwrap();
    assert!(
        body.starts_with("All mine\n\n<!-- pertask:begin wiz/1-one -->"),
        "{body}"
    );

    let mine = "mine ".repeat(12_800);
    olive
        .edit_body(REPO, 1, &format!("{mine}\n{}", &body[..800]))
        .unwrap();
    olive.request_changes(REPO, 1, "Again", &[]).unwrap();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["review", "pending"]);
    let pull = hub.github.pull(REPO, 1);
    let body = pull.body.unwrap();
    assert!(body.starts_with(mine.trim_end()), "{} bytes", body.len());
    assert!(
        body.ends_with("<!-- pertask:end -->"),
        "{} bytes",
        body.len()
    );
    assert!(body.chars().count() <= 65_536);
    hub.github.clear_log();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.github.count().changing, 0, "{:#?}", hub.github.log());
}

#[test]
fn a_comment_of_ours_that_somebody_deleted_is_written_anew() {
    let hub = Hub::configured(TWO, WRITER, OPEN);
    hub.run(&["start", "wiz"]).code(0);
    let (_, ours) = hub.github.comments(REPO, 1).remove(0);
    hub.github
        .person("olive")
        .delete_comment(REPO, ours.id)
        .unwrap();
    hub.run(&["continue"]).code(0);
    assert_eq!(own_comments(&hub, 1), [ours.body]);
    // What looks like ours but is another's is left alone.
    let olive = hub.github.person("olive");
    let (_, ours) = hub.github.comments(REPO, 1).remove(0);
    let theirs = olive.comment(REPO, 1, &ours.body).unwrap();
    olive.request_changes(REPO, 1, "Again", &[]).unwrap();
    hub.run(&["continue"]).code(0);
    assert_eq!(own_comments(&hub, 1).len(), 1);
    let all = hub.github.comments(REPO, 1);
    let (_, theirs) = all.iter().find(|(_, c)| c.id == theirs).unwrap();
    assert_eq!(theirs.body, ours.body);
}

/// A plan of one Go file with a rule that its first attempt breaks.
const GO: &str = r#"title = "A handler"

[[task]]
id = "one"
title = "Handler"
file = "one.go"
purpose = "The handler"
rules = ["error-handling"]
risk = "high"
"#;

const BAD_GO: &str = r#"
cat > /dev/null
cat > one.go <<'END'
package one

import "os"

func Remove(name string) {
	_ = os.Remove(name)
	panic("no")
}
END
printf '{"status":"complete"}' > "$PERTASK_HANDOFF_FILE"
"#;

#[test]
fn an_app_notes_what_the_rules_find_on_the_lines() {
    let hub = Hub::configured(GO, BAD_GO, &format!("{OPEN}\nlimits = {{ attempts = 1 }}"));
    let out = hub.run(&["start", "wiz"]);
    assert_eq!(hub.states(), ["failed"], "{}", out.text());
    let pull = hub.github.pull(REPO, 1);
    let said: String = hub
        .github
        .statuses(REPO, &pull.head_sha)
        .iter()
        .map(|s| {
            format!(
                "{} {}: {}\n",
                s.context,
                s.state,
                s.description.as_deref().unwrap_or("")
            )
        })
        .collect::<Vec<_>>()
        .concat();
    insta::assert_snapshot!(said, @r"
    pertask/build success: no build command in the plan
    pertask/rules failure: rules: one.go:6: the error `Remove` is ignored (error-handling)
    ");
    let notes: String = hub
        .github
        .checks(REPO, &pull.head_sha)
        .iter()
        .map(|c| {
            format!(
                "{} {:?} {:?} {:?}\n{:#}\n",
                c.name,
                c.conclusion,
                c.title,
                c.summary,
                serde_json::json!(c.annotations)
            )
        })
        .collect::<Vec<_>>()
        .concat();
    insta::assert_snapshot!(page(&hub, &notes), @r#"
    pertask Some("failure") Some("The checks do not pass") Some("Attempt 1 of one.")
    [
      {
        "annotation_level": "failure",
        "end_line": 6,
        "message": "the error `Remove` is ignored\ntake the error, check it, and return `fmt.Errorf(\"what was done: %w\", err)`",
        "path": "one.go",
        "start_line": 6,
        "title": "error-handling"
      }
    ]
    "#);
    assert_eq!(pull.labels, ["pertask"]);
}

#[test]
fn many_findings_are_noted_in_several_requests() {
    let lines: String = (0..120).map(|_| "\t_ = os.Remove(name)\n").collect();
    let agent = BAD_GO.replace("\t_ = os.Remove(name)\n", &lines);
    let hub = Hub::configured(GO, &agent, &format!("{OPEN}\nlimits = {{ attempts = 1 }}"));
    hub.run(&["start", "wiz"]).code(1);
    let pull = hub.github.pull(REPO, 1);
    let checks = hub.github.checks(REPO, &pull.head_sha);
    assert_eq!(checks.len(), 1);
    let noted: std::collections::BTreeSet<u64> = checks[0]
        .annotations
        .iter()
        .filter_map(|a| a["start_line"].as_u64())
        .collect();
    assert_eq!(noted.len(), checks[0].annotations.len(), "each once");
    assert_eq!(noted.len(), 120);
}

#[test]
fn a_person_s_token_makes_no_check_runs() {
    let mut hub = Hub::configured(GO, BAD_GO, &format!("{OPEN}\nlimits = {{ attempts = 1 }}"));
    let token = hub.github.token("mallory", "*");
    hub.sandbox.set("GITHUB_TOKEN", &token);
    let out = hub.run(&["start", "wiz"]).code(1);
    assert_eq!(hub.states(), ["failed"], "{}", out.text());
    assert_eq!(
        hub.github.count_of("POST /repos/{owner}/{repo}/check-runs"),
        0
    );
    let head = hub.github.pull(REPO, 1).head_sha;
    assert_eq!(hub.github.statuses(REPO, &head).len(), 2);
}

#[test]
fn a_reviewer_who_cannot_be_asked_is_named_and_the_rest_goes_on() {
    let hub = Hub::configured(
        TWO,
        WRITER,
        &format!("{OPEN}\n[github]\nreviewers = [\"olive\", \"nobody-here\", \"rose\"]\n"),
    );
    let out = hub.run(&["start", "wiz"]).code(0);
    assert_eq!(hub.states(), ["review", "pending"]);
    let mut asked = hub.github.requested(REPO, 1);
    asked.sort();
    assert_eq!(asked, ["olive", "rose"], "{}", out.text());
    insta::assert_snapshot!(page(&hub, &out.err()), @r"
    Run wiz: 2 tasks in per-task mode (high-risk implementation: one), from [ID]
    note: agents and checks run [CONFINED]
    Building the base, so that old breakage is not blamed on an agent
      ok test -d .pertask ([T])
    The base builds
    Task 1 of 2, one (First file): attempt 1 begins
      ok test -d .pertask ([T])
    Task 1 of 2, one (First file): attempt 1 passes its checks, waiting for a review
    warning: nobody-here was not asked to review: GitHub refuses POST /repos/acme/widgets/pulls/1/requested_reviewers (422): Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the acme/widgets repository.
    Task 1 of 2, one (First file): pull request #1 is open
      http://[HOST]/acme/widgets/pull/1
    ");
    hub.github.clear_log();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.github.count().changing, 0, "{:#?}", hub.github.log());
}

#[test]
fn who_started_it_is_asked_when_nobody_else_is_named() {
    let hub = Hub::configured(TWO, WRITER, OPEN);
    hub.sandbox
        .git(["config", "user.email", "77+olive@users.noreply.github.com"]);
    hub.run(&["start", "wiz"]).code(0);
    assert_eq!(hub.github.requested(REPO, 1), ["olive"]);
}
