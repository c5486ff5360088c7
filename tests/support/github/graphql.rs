//! The GraphQL interface: every query is validated against GitHub's schema, then executed.

use std::cell::RefCell;
use std::sync::OnceLock;

use apollo_compiler::resolvers::Execution;
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use serde_json::{Value, json};

use super::npm::package_file;
use super::objects::{Ctx, Node, Obj};
use super::rest::{authenticate, with_rate};
use super::serve::{Incoming, Outgoing, Shared};

fn schema() -> &'static Valid<Schema> {
    static ONCE: OnceLock<Valid<Schema>> = OnceLock::new();
    ONCE.get_or_init(|| {
        let file = package_file("@octokit/graphql-schema", "schema.graphql");
        let text = std::fs::read_to_string(file).unwrap();
        Schema::parse_and_validate(text, "schema.graphql").unwrap_or_else(|error| {
            // GitHub's own file names some fields twice; the first is taken.
            let twice = |e: &_| format!("{e}").contains("duplicate definitions");
            let others: Vec<String> = error
                .errors
                .iter()
                .filter(|e| !twice(e))
                .map(|e| e.to_string())
                .collect();
            assert!(others.is_empty(), "{}", others.join("\n"));
            Valid::assume_valid(error.partial)
        })
    })
}

/// The name of an operation for faults and the log, and whether it changes something.
pub fn name(body: &[u8]) -> (String, bool) {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let query = body["query"].as_str().unwrap_or_default();
    let chosen = body["operationName"].as_str();
    // Operations start a line or the document; names of fields do not.
    let mut found = query.lines().filter_map(|line| {
        let mut words = line
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .filter(|w| !w.is_empty());
        let kind = words
            .next()
            .filter(|w| matches!(*w, "query" | "mutation"))?;
        line.starts_with(kind)
            .then(|| (words.next().unwrap_or_default(), kind))
    });
    let first = found.find(|(name, _)| chosen.is_none_or(|c| c == *name));
    let (name, kind) = first.unwrap_or((chosen.unwrap_or_default(), "query"));
    (format!("graphql:{name}"), kind == "mutation")
}

/// Serves a request.
pub fn answer(shared: &Shared, incoming: &Incoming) -> Outgoing {
    let mut state = shared.state.lock().unwrap();
    state.sync();
    let stale = (!incoming.changes).then(|| shared.desk.lock().unwrap().stale_state());
    let mut stale = stale.flatten();
    let state = stale.as_mut().unwrap_or(&mut state);
    let refused = |status: u16, message: &str| Outgoing::json(status, &json!({"message": message}));
    let (secret, token) = match authenticate(state, incoming) {
        Err(refusal) => return refused(refusal.status, &refusal.message),
        Ok(None) => return refused(401, "This endpoint requires you to be authenticated."),
        Ok(Some(found)) => found,
    };
    let viewer = token.account;
    let now = state.now().as_second();
    let mut wrong = Vec::new();
    let spent = shared.desk.lock().unwrap().spent(&secret, "graphql", now);
    let body = if spent {
        let what = format!("API rate limit exceeded for user ID {viewer}.");
        json!({"errors": [{"type": "RATE_LIMITED", "message": what}]})
    } else if incoming.method == "POST" {
        let ctx = Ctx {
            state: RefCell::new(state),
            token,
            wrong: RefCell::default(),
        };
        let body = execute(&ctx, &incoming.body);
        wrong = ctx.wrong.into_inner();
        ctx.state.into_inner().compute_asked();
        body
    } else {
        json!({"message": "Not Found"})
    };
    let mut desk = shared.desk.lock().unwrap();
    for what in wrong {
        desk.violations.push(format!("{}: {what}", incoming.route));
    }
    let rate = desk.charge(&secret, "graphql", 1, now);
    let mut out = with_rate(Outgoing::json(200, &body), rate, "graphql");
    out.account = Some(viewer);
    out
}

fn execute(ctx: &Ctx, body: &[u8]) -> Value {
    match try_execute(ctx, body) {
        Ok(body) => body,
        Err(errors) => {
            let list = errors.iter().map(|message| json!({"message": message}));
            let body = json!({"errors": list.collect::<Vec<_>>()});
            ctx.wrong.borrow_mut().extend(errors);
            body
        }
    }
}

fn try_execute(ctx: &Ctx, body: &[u8]) -> Result<Value, Vec<String>> {
    let one = |error: String| vec![error];
    let mut body: Value = serde_json::from_slice(body)
        .map_err(|error| one(format!("the body is not JSON: {error}")))?;
    let query = body["query"]
        .as_str()
        .ok_or_else(|| one("there is no query".into()))?;
    let document = ExecutableDocument::parse_and_validate(schema(), query, "query.graphql")
        .map_err(|error| {
            error
                .errors
                .iter()
                .map(|e| e.to_string())
                .collect::<Vec<_>>()
        })?;
    let name = body["operationName"].as_str().map(str::to_owned);
    let variables = match body["variables"].take() {
        Value::Null => json!({}),
        variables => variables,
    };
    let variables: JsonMap = serde_json::from_value(variables)
        .map_err(|error| one(format!("the variables are no object: {error}")))?;
    let said = |e: apollo_compiler::request::RequestError| one(e.message().to_string());
    let execution = Execution::new(schema(), &document)
        .operation_name(name.as_deref())
        .map_err(said)?
        .raw_variable_values(&variables);
    let operation = document.operations.get(name.as_deref()).map_err(said)?;
    let root = if operation.is_mutation() {
        Node::Mutation
    } else {
        Node::Query
    };
    let done = execution.execute_sync(&Obj::new(ctx, root)).map_err(said)?;
    let mut body = json!({"data": done.data});
    let errors: Vec<Value> = done
        .errors
        .iter()
        .map(|error| {
            let mut shown = serde_json::to_value(error).unwrap();
            let said = error.message.trim_start_matches("resolver error: ");
            if let Some((kind, message)) = said.split_once('\u{1}') {
                shown["type"] = json!(kind);
                shown["message"] = json!(message);
            } else {
                ctx.wrong.borrow_mut().push(error.message.clone());
            }
            shown
        })
        .collect();
    if !errors.is_empty() {
        body["errors"] = Value::Array(errors);
    }
    Ok(body)
}
