use std::fs;

use super::*;

fn parsed(json: &str) -> (Handoff, String) {
    let found = find(Path::new("/no/such/file"), &[json], &str::to_owned);
    (found.handoff.unwrap(), found.problem.unwrap_or_default())
}

#[test]
fn the_seeds_form() {
    let (handoff, problem) = parsed(
        r#"{"agent":"integration-developer","status":"complete","task":"client",
            "file_created":"pkg/wiz_client.go","lines":185,
            "handoff":{"next_task":"transform"}}"#,
    );
    assert_eq!(problem, "");
    assert_eq!(handoff.status, HandoffStatus::Complete);
    assert_eq!(handoff.agent.as_deref(), Some("integration-developer"));
    assert_eq!(handoff.files_created, ["pkg/wiz_client.go"]);
    assert_eq!(handoff.lines, Some(185));
    assert_eq!(handoff.raw["handoff"]["next_task"], "transform");
}

#[test]
fn the_form_of_agent_handoffs() {
    let (handoff, problem) = parsed(
        r#"{"agent":"a","output_type":"x","skills_invoked":["tdd","go"],"status":"blocked",
            "files_created":["a.go","b.go"],"blocked_reason":"no key","attempted":["env"],
            "question":"which key?","review_notes":"look at the retry","quick_review":["x"],
            "handoff":{"next_agent":null,"context":"types are done"}}"#,
    );
    assert_eq!(problem, "");
    assert_eq!(handoff.status, HandoffStatus::Blocked);
    assert_eq!(handoff.files_created, ["a.go", "b.go"]);
    assert_eq!(handoff.skills_invoked, ["tdd", "go"]);
    assert_eq!(handoff.blocked_reason.as_deref(), Some("no key"));
    assert_eq!(handoff.attempted, ["env"]);
    assert_eq!(handoff.question.as_deref(), Some("which key?"));
    assert_eq!(handoff.review_notes, ["look at the retry", "x"]);
    assert_eq!(handoff.context.as_deref(), Some("types are done"));
}

#[test]
fn answers_to_threads() {
    let answers = |json: &str| {
        let (handoff, problem) = parsed(json);
        let said: Vec<String> = handoff
            .threads
            .iter()
            .map(|a| format!("{}={}", a.thread, a.done))
            .collect();
        (said.join(","), problem)
    };
    let (said, problem) = answers(
        r#"{"status":"complete","threads":[{"thread":"T1","done":" wrapped it "},{"thread":"[t2]","done":"kept"},{"thread":3,"done":""}]}"#,
    );
    assert_eq!(
        (said.as_str(), problem.as_str()),
        ("T1=wrapped it,T2=kept", "")
    );
    let (said, problem) = answers(r#"{"status":"complete","threads":{"T1":"a"}}"#);
    assert_eq!((said.as_str(), problem.as_str()), ("T1=a", ""));
    let (said, problem) = answers(
        r#"{"status":"complete","threads":["x",{"thread":"T1","done":7},{"thread":"T2","done":"a"},{"thread":"T2","done":"b"},{"thread":"T0","done":"z"}]}"#,
    );
    assert_eq!(said, "T2=a");
    assert_eq!(
        problem,
        "`threads` holds more than one answer to each thread"
    );
    assert_eq!(
        answers(r#"{"status":"complete","threads":5}"#).1,
        "`threads` is not a list"
    );
    let many: Vec<_> = (1..500)
        .map(|i| serde_json::json!({ "thread": format!("T{i}"), "done": "x".repeat(9000) }))
        .collect();
    let json = serde_json::json!({ "status": "complete", "threads": many }).to_string();
    let (handoff, _) = parsed(&json);
    assert_eq!(handoff.threads.len(), LIST_MAX);
    assert!(
        handoff
            .threads
            .iter()
            .all(|a| a.done.chars().count() <= STRING_MAX)
    );
}

#[test]
fn status_words() {
    for (word, status) in [
        ("complete", HandoffStatus::Complete),
        (" Complete ", HandoffStatus::Complete),
        ("needs-review", HandoffStatus::NeedsReview),
        ("NEEDS_REVIEW", HandoffStatus::NeedsReview),
        ("Needs clarification", HandoffStatus::NeedsClarification),
        ("blocked", HandoffStatus::Blocked),
        ("completed", HandoffStatus::Blocked),
        ("p0_compliance_failed", HandoffStatus::Blocked),
        ("", HandoffStatus::Blocked),
    ] {
        let json = serde_json::json!({ "status": word }).to_string();
        assert_eq!(parsed(&json).0.status, status, "{word}");
    }
    let (handoff, problem) = parsed(r#"{"status":"p0_failed","blocked_reason":"errors"}"#);
    assert_eq!(
        handoff.blocked_reason.as_deref(),
        Some("the handoff's status `p0_failed` is not one of the known ones: errors")
    );
    assert_eq!(
        problem,
        "the handoff's status `p0_failed` is not one of the known ones, so it counts as blocked"
    );
    assert_eq!(parsed(r#"{"status":7}"#).0.status_word, "7");
}

#[test]
fn blocked_without_a_reason_is_taken_and_said() {
    let (handoff, problem) = parsed(r#"{"status":"blocked"}"#);
    assert_eq!(handoff.status, HandoffStatus::Blocked);
    assert_eq!(
        problem,
        "it is blocked and gives no `blocked_reason`; \
         it is blocked and does not say what it `attempted`"
    );
    let problem = parsed(r#"{"status":"needs_clarification"}"#).1;
    assert_eq!(problem, "it needs clarification and asks no `question`");
}

#[test]
fn wrong_types_cost_only_themselves() {
    let (handoff, problem) = parsed(
        r#"{"status":"complete","agent":[1],"lines":"12","files_created":{"a":1},
            "skills_invoked":[1,{"path":"p"},null,"s"],"handoff":"next"}"#,
    );
    assert_eq!(handoff.status, HandoffStatus::Complete);
    assert_eq!(handoff.lines, Some(12));
    assert_eq!(handoff.agent.as_deref(), Some("[1]"));
    assert_eq!(handoff.skills_invoked, ["1", "p", "s"]);
    insta::assert_snapshot!(problem, @"`handoff` is not an object; `files_created` is not a list; `agent` is not a string; `lines` is not a whole number; `skills_invoked` holds more than strings");
}

#[test]
fn texts_and_lists_are_capped() {
    let json = serde_json::json!({
        "status": "complete",
        "review_notes": vec!["n"; 5000],
        "context": "x".repeat(10_000),
        "more": vec![vec!["y".repeat(10_000); 3]; 200],
    });
    let (handoff, problem) = parsed(&json.to_string());
    assert_eq!(
        problem,
        "`review_notes` has 5000 entries, the first 100 are kept"
    );
    assert_eq!(handoff.review_notes.len(), 100);
    assert_eq!(handoff.context.unwrap().chars().count(), STRING_MAX);
    assert_eq!(handoff.raw["more"].as_array().unwrap().len(), 100);
    assert_eq!(
        handoff.raw["more"][0][0].as_str().unwrap().chars().count(),
        STRING_MAX
    );
}

#[test]
fn the_last_object_with_a_status_counts() {
    let status =
        |text: &str| last_object(text).map(|object| object["status"].as_str().unwrap().to_owned());
    let text = "func() { return }\n```json\n{\"status\": \"first\"}\n```\n\
                so: {\"status\":\"last\",\"a\":{\"b\":\"}{\\\"\"}} {\"other\":{\"status\":\"in\"}} {";
    assert_eq!(status(text).as_deref(), Some("last"));
    assert_eq!(status("…cut\"}, \"status\": \"x\"}"), None);
    assert_eq!(status(""), None);
    assert_eq!(status("{\"status\": \"cut"), None);
}

#[test]
fn hostile_text_is_passed_in_linear_work() {
    for piece in ["{", "{\"a\":", "{\"a\":[", "{\"\\\"", "{\"status\":[{},"] {
        let text = piece.repeat(300_000 / piece.len());
        assert_eq!(last_object(&text), None);
    }
}

#[test]
fn the_file_comes_first_whatever_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("handoff.json");
    let said = r#"{"status":"blocked","blocked_reason":"r","attempted":["a"]}"#;
    let status = |file: &Path| {
        let found = find(file, &[said], &str::to_owned);
        (
            found.handoff.unwrap().status,
            found.problem.unwrap_or_default(),
        )
    };
    let blocked = |problem: &str| (HandoffStatus::Blocked, problem.to_owned());
    let complete = (HandoffStatus::Complete, String::new());

    assert_eq!(status(&file), blocked(""));
    fs::write(&file, r#"{"status":"complete"}"#).unwrap();
    assert_eq!(status(&file), complete);
    fs::write(&file, "```json\n{\"status\":\"complete\"}\n```\n").unwrap();
    assert_eq!(status(&file), complete);
    fs::write(&file, b"\xff\xfe nothing").unwrap();
    assert_eq!(
        status(&file),
        blocked("the handoff file holds no JSON object")
    );
    fs::write(&file, vec![b' '; 2_000_000]).unwrap();
    let large = "the handoff file has 2000000 bytes, more than a handoff needs";
    assert_eq!(status(&file), blocked(large));

    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
    assert_eq!(status(&file), blocked("the handoff file is a link"));
    fs::remove_file(&file).unwrap();
    // Its folder too may be one.
    let link = file.with_file_name("link");
    let elsewhere = file.with_file_name("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("said"), "not for us").unwrap();
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    assert_eq!(read(&elsewhere.join("said")), Ok(Some("not for us".into())));
    let behind = Err("the handoff file is a link".to_owned());
    assert_eq!(read(&link.join("said")), behind);

    fs::create_dir(&file).unwrap();
    assert_eq!(
        status(&file),
        blocked("the handoff file is not a plain file")
    );
    fs::remove_dir(&file).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&file)
        .status()
        .unwrap();
    assert!(made.success());
    assert_eq!(
        status(&file),
        blocked("the handoff file is not a plain file")
    );
}

#[test]
fn no_handoff_is_said() {
    let found = find(
        Path::new("/no/such/file"),
        &["I am done.", ""],
        &str::to_owned,
    );
    assert_eq!(found.handoff, None);
    assert_eq!(
        found.problem.as_deref(),
        Some("the agent ended without a handoff (a JSON object with a `status`)")
    );
}
