//! Each behaviour against a server on a loopback address that answers by a script.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::super::place::{Naming, Transport};
use super::super::token::Source;
use super::*;

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
}

impl Server {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            steps: Arc::new(Mutex::new(steps.into_iter().collect())),
            saw: Arc::default(),
        };
        let accepting = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = accepting.clone();
                std::thread::spawn(move || server.serve(&stream));
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
                text.push_str(&format!("{name}: {value}\r\n"));
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
            longest: Duration::from_secs(15 * 60),
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
