//! JSON Schemas of `plan.toml` and `config.toml`, made of the tables the reader itself uses, so
//! that the two cannot disagree. They are kept in `templates/schema/`.

use serde_json::{Map, Value, json};

use super::config::CONFIG;
use super::draft::PLAN;
use super::reader::{Key, Kind};

/// The schema of `plan.toml` and of templates.
#[must_use]
pub fn plan() -> Value {
    document("plan.toml of git-pertask", PLAN)
}

/// The schema of `.pertask/config.toml`.
#[must_use]
pub fn config() -> Value {
    document(".pertask/config.toml of git-pertask", CONFIG)
}

/// A schema as it is kept: indented, one line break at the end.
#[must_use]
pub fn text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

fn document(title: &str, keys: &'static [Key]) -> Value {
    let mut schema = Map::new();
    schema.insert(
        "$schema".to_owned(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    schema.insert("title".to_owned(), json!(title));
    if let Value::Object(table) = table(keys) {
        schema.extend(table);
    }
    Value::Object(schema)
}

fn table(keys: &'static [Key]) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| {
            let mut schema = kind(&key.kind);
            if let Value::Object(schema) = &mut schema {
                schema.insert("description".to_owned(), json!(key.about));
            }
            (key.name.to_owned(), schema)
        })
        .collect();
    let required: Vec<&str> = keys
        .iter()
        .filter(|key| matches!(key.kind, Kind::Required))
        .map(|key| key.name)
        .collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if let (Value::Object(schema), false) = (&mut schema, required.is_empty()) {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

fn kind(kind: &Kind) -> Value {
    let command = json!({
        "type": "array",
        "items": { "type": "string" },
        "minItems": 1,
    });
    match kind {
        Kind::Text | Kind::Required => json!({ "type": "string" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Count => json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX }),
        Kind::Money => json!({ "type": "number", "exclusiveMinimum": 0 }),
        Kind::Duration => json!({ "type": "string", "examples": ["90s", "10m", "1h 30m"] }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Command => command,
        Kind::Commands => json!({ "type": "array", "items": command }),
        Kind::Choice(words) => json!({ "type": "string", "enum": words }),
        Kind::Table(keys) => table(keys),
        Kind::Tables(keys) => json!({ "type": "array", "items": table(keys) }),
        Kind::TableOrTables(one, many) => json!({
            "anyOf": [table(one), { "type": "array", "items": table(many) }],
        }),
        Kind::Named(keys) => json!({ "type": "object", "additionalProperties": table(keys) }),
    }
}
