//! Redirects, GraphQL, and what refusals are taken for.

use super::*;

#[test]
fn a_moved_repository_is_followed_and_remembered() {
    let server = Server::new([]);
    let to = |path: &str| format!("{}/api/v3/repositories/17{path}", server.address);
    server.steps.lock().unwrap().extend([
        with(
            301,
            &[("location", &to("/pulls?state=all"))],
            &json!({"message": "Moved Permanently"}),
        ),
        json(200, &json!([])),
        json(201, &json!({})),
        json(200, &json!({"full_name": "new/name"})),
    ]);
    let mut client = Client::new(&server.place(), token(), Patience::default()).unwrap();
    assert_eq!(client.moved_to().unwrap(), None);
    client.get("/repos/o/r/pulls?state=all").unwrap();
    client
        .send(Method::POST, "/repos/O/R/issues/1/comments", &json!({}))
        .unwrap();
    assert_eq!(client.moved_to().unwrap().as_deref(), Some("new/name"));
    assert_eq!(client.moved_to().unwrap().as_deref(), Some("new/name"));
    assert_eq!(
        server.lines(),
        [
            "GET /api/v3/repos/o/r/pulls?state=all",
            "GET /api/v3/repositories/17/pulls?state=all",
            "POST /api/v3/repositories/17/issues/1/comments",
            "GET /api/v3/repositories/17",
        ]
    );
}

#[test]
fn a_redirected_change_keeps_method_and_body() {
    for status in [301, 302, 307, 308] {
        let (mut client, server, _) = client([
            with(
                status,
                &[("location", "/api/v3/repositories/17/pulls")],
                &json!({}),
            ),
            json(201, &json!({})),
        ]);
        client
            .send(Method::POST, PULLS, &json!({"title": "T"}))
            .unwrap();
        let saw = server.saw.lock().unwrap().clone();
        assert_eq!(saw[1].line, "POST /api/v3/repositories/17/pulls");
        assert_eq!(saw[1].body, r#"{"title":"T"}"#);
        assert_eq!(
            client.moved.is_some(),
            matches!(status, 301 | 308),
            "{status}"
        );
    }
}

#[test]
fn a_redirect_to_another_server_is_not_followed() {
    let other = Server::new([json(200, &json!({}))]);
    for location in [
        format!("{}/api/v3/x", other.address),
        "https://evil.example/x".to_owned(),
        "//evil.example/x".to_owned(),
        "https://user@evil.example/x".to_owned(),
    ] {
        let (mut client, _, _) = client([with(302, &[("location", &location)], &json!({}))]);
        let error = client.get("/x").unwrap_err();
        assert!(matches!(error, ApiError::Elsewhere { .. }), "{error}");
    }
    assert!(other.lines().is_empty());
}

#[test]
fn redirects_end_somewhere() {
    let (mut client, server, _) =
        client((0..20).map(|_| with(302, &[("location", "/api/v3/x")], &json!({}))));
    let error = client.get("/x").unwrap_err();
    assert!(matches!(error, ApiError::Malformed { .. }), "{error}");
    assert_eq!(server.lines().len(), 6);
}

#[test]
fn graphql_gives_data_or_an_error() {
    let limited =
        json!({"errors": [{"type": "RATE_LIMITED", "message": "API rate limit already exceeded"}]});
    let (mut client, server, waits) = client([
        json(200, &json!({"data": {"viewer": {"login": "me"}}})),
        with(200, &[("retry-after", "3")], &limited),
        json(502, &json!({})),
        json(
            200,
            &json!({"errors": [{"message": "Something went wrong while executing your query. Please include X"}]}),
        ),
        json(200, &json!({"data": {"x": 1}})),
        json(
            200,
            &json!({"data": {"repository": null}, "errors": [{"type": "NOT_FOUND", "message": "Could not resolve to a Repository"}]}),
        ),
        json(
            200,
            &json!({"data": null, "errors": [{"type": "FORBIDDEN", "message": "Resource not accessible by integration"}]}),
        ),
        json(
            200,
            &json!({"errors": [{"message": "Field 'x' doesn't exist"}]}),
        ),
        json(200, &json!({})),
    ]);
    let variables = json!({"o": "o"});
    let data = client.query("Look", "query Look { viewer { login } }", &variables);
    assert_eq!(data.unwrap()["viewer"]["login"], "me");
    let saw = server.saw.lock().unwrap()[0].clone();
    assert_eq!(saw.line, "POST /api/graphql");
    let body: Value = serde_json::from_str(&saw.body).unwrap();
    assert_eq!(body["variables"], variables);
    assert_eq!(client.query("Look", "q", &Value::Null).unwrap()["x"], 1);
    assert_eq!(waits.seconds(), [3, 1, 3]);
    let mut error = || client.query("Look", "q", &Value::Null).unwrap_err();
    let (a, b, c, d) = (error(), error(), error(), error());
    assert!(matches!(a, ApiError::NotFound { .. }), "{a}");
    assert!(matches!(b, ApiError::Permission { .. }), "{b}");
    assert!(matches!(c, ApiError::Refused { status: 200, .. }), "{c}");
    assert!(matches!(d, ApiError::Malformed { .. }), "{d}");
    assert_eq!(client.counts().changes, 0);
}

#[test]
fn a_mutation_is_never_repeated_blindly() {
    for step in [
        json(502, &json!({})),
        json(
            200,
            &json!({"errors": [{"message": "Something went wrong while executing your query."}]}),
        ),
    ] {
        let (mut client, server, _) = client([step, json(200, &json!({"data": {}}))]);
        let error = client
            .mutate("Ready", "mutation", &Value::Null)
            .unwrap_err();
        assert!(matches!(error, ApiError::Unknown { .. }), "{error}");
        assert_eq!(server.lines().len(), 1);
        assert_eq!(client.counts().changes, 1);
    }
}

#[test]
fn refusals_are_told_apart() {
    fn error(step: Step) -> ApiError {
        let (mut client, _, _) = client([step]);
        client.send(Method::POST, PULLS, &json!({})).unwrap_err()
    }
    let said = |status, message: &str| error(json(status, &json!({"message": message})));
    let e = said(401, "Bad credentials").to_string();
    assert!(
        e.starts_with("127.0.0.1 does not know the token of GITHUB_TOKEN (Bad credentials); it may have expired or been revoked: make a new one at http://127.0.0.1:"),
        "{e}"
    );
    assert!(
        e.ends_with("/settings/tokens and set GITHUB_TOKEN to it, or unset GITHUB_TOKEN"),
        "{e}"
    );
    assert!(matches!(said(404, "Not Found"), ApiError::NotFound { .. }));
    assert!(matches!(
        said(410, "Issues are disabled"),
        ApiError::Gone { .. }
    ));
    assert!(matches!(
        said(405, "x"),
        ApiError::Refused { status: 405, .. }
    ));
    assert!(matches!(
        said(409, "x"),
        ApiError::Refused { status: 409, .. }
    ));
    assert!(matches!(
        said(451, "x"),
        ApiError::Refused { status: 451, .. }
    ));
    let e = said(403, "Repository was archived so is read-only.");
    assert!(matches!(e, ApiError::Archived { .. }), "{e}");
    assert!(e.to_string().starts_with("o/r is archived"), "{e}");
    let e = error(json(
        422,
        &json!({"message": "Validation Failed", "errors": [{"resource": "PullRequest", "code": "custom", "message": "A pull request already exists for o:x."}]}),
    ));
    assert!(e.says("a pull request already exists"), "{e}");
    assert_eq!(
        e.to_string(),
        "GitHub refuses POST /repos/o/r/pulls (422): Validation Failed: A pull request already exists for o:x."
    );
}

#[test]
fn a_missing_permission_says_what_to_change() {
    fn error(secret: &str, headers: &[(&'static str, &str)], message: &str) -> String {
        let server = Server::new([with(403, headers, &json!({"message": message}))]);
        let token = Token::new(secret, Source::Variable("GITHUB_TOKEN")).unwrap();
        let mut place = server.place();
        place.web = "https://github.com".to_owned();
        let mut client = Client::new(&place, token, Patience::default()).unwrap();
        let error = client.send(Method::POST, PULLS, &json!({})).unwrap_err();
        assert!(matches!(error, ApiError::Permission { .. }), "{error}");
        assert!(!error.is_temporary());
        error.to_string()
    }
    const NOT: &str = "Resource not accessible by integration";
    for (secret, headers, message, expected) in [
        (
            "github_pat_x",
            &[("x-accepted-github-permissions", "pull_requests=write")][..],
            "Resource not accessible by personal access token",
            "the token of GITHUB_TOKEN may not POST /repos/o/r/pulls: Resource not accessible by personal access token (it takes pull_requests=write); give the token pull_requests=write for o/r: https://github.com/settings/personal-access-tokens",
        ),
        (
            "ghp_x",
            &[
                ("x-oauth-scopes", "gist"),
                ("x-accepted-oauth-scopes", "public_repo, repo"),
            ],
            "Must have push access",
            "the token of GITHUB_TOKEN may not POST /repos/o/r/pulls: Must have push access (it takes the scope public_repo, repo; it has gist); give the token the scope repo: https://github.com/settings/tokens",
        ),
        (
            "gho_x",
            &[("x-oauth-scopes", "")],
            "Must have push access",
            "the token of GITHUB_TOKEN may not POST /repos/o/r/pulls: Must have push access (it takes the scope repo; it has none); log in with the scope: gh auth refresh --hostname github.com --scopes repo",
        ),
        (
            "ghs_x",
            &[(
                "x-accepted-github-permissions",
                "contents=write; pull_requests=write",
            )],
            NOT,
            "the token of GITHUB_TOKEN may not POST /repos/o/r/pulls: Resource not accessible by integration (it takes contents=write; pull_requests=write); in a workflow add it under `permissions:` (`contents: write, pull-requests: write`); for a GitHub App change the App's permissions and accept them for o/r",
        ),
        (
            "ghs_x",
            &[],
            "GitHub Actions is not permitted to create or approve pull requests.",
            "the token of GITHUB_TOKEN may not POST /repos/o/r/pulls: GitHub Actions is not permitted to create or approve pull requests. (it takes pull_requests=write); tick \"Allow GitHub Actions to create and approve pull requests\" at https://github.com/o/r/settings/actions (or use the token of a GitHub App)",
        ),
        (
            "ghp_x",
            &[(
                "x-github-sso",
                "required; url=https://github.com/orgs/o/sso?x=1",
            )],
            "Resource protected by organization SAML enforcement.",
            "the token of GITHUB_TOKEN may not POST /repos/o/r/pulls: Resource protected by organization SAML enforcement. (it takes pull_requests=write); the organisation wants single sign-on: authorise the token at https://github.com/orgs/o/sso?x=1",
        ),
    ] {
        assert_eq!(error(secret, headers, message), expected);
    }
}

#[test]
fn what_is_not_github_is_said() {
    let page = "<html>welcome</html>";
    let server = |status: u16| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let text = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{page}",
                page.len()
            );
            (&stream).write_all(text.as_bytes()).unwrap();
        });
        let mut place = Server::new([]).place();
        place.graphql = format!("{address}/graphql");
        place.api = address;
        place
    };
    for status in [200, 404] {
        let mut client = Client::new(&server(status), token(), Patience::default()).unwrap();
        let error = client.get("/x").unwrap_err();
        assert!(matches!(error, ApiError::NotGitHub { .. }), "{error}");
        assert!(error.to_string().contains("text/html"), "{error}");
    }
}

#[test]
fn no_error_shows_the_token() {
    let echo = json!({"message": format!("bad \u{1b}[31m token {SECRET}\u{7}")});
    for status in [401, 403, 404, 410, 422, 500] {
        let (mut client, _, _) = client([json(status, &echo)]);
        let error = client.send(Method::POST, PULLS, &json!({})).unwrap_err();
        let text = format!("{error} {error:?} {client:?}");
        assert!(!text.contains(SECRET), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    let (mut client, _, _) = client([with(
        302,
        &[("location", &format!("https://x:{SECRET}@evil.example/"))],
        &json!({}),
    )]);
    let error = client.get("/x").unwrap_err();
    assert!(!format!("{error} {error:?}").contains(SECRET));
}
