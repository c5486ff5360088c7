//! What a person sees when a document is right, and when it is not.

mod any_input;
mod architecture;
mod config;
mod mode;
mod order;
mod placement;
mod plan_toml;
mod schema;

use std::collections::BTreeMap;

use super::{Config, Loaded, RULES, load};

/// Documents in memory.
pub(super) fn docs(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect()
}

/// The parameters of a test.
pub(super) fn params(given: &[(&str, &str)]) -> BTreeMap<String, String> {
    docs(given)
}

/// Loads the plan `wiz` of a `plan.toml` alone.
fn load_toml(text: &str) -> Result<Loaded, String> {
    load_docs(&[(".pertask/wiz/plan.toml", text)])
}

/// Loads the plan `wiz` from documents; errors as a person sees them.
fn load_docs(files: &[(&str, &str)]) -> Result<Loaded, String> {
    load(
        "wiz",
        &docs(files),
        &Config::default(),
        &BTreeMap::new(),
        &RULES,
    )
    .map_err(|found| found.to_string())
}

/// The errors of a `plan.toml`, as a person sees them.
fn errors(text: &str) -> String {
    load_toml(text).expect_err("the plan has errors")
}

/// Loads the plan `wiz` with another template configured.
fn template(name: &str, files: &[(&str, &str)]) -> Result<Loaded, String> {
    let config = Config {
        template: name.to_owned(),
        ..Config::default()
    };
    load("wiz", &docs(files), &config, &BTreeMap::new(), &RULES).map_err(|found| found.to_string())
}
