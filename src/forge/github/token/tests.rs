use super::super::place::Place;
use super::*;

const SECRET: &str = "ghp_thisIsTheSecretOfTheTests";

fn place(address: &str, naming: Naming) -> Place {
    let mut place = Place::at("origin", address, &|_| None, &|_| None).unwrap();
    place.naming = naming;
    place
}

#[test]
fn a_variable_serves_only_the_server_it_is_for() {
    const PUBLIC: &str = "https://github.com/o/r";
    const RESIDENT: &str = "https://acme.ghe.com/o/r";
    const OWN: &str = "https://ghe.corp/o/r";
    for (address, naming, set, used) in [
        (
            PUBLIC,
            Naming::None,
            &["GITHUB_TOKEN", "GH_TOKEN"][..],
            Some("GITHUB_TOKEN"),
        ),
        (
            PUBLIC,
            Naming::None,
            &["GH_TOKEN", "GH_ENTERPRISE_TOKEN"],
            Some("GH_TOKEN"),
        ),
        (
            PUBLIC,
            Naming::This,
            &["GITHUB_TOKEN"],
            Some("GITHUB_TOKEN"),
        ),
        (PUBLIC, Naming::Another, &["GITHUB_TOKEN", "GH_TOKEN"], None),
        (PUBLIC, Naming::None, &["GH_ENTERPRISE_TOKEN"], None),
        (RESIDENT, Naming::None, &["GH_TOKEN"], Some("GH_TOKEN")),
        (OWN, Naming::None, &["GITHUB_TOKEN", "GH_TOKEN"], None),
        (
            OWN,
            Naming::None,
            &["GITHUB_TOKEN", "GITHUB_ENTERPRISE_TOKEN"],
            Some("GITHUB_ENTERPRISE_TOKEN"),
        ),
        (
            OWN,
            Naming::This,
            &["GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN"],
            Some("GITHUB_TOKEN"),
        ),
        (OWN, Naming::Another, &["GH_ENTERPRISE_TOKEN"], None),
    ] {
        let env = |name: &str| set.contains(&name).then(|| SECRET.to_owned());
        let place = place(address, naming);
        let found = Token::of_environment(&place, &env).unwrap();
        let source = found.map(|t| t.source().to_string());
        assert_eq!(source.as_deref(), used, "{address} {naming:?} {set:?}");
        if used.is_none() {
            let text = missing(&place, &env).to_string();
            assert!(text.contains("is not used"), "{text}");
            assert!(!text.contains(SECRET), "{text}");
        }
    }
}

#[test]
fn without_a_token_the_ways_are_named() {
    let place = place("https://github.com/o/r", Naming::None);
    let text = missing(&place, &|_| None).to_string();
    for way in [
        "there is no token for github.com;",
        "GITHUB_TOKEN",
        "gh auth login --hostname github.com",
        "credential helper",
        "o/r",
    ] {
        assert!(text.contains(way), "{way}: {text}");
    }
}

#[test]
fn a_token_never_prints() {
    let place = place("https://github.com/o/r", Naming::None);
    let token = Token::new(SECRET, Source::Variable("GITHUB_TOKEN")).unwrap();
    let git = token.for_git(&place, &|_| None);
    for text in [
        format!("{token:?}"),
        format!("{git:?}"),
        format!("{git:#?}"),
    ] {
        assert!(!text.contains(SECRET), "{text}");
        assert!(!text.contains("eC1hY2Nlc3MtdG9rZW4"), "{text}");
    }
    let error = Token::new(format!("{SECRET}\r\nX: y"), Source::Gh).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(SECRET));
    assert!(Token::new(" \n", Source::Gh).is_err());
    assert!(Token::new("é", Source::Gh).is_err());
    // A line end, as a file or `gh` leaves it, is none of the token.
    assert!(Token::new(format!("{SECRET}\n"), Source::Gh).is_ok());
}

#[test]
fn git_uses_it_for_this_server_only() {
    let token = Token::new("abc", Source::Variable("GITHUB_TOKEN")).unwrap();
    let of = |address: &str, token: &Token, count: Option<&str>| {
        let env = |name: &str| {
            count
                .filter(|_| name == "GIT_CONFIG_COUNT")
                .map(str::to_owned)
        };
        let git = token.for_git(&place(address, Naming::This), &env);
        let pairs = git.iter().map(|(n, v)| format!("{n}={v}"));
        pairs.collect::<Vec<_>>()
    };
    assert_eq!(
        of("http://127.0.0.1:81/o/r", &token, None),
        [
            "GIT_CONFIG_COUNT=2",
            "GIT_CONFIG_KEY_0=http.http://127.0.0.1:81/.extraheader",
            "GIT_CONFIG_VALUE_0=",
            "GIT_CONFIG_KEY_1=http.http://127.0.0.1:81/.extraheader",
            "GIT_CONFIG_VALUE_1=Authorization: Basic eC1hY2Nlc3MtdG9rZW46YWJj",
        ]
    );
    let more = of("https://github.com/o/r", &token, Some("3"));
    assert_eq!(more[0], "GIT_CONFIG_COUNT=5");
    assert_eq!(
        more[1],
        "GIT_CONFIG_KEY_3=http.https://github.com/.extraheader"
    );
    assert!(of("git@github.com:o/r", &token, None).is_empty());
    let token = Token::new("abc", Source::Gh).unwrap();
    assert!(of("https://github.com/o/r", &token, None).is_empty());
}
