//! What must not leave this machine: tokens and keys, taken out of texts.
//!
//! Two kinds are known, plainly or in base64, whatever stands around them there: values of this
//! process's environment that are tokens or keys by their name, passwords in addresses there, and what
//! is in an agent's login; and what looks like a key of one of the common services, wherever it came
//! from. Safe against a secret in what agents, builds and people wrote; not against somebody who changes
//! it on purpose (reversed, split, encrypted). What is known here never prints.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsString;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

mod formats;
mod traces;
mod urls;

pub use traces::Traces;
pub(crate) use urls::without_userinfo;

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// Shortest value that is taken out: shorter ones are ordinary words.
const SHORTEST: usize = 8;

/// Most that are looked for: each is searched for in every text.
const MOST: usize = 512;

/// Shortest text of a login that is taken for a token: shorter ones are names of kinds and plans.
const SHORTEST_TOKEN: usize = 16;

/// Variables that hold a token or key for the forge or an agent.
const NAMES: [&str; 12] = [
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_CUSTOM_HEADERS",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "OPENAI_API_KEY",
    "CODEX_API_KEY",
    "CARGO_REGISTRY_TOKEN",
    "NODE_AUTH_TOKEN",
];

/// Whether a variable of this name holds a secret: one of [`NAMES`], or a token of the runner's.
fn is_secret(name: &str) -> bool {
    NAMES.contains(&name) || (name.starts_with("ACTIONS_") && name.ends_with("_TOKEN"))
}

/// Whether a variable of this name can hold nothing but a secret. The names that an agent's
/// configuration adds need not: `NODE_ENV` is one as well.
fn is_certain(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let words = ["KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL", "AUTH"];
    is_secret(name) || words.iter().any(|word| upper.contains(word))
}

/// Whether a text is a token by its look: long, of one piece, and no words. No name, number, time or
/// object id of ours is.
fn is_token(text: &str) -> bool {
    let part = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=|:#".contains(&b);
    let has = |is: fn(&u8) -> bool| text.as_bytes().iter().any(is);
    text.len() >= SHORTEST_TOKEN
        && text.bytes().all(part)
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
}

/// A value with the forms in which it may be written.
#[derive(Clone, PartialEq, Eq)]
struct Known {
    name: String,
    /// [`is_certain`].
    certain: bool,
    value: String,
    forms: Vec<String>,
}

/// The secrets of this process. Does not print them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    known: Vec<Known>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.known.iter().map(|k| &k.name))
            .finish()
    }
}

impl Secrets {
    /// The secrets of an environment; `more` are the names that agents' configurations add.
    #[must_use]
    pub fn of<'e>(
        environment: impl IntoIterator<Item = &'e (OsString, OsString)>,
        more: &[String],
    ) -> Self {
        let mut secrets = Self::default();
        for (name, value) in environment {
            let (Some(name), value) = (name.to_str(), value.to_string_lossy()) else {
                continue;
            };
            let named = more.iter().any(|n| n == name);
            if is_secret(name) || named {
                secrets.add(name, &value);
            }
            let of_proxy = name.to_ascii_lowercase().ends_with("proxy");
            for password in urls::passwords(name, &value) {
                let is_word = urls::is_word(&password);
                // `postgres://postgres:password@localhost` takes no word out of texts.
                if named || of_proxy || !is_word {
                    secrets.add_as(&format!("the password in {name}"), &password, !is_word);
                }
            }
        }
        secrets
    }

    /// The secrets of this process's own environment.
    #[must_use]
    pub fn of_process(more: &[String]) -> Self {
        let environment: Vec<_> = std::env::vars_os().collect();
        Self::of(&environment, more)
    }

    /// Adds one. Those of less than eight characters are not taken: they would take ordinary words
    /// out.
    pub fn add(&mut self, name: &str, value: &str) {
        self.add_as(name, value, is_certain(name));
    }

    /// Adds every text of an agent's login that is long enough to be a token, whatever its field is
    /// called.
    pub fn add_login(&mut self, name: &str, login: &Value) {
        self.add_texts(name, login, &|text| text.len() >= SHORTEST_TOKEN);
    }

    /// Adds what an agent has made of its copy of the login: only what is a token by its look, so that
    /// it cannot have our own words taken out.
    pub fn add_renewed(&mut self, name: &str, login: &Value) {
        self.add_texts(name, login, &is_token);
    }

    fn add_texts(&mut self, name: &str, value: &Value, is: &dyn Fn(&str) -> bool) {
        match value {
            Value::String(text) if is(text.trim()) => self.add_as(name, text, true),
            Value::Array(list) => list.iter().for_each(|v| self.add_texts(name, v, is)),
            Value::Object(map) => map.values().for_each(|v| self.add_texts(name, v, is)),
            _ => {}
        }
    }

    fn add_as(&mut self, name: &str, value: &str, certain: bool) {
        let value = value.trim();
        if value.len() < SHORTEST || self.known.len() >= MOST {
            return;
        }
        if let Some(known) = self.known.iter_mut().find(|k| k.value == value) {
            known.certain |= certain;
            return;
        }
        let mut forms = BTreeSet::new();
        // A key of several lines is seldom printed whole.
        let lines = value.lines().map(str::trim).filter(|l| l.len() >= SHORTEST);
        for part in lines.chain([value]) {
            forms.insert(part.to_owned());
            forms.extend(encoded(part.as_bytes()));
        }
        self.known.push(Known {
            name: name.to_owned(),
            certain,
            value: value.to_owned(),
            forms: forms.into_iter().collect(),
        });
    }

    /// Adds those of another; returns the values that were not known before.
    pub fn join(&mut self, other: Self) -> Vec<String> {
        let mut new = Vec::new();
        for known in other.known {
            if let Some(same) = self.known.iter_mut().find(|k| k.value == known.value) {
                same.certain |= known.certain;
            } else {
                new.push(known.value.clone());
                self.known.push(known);
            }
        }
        new
    }

    /// The values themselves, for the one place that must say them: what has Actions mask them.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|k| k.value.as_str())
    }

    /// Where secrets stand in a text, with their names; sorted, none touching another.
    fn places(&self, text: &str) -> Vec<(usize, usize, &str)> {
        let mut found: Vec<(usize, usize, &str)> = Vec::new();
        for known in &self.known {
            for form in &known.forms {
                let at = text.match_indices(form.as_str());
                found.extend(at.map(|(i, _)| (i, i + form.len(), known.name.as_str())));
            }
        }
        found.extend(formats::find(text));
        found.sort_unstable();
        let mut places: Vec<(usize, usize, &str)> = Vec::new();
        for (start, end, name) in found {
            match places.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => places.push((start, end, name)),
            }
        }
        places
    }

    /// The text with every secret replaced by [`MASK`].
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let places = self.places(text);
        if places.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        for (start, end, _) in places {
            out.push_str(&text[from..start]);
            out.push_str(MASK);
            from = end;
        }
        out.push_str(&text[from..]);
        Cow::Owned(out)
    }

    /// [`Secrets::redact`] in place.
    pub fn clean(&self, text: &mut String) {
        if let Cow::Owned(clean) = self.redact(text) {
            *text = clean;
        }
    }

    /// A file with every secret taken out. Of one that is no text, only the known values are looked
    /// for.
    #[must_use]
    pub fn redact_bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        let bytes = match String::from_utf8(bytes) {
            Ok(text) => {
                return match self.redact(&text) {
                    Cow::Owned(clean) => clean.into_bytes(),
                    Cow::Borrowed(_) => text.into_bytes(),
                };
            }
            Err(e) => e.into_bytes(),
        };
        self.known
            .iter()
            .flat_map(|k| &k.forms)
            .fold(bytes, |bytes, form| without(bytes, form.as_bytes()))
    }

    /// Every text in a value, and no name of a field.
    pub fn clean_json(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.clean(text),
            Value::Array(list) => list.iter_mut().for_each(|v| self.clean_json(v)),
            Value::Object(map) => map.values_mut().for_each(|v| self.clean_json(v)),
            _ => {}
        }
    }

    /// Anything that is kept as JSON, without the secrets in its texts.
    ///
    /// # Errors
    /// When it is not read again as what it was written as, which is a defect.
    pub fn cleaned<T: Serialize + DeserializeOwned>(&self, value: &T) -> serde_json::Result<T> {
        let mut json = serde_json::to_value(value)?;
        self.clean_json(&mut json);
        serde_json::from_value(json)
    }

    /// The names of the secrets that stand in a text: of a variable, or of a service.
    #[must_use]
    pub fn found(&self, text: &str) -> Vec<String> {
        names(self.places(text))
    }

    /// A file that is code, without the values of variables that can hold nothing but a secret; with
    /// the names of those that stood in it. `None` when none does. What merely looks like a key stays:
    /// tests are full of such.
    #[must_use]
    pub fn out_of_code(&self, bytes: &[u8]) -> Option<(Vec<u8>, Vec<String>)> {
        let mut clean = bytes.to_vec();
        let mut names = BTreeSet::new();
        for known in self.known.iter().filter(|k| k.certain) {
            for form in &known.forms {
                let before = clean.len();
                clean = without(clean, form.as_bytes());
                if clean.len() != before {
                    names.insert(known.name.clone());
                }
            }
        }
        (!names.is_empty()).then(|| (clean, names.into_iter().collect()))
    }
}

fn names(places: Vec<(usize, usize, &str)>) -> Vec<String> {
    let names: BTreeSet<&str> = places.into_iter().map(|(_, _, name)| name).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// What of a value is to be seen in base64, whatever is encoded before and behind it: it begins at
/// any of three places in a group of four characters, and at both ends characters are left out that
/// hold bits of a neighbour.
fn encoded(value: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for shift in 0..3 {
        let mut bytes = vec![0; shift];
        bytes.extend_from_slice(value);
        let first = (8 * shift).div_ceil(6);
        let whole = 8 * bytes.len() / 6;
        for text in [
            STANDARD_NO_PAD.encode(&bytes),
            URL_SAFE_NO_PAD.encode(&bytes),
        ] {
            let form = &text[first..whole];
            if form.len() >= SHORTEST && !forms.iter().any(|f| f == form) {
                forms.push(form.to_owned());
            }
        }
    }
    forms
}

fn without(bytes: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    let (mut out, mut from) = (Vec::new(), 0);
    while let Some(at) = bytes[from..]
        .windows(secret.len())
        .position(|w| w == secret)
    {
        out.extend_from_slice(&bytes[from..from + at]);
        out.extend_from_slice(MASK.as_bytes());
        from += at + secret.len();
    }
    if from == 0 {
        return bytes;
    }
    out.extend_from_slice(&bytes[from..]);
    out
}

#[cfg(test)]
mod tests;
