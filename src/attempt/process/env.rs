//! The environment of a process: names one may read, values nobody prints.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

/// A value that does not print: any variable may hold a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(OsString);

impl Secret {
    /// Hides `value`.
    pub fn new(value: impl Into<OsString>) -> Self {
        Self(value.into())
    }

    /// The value itself, for handing it to a process and nothing else.
    #[must_use]
    pub fn reveal(&self) -> &OsStr {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A whole environment; nothing is inherited beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Env {
    values: BTreeMap<OsString, Secret>,
}

impl Env {
    /// Sets one variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.values.insert(name.into(), Secret::new(value));
    }

    /// Takes one variable away.
    pub fn remove(&mut self, name: impl AsRef<OsStr>) {
        self.values.remove(name.as_ref());
    }

    /// One variable's value, for use and not for printing.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.values.get(name.as_ref()).map(Secret::reveal)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.values.keys().map(OsString::as_os_str)
    }

    /// Names with values, for handing them to a process.
    pub(super) fn reveal(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.reveal()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_shows_names_only() {
        let mut env = Env::default();
        env.set("ANTHROPIC_API_KEY", "sk-very-secret");
        let printed = format!("{env:?}");
        assert_eq!(printed, r#"Env { values: {"ANTHROPIC_API_KEY": …} }"#);
        assert_eq!(
            env.get("ANTHROPIC_API_KEY"),
            Some(OsStr::new("sk-very-secret"))
        );
    }
}
