//! Each behaviour against a server on a loopback address that answers by a script.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::super::place::{Naming, Transport};
use super::super::token::Source;
use super::*;

mod answers;

const SECRET: &str = "ghp_thisIsTheSecretOfTheTests";

/// What the server does with one request.
#[derive(Clone)]
enum Step {
    /// Answers, and keeps the connection.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Answers, promises to keep the connection, and closes it.
    Last(u16, String),
    /// Closes the connection without an answer.
    Cut,
    /// Never answers.
    Hang,
}

fn json(status: u16, body: &Value) -> Step {
    Step::Answer(status, Vec::new(), body.to_string())
}

fn with(status: u16, headers: &[(&'static str, &str)], body: &Value) -> Step {
    let headers = headers.iter().map(|(n, v)| (*n, (*v).to_owned()));
    Step::Answer(status, headers.collect(), body.to_string())
}

/// What the server saw: first line, headers, body.
#[derive(Debug, Clone)]
struct Saw {
    line: String,
    headers: Vec<String>,
    body: String,
}

impl Saw {
    fn header(&self, name: &str) -> Vec<&str> {
        let named = |h: &&String| {
            h.split_once(':')
                .is_some_and(|(n, _)| n.eq_ignore_ascii_case(name))
        };
        let all = self.headers.iter().filter(named);
        all.filter_map(|h| Some(h.split_once(':')?.1.trim()))
            .collect()
    }
}

#[derive(Clone)]
struct Server {
    address: String,
    steps: Arc<Mutex<VecDeque<Step>>>,
    saw: Arc<Mutex<Vec<Saw>>>,
    /// How many connections it has closed.
    closed: Arc<AtomicUsize>,
}

impl Server {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            steps: Arc::new(Mutex::new(steps.into_iter().collect())),
            saw: Arc::default(),
            closed: Arc::default(),
        };
        let accepting = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = accepting.clone();
                std::thread::spawn(move || {
                    server.serve(&stream);
                    drop(stream);
                    server.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut writer = stream;
        loop {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).ok()? == 0 {
                    return None;
                }
                let line = line.trim_end().to_owned();
                if line.is_empty() {
                    break;
                }
                head.push(line);
            }
            let mut saw = Saw {
                line: head.remove(0).replace(" HTTP/1.1", ""),
                headers: head,
                body: String::new(),
            };
            let length = saw.header("content-length").first().map(|l| l.parse());
            let mut body = vec![0; length.and_then(Result::ok).unwrap_or(0)];
            reader.read_exact(&mut body).ok()?;
            saw.body = String::from_utf8_lossy(&body).into_owned();
            self.saw.lock().unwrap().push(saw);
            let step = self.steps.lock().unwrap().pop_front();
            let (status, headers, body, close) = match step {
                Some(Step::Answer(status, headers, body)) => (status, headers, body, false),
                Some(Step::Last(status, body)) => (status, Vec::new(), body, true),
                Some(Step::Cut) => return None,
                Some(Step::Hang) => {
                    let _ = reader.read(&mut [0]);
                    return None;
                }
                None => (
                    400,
                    Vec::new(),
                    "the script is at its end".to_owned(),
                    false,
                ),
            };
            let mut text = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nx-github-request-id: 1\r\ncontent-length: {}\r\n",
                body.len()
            );
            for (name, value) in headers {
                text.extend([name, ": ", &value, "\r\n"]);
            }
            writer
                .write_all(format!("{text}\r\n{body}").as_bytes())
                .ok()?;
            if close {
                return None;
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        let saw = self.saw.lock().unwrap();
        saw.iter().map(|s| s.line.clone()).collect()
    }

    fn place(&self) -> Place {
        Place {
            web: self.address.clone(),
            api: format!("{}/api/v3", self.address),
            graphql: format!("{}/api/graphql", self.address),
            owner: "o".to_owned(),
            name: "r".to_owned(),
            remote: "origin".to_owned(),
            transport: Transport::Http,
            naming: Naming::This,
            notes: Vec::new(),
        }
    }
}

/// Pauses that were made, and what was told.
#[derive(Clone, Default)]
struct Waits {
    pauses: Arc<Mutex<Vec<Duration>>>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Waits {
    fn patience(&self) -> Patience {
        let (pauses, told) = (self.pauses.clone(), self.told.clone());
        Patience {
            longest: Duration::from_mins(15),
            tell: Box::new(move |text| told.lock().unwrap().push(text.to_owned())),
            pause: Box::new(move |time| {
                pauses.lock().unwrap().push(time);
                true
            }),
        }
    }

    fn seconds(&self) -> Vec<u64> {
        let pauses = self.pauses.lock().unwrap();
        pauses.iter().map(Duration::as_secs).collect()
    }
}

fn token() -> Token {
    Token::new(SECRET, Source::Variable("GITHUB_TOKEN")).unwrap()
}

fn client(steps: impl IntoIterator<Item = Step>) -> (Client, Server, Waits) {
    let server = Server::new(steps);
    let waits = Waits::default();
    let client = Client::new(&server.place(), token(), waits.patience()).unwrap();
    (client, server, waits)
}

const PULLS: &str = "/repos/o/r/pulls";

#[test]
fn a_read_says_who_asks_what() {
    let (mut client, server, _) = client([with(
        200,
        &[
            ("etag", "\"abc\""),
            ("date", "Fri, 02 Jan 2026 03:04:05 GMT"),
            ("x-oauth-scopes", "repo"),
        ],
        &json!({"number": 7}),
    )]);
    let answer = client.get("/repos/o/r/pulls/7").unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["number"], 7);
    assert_eq!(answer.etag.as_deref(), Some("\"abc\""));
    assert_eq!(answer.date.unwrap().to_string(), "2026-01-02T03:04:05Z");
    assert_eq!(answer.scopes.as_deref(), Some("repo"));
    let saw = server.saw.lock().unwrap()[0].clone();
    assert_eq!(saw.line, "GET /api/v3/repos/o/r/pulls/7");
    assert_eq!(saw.header("authorization"), [format!("Bearer {SECRET}")]);
    assert_eq!(saw.header("x-github-api-version"), ["2022-11-28"]);
    assert_eq!(saw.header("accept"), ["application/vnd.github+json"]);
    assert_eq!(saw.header("user-agent").len(), 1);
    let counts = client.counts();
    assert_eq!(
        (counts.reads, counts.changes, counts.not_modified),
        (1, 0, 0)
    );
}

#[test]
fn a_change_carries_its_body() {
    let (mut client, server, _) = client([
        json(201, &json!({"number": 1})),
        Step::Answer(204, Vec::new(), String::new()),
    ]);
    let answer = client
        .send(Method::POST, PULLS, &json!({"title": "T"}))
        .unwrap();
    assert_eq!((answer.status, &answer.body["number"]), (201, &json!(1)));
    let answer = client
        .send(Method::DELETE, "/repos/o/r/git/refs/x", &Value::Null)
        .unwrap();
    assert_eq!((answer.status, answer.body), (204, Value::Null));
    assert_eq!(server.saw.lock().unwrap()[0].body, r#"{"title":"T"}"#);
    assert_eq!(client.counts().changes, 2);
}

#[test]
fn no_change_says_a_secret() {
    let (mut client, server, _) = client([json(201, &json!({})), json(200, &json!({"data": {}}))]);
    let key = format!("sk-ant-{}", "a1B2".repeat(10));
    let said = json!({"body": format!("I found {SECRET} and {key}"), "labels": [key]});
    client.send(Method::POST, PULLS, &said).unwrap();
    client.mutate("Say", "mutation Say { x }", &said).unwrap();
    let saw = server.saw.lock().unwrap();
    let clean = r#"{"body":"I found *** and ***","labels":["***"]}"#;
    assert_eq!(saw[0].body, clean);
    let sent: Value = serde_json::from_str(&saw[1].body).unwrap();
    assert_eq!(sent["variables"].to_string(), clean);
    assert_eq!(saw[0].header("authorization"), [format!("Bearer {SECRET}")]);
}

#[test]
fn not_modified_is_no_answer() {
    let (mut client, server, _) = client([
        Step::Answer(304, vec![("etag", "\"abc\"".to_owned())], String::new()),
        Step::Answer(304, Vec::new(), String::new()),
    ]);
    let answer = client.get_if_changed(PULLS, Some("\"abc\"")).unwrap();
    assert!(answer.is_none());
    let saw = server.saw.lock().unwrap()[0].clone();
    assert_eq!(saw.header("if-none-match"), ["\"abc\""]);
    let counts = client.counts();
    assert_eq!((counts.reads, counts.not_modified), (1, 1));
    // Not asked for, it is no answer at all.
    assert!(client.get(PULLS).is_err());
}

#[test]
fn pages_follow_the_links() {
    let server = Server::new([]);
    let link = |page: u8| {
        format!(
            "<{}/api/v3/repositories/1/pulls?page={page}>; rel=\"next\"",
            server.address
        )
    };
    server.steps.lock().unwrap().extend([
        with(200, &[("link", &link(2))], &json!([1, 2])),
        with(
            200,
            &[("link", &link(3))],
            &json!({"total_count": 5, "items": [3, 4]}),
        ),
        json(200, &json!([5])),
    ]);
    let mut client = Client::new(&server.place(), token(), Patience::default()).unwrap();
    let all = client.pages("/repos/o/r/pulls?per_page=2").unwrap();
    assert_eq!(all, [json!(1), json!(2), json!(3), json!(4), json!(5)]);
    assert_eq!(
        server.lines(),
        [
            "GET /api/v3/repos/o/r/pulls?per_page=2",
            "GET /api/v3/repositories/1/pulls?page=2",
            "GET /api/v3/repositories/1/pulls?page=3",
        ]
    );
}

#[test]
fn pages_end_somewhere() {
    let server = Server::new([]);
    let own = format!("<{}/api/v3/x?page=2>; rel=\"next\"", server.address);
    server.steps.lock().unwrap().extend([
        with(200, &[("link", &own)], &json!([1])),
        with(200, &[("link", &own)], &json!([2])),
        json(200, &json!({"no": "list"})),
        with(
            200,
            &[("link", "<https://evil.example/x?page=2>; rel=\"next\"")],
            &json!([1]),
        ),
    ]);
    let mut client = Client::new(&server.place(), token(), Patience::default()).unwrap();
    let error = client.pages("/x").unwrap_err();
    assert!(error.to_string().contains("names itself"), "{error}");
    let error = client.pages("/x").unwrap_err();
    assert!(matches!(error, ApiError::Malformed { .. }), "{error}");
    let error = client.pages("/x").unwrap_err();
    assert!(matches!(error, ApiError::Elsewhere { .. }), "{error}");
    assert_eq!(server.lines().len(), 4);
}

#[test]
fn a_read_is_repeated_until_the_server_is_well() {
    let (mut client, server, waits) = client([
        Step::Cut,
        Step::Answer(200, Vec::new(), "{\"number\": ".to_owned()),
        with(503, &[("retry-after", "20")], &json!({})),
        json(200, &json!(1)),
    ]);
    assert_eq!(client.get("/x").unwrap().body, 1);
    assert_eq!(server.lines().len(), 4);
    assert_eq!(waits.seconds(), [1, 3, 20]);
    assert_eq!(client.counts().reads, 4);
}

#[test]
fn a_read_is_given_up_after_four_times() {
    let (mut client, server, waits) = client((0..9).map(|_| json(500, &json!({}))));
    let error = client.get("/x").unwrap_err();
    assert!(matches!(error, ApiError::Temporary { .. }), "{error}");
    assert!(error.is_temporary());
    assert!(error.to_string().contains("status 500"), "{error}");
    assert_eq!(server.lines().len(), 4);
    assert_eq!(waits.seconds(), [1, 3, 9]);
}

#[test]
fn a_read_without_an_answer_is_repeated() {
    let (mut client, server, _) = client([Step::Hang, json(200, &json!(1))]);
    client.wire.limit(Duration::from_millis(300));
    assert_eq!(client.get("/x").unwrap().body, 1);
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn a_change_is_never_repeated_blindly() {
    for step in [
        json(500, &json!({})),
        json(502, &json!({"message": "Server Error"})),
        with(503, &[("retry-after", "1")], &json!({})),
        Step::Answer(201, Vec::new(), "{\"number\": ".to_owned()),
        Step::Cut,
        Step::Hang,
    ] {
        let (mut client, server, waits) = client([step, json(201, &json!({}))]);
        client.wire.limit(Duration::from_millis(300));
        let error = client.send(Method::POST, PULLS, &json!({})).unwrap_err();
        assert!(matches!(error, ApiError::Unknown { .. }), "{error}");
        assert!(error.is_temporary());
        assert!(!error.nothing_happened());
        assert_eq!(server.lines(), ["POST /api/v3/repos/o/r/pulls"]);
        assert!(waits.seconds().is_empty());
    }
}

#[test]
fn what_never_left_is_sent_again() {
    // Nobody listens here: the port was given back.
    let place = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut place = Server::new([]).place();
        place.api = format!("http://{}", listener.local_addr().unwrap());
        place.graphql = format!("{}/graphql", place.api);
        place
    };
    let waits = Waits::default();
    let mut client = Client::new(&place, token(), waits.patience()).unwrap();
    let error = client.send(Method::POST, PULLS, &json!({})).unwrap_err();
    assert!(matches!(error, ApiError::Temporary { .. }), "{error}");
    assert!(error.nothing_happened());
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(waits.seconds(), [1, 3, 9]);
}

#[test]
fn a_change_does_not_use_a_connection_that_was_closed() {
    let (mut client, server, _) = client([Step::Last(200, "1".to_owned()), json(201, &json!({}))]);
    client.get("/x").unwrap();
    while server.closed.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    client.send(Method::POST, PULLS, &json!({})).unwrap();
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn limits_are_waited_for_by_reads_and_changes_alike() {
    let (mut client, server, waits) = client([
        with(
            403,
            &[("retry-after", "30")],
            &json!({"message": "You have exceeded a secondary rate limit"}),
        ),
        json(429, &json!({"message": "rate limit"})),
        json(201, &json!({})),
        with(429, &[("retry-after", "5")], &json!({})),
        json(200, &json!({})),
    ]);
    client.send(Method::POST, PULLS, &json!({})).unwrap();
    // The second time is the second strike, so two minutes, which are announced.
    assert_eq!(waits.seconds(), [30, 120]);
    client.get("/x").unwrap();
    assert_eq!(waits.seconds(), [30, 120, 5]);
    assert_eq!(server.lines().len(), 5);
    let told = waits.told.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("(2 min 00 s)"), "{told:?}");
}

/// In the time of a wait the world goes on.
#[test]
fn what_holds_at_once_alone_is_not_sent_after_a_wait() {
    let limit = with(
        403,
        &[("retry-after", "30")],
        &json!({"message": "secondary rate limit"}),
    );
    let (mut client, server, waits) = client([limit, json(201, &json!({}))]);
    let mut open = || client.send_at_once(Method::POST, PULLS, &json!({}));
    let error = open().unwrap_err();
    assert!(matches!(error, ApiError::Temporary { .. }), "{error}");
    assert!(error.nothing_happened());
    assert_eq!((server.lines().len(), waits.seconds()), (1, vec![30]));
    open().unwrap();
}

#[test]
fn a_limit_that_lasts_too_long_is_an_end() {
    let reset = (Timestamp::now().as_second() + 3000).to_string();
    let headers = [
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", reset.as_str()),
    ];
    let body = json!({"message": "API rate limit exceeded for user ID 1."});
    let (mut client, server, waits) = client([with(403, &headers, &body), json(200, &json!({}))]);
    let error = client.get("/x").unwrap_err();
    let ApiError::Limited { until } = error else {
        panic!("{error}")
    };
    assert!((until.as_second() - Timestamp::now().as_second() - 3000).abs() < 60);
    assert!(error.is_temporary());
    // Until then nothing is sent any more.
    let error = client.send(Method::POST, PULLS, &json!({})).unwrap_err();
    assert!(matches!(error, ApiError::Limited { until: again } if again == until));
    assert_eq!(server.lines().len(), 1);
    assert!(waits.seconds().is_empty());
}

#[test]
fn small_limits_do_not_add_up_for_ever() {
    let (mut client, server, waits) =
        client((0..20).map(|_| with(429, &[("retry-after", "0")], &json!({}))));
    let error = client.get("/x").unwrap_err();
    assert!(matches!(error, ApiError::Limited { .. }), "{error}");
    assert_eq!(server.lines().len(), 9);
    assert_eq!(waits.seconds(), [0; 8]);
}

#[test]
fn a_pause_can_be_interrupted() {
    let server = Server::new([with(429, &[("retry-after", "5")], &json!({}))]);
    let patience = Patience {
        pause: Box::new(|_| false),
        ..Patience::default()
    };
    let mut client = Client::new(&server.place(), token(), patience).unwrap();
    let error = client.get("/x").unwrap_err();
    assert!(matches!(error, ApiError::Interrupted), "{error}");
}

#[test]
fn a_burst_is_free_and_then_a_second_apart() {
    let (mut client, _, waits) = client((0..10).map(|_| json(200, &json!({}))));
    for _ in 0..8 {
        client.send(Method::PATCH, PULLS, &json!({})).unwrap();
    }
    assert_eq!(waits.pauses.lock().unwrap().len(), 0);
    client.send(Method::PATCH, PULLS, &json!({})).unwrap();
    client.get("/x").unwrap();
    assert_eq!(waits.pauses.lock().unwrap().len(), 1);
}
