//! What is taken out of texts, and what is not.

use super::*;
use crate::report::sample::Random;

/// A key of the service's format that is none.
fn key(start: &str, rest: &str, length: usize) -> String {
    let rest: String = rest.chars().cycle().take(length).collect();
    format!("{start}{rest}")
}

fn secrets() -> Secrets {
    let environment = [
        ("GITHUB_TOKEN", "marked-token-of-github-0001"),
        ("ACTIONS_RUNTIME_TOKEN", "marked-runtime-0002\n"),
        ("MY_AGENT_KEY", "märked/key+0003=="),
        (
            "MY_PEM",
            "-----BEGIN X-----\nbWFya2VkLWtleQo\n-----END X-----",
        ),
        ("GH_TOKEN", "short"),
        ("HOME", "/home/someone"),
        ("ACTIONS_CACHE_URL", "https://cache.example"),
    ];
    let environment: Vec<(OsString, OsString)> = environment
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    Secrets::of(
        &environment,
        &["MY_AGENT_KEY".to_owned(), "MY_PEM".to_owned()],
    )
}

#[test]
fn values_of_the_environment_are_taken_out() {
    let secrets = secrets();
    let text = "a marked-token-of-github-0001, b marked-runtime-0002! c märked/key+0003== \
        d /home/someone short https://cache.example bWFya2VkLWtleQo";
    assert_eq!(
        secrets.redact(text),
        "a ***, b ***! c *** d /home/someone short https://cache.example ***"
    );
    assert_eq!(
        secrets.found(text),
        [
            "ACTIONS_RUNTIME_TOKEN",
            "GITHUB_TOKEN",
            "MY_AGENT_KEY",
            "MY_PEM"
        ]
    );
    assert!(matches!(
        secrets.redact("nothing"),
        Cow::Borrowed("nothing")
    ));
    assert_eq!(secrets.found("nothing"), [""; 0]);
    let twice = "marked-token-of-github-0001marked-token-of-github-0001";
    assert_eq!(secrets.redact(twice), "***");
    assert_eq!(
        format!("{secrets:?}"),
        r#"["GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "MY_AGENT_KEY", "MY_PEM"]"#
    );
}

#[test]
fn base64_hides_no_value() {
    let secrets = secrets();
    let value = "marked-token-of-github-0001";
    let mut random = Random::new(3);
    for n in 0..300 {
        let before: String = (0..n % 7)
            .map(|_| char::from(b'!' + u8::try_from(random.below(90)).unwrap()))
            .collect();
        let after: String = (0..random.below(5)).map(|_| 'x').collect();
        let inside = format!("{before}{value}{after}");
        for text in [
            STANDARD_NO_PAD.encode(&inside),
            URL_SAFE_NO_PAD.encode(&inside),
        ] {
            let clean = secrets.redact(&text);
            assert!(clean.contains(MASK), "{inside}");
            // What is left of it is less than a character at either end.
            let kept = clean.len() - MASK.len();
            let others = (before.len() + after.len()) * 4 / 3 + 4;
            assert!(kept <= others, "{inside}: {clean}");
        }
    }
    // As git sends it.
    let header = STANDARD_NO_PAD.encode(format!("x-access-token:{value}"));
    assert_eq!(
        secrets.redact(&format!("AUTHORIZATION: basic {header}")),
        "AUTHORIZATION: basic eC1hY2Nlc3MtdG9rZW46***"
    );
}

#[test]
fn keys_of_services_are_known_by_their_look() {
    let none = Secrets::default();
    let mix = "a1B2c3D4e5F6g7H8i9";
    let cases = [
        key("ghp_", mix, 36),
        key("gho_", mix, 36),
        key("ghs_", "12345_eyJhbGciOi.J9-", 59),
        key("ghu_", mix, 36),
        key("github_pat_", "11ABCDEFG0_", 82),
        key("sk-ant-api03-", "a-B_", 90),
        key("sk-proj-", mix, 48),
        key("sk-", "0123456789abcdef", 32),
        key("AKIA", "IOSFODNN7", 16),
        key("xoxb-", "123456789012-", 50),
        key("glpat-", mix, 20),
        key("npm_", mix, 36),
        key("AIza", mix, 35),
        format!(
            "{}.{}.{}",
            key("eyJ", mix, 20),
            key("eyJ", mix, 40),
            key("", mix, 43)
        ),
    ];
    for key in &cases {
        for text in [
            key.clone(),
            format!("token: {key}."),
            format!("\"{key}\""),
            format!(r"a\n{key}"),
            format!("PREFIX_{key}"),
        ] {
            let clean = none.redact(&text);
            assert_eq!(clean, text.replace(key.as_str(), "***"), "{text}");
            assert_eq!(none.found(&text).len(), 1, "{text}");
        }
    }
    for text in [
        "ghp_short",
        "task-ant-colony-optimisation-of-the-scheduler",
        "sk-loading-spinner-container-with-2-rows",
        "disk-a1B2c3D4e5F6g7H8i9a1B2c3D4",
        "AKIAIOSFODNN7EXAMPLETOOLONG",
        "akiaiosfodnn7example",
        "xoxb-example",
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.short",
        "a.b.c",
        "3d3c42e5aac5ba805825da76410c181273ba90b1",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "refs/pertask/runs/wiz",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ\n-----END PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----",
    ] {
        assert_eq!(none.redact(text), text);
    }
}

#[test]
fn private_keys_are_taken_out_whole_or_as_far_as_they_are_there() {
    let none = Secrets::default();
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDa";
    let key = format!(
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{line}\n{line}\nabc=\n-----END RSA PRIVATE KEY-----"
    );
    assert_eq!(none.redact(&format!("a\n{key}\nb")), "a\n***\nb");
    assert_eq!(none.redact(&key.replace('\n', "\\n")), "***");
    let patch = key.replace('\n', "\n+");
    assert_eq!(none.redact(&format!("+{patch}\n+b")), "+***\n+b");
    let cut =
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{line}\n{line}\nab==\nand more words here");
    assert_eq!(none.redact(&cut), "***\nand more words here");
    assert_eq!(
        none.redact("a file with -----BEGIN PRIVATE KEY----- in it, say"),
        "a file with *** in it, say"
    );
    assert_eq!(none.found(&key), ["a private key"]);
}

#[test]
fn files_and_json_keep_their_shape() {
    let secrets = secrets();
    let mut value = serde_json::json!({
        "marked-runtime-0002": ["x marked-runtime-0002", 7, null],
        "deep": { "key": key("ghp_", "a1", 36) },
    });
    secrets.clean_json(&mut value);
    assert_eq!(
        value,
        serde_json::json!({ "marked-runtime-0002": ["x ***", 7, null], "deep": { "key": "***" } })
    );
    let bytes = [
        b"\xff\x00 marked-runtime-0002 \xff".as_slice(),
        b"marked-runtime-0002",
    ]
    .concat();
    assert_eq!(
        secrets.redact_bytes(bytes),
        [b"\xff\x00 *** \xff".as_slice(), b"***"].concat()
    );
    assert_eq!(secrets.redact_bytes(b"\xffplain".to_vec()), b"\xffplain");
    assert_eq!(
        secrets.redact_bytes(b"marked-runtime-0002".to_vec()),
        b"***"
    );
}

#[test]
fn nothing_known_is_left_in_any_text() {
    let secrets = secrets();
    let values: Vec<&str> = secrets.values().collect();
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let mut text = String::new();
        for _ in 0..random.below(8) {
            text.push_str(&random.hostile());
            text.push_str(values[random.below(values.len())]);
            if random.flip() {
                text.push_str(&key("ghp_", "x9", 36));
            }
        }
        let clean = secrets.redact(&text).into_owned();
        assert!(values.iter().all(|v| !clean.contains(v)), "{seed}: {clean}");
        assert!(secrets.found(&clean).is_empty(), "{seed}: {clean}");
        assert_eq!(secrets.redact(&clean), clean, "{seed}");
    }
}

#[test]
fn of_code_only_what_is_certain_is_taken_out() {
    let environment: Vec<(OsString, OsString)> = [
        ("MY_AGENT_KEY", "marked-key-0001"),
        ("NODE_ENV", "production"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .to_vec();
    let names = ["MY_AGENT_KEY".to_owned(), "NODE_ENV".to_owned()];
    let secrets = Secrets::of(&environment, &names);
    let code = format!("// production {}\n", key("ghp_", "a1", 36));
    assert_eq!(secrets.out_of_code(code.as_bytes()), None);
    let leaked = format!("{code}const k = \"marked-key-0001\"\n\u{0}");
    let clean = format!("{code}const k = \"***\"\n\u{0}");
    assert_eq!(
        secrets.out_of_code(leaked.as_bytes()),
        Some((clean.into_bytes(), vec!["MY_AGENT_KEY".to_owned()]))
    );
}

#[test]
fn what_is_not_known_any_more_is_found_by_its_traces() {
    let secrets = secrets();
    let traces = secrets.traces("salt");
    let kept = serde_json::to_string(&traces).unwrap();
    for value in secrets.values() {
        assert!(!kept.contains(value), "{kept}");
    }
    let traces: Traces = serde_json::from_str(&kept).unwrap();
    // Alone, at the ends, in a row, in base64 behind anything, a line of several, in no text.
    let mut texts: Vec<Vec<u8>> = [
        "marked-token-of-github-0001",
        "a marked-token-of-github-0001marked-token-of-github-0001",
        "x märked/key+0003== y marked-runtime-0002\nz bWFya2VkLWtleQo",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}marked-token-of-github-0001xyz");
        texts.push(format!("k = {}", STANDARD_NO_PAD.encode(text)).into_bytes());
    }
    texts.push(b"\xff\0marked-runtime-0002\xfe".to_vec());
    for text in texts {
        let clean = traces.redact_bytes(text.clone());
        let shown = String::from_utf8_lossy(&text);
        // Two in a row are one there.
        let one = String::from_utf8_lossy(&clean).replace("******", MASK);
        let known = secrets.redact_bytes(text.clone());
        assert_eq!(one, String::from_utf8_lossy(&known), "{shown}");
        assert_ne!(clean, text, "{shown}");
    }
    for nothing in [
        "",
        "marked",
        "marked-token-of-github-0002",
        "short /home/someone",
    ] {
        assert_eq!(traces.redact_bytes(nothing.into()), nothing.as_bytes());
        assert_eq!(traces.out_of_code(nothing.as_bytes()), None);
    }
    // Another salt, another note.
    assert_ne!(secrets.traces("other"), traces);
    assert!(Secrets::default().traces("salt").is_empty());
}

#[test]
fn traces_take_out_of_code_what_secrets_would() {
    let mut secrets = Secrets::default();
    secrets.add("MY_AGENT_KEY", "marked-key-0001");
    secrets.add("NODE_ENV", "production");
    let traces = secrets.traces("salt");
    let mut random = Random::new(1);
    for _ in 0..300 {
        const PIECES: [&str; 6] = [
            "marked-key-0001",
            "production",
            "\n",
            "marked-key-000",
            "arked-key-0001",
            "é",
        ];
        let text: String = (0..random.below(9))
            .map(|_| PIECES[random.below(6)])
            .collect();
        assert_eq!(
            traces.out_of_code(text.as_bytes()),
            secrets.out_of_code(text.as_bytes()),
            "{text}"
        );
        let clean = traces.redact_bytes(text.clone().into_bytes());
        assert!(
            !String::from_utf8(clean).unwrap().contains("production"),
            "{text}"
        );
    }
}

#[test]
fn of_a_login_every_long_text_is_certain_and_of_a_renewed_one_what_is_a_token() {
    let login = serde_json::json!({
        "tokens": {"access": "only letters, and long", "plan": "max_20x", "list": ["0123456789abcdef"]},
        "last": 5, "none": null
    });
    let mut secrets = Secrets::default();
    secrets.add_login("the login", &login);
    let code = "a only letters, and long b max_20x c 0123456789abcdef d";
    let (clean, names) = secrets.out_of_code(code.as_bytes()).unwrap();
    assert_eq!(clean, b"a *** b max_20x c *** d");
    assert_eq!(names, ["the login"]);
    let ours = [
        "8d6a1f0e5c4b3a29180716253443526170819293",
        "2026-01-02T03:04:05.123456789Z",
        "needs_clarification",
        "Task 1 of 2, the Client",
        "src/one/two/three/four.txt",
    ];
    let mut secrets = Secrets::default();
    secrets.add_renewed(
        "the login",
        &serde_json::json!([ours, "Ab0-Ab0_Ab0.Ab0~Ab0"]),
    );
    assert_eq!(
        secrets.values().collect::<Vec<_>>(),
        ["Ab0-Ab0_Ab0.Ab0~Ab0"]
    );
}
