//! The whole matrix: who said what about which commit, when, under which policy.

use super::*;
use crate::run::seen::PullStanding;

const HEAD: &str = "1111111111111111111111111111111111111111";
const OLD: &str = "2222222222222222222222222222222222222222";
const CARRIED: &str = "3333333333333333333333333333333333333333";

const AUTHOR: u64 = 1;
const OLIVE: u64 = 2;
const MALLORY: u64 = 3;
const STRANGER: u64 = 4;
const BOT: u64 = 5;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
}

fn who(id: u64) -> Account {
    let login = ["gone", "author", "olive", "mallory", "stranger", "robot"];
    Account {
        id,
        login: login[usize::try_from(id).unwrap()].to_owned(),
        bot: id == BOT,
    }
}

fn voice(id: u64, minute: i64, kind: VoiceKind) -> Voice {
    Voice {
        id: format!("{id}-{minute}"),
        number: 0,
        by: who(id),
        permitted: id != STRANGER,
        at: at(minute),
        altered: false,
        text: String::new(),
        url: String::new(),
        kind,
        marked: false,
    }
}

fn approval(commit: &str) -> VoiceKind {
    VoiceKind::Approval {
        commit: commit.to_owned(),
    }
}

fn refusal() -> VoiceKind {
    VoiceKind::ChangesRequested {
        commit: HEAD.to_owned(),
    }
}

fn comment(commit: &str) -> VoiceKind {
    VoiceKind::Command(Command::Approve {
        commit: commit.to_owned(),
    })
}

fn revise() -> VoiceKind {
    VoiceKind::Command(Command::Revise {
        text: "Again".to_owned(),
    })
}

fn pull(head: &str, voices: Vec<Voice>) -> SeenPull {
    SeenPull {
        number: 1,
        author: who(AUTHOR),
        standing: PullStanding::Open,
        head: head.to_owned(),
        voices,
        ..SeenPull::default()
    }
}

/// The verdict in a word, with what is said beside it.
fn judge(pull: &SeenPull, policy: Policy, answers: &[&str]) -> String {
    let carries = [Carried {
        commit: CARRIED.to_owned(),
        since: Some(at(-100)),
    }];
    let asked = Asked {
        head: HEAD,
        since: Some(at(0)),
        carries: &carries,
        answers,
    };
    match verdict(pull, &asked, policy) {
        Verdict::Approved { by } => {
            let names: Vec<_> = by.into_iter().map(|a| a.login).collect();
            format!("approved by {}", names.join(", "))
        }
        Verdict::Open { why } => format!("open: {}", why.join("; ")),
    }
}

const ONE: Policy = Policy {
    approvals: 1,
    author_may_approve: false,
};

#[test]
#[expect(clippy::too_many_lines, reason = "one table, read as a whole")]
fn what_was_said_counts_as_the_rule_says() {
    let two = Policy {
        approvals: 2,
        ..ONE
    };
    let alone = Policy {
        author_may_approve: true,
        ..ONE
    };
    let v = voice;
    let mut edited = voice(OLIVE, 5, comment(HEAD));
    edited.altered = true;
    let mut ghost = voice(OLIVE, 5, approval(HEAD));
    ghost.by = Account::default();
    let rows: Vec<(&str, Policy, Vec<Voice>)> = vec![
        ("nothing", ONE, vec![]),
        ("approval", ONE, vec![v(OLIVE, 5, approval(HEAD))]),
        ("of an older commit", ONE, vec![v(OLIVE, 5, approval(OLD))]),
        (
            "of a commit that is gone",
            ONE,
            vec![v(OLIVE, 5, approval(""))],
        ),
        (
            "moved here by the forge",
            ONE,
            vec![v(OLIVE, -5, approval(HEAD))],
        ),
        (
            "of a head that it carries from",
            ONE,
            vec![v(OLIVE, -5, approval(CARRIED))],
        ),
        (
            "older than the head it carries from",
            ONE,
            vec![v(OLIVE, -105, approval(CARRIED))],
        ),
        ("by a stranger", ONE, vec![v(STRANGER, 5, approval(HEAD))]),
        ("by a bot", ONE, vec![v(BOT, 5, approval(HEAD))]),
        ("by an account that is gone", ONE, vec![ghost]),
        ("by the author", ONE, vec![v(AUTHOR, 5, approval(HEAD))]),
        (
            "by the author, with a comment",
            ONE,
            vec![v(AUTHOR, 5, comment(HEAD))],
        ),
        (
            "by the author alone, with a comment",
            alone,
            vec![v(AUTHOR, 5, comment(HEAD))],
        ),
        (
            "by the author alone, with a review",
            alone,
            vec![v(AUTHOR, 5, approval(HEAD))],
        ),
        ("with a comment", ONE, vec![v(OLIVE, 5, comment(HEAD))]),
        (
            "with a comment on an older commit",
            ONE,
            vec![v(OLIVE, 5, comment(OLD))],
        ),
        ("with a comment that somebody changed", ONE, vec![edited]),
        (
            "with a comment, by a stranger",
            ONE,
            vec![v(STRANGER, 5, comment(HEAD))],
        ),
        ("dismissed", ONE, vec![v(OLIVE, 5, VoiceKind::Dismissed)]),
        (
            "dismissed after an approval",
            ONE,
            vec![
                v(OLIVE, 5, approval(HEAD)),
                v(OLIVE, 6, VoiceKind::Dismissed),
            ],
        ),
        ("refused", ONE, vec![v(OLIVE, 5, refusal())]),
        (
            "refused, then approved",
            ONE,
            vec![v(OLIVE, 5, refusal()), v(OLIVE, 6, approval(HEAD))],
        ),
        (
            "approved, then refused",
            ONE,
            vec![v(OLIVE, 5, approval(HEAD)), v(OLIVE, 6, refusal())],
        ),
        (
            "refused, then approved with a comment",
            ONE,
            vec![v(OLIVE, 5, refusal()), v(OLIVE, 6, comment(HEAD))],
        ),
        (
            "approved by one, refused by another",
            ONE,
            vec![v(OLIVE, 5, approval(HEAD)), v(MALLORY, 4, refusal())],
        ),
        (
            "approved by one, refused by a stranger",
            ONE,
            vec![v(OLIVE, 5, approval(HEAD)), v(STRANGER, 6, refusal())],
        ),
        (
            "approved by one, another's refusal dismissed",
            ONE,
            vec![
                v(OLIVE, 5, approval(HEAD)),
                v(MALLORY, 4, VoiceKind::Dismissed),
            ],
        ),
        (
            "changes asked for with a comment",
            ONE,
            vec![v(OLIVE, 5, approval(HEAD)), v(MALLORY, 6, revise())],
        ),
        (
            "a review and two comments in one second",
            ONE,
            vec![
                v(OLIVE, 5, refusal()),
                v(OLIVE, 5, revise()),
                v(OLIVE, 5, comment(HEAD)),
            ],
        ),
        (
            "the review between them",
            ONE,
            vec![
                v(OLIVE, 5, comment(HEAD)),
                v(OLIVE, 5, refusal()),
                v(OLIVE, 5, comment(HEAD)),
            ],
        ),
        (
            "two reviews and a comment in one second",
            ONE,
            vec![
                v(OLIVE, 5, refusal()),
                v(OLIVE, 5, approval(HEAD)),
                v(OLIVE, 5, comment(HEAD)),
            ],
        ),
        ("one of two", two, vec![v(OLIVE, 5, approval(HEAD))]),
        (
            "one of two, twice",
            two,
            vec![v(OLIVE, 5, approval(HEAD)), v(OLIVE, 6, comment(HEAD))],
        ),
        (
            "two of two",
            two,
            vec![v(OLIVE, 5, approval(HEAD)), v(MALLORY, 6, comment(HEAD))],
        ),
        (
            "two, one of them older",
            two,
            vec![v(OLIVE, 5, approval(HEAD)), v(MALLORY, 6, approval(OLD))],
        ),
        (
            "none asked for is one",
            Policy {
                approvals: 0,
                ..ONE
            },
            vec![],
        ),
    ];
    let mut said = String::new();
    for (name, policy, voices) in rows {
        said.push_str(name);
        said.push_str(": ");
        said.push_str(&judge(&pull(HEAD, voices), policy, &[]));
        said.push('\n');
    }
    insta::assert_snapshot!(said, @r"
    nothing: open: 
    approval: approved by olive
    of an older commit: open: the approval of olive is for 2222222222, not for 1111111111
    of a commit that is gone: open: the approval of olive names no commit that still exists
    moved here by the forge: open: the approval of olive was given before 1111111111 was there, for another commit
    of a head that it carries from: approved by olive
    older than the head it carries from: open: the approval of olive was given before 3333333333 was there, for another commit
    by a stranger: open: what stranger said does not count: they may not write to this repository
    by a bot: open: 
    by an account that is gone: open: 
    by the author: open: 
    by the author, with a comment: open: what author said does not count: they opened the pull request, and `author_may_approve` is not set on the base
    by the author alone, with a comment: approved by author
    by the author alone, with a review: open: 
    with a comment: approved by olive
    with a comment on an older commit: open: the approval of olive is for 2222222222, not for 1111111111
    with a comment that somebody changed: open: a comment of olive does not count: somebody else has changed it
    with a comment, by a stranger: open: what stranger said does not count: they may not write to this repository
    dismissed: open: the review of olive was dismissed
    dismissed after an approval: open: the review of olive was dismissed
    refused: open: olive asked for changes and has not approved since
    refused, then approved: approved by olive
    approved, then refused: open: olive asked for changes and has not approved since
    refused, then approved with a comment: approved by olive
    approved by one, refused by another: open: mallory asked for changes and has not approved since
    approved by one, refused by a stranger: approved by olive
    approved by one, another's refusal dismissed: approved by olive
    changes asked for with a comment: open: mallory asked for changes and has not approved since
    a review and two comments in one second: open: olive asked for changes and has not approved since
    the review between them: open: olive asked for changes and has not approved since
    two reviews and a comment in one second: approved by olive
    one of two: open: 1 of 2 approvals are there
    one of two, twice: open: 1 of 2 approvals are there
    two of two: approved by olive, mallory
    two, one of them older: open: the approval of mallory is for 2222222222, not for 1111111111; 1 of 2 approvals are there
    none asked for is one: open:
    ");
}

#[test]
fn a_head_that_was_not_checked_is_approved_by_nobody() {
    let voices = vec![
        voice(OLIVE, 5, approval(HEAD)),
        voice(MALLORY, 6, approval(OLD)),
    ];
    let said = judge(&pull(OLD, voices), ONE, &[]);
    insta::assert_snapshot!(said, @r"open: the approval of mallory is for 2222222222, not for 1111111111; the pull request is at 2222222222, not at 1111111111, which was checked");
}

#[test]
fn an_answer_to_a_question_is_no_request_for_changes() {
    let voices = vec![voice(MALLORY, 4, revise()), voice(OLIVE, 5, approval(HEAD))];
    let pull = pull(HEAD, voices);
    assert_eq!(judge(&pull, ONE, &["3-4"]), "approved by olive");
    assert!(judge(&pull, ONE, &[]).starts_with("open"));
    assert!(outstanding(&pull, &["3-4"], ONE).is_empty());
    assert_eq!(outstanding(&pull, &[], ONE), [&who(MALLORY)]);
}

/// Whatever is said, by whomever, in whichever order: what is approved was approved, for this commit,
/// after it was there, by somebody who may, and nobody who may refuses it.
#[test]
fn nothing_is_approved_that_a_permitted_person_did_not_approve() {
    let kinds = [
        approval(HEAD),
        approval(OLD),
        approval(CARRIED),
        comment(HEAD),
        comment(OLD),
        refusal(),
        revise(),
        VoiceKind::Dismissed,
    ];
    let mut seed = 7_u64;
    let mut below = |n: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % n
    };
    let mut approved = 0;
    for _ in 0..20_000 {
        let mut voices: Vec<Voice> = (0..below(5))
            .map(|n| {
                let id = 1 + below(5) as u64;
                let minute = i64::try_from(below(3) * 10 + n).unwrap() - 10;
                let mut voice = voice(id, minute, kinds[below(kinds.len())].clone());
                voice.altered = below(6) == 0;
                voice
            })
            .collect();
        voices.sort_by_key(|v| v.at);
        let policy = Policy {
            approvals: 1 + u32::try_from(below(2)).unwrap(),
            author_may_approve: below(2) == 0,
        };
        let head = if below(5) == 0 { OLD } else { HEAD };
        let pull = pull(head, voices);
        let said = judge(&pull, policy, &[]);
        let Some(names) = said.strip_prefix("approved by ") else {
            continue;
        };
        approved += 1;
        assert_eq!(pull.head, HEAD);
        let names: Vec<&str> = names.split(", ").collect();
        assert!(names.len() >= policy.approvals as usize, "{pull:?}");
        for name in names {
            let own = pull.voices.iter().rev().find(|v| {
                let comment = matches!(v.kind, VoiceKind::Command(_));
                v.by.login == name && !(comment && v.altered) && (v.by.id != AUTHOR || comment)
            });
            let own = own.unwrap();
            assert!(own.permitted && !own.by.bot, "{pull:?}");
            assert!(own.by.id != AUTHOR || policy.author_may_approve, "{pull:?}");
            let (commit, since) = match &own.kind {
                VoiceKind::Approval { commit }
                | VoiceKind::Command(Command::Approve { commit }) => {
                    (commit, if commit == HEAD { at(0) } else { at(-100) })
                }
                other => panic!("{other:?} approves nothing"),
            };
            assert!(
                [HEAD, CARRIED].contains(&commit.as_str()) && own.at >= since,
                "{pull:?}"
            );
        }
        assert!(outstanding(&pull, &[], policy).is_empty(), "{pull:?}");
    }
    assert!(approved > 500, "the cases are worth something: {approved}");
}

#[test]
fn of_a_review_and_a_comment_of_the_same_second_the_approval_is_not_the_last_word() {
    let policy = Policy {
        approvals: 1,
        author_may_approve: false,
    };
    let said = |voices: Vec<Voice>| judge(&pull(HEAD, voices), policy, &[]);
    let (approves, refuses) = (comment(HEAD), refusal());
    let both = vec![voice(OLIVE, 1, refuses), voice(OLIVE, 1, approves)];
    assert!(said(both.clone()).contains("olive asked for changes"));
    assert!(stands(&pull(HEAD, both.clone()), &both[0], policy));
    // A second later it is clear, and so it is among reviews, which come in their order.
    let later = vec![both[0].clone(), voice(OLIVE, 2, comment(HEAD))];
    assert!(said(later).starts_with("approved"), "later");
    let reviews = vec![voice(OLIVE, 1, refusal()), voice(OLIVE, 1, approval(HEAD))];
    assert!(said(reviews).starts_with("approved"), "reviews");
}
