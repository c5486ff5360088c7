use std::path::Path;

use crate::plan::schema;

/// Compares with the kept file; with `PERTASK_WRITE_SCHEMAS=1` writes it.
fn current(name: &str, schema: &serde_json::Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("templates/schema")
        .join(name);
    let text = schema::text(schema);
    if std::env::var_os("PERTASK_WRITE_SCHEMAS").is_some() {
        std::fs::write(&path, &text).expect("the folder can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        kept, text,
        "run the tests once with PERTASK_WRITE_SCHEMAS=1 and commit {name}"
    );
}

#[test]
fn the_kept_schemas_are_current() {
    current("plan.schema.json", &schema::plan());
    current("config.schema.json", &schema::config());
}

#[test]
fn the_schema_knows_every_key_of_a_task() {
    let schema = schema::plan();
    let task = &schema["properties"]["task"]["items"];
    assert_eq!(task["required"], serde_json::json!(["id", "file"]));
    assert_eq!(task["additionalProperties"], false);
    assert_eq!(
        task["properties"]["risk"]["enum"],
        serde_json::json!(["low", "high"])
    );
    assert_eq!(
        schema["properties"]["gate"]["anyOf"][0]["properties"]["build"]["type"],
        "array"
    );
}
