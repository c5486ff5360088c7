//! JSON Schemas of what passes between the three steps, kept in `templates/schema/`: the order that an
//! attempt carries out, the result that it hands on, and what `ci decide` and `ci publish` answer.

use schemars::{JsonSchema, Schema, schema_for};

use crate::driver::Handed;
use crate::run::order::{AttemptResult, Order};

/// Version of what `ci decide` and `ci publish` print.
pub const ANSWERS: u32 = 1;

/// What `ci decide` prints on stdout.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Decided {
    /// Version of this format.
    pub schema: u32,
    /// The runs that were looked at.
    pub runs: Vec<Standing>,
    /// The orders that are ready, as `matrix.include` takes them.
    pub orders: Vec<Handed>,
}

impl Default for Decided {
    fn default() -> Self {
        Self {
            schema: ANSWERS,
            runs: Vec::new(),
            orders: Vec::new(),
        }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Standing {
    /// The run.
    pub run: String,
    /// `running`, `waiting`, `failed`, `complete` or `aborted`.
    pub state: String,
    /// Address of the pull request that a person is asked about.
    pub pull_request: Option<String>,
}

/// What `ci publish` prints on stdout.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, JsonSchema)]
pub struct Published {
    /// Version of this format.
    pub schema: u32,
    /// Where the run stands.
    #[serde(flatten)]
    pub standing: Standing,
}

/// Each schema with the name of its file.
#[must_use]
pub fn all() -> [(&'static str, Schema); 4] {
    [
        ("order.schema.json", schema_for!(Order)),
        ("result.schema.json", schema_for!(AttemptResult)),
        ("decided.schema.json", schema_for!(Decided)),
        ("published.schema.json", schema_for!(Published)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_schemas_are_current() {
        for (name, schema) in all() {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("templates/schema")
                .join(name);
            let text = crate::plan::schema::text(schema.as_value());
            if std::env::var_os("PERTASK_WRITE_SCHEMAS").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                kept == text,
                "{name} is not current; PERTASK_WRITE_SCHEMAS=1 writes it"
            );
        }
    }
}
