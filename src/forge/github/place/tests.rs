use super::variables::{API, GRAPHQL, REPOSITORY, SERVER};
use super::*;

fn at(address: &str, variables: &[(&str, &str)]) -> Result<Place, PlaceError> {
    let env = |name: &str| {
        let found = variables.iter().find(|(n, _)| *n == name);
        found.map(|(_, v)| (*v).to_owned())
    };
    let alias = |host: &str| (host == "work").then(|| "github.com".to_owned());
    Place::at("origin", address, &env, &alias)
}

fn words(place: &Place) -> [String; 4] {
    [
        place.web.clone(),
        place.api.clone(),
        place.graphql.clone(),
        place.slug(),
    ]
}

#[test]
fn a_remote_says_where_the_api_is() {
    const GITHUB: [&str; 4] = [
        "https://github.com",
        "https://api.github.com",
        "https://api.github.com/graphql",
        "o/r",
    ];
    const ENTERPRISE: [&str; 4] = [
        "https://ghe.corp",
        "https://ghe.corp/api/v3",
        "https://ghe.corp/api/graphql",
        "o/r",
    ];
    const RESIDENT: [&str; 4] = [
        "https://acme.ghe.com",
        "https://api.acme.ghe.com",
        "https://api.acme.ghe.com/graphql",
        "o/r",
    ];
    for (address, expected, transport) in [
        ("https://github.com/o/r", GITHUB, Transport::Http),
        ("https://github.com/o/r.git", GITHUB, Transport::Http),
        ("https://github.com/o/r.git/", GITHUB, Transport::Http),
        ("https://GitHub.com:443/o/r/", GITHUB, Transport::Http),
        ("http://github.com/o/r", GITHUB, Transport::Http),
        ("https://www.github.com/o/r", GITHUB, Transport::Http),
        ("https://me:s3cret@github.com/o/r", GITHUB, Transport::Http),
        ("git@github.com:o/r.git", GITHUB, Transport::Ssh),
        ("github.com:o/r", GITHUB, Transport::Ssh),
        ("git@github.com:/o/r.git", GITHUB, Transport::Ssh),
        ("[git@github.com]:o/r", GITHUB, Transport::Ssh),
        ("git@[github.com:22]:o/r", GITHUB, Transport::Ssh),
        ("ssh://git@github.com/o/r.git", GITHUB, Transport::Ssh),
        (
            "ssh://git@ssh.github.com:443/o/r.git",
            GITHUB,
            Transport::Ssh,
        ),
        ("git@work:o/r.git", GITHUB, Transport::Ssh),
        ("https://ghe.corp/o/r.git", ENTERPRISE, Transport::Http),
        ("git@ghe.corp:o/r.git", ENTERPRISE, Transport::Ssh),
        (
            "ssh://git@ghe.corp:2222/o/r.git",
            ENTERPRISE,
            Transport::Ssh,
        ),
        ("https://acme.ghe.com/o/r", RESIDENT, Transport::Http),
        ("acme@acme.ghe.com:o/r.git", RESIDENT, Transport::Ssh),
        (
            "http://127.0.0.1:8080/o/r.git",
            [
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080/api/v3",
                "http://127.0.0.1:8080/api/graphql",
                "o/r",
            ],
            Transport::Http,
        ),
        (
            "http://[::1]:80/o/r.git",
            [
                "http://[::1]:80",
                "http://[::1]:80/api/v3",
                "http://[::1]:80/api/graphql",
                "o/r",
            ],
            Transport::Http,
        ),
    ] {
        let place = at(address, &[]).unwrap_or_else(|e| panic!("{address}: {e}"));
        assert_eq!(words(&place), expected, "{address}");
        assert_eq!(place.transport, transport, "{address}");
        assert_eq!(place.naming, Naming::None, "{address}");
        assert!(place.notes.is_empty(), "{address}");
    }
}

#[test]
fn what_is_no_repository_of_github_is_said() {
    for (address, why) in [
        ("https://github.com/o", "OWNER/NAME"),
        ("https://github.com/o/r/tree/main", "OWNER/NAME"),
        ("https://github.com/o/..", "OWNER/NAME"),
        ("https://github.com/o/r?x=1#y", ""),
        ("git@github.com:r.git", "OWNER/NAME"),
        ("git://github.com/o/r", "pushed"),
        ("ftp://github.com/o/r", "https and ssh"),
        ("http://ghe.corp/o/r", "plain http"),
        ("https:///o/r", "address"),
        ("ssh://-oProxyCommand=x/o/r", ""),
        ("-oProxyCommand=x:o/r", "name is none"),
        ("git@git hub.com:o/r", "name is none"),
        ("https://git\nhub.com/o/r", "characters"),
    ] {
        match at(address, &[]) {
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(why), "{address}: {text}");
                assert!(text.contains("git remote set-url origin"), "{text}");
                assert!(text.contains("--forge local"), "{text}");
            }
            Ok(place) => assert!(why.is_empty(), "{address}: {place:?}"),
        }
    }
    for address in ["/srv/git/r.git", "../r", "file:///srv/r.git", "./a:b/r"] {
        let error = at(address, &[]).unwrap_err();
        assert!(matches!(error, PlaceError::Folder { .. }), "{address}");
    }
}

#[test]
fn an_address_is_shown_without_its_password() {
    let error = at("https://me:s3cret@github.com/o", &[]).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains("s3cret"), "{text}");
    assert!(text.contains("https://github.com/o"), "{text}");
    assert_eq!(shown("https://a:b@c@h/x@y"), "https://h/x@y");
    assert_eq!(shown("git@h:o/r"), "git@h:o/r");
}

#[test]
fn the_environment_counts_for_its_own_server_only() {
    let actions = [
        (SERVER, "https://ghe.corp"),
        (API, "https://ghe.corp/api/v3"),
        (GRAPHQL, "https://ghe.corp/api/graphql"),
        (REPOSITORY, "o/r"),
    ];
    let place = at("https://ghe.corp/o/r", &actions).unwrap();
    assert_eq!(place.naming, Naming::This);
    assert_eq!(place.api, "https://ghe.corp/api/v3");
    assert!(place.notes.is_empty());

    // A remote elsewhere: nothing of it is used.
    let place = at("https://github.com/me/mine", &actions).unwrap();
    assert_eq!(place.naming, Naming::Another);
    assert_eq!(place.api, "https://api.github.com");
    assert_eq!(place.slug(), "me/mine");
    assert_eq!(
        place.notes,
        [
            "GITHUB_SERVER_URL is about ghe.corp, the remote origin is at github.com: the GITHUB_ variables and tokens of the environment are left aside"
        ]
    );

    // Only the API is said.
    for (address, api, naming, used) in [
        (
            "http://127.0.0.1:1/o/r",
            "http://127.0.0.1:2/",
            Naming::This,
            "http://127.0.0.1:2",
        ),
        (
            "git@github.com:o/r",
            "https://api.github.com",
            Naming::This,
            "https://api.github.com",
        ),
        (
            "git@github.com:o/r",
            "https://evil.example/api/v3",
            Naming::Another,
            "https://api.github.com",
        ),
        (
            "https://ghe.corp/o/r",
            "https://api.github.com",
            Naming::Another,
            "https://ghe.corp/api/v3",
        ),
    ] {
        let place = at(address, &[(API, api)]).unwrap();
        assert_eq!(
            (place.naming, place.api.as_str()),
            (naming, used),
            "{address}"
        );
    }
}

#[test]
fn both_apis_are_on_one_server() {
    let place = at(
        "http://127.0.0.1:1/o/r",
        &[
            (API, "http://127.0.0.1:2"),
            (GRAPHQL, "http://127.0.0.1:3/g"),
        ],
    )
    .unwrap();
    assert_eq!(place.graphql, "http://127.0.0.1:2/graphql");
    assert_eq!(place.notes.len(), 1);
    let place = at(
        "http://127.0.0.1:1/o/r",
        &[(API, "http://127.0.0.1:2/api/v3")],
    )
    .unwrap();
    assert_eq!(place.graphql, "http://127.0.0.1:2/api/graphql");
}

#[test]
fn a_folder_has_the_environment_to_go_by() {
    let place = at(
        "/srv/r.git",
        &[(SERVER, "https://github.com"), (REPOSITORY, "o/r")],
    )
    .unwrap();
    assert_eq!(place.slug(), "o/r");
    assert_eq!(place.api, "https://api.github.com");
    assert_eq!(place.transport, Transport::Folder);
    assert!(at("/srv/r.git", &[(REPOSITORY, "o/r")]).is_err());
}

#[test]
fn another_repository_in_the_environment_is_noted() {
    let place = at("git@github.com:fork/r", &[(REPOSITORY, "up/r")]).unwrap();
    assert_eq!(place.slug(), "up/r");
    assert_eq!(place.notes.len(), 1);
    let place = at("git@github.com:O/R", &[(REPOSITORY, "o/r")]).unwrap();
    assert!(place.notes.is_empty());
}

#[test]
fn variables_that_cannot_be_meant_are_errors() {
    for (variable, value) in [
        (SERVER, "github.com"),
        (API, "http://ghe.corp/api/v3"),
        (API, "https://me:s3cret@ghe.corp"),
        (API, "https://ghe.corp/api?x"),
        (GRAPHQL, "ftp://ghe.corp"),
        (REPOSITORY, "just-a-name"),
        (REPOSITORY, "a/b/c"),
    ] {
        let error = at("https://ghe.corp/o/r", &[(variable, value)]).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(variable), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn which_remote() {
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let choose = |wanted: Option<&str>, list: &[&str]| {
        choose(wanted.map(str::to_owned), names(list)).map_err(|e| e.to_string())
    };
    assert_eq!(choose(None, &["fork", "origin"]).unwrap(), "origin");
    assert_eq!(choose(None, &["upstream"]).unwrap(), "upstream");
    assert_eq!(choose(Some("fork"), &["fork", "origin"]).unwrap(), "fork");
    assert!(
        choose(None, &[])
            .unwrap_err()
            .contains("git remote add origin")
    );
    assert!(
        choose(None, &["a", "b"])
            .unwrap_err()
            .contains("git config pertask.remote a")
    );
    let error = choose(Some("x"), &["a", "b"]).unwrap_err();
    assert!(error.contains("(there are: a, b)"), "{error}");
}

#[test]
fn any_address_is_answered() {
    for address in [
        "",
        ":",
        "://",
        "@",
        "@:",
        "[]:",
        "[",
        "a:",
        ":a/b",
        "ssh://",
        "https://@/",
        "é:ö/ü",
        "[é:o",
        "https://[::1/o/r",
        "git@[::1]:o/r",
        "\u{0}",
        "x@y@z:o/r",
        "https://h:99999/o/r",
    ] {
        // Whatever it says, it says it.
        let _ = at(address, &[]);
    }
}
