//! What GitHub says instead of doing it.

use serde_json::{Value, json};

/// Longest text GitHub keeps.
pub const LONGEST: usize = 65_536;

/// What GitHub answers instead of doing it.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: u16,
    pub message: String,
    /// Entries of `errors`.
    pub errors: Vec<Value>,
}

impl Refusal {
    /// With a message alone.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: Vec::new(),
        }
    }

    /// 422 with one error of the kind `custom`.
    pub fn invalid(resource: &str, message: impl Into<String>) -> Self {
        let error = json!({"resource": resource, "code": "custom", "message": message.into()});
        Self {
            status: 422,
            message: "Validation Failed".into(),
            errors: vec![error],
        }
    }

    /// 422 with one error that names a field.
    pub fn field(resource: &str, field: &str, code: &str) -> Self {
        let error = json!({"resource": resource, "field": field, "code": code});
        Self {
            status: 422,
            message: "Validation Failed".into(),
            errors: vec![error],
        }
    }

    /// 404.
    pub fn missing() -> Self {
        Self::new(404, "Not Found")
    }

    /// Everything it says, in one line.
    pub fn text(&self) -> String {
        let mut text = format!("{} {}", self.status, self.message);
        for error in &self.errors {
            let said = error["message"].as_str().map_or_else(
                || format!("{} {}", error["field"], error["code"]).replace('"', ""),
                str::to_owned,
            );
            text.push_str(": ");
            text.push_str(&said);
        }
        text
    }
}

/// Refuses a text that is too long.
pub fn check_body(resource: &str, body: Option<&str>) -> Result<(), Refusal> {
    if body.is_some_and(|b| b.chars().count() > LONGEST) {
        let mut refusal =
            Refusal::invalid(resource, "body is too long (maximum is 65536 characters)");
        refusal.errors[0]["field"] = json!("body");
        return Err(refusal);
    }
    Ok(())
}
