//! Parameters: `{{ name }}` in any string of a plan or template.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior};

use super::diagnostic::{At, Diagnostic, Diagnostics, Severity, Sited, suggest};
use super::names::{NAME_SHAPE, valid_name};

/// The parameters of one plan, with which of them were used.
pub struct Params {
    values: BTreeMap<String, String>,
    used: BTreeSet<String>,
    environment: Environment<'static>,
}

impl Params {
    /// `vendor` is the plan's name unless it was given.
    #[must_use]
    pub fn new(plan: &str, given: &BTreeMap<String, String>, out: &mut Diagnostics) -> Self {
        for name in given.keys().filter(|name| !identifier(name)) {
            out.push(
                Diagnostic::whole(
                    Severity::Error,
                    "",
                    format!("`{name}` cannot be the name of a parameter"),
                )
                .help("use letters, digits and underscores, not starting with a digit"),
            );
        }
        let mut values = given.clone();
        let vendor = values
            .entry("vendor".to_owned())
            .or_insert_with(|| plan.to_owned());
        if !valid_name(vendor) {
            out.push(
                Diagnostic::whole(
                    Severity::Error,
                    "",
                    format!(
                        "`{vendor}` cannot be the parameter `vendor`: it becomes part of file names"
                    ),
                )
                .help(format!("use {NAME_SHAPE}")),
            );
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_syntax(
            SyntaxConfig::builder()
                .keep_trailing_newline(true)
                .build()
                .unwrap_or_default(),
        );
        Self {
            values,
            used: BTreeSet::new(),
            environment,
        }
    }

    /// The text with its parameters filled in; what is unknown is reported and left as it was.
    pub fn fill(&mut self, text: Sited<String>, out: &mut Diagnostics) -> Sited<String> {
        if !["{{", "{%", "{#"]
            .iter()
            .any(|mark| text.value.contains(mark))
        {
            return text;
        }
        let Sited { value, at } = text;
        let filled = self.render(&value, &at, out).unwrap_or(value);
        Sited { value: filled, at }
    }

    fn render(&mut self, text: &str, at: &At, out: &mut Diagnostics) -> Option<String> {
        let report = |out: &mut Diagnostics, error: &minijinja::Error| {
            let detail = error
                .detail()
                .map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
            out.push(
                Diagnostic::error(at, format!("`{{{{ … }}}}` cannot be filled in: {detail}"))
                    .help("put text that holds such braces between {% raw %} and {% endraw %}"),
            );
        };
        let template = match self.environment.template_from_str(text) {
            Ok(template) => template,
            Err(error) => {
                report(out, &error);
                return None;
            }
        };
        let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        names.sort();
        let mut complete = true;
        for name in names {
            if self.values.contains_key(&name) {
                self.used.insert(name);
            } else if !self.environment.globals().any(|(global, _)| global == name) {
                complete = false;
                let known: Vec<String> = self
                    .values
                    .keys()
                    .map(|known| format!("`{known}`"))
                    .collect();
                let near = suggest(&name, self.values.keys().map(String::as_str))
                    .map(|near| format!("did you mean `{near}`? "))
                    .unwrap_or_default();
                out.push(
                    Diagnostic::error(
                        &place_of(&name, at),
                        format!("there is no parameter `{name}`"),
                    )
                    .help(format!(
                        "{near}known are {}; give it with --param {name}=…",
                        known.join(", ")
                    )),
                );
            }
        }
        if !complete {
            return None;
        }
        match template.render(&self.values) {
            Ok(filled) => Some(filled),
            Err(error) => {
                report(out, &error);
                None
            }
        }
    }

    /// Warns of parameters that were given and not used.
    pub fn unused(&self, given: &BTreeMap<String, String>, out: &mut Diagnostics) {
        for name in given
            .keys()
            .filter(|name| identifier(name) && !self.used.contains(*name))
        {
            let near = suggest(name, self.used.iter().map(String::as_str));
            let warning = Diagnostic::whole(
                Severity::Warning,
                "",
                format!("nothing uses the parameter `{name}`"),
            );
            out.push(match near {
                Some(near) => warning.help(format!("did you mean `{near}`?")),
                None => warning,
            });
        }
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// Notes the parameters that a text filled in elsewhere names.
    pub fn mark_used(&mut self, text: &str) {
        for name in self
            .values
            .keys()
            .filter(|name| text.contains('{') && text.contains(*name))
        {
            self.used.insert(name.clone());
        }
    }

    /// Hands the values out, for the plan and its prompts.
    #[must_use]
    pub fn take_values(&mut self) -> BTreeMap<String, String> {
        std::mem::take(&mut self.values)
    }
}

/// Where `{{ name` stands inside a string's span, or the whole string when it cannot be told.
fn place_of(name: &str, at: &At) -> At {
    let found = at.document.text.get(at.span.clone()).and_then(|raw| {
        raw.match_indices(name)
            .map(|(index, _)| index)
            .find(|index| {
                let before = raw[..*index].trim_end();
                let after = raw[index + name.len()..].chars().next();
                before.ends_with('{') && !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
            })
    });
    match found {
        Some(index) => {
            let start = at.span.start + index;
            At {
                document: at.document.clone(),
                span: start..start + name.len(),
            }
        }
        None => at.clone(),
    }
}

fn identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
