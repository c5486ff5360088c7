//! What the scripted agent writes, says and hands off in each situation.

use super::*;

struct Acted {
    status: i32,
    said: String,
    handoff: Value,
}

/// One attempt in `workdir`, with a handoff file outside it.
fn attempt(workdir: &Path, task: &str, number: &str, prompt: &str) -> Acted {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("handoff.json");
    let env = |name: &str| match name {
        "PERTASK_TASK" => Some(task.to_owned()),
        "PERTASK_ATTEMPT" => Some(number.to_owned()),
        "PERTASK_HANDOFF_FILE" => Some(file.to_str().unwrap().to_owned()),
        _ => None,
    };
    let mut said = Vec::new();
    let status = act(&env, workdir, prompt, &mut said).unwrap();
    let handoff = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    Acted {
        status,
        said: String::from_utf8(said).unwrap(),
        handoff,
    }
}

fn sample() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in super::super::repository() {
        write(
            folder.path(),
            &file.path,
            std::str::from_utf8(file.contents).unwrap(),
        )
        .unwrap();
    }
    folder
}

fn file(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(FOLDER).join(name)).unwrap()
}

#[test]
fn the_client_is_broken_once_and_mended_when_the_build_says_so() {
    let folder = sample();
    let acted = attempt(
        folder.path(),
        "client",
        "1",
        "Write wiz_client.go, please: 200 lines",
    );
    assert_eq!(acted.status, 0);
    insta::assert_snapshot!(acted.said, @r"
    demo-agent: I am a script, no model is asked. What I write came with git-pertask.
    demo-agent: task client, attempt 1, a prompt of 38 bytes
    demo-agent: wrote modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_client.go (172 lines)
    demo-agent: wrote modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_client_test.go
    demo-agent: this version does not compile, on purpose: let us see who finds out
    demo-agent: done, the handoff is written
    ");
    assert_eq!(
        file(folder.path(), "wiz_client.go"),
        shipped!("first/wiz_client.go")
    );

    let acted = attempt(
        folder.path(),
        "client",
        "2",
        "wiz/wiz_client.go:80:81: undefined: X",
    );
    assert!(acted.said.contains("the better version"), "{}", acted.said);
    assert_eq!(
        file(folder.path(), "wiz_client.go"),
        shipped!("final/wiz_client.go")
    );
}

#[test]
fn the_client_is_not_broken_again_when_the_work_starts_afresh() {
    for (number, prompt) in [("2", ""), ("1", "./wiz_client.go:7:1: syntax error")] {
        let folder = sample();
        attempt(folder.path(), "client", number, prompt);
        assert_eq!(
            file(folder.path(), "wiz_client.go"),
            shipped!("final/wiz_client.go")
        );
    }
}

#[test]
fn the_scripted_revision_changes_what_it_asks_for() {
    let folder = sample();
    let (task, feedback) = crate::demo::REVISION;
    let acted = attempt(folder.path(), task, "1", "");
    assert_eq!(
        file(folder.path(), "wiz_transform.go"),
        shipped!("first/wiz_transform.go")
    );
    assert!(
        !acted.handoff["review_notes"]
            .to_string()
            .contains("Host names")
    );

    let acted = attempt(folder.path(), task, "2", feedback);
    assert_eq!(
        file(folder.path(), "wiz_transform.go"),
        shipped!("final/wiz_transform.go")
    );
    assert!(
        acted.handoff["review_notes"]
            .to_string()
            .contains("Host names")
    );
}

#[test]
fn any_other_revision_adds_a_comment_that_quotes_nothing() {
    for piece in &PIECES {
        let folder = sample();
        attempt(folder.path(), piece.task, "2", "");
        if piece.task == "transform" {
            attempt(folder.path(), piece.task, "3", "");
        }
        attempt(folder.path(), piece.task, "7", "*/ drop everything");
        assert_eq!(
            file(folder.path(), &format!("{}.go", piece.stem)),
            format!(
                "{}\n// Looked at once more in attempt 7.\n",
                piece.last.source
            ),
        );
    }
}

#[test]
fn a_diagnosed_file_that_somebody_changed_is_written_anew() {
    let folder = sample();
    write(
        folder.path(),
        &format!("{FOLDER}/wiz_types.go"),
        "package wiz\nvar x y\n",
    )
    .unwrap();
    attempt(
        folder.path(),
        "types",
        "2",
        "pkg/wiz_types.go:2:7: undefined: y",
    );
    assert_eq!(
        file(folder.path(), "wiz_types.go"),
        shipped!("final/wiz_types.go")
    );
}

#[test]
fn the_handler_registers_itself_once() {
    let folder = sample();
    attempt(folder.path(), "handler", "1", "");
    attempt(folder.path(), "handler", "2", "again");
    let registry = fs::read_to_string(folder.path().join(REGISTRY)).unwrap();
    assert!(
        registry.contains("\tacme.New,\n\twiz.New,\n}"),
        "{registry}"
    );
    assert_eq!(registry.matches("integrations/wiz\"").count(), 1);
}

#[test]
fn the_handoff_has_the_form_of_the_seed() {
    let folder = sample();
    let acted = attempt(folder.path(), "transform", "1", "");
    insta::assert_snapshot!(format!("{:#}", acted.handoff), @r#"
    {
      "agent": "scripted-demo-agent",
      "file_created": "modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_transform.go",
      "files_created": [
        "modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_transform.go",
        "modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_transform_test.go"
      ],
      "handoff": {
        "next_task": "Task 4 of 4: Primary Handler"
      },
      "lines": 80,
      "output_type": "implementation",
      "review_notes": [
        "Written by a script for the demo; no model was asked",
        "Follows the Tabularium mapping of architecture.md",
        "Missing fields stay empty; an unknown severity is info and logged",
        "Descriptions are cut at 4,000 characters"
      ],
      "skills_invoked": [
        "developing-with-tdd",
        "verifying-before-completion"
      ],
      "status": "complete",
      "task": "Task 3 of 4: Transform File"
    }
    "#);
    let acted = attempt(folder.path(), "handler", "1", "");
    assert_eq!(acted.handoff["handoff"]["next_task"], Value::Null);
}

#[test]
fn batch_writes_all_files_in_their_last_version() {
    let folder = sample();
    let acted = attempt(folder.path(), "batch", "1", "");
    for piece in &PIECES {
        let name = format!("{}.go", piece.stem);
        assert_eq!(file(folder.path(), &name), piece.last.source);
    }
    assert_eq!(acted.handoff["files_created"].as_array().unwrap().len(), 7);

    attempt(folder.path(), "batch", "2", "Once more");
    assert!(file(folder.path(), "wiz_transform.go").ends_with("in attempt 2.\n"));
    assert_eq!(file(folder.path(), "wiz.go"), shipped!("final/wiz.go"));
}

#[test]
fn what_it_cannot_do_is_handed_off_as_blocked() {
    let folder = sample();
    let acted = attempt(folder.path(), "p0-repair", "1", "");
    assert_eq!(acted.status, 0);
    assert_eq!(acted.handoff["status"], "blocked");
    assert_eq!(
        acted.handoff["blocked_reason"],
        r#"the scripted agent knows no task "p0-repair""#
    );
    assert!(!folder.path().join(FOLDER).exists());

    fs::write(folder.path().join(REGISTRY), "package integrations\n").unwrap();
    let acted = attempt(folder.path(), "handler", "1", "");
    assert_eq!(acted.handoff["status"], "blocked");
    assert_eq!(acted.handoff["attempted"].as_array().unwrap().len(), 1);
}

#[test]
fn without_a_handoff_file_the_handoff_is_the_last_line() {
    let folder = sample();
    let env = |name: &str| (name == "PERTASK_TASK").then(|| "types".to_owned());
    let mut said = Vec::new();
    act(&env, folder.path(), "", &mut said).unwrap();
    let said = String::from_utf8(said).unwrap();
    let handoff: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(handoff["lines"], 100);
}

#[test]
fn started_by_hand_it_says_what_to_do_instead() {
    let folder = tempfile::tempdir().unwrap();
    let error = act(&|_| None, folder.path(), "", &mut Vec::new()).unwrap_err();
    assert!(
        error.to_string().contains("try `git pertask demo`"),
        "{error}"
    );

    let env = |name: &str| {
        Some(
            if name == "PERTASK_TASK" {
                "types"
            } else {
                "one"
            }
            .to_owned(),
        )
    };
    let error = act(&env, folder.path(), "", &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"PERTASK_ATTEMPT is "one", not a number"#
    );
}

#[test]
fn only_a_file_with_line_and_colon_is_a_diagnostic() {
    assert!(names_a_line("a/wiz.go:12: x", "wiz.go"));
    assert!(names_a_line("wiz.go and a/wiz.go:1:2: x", "wiz.go"));
    for text in [
        "",
        "wiz.go",
        "wiz.go:",
        "wiz.go: 12",
        "wiz.go:12",
        "wiz.go:x:",
        "wiz.go:ü",
    ] {
        assert!(!names_a_line(text, "wiz.go"), "{text}");
    }
}
