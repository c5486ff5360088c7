//! The smallest HTTP client that the server's own tests need: one request per connection.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// Asks as one token.
#[derive(Debug, Clone)]
pub struct Client {
    address: String,
    token: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub text: String,
}

impl Reply {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// Fails the test unless the status is this one; the document.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// Fails the test unless it is this refusal; the first error's message, else the message.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        let body = self.expect(status);
        let error = &body["errors"][0];
        let field = || {
            Some(format!(
                "{} {}",
                error["field"].as_str()?,
                error["code"].as_str()?
            ))
        };
        let said = error["message"].as_str().map(str::to_owned).or_else(field);
        said.unwrap_or_else(|| body["message"].as_str().unwrap_or_default().to_owned())
    }
}

impl Client {
    /// Of a server (`http://127.0.0.1:PORT`), with a token or none.
    pub fn new(url: &str, token: Option<&str>) -> Self {
        Self {
            address: url.trim_start_matches("http://").to_owned(),
            token: token.map(str::to_owned),
        }
    }

    /// Sends a request; an error when the connection ends without an answer.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> std::io::Result<Reply> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nuser-agent: test\r\nhost: {}\r\n",
            self.address
        );
        if let Some(token) = &self.token {
            head.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = body.len();
        head.push_str(&format!(
            "content-length: {length}\r\nconnection: close\r\n\r\n"
        ));
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let Some((head, text)) = answer.split_once("\r\n\r\n") else {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        };
        let mut lines = head.lines();
        let status = lines.next().and_then(|l| l.split(' ').nth(1)?.parse().ok());
        let headers = lines.filter_map(|l| l.split_once(": "));
        Ok(Reply {
            status: status.unwrap_or_default(),
            headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            text: text.to_owned(),
        })
    }

    /// A REST request below `/api/v3`; a body that is null is not sent.
    #[track_caller]
    pub fn rest(&self, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(method, &format!("/api/v3{path}"), &[], &body)
            .unwrap()
    }

    /// A REST read.
    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.rest("GET", path, &Value::Null)
    }

    /// A REST request that makes something.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.rest("POST", path, body)
    }

    /// A GraphQL request: the whole document that came back.
    #[track_caller]
    pub fn graphql(&self, query: &str, variables: &Value) -> Value {
        let body = json!({"query": query, "variables": variables}).to_string();
        self.send("POST", "/api/graphql", &[], &body)
            .unwrap()
            .json()
    }
}
