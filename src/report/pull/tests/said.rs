//! Statuses, annotations and replies.

use super::*;

#[test]
fn statuses() {
    let mut state = sample::midway();
    let mut said = Vec::new();
    let mut tell = |state: &State, key: &str| {
        for one in status(state, state.item(key).unwrap()) {
            let word = one.state.word();
            said.push(format!(
                "{key} {}: {word}: {}",
                one.context, one.description
            ));
        }
    };
    tell(&state, "client");
    tell(&state, "transform");
    tell(&state, "handler");
    sample::fail(&mut state, "client");
    tell(&state, "client");
    insta::assert_snapshot!(said.join("\n"), @r"
    client pertask/build: success: Task 2 of 4, attempt 2: the build succeeds
    client pertask/rules: success: no rule in the plan for these files
    transform pertask/build: pending: attempt 1 is under way
    transform pertask/rules: pending: attempt 1 is under way
    handler pertask/build: pending: not attempted yet
    handler pertask/rules: pending: not attempted yet
    client pertask/build: failure: go build ./...: exit status 1
    client pertask/rules: failure: not run: attempt 3 failed before
    ");
    sample::finish(&mut state, "types", |a| {
        a.checks = vec![sample::check(
            CheckKind::Rules,
            "rules",
            false,
            &"é".repeat(500),
        )];
    });
    let rules = &status(&state, state.item("types").unwrap())[1];
    assert_eq!(rules.description.chars().count(), 140);
    assert_eq!(rules.state, CheckState::Failure);
}

#[test]
fn lines_are_annotated() {
    let mut result = result(vec![
        check(
            CheckKind::Rules,
            "rules",
            false,
            "",
            "a: b/x.go:7:3: Job.Send is reached [vmfilter]\n    ask\nnot a finding\n1 finding\n",
        ),
        check(
            CheckKind::Build,
            "go build ./...",
            false,
            "",
            "# wiz\nwiz/wiz_client.go:81:5: undefined: X\n/usr/lib/go/src/fmt/print.go:3:1: odd\n",
        ),
        check(
            CheckKind::Command,
            "go vet",
            true,
            "",
            "wiz/wiz_client.go:3:1: fine",
        ),
    ]);
    result.faults = vec![Fault {
        file: "pkg/wiz/wiz_client.go".to_owned(),
        line: 81,
        message: "undefined: X".to_owned(),
        own: true,
    }];
    let said: Vec<String> = annotations(&result)
        .iter()
        .map(|a| {
            let level = a.level.word();
            format!(
                "{}:{}-{} {level} {}: {:?}",
                a.path, a.start_line, a.end_line, a.title, a.message
            )
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    a: b/x.go:7-7 failure vmfilter: "Job.Send is reached\nask"
    pkg/wiz/wiz_client.go:81-81 failure go build ./...: "undefined: X"
    "#);
}

#[test]
fn replies() {
    let links = Links::new("https://github.com/o/r");
    let mut reply = ThreadReply {
        thread: "PRRT_kwDO --> x",
        commit: &oid('c'),
        path: "pkg/wiz/wiz_client.go",
        added: 12,
        removed: 3,
        near: Near::Changed,
        answer: Some("Wrapped it.\n\nFixes #1, thanks @bob"),
    };
    let head = oid('c');
    let mut said = vec![thread_reply(&reply, &links)];
    (reply.added, reply.removed, reply.answer) = (0, 0, None);
    said.push(thread_reply(&reply, &links));
    for answer in [
        Answer::Done("Task 2 of 4: approved by ada"),
        Answer::Refused("it is merged already"),
        Answer::Misread("There is no command “aprove <b>”. Write `/pertask approve abc`."),
        Answer::NotPermitted,
        Answer::NotTheAuthor,
        Answer::OtherCommit {
            given: "abc\n```",
            head: &head,
        },
        Answer::Status("run wiz\n```\n<!-- pertask:end -->"),
    ] {
        said.push(command_answer("123", answer));
    }
    said.push(dismissed_answer("ada", &oid('b'), &head, &links));
    said.push(moved_answer(
        "ada",
        &oid('b'),
        &head,
        Settled::Rebound,
        &links,
    ));
    let said = said
        .join("\n\n-----\n")
        .replace("<!-- pertask:answer 123 -->\n", "");
    insta::assert_snapshot!(terse(&said), @r"
    <!-- pertask:reply PRRT_kwDO -- x cccccccccccccccccccccccccccccccccccccccc -->
    [`cccccccccc`](…/commit/c…c) changes `pkg/wiz/wiz_client.go` by +12 −3. The lines here changed.

    The agent's own words, not verified:

    > Wrapped it.
    >
    > Fixes `#1`, thanks `@bob`

    -----
    <!-- pertask:reply PRRT_kwDO -- x cccccccccccccccccccccccccccccccccccccccc -->
    [`cccccccccc`](…/commit/c…c) does not change `pkg/wiz/wiz_client.go`. The agent says nothing about this thread.

    -----
    Task 2 of 4: approved by ada.

    -----
    Nothing was done: it is merged already.

    -----
    Nothing was done. There is no command “aprove \<b\>”. Write `/pertask approve abc`.

    -----
    Nothing was done: this takes write permission on this repository.

    -----
    Nothing was done: the author of a pull request does not decide about it. Somebody else with write permission may; `author_may_approve = true` under `[github]` in `.pertask/config.toml`, committed to the base, lets a person who works alone decide by comment.

    -----
    Nothing was done: ```` abc ``` ```` is not what waits for a review. Look at it again, then:

    ```text
    /pertask approve cccccccccccccccccccccccccccccccccccccccc
    ```

    -----
    ````text
    run wiz
    ```
    <! -- pertask:end -->
    ````

    -----
    <!-- pertask:dismissed cccccccccccccccccccccccccccccccccccccccc -->
    The approval of [`bbbbbbbbbb`](…/commit/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) by ada was dismissed by this repository's branch protection. [`cccccccccc`](…/commit/c…c) differs from it by nothing but the run branch, which was merged in and passes the checks. It needs an approval again all the same.

    -----
    <!-- pertask:moved bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccccccccccccccccccccccccccc -->
    The approval by ada is of [`bbbbbbbbbb`](…/commit/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb), which is not what was shown when it was given. What counts is a review of [`cccccccccc`](…/commit/c…c).
    ");
    assert_eq!(answer_marker("1\n-->"), "<!-- pertask:answer 1-- -->");
}
