//! A scripted model on loopback: speaks enough of the Messages API (Claude Code) and of the
//! Responses API (Codex) that the real programs run whole against it.
//!
//! It keeps no place in its script: which turn is asked for follows from the request, which carries
//! the results of the turns before. So retries and side requests do no harm, and any number of
//! agents may talk to one server.

#![allow(
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "shared by several tests"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What the model does next.
#[derive(Debug, Clone)]
pub enum Turn {
    /// Writes a file; the path is absolute.
    Write { path: String, content: String },
    /// Runs a command.
    Shell(String),
    /// Says this and ends.
    Say(String),
    /// The server answers with this HTTP status and message instead.
    Fail { status: u16, message: String },
    /// The account has used what it may, and there is more at this time, in seconds since 1970.
    Limit { until: i64 },
}

/// What a script sees of a request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Name of the model asked for.
    pub model: String,
    /// All that the user said, system prompt and tool results left out.
    pub prompt: String,
    /// How many tool results it carries, which is the number of the turn.
    pub results: usize,
    /// The last tool result.
    pub last_result: Option<String>,
    /// Names of the tools offered.
    pub tools: Vec<String>,
}

type Script = dyn Fn(&Request) -> Turn + Send + Sync;

/// The running server; ends when dropped.
pub struct Model {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
}

impl Model {
    /// A model that takes these turns one after the other and then repeats the last.
    pub fn scripted(turns: Vec<Turn>) -> Self {
        Self::start(move |request| turns[request.results.min(turns.len() - 1)].clone())
    }

    /// A model that looks at each request.
    pub fn start(script: impl Fn(&Request) -> Turn + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let model = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            over: Arc::default(),
        };
        let script: Arc<Script> = Arc::new(script);
        let (requests, over) = (Arc::clone(&model.requests), Arc::clone(&model.over));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (script, requests) = (Arc::clone(&script), Arc::clone(&requests));
                // A client that hangs up is not an error of ours.
                std::thread::spawn(move || stream.and_then(|s| answer(s, &*script, &requests)));
            }
        });
        model
    }

    /// `http://127.0.0.1:PORT`: Claude Code's `ANTHROPIC_BASE_URL`; Codex wants `/v1` after it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The extra arguments that make Codex ask this model; it takes its key from `STUB_KEY`.
    pub fn codex_arguments(&self) -> Vec<String> {
        let provider = format!(
            "model_providers.stub={{name=\"stub\",base_url=\"{}/v1\",env_key=\"STUB_KEY\",\
             wire_api=\"responses\",supports_websockets=false,request_max_retries=0,\
             stream_max_retries=0}}",
            self.url()
        );
        ["-c", "model_provider=stub", "-c", &provider]
            .map(str::to_owned)
            .to_vec()
    }

    /// What was asked so far, side requests included.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(
    stream: TcpStream,
    script: &Script,
    requests: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (target, body) = read_request(&mut reader)?;
    let path = target.split('?').next().unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let streamed = body["stream"] == true;
    let mut headers = String::new();
    let (status, kind, text) = match path {
        "POST /v1/messages" | "POST /v1/responses" => {
            let messages = path.ends_with("messages");
            let request = if messages {
                from_messages(&body)
            } else {
                from_responses(&body)
            };
            let turn = possible(script(&request), &request);
            requests.lock().unwrap().push(request.clone());
            match turn {
                Turn::Fail { status, message } => {
                    "x-should-retry: false\r\n".clone_into(&mut headers);
                    let kind = match status {
                        429 => "rate_limit_error",
                        _ => "not_found_error",
                    };
                    let error = json!({ "type": kind, "message": message });
                    let body = json!({ "type": "error", "error": error });
                    (status, "application/json", body.to_string())
                }
                Turn::Limit { until } => {
                    headers = used_up(messages, until);
                    let error = if messages {
                        json!({ "type": "rate_limit_error", "message": "The limit is reached" })
                    } else {
                        json!({ "type": "usage_limit_reached", "resets_at": until,
                                "message": "The usage limit has been reached",
                                "plan_type": "plus" })
                    };
                    let body = json!({ "type": "error", "error": error });
                    (429, "application/json", body.to_string())
                }
                turn if messages && streamed => (
                    200,
                    "text/event-stream",
                    sse(&message_events(&turn, &request)),
                ),
                turn if messages => (
                    200,
                    "application/json",
                    message(&turn, &request).to_string(),
                ),
                turn => (
                    200,
                    "text/event-stream",
                    sse(&response_events(&turn, &request)),
                ),
            }
        }
        "POST /v1/messages/count_tokens" => (
            200,
            "application/json",
            json!({ "input_tokens": 10 }).to_string(),
        ),
        "GET /v1/models" => (
            200,
            "application/json",
            json!({ "data": [], "models": [] }).to_string(),
        ),
        _ => (
            404,
            "application/json",
            json!({ "type": "error" }).to_string(),
        ),
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} Scripted\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
         {headers}connection: close\r\n\r\n{text}",
        text.len()
    )?;
    stream.flush()
}

/// The headers of an account whose window of five hours is full until then.
fn used_up(messages: bool, until: i64) -> String {
    let week = until + 300_000;
    if messages {
        format!(
            "x-should-retry: false\r\n\
             anthropic-ratelimit-unified-status: rejected\r\n\
             anthropic-ratelimit-unified-reset: {until}\r\n\
             anthropic-ratelimit-unified-representative-claim: five_hour\r\n\
             anthropic-ratelimit-unified-5h-status: rejected\r\n\
             anthropic-ratelimit-unified-5h-reset: {until}\r\n\
             anthropic-ratelimit-unified-overage-status: rejected\r\n"
        )
    } else {
        format!(
            "x-codex-plan-type: plus\r\n\
             x-codex-primary-used-percent: 100\r\n\
             x-codex-primary-window-minutes: 300\r\n\
             x-codex-primary-reset-at: {until}\r\n\
             x-codex-secondary-used-percent: 80\r\n\
             x-codex-secondary-window-minutes: 10080\r\n\
             x-codex-secondary-reset-at: {week}\r\n"
        )
    }
}

/// Method with path, and the body.
fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<(String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let target = line
        .split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ");
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        let header = header.trim().to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        chunked |= header.starts_with("transfer-encoding:") && header.ends_with("chunked");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    while chunked {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        body.extend_from_slice(&chunk[..size]);
        chunked = size > 0;
    }
    Ok((target, body))
}

/// Side requests (a title, a summary) offer no tools: they get a word instead.
fn possible(turn: Turn, request: &Request) -> Turn {
    let offered = |names: &[&str]| {
        names
            .iter()
            .any(|name| request.tools.iter().any(|t| t == name))
    };
    match turn {
        Turn::Write { .. } if !offered(&["Write", "exec_command"]) => Turn::Say("ok".into()),
        Turn::Shell(_) if !offered(&["Bash", "exec_command"]) => Turn::Say("ok".into()),
        turn => turn,
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}

fn from_messages(body: &Value) -> Request {
    let mut prompt = String::new();
    let mut results = Vec::new();
    for message in list(&body["messages"]).filter(|message| message["role"] == "user") {
        prompt.push_str(&text_of(&message["content"]));
        results.extend(
            list(&message["content"])
                .filter(|part| part["type"] == "tool_result")
                .map(|part| text_of(&part["content"])),
        );
    }
    Request {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        prompt,
        results: results.len(),
        last_result: results.pop(),
        tools: list(&body["tools"])
            .filter_map(|t| t["name"].as_str().map(str::to_owned))
            .collect(),
    }
}

fn from_responses(body: &Value) -> Request {
    let prompt = list(&body["input"])
        .filter(|item| item["role"] == "user")
        .map(|item| text_of(&item["content"]))
        .collect();
    let mut results: Vec<String> = list(&body["input"])
        .filter(|item| item["type"] == "function_call_output")
        .map(|item| text_of(&item["output"]))
        .collect();
    Request {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        prompt,
        results: results.len(),
        last_result: results.pop(),
        tools: list(&body["tools"])
            .filter_map(|t| t["name"].as_str().map(str::to_owned))
            .collect(),
    }
}

fn content(turn: &Turn, request: &Request) -> (Value, &'static str) {
    let call = |name: &str, input: Value| {
        let id = format!("toolu_{}", request.results);
        (
            json!({ "type": "tool_use", "id": id, "name": name, "input": input }),
            "tool_use",
        )
    };
    match turn {
        Turn::Write { path, content } => {
            call("Write", json!({ "file_path": path, "content": content }))
        }
        Turn::Shell(command) => call(
            "Bash",
            json!({ "command": command, "description": "Run a command" }),
        ),
        Turn::Say(text) => (json!({ "type": "text", "text": text }), "end_turn"),
        Turn::Fail { .. } | Turn::Limit { .. } => unreachable!("failures are answered before"),
    }
}

fn message(turn: &Turn, request: &Request) -> Value {
    let (content, stop) = content(turn, request);
    json!({
        "id": format!("msg_{}", request.results), "type": "message", "role": "assistant",
        "model": request.model, "content": [content], "stop_reason": stop, "stop_sequence": null,
        "usage": { "input_tokens": 1000, "output_tokens": 100 },
    })
}

fn message_events(turn: &Turn, request: &Request) -> Vec<Value> {
    let mut whole = message(turn, request);
    let content = whole["content"][0].take();
    let stop = whole["stop_reason"].take();
    whole["content"] = json!([]);
    let mut start = content.clone();
    let delta = if content["type"] == "text" {
        start["text"] = json!("");
        json!({ "type": "text_delta", "text": content["text"] })
    } else {
        start["input"] = json!({});
        json!({ "type": "input_json_delta", "partial_json": content["input"].to_string() })
    };
    vec![
        json!({ "type": "message_start", "message": whole }),
        json!({ "type": "content_block_start", "index": 0, "content_block": start }),
        json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": stop, "stop_sequence": null },
                "usage": { "output_tokens": 100 } }),
        json!({ "type": "message_stop" }),
    ]
}

fn response_events(turn: &Turn, request: &Request) -> Vec<Value> {
    let call = |command: String| {
        json!({
            "type": "function_call", "id": format!("fc_{}", request.results),
            "call_id": format!("call_{}", request.results), "name": "exec_command",
            "arguments": json!({ "cmd": command }).to_string(),
        })
    };
    let item = match turn {
        Turn::Write { path, content } => call(format!(
            "mkdir -p \"$(dirname '{path}')\" && cat > '{path}' <<'END-OF-FILE'\n{content}\nEND-OF-FILE"
        )),
        Turn::Shell(command) => call(command.clone()),
        Turn::Say(text) => json!({
            "type": "message", "role": "assistant", "id": format!("msg_{}", request.results),
            "content": [{ "type": "output_text", "text": text }],
        }),
        Turn::Fail { .. } | Turn::Limit { .. } => unreachable!("failures are answered before"),
    };
    let id = format!("resp_{}", request.results);
    vec![
        json!({ "type": "response.created", "response": { "id": id } }),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": item }),
        json!({ "type": "response.completed", "response": { "id": id, "usage": {
            "input_tokens": 1000, "input_tokens_details": { "cached_tokens": 0 },
            "output_tokens": 100, "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": 1100,
        } } }),
    ]
}

fn sse(events: &[Value]) -> String {
    let named = |event: &Value| {
        format!(
            "event: {}\ndata: {event}\n\n",
            event["type"].as_str().unwrap_or_default()
        )
    };
    events.iter().map(named).collect::<Vec<_>>().concat()
}
