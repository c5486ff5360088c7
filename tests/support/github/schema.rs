//! Holds REST requests and answers against GitHub's description.
//!
//! The description has 13 MB and is read once per process; of its schemas only those that a route
//! needs are compiled, once per process too.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use super::npm::package_file;
use super::rest::Route;

type Compiled = HashMap<String, Option<Arc<Validator>>>;

struct Description {
    paths: Value,
    components: Value,
    compiled: Mutex<Compiled>,
}

fn description() -> &'static Description {
    static ONCE: OnceLock<Description> = OnceLock::new();
    ONCE.get_or_init(|| {
        let file = package_file("@octokit/openapi", "generated/api.github.com.json");
        let text = std::fs::read(file).unwrap();
        let mut all: Value = serde_json::from_slice(&text).unwrap();
        let mut components = all["components"].take();
        relax(&mut components);
        Description {
            paths: all["paths"].take(),
            components,
            compiled: Mutex::default(),
        }
    })
}

/// Where GitHub is known to answer otherwise than it says: remarks that are outdated or on a file
/// have no line.
fn relax(components: &mut Value) {
    let remark = &mut components["schemas"]["pull-request-review-comment"]["properties"];
    for field in ["line", "original_line", "position"] {
        remark[field]["nullable"] = json!(true);
    }
}

impl Description {
    fn operation(&self, route: &Route) -> Option<&Value> {
        self.paths
            .get(route.template)?
            .get(route.method.to_lowercase())
    }

    /// Follows a reference to a component.
    fn follow<'a>(&'a self, value: &'a Value) -> &'a Value {
        let path = value["$ref"]
            .as_str()
            .and_then(|r| r.strip_prefix("#/components"));
        path.map_or(value, |path| self.components.pointer(path).unwrap())
    }

    fn check(&self, name: &str, schema: &Value, value: &Value) -> Vec<String> {
        let validator = self.validator(name, schema);
        let errors = validator.iter_errors(value).take(5);
        errors
            .map(|error| {
                let mut said = error.to_string();
                if said.len() > 400 {
                    let end = (0..=400).rev().find(|i| said.is_char_boundary(*i)).unwrap();
                    said.truncate(end);
                }
                format!("{name}: {}: {said}", error.instance_path())
            })
            .collect()
    }

    fn validator(&self, name: &str, schema: &Value) -> Arc<Validator> {
        let mut compiled = self.compiled.lock().unwrap();
        let slot = compiled.entry(name.to_owned()).or_default();
        let validator = slot.get_or_insert_with(|| {
            let mut needed = BTreeSet::new();
            self.collect(schema, &mut needed);
            let mut schemas = Map::new();
            for name in needed {
                let mut one = self.components["schemas"][&name].clone();
                modern(&mut one);
                schemas.insert(name, one);
            }
            let mut schema = schema.clone();
            modern(&mut schema);
            let whole = json!({"components": {"schemas": schemas}, "allOf": [schema]});
            let built = jsonschema::options()
                .with_draft(Draft::Draft202012)
                .should_validate_formats(true)
                .build(&whole);
            Arc::new(built.unwrap_or_else(|error| panic!("{name}: {error}")))
        });
        Arc::clone(validator)
    }

    /// Names of all schemas that one leads to.
    fn collect(&self, schema: &Value, needed: &mut BTreeSet<String>) {
        match schema {
            Value::Object(map) => {
                let name = map.get("$ref").and_then(Value::as_str);
                if let Some(name) = name.and_then(|r| r.strip_prefix("#/components/schemas/"))
                    && needed.insert(name.to_owned())
                {
                    self.collect(&self.components["schemas"][name], needed);
                }
                map.values().for_each(|v| self.collect(v, needed));
            }
            Value::Array(list) => list.iter().for_each(|v| self.collect(v, needed)),
            _ => {}
        }
    }
}

/// From the schemas of `OpenAPI` 3.0 to JSON Schema: `nullable` becomes a type.
fn modern(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(modern),
        Value::Object(map) => {
            map.values_mut().for_each(modern);
            map.retain(|key, value| {
                !(value.is_boolean() && key.starts_with("exclusive")) && key != "discriminator"
            });
            if map.get("nullable") != Some(&json!(true)) {
                return;
            }
            map.remove("nullable");
            if let Some(Value::Array(list)) = map.get_mut("enum") {
                list.push(Value::Null);
            }
            if let Some(Value::String(kind)) = map.get("type") {
                let both = json!([kind, "null"]);
                map.insert("type".into(), both);
            }
            if ["$ref", "allOf", "anyOf", "oneOf"]
                .iter()
                .any(|k| map.contains_key(*k))
            {
                let inner = std::mem::take(map);
                map.insert("anyOf".into(), json!([inner, {"type": "null"}]));
            }
        }
        _ => {}
    }
}

/// A text of a path or query as the kind of value that its schema names.
fn typed(schema: &Value, text: &str) -> Value {
    match schema["type"].as_str() {
        Some("integer") => text.parse::<i64>().map_or(json!(text), |n| json!(n)),
        Some("boolean") => text.parse::<bool>().map_or(json!(text), |b| json!(b)),
        _ => json!(text),
    }
}

/// What is wrong with a request.
pub fn request(
    route: &Route,
    params: &[(&'static str, String)],
    query: &[(String, String)],
    body: &Value,
) -> Vec<String> {
    let all = description();
    let Some(operation) = all.operation(route) else {
        return vec!["GitHub's description has no such route".into()];
    };
    let mut wrong = Vec::new();
    let known: Vec<&Value> = operation["parameters"]
        .as_array()
        .map(|list| list.iter().map(|p| all.follow(p)).collect())
        .unwrap_or_default();
    let path = params.iter().map(|(name, value)| ("path", *name, value));
    let query = query
        .iter()
        .map(|(name, value)| ("query", name.as_str(), value));
    for (place, name, value) in path.chain(query) {
        let found = known.iter().find(|p| p["in"] == place && p["name"] == name);
        let Some(parameter) = found else {
            wrong.push(format!("there is no {place} parameter {name}"));
            continue;
        };
        let value = typed(&parameter["schema"], value);
        let label = format!("{} {} {place} {name}", route.method, route.template);
        wrong.extend(all.check(&label, &parameter["schema"], &value));
    }
    let wanted = &operation["requestBody"];
    let schema = &wanted["content"]["application/json"]["schema"];
    if schema.is_null() {
        if !body.is_null() {
            wrong.push("the route takes no body".into());
        }
    } else if body.is_null() {
        if wanted["required"] == true && schema["nullable"] != true {
            wrong.push("the body is missing".into());
        }
    } else {
        let label = format!("{} {} body", route.method, route.template);
        wrong.extend(all.check(&label, schema, body));
        // GitHub passes over what it does not know; whoever sends it means something by it.
        if let (Some(fields), Some(given)) = (schema["properties"].as_object(), body.as_object()) {
            let unknown = given.keys().filter(|key| !fields.contains_key(*key));
            wrong.extend(unknown.map(|key| format!("the body has no field {key}")));
        }
    }
    wrong
}

/// What is wrong with an answer.
pub fn response(route: &Route, status: u16, body: Option<&Value>) -> Vec<String> {
    let all = description();
    let Some(operation) = all.operation(route) else {
        return Vec::new();
    };
    let described = &operation["responses"][status.to_string()];
    if described.is_null() {
        // Errors that every route may answer with are not listed at each.
        let said = body.is_some_and(|b| b["message"].is_string());
        return if status >= 300 && said {
            Vec::new()
        } else {
            vec![format!("GitHub does not answer with {status}")]
        };
    }
    let described = all.follow(described);
    let schema = &described["content"]["application/json"]["schema"];
    let label = format!("{} {} answer {status}", route.method, route.template);
    match (schema.is_null(), body) {
        (false, Some(body)) => all.check(&label, schema, body),
        (false, None) => vec![format!("{label}: there is no body")],
        (true, Some(_)) if status < 300 => vec![format!("{label}: there should be no body")],
        (true, _) => Vec::new(),
    }
}
