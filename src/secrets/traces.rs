//! Secrets found again by who does not know them: by name, length and a salted hash.
//!
//! An agent that is killed in a step of its own may have written its key where the next step finds
//! it, and that step does not get the key. What is noted here says nothing of a key that cannot be
//! guessed anyway; it is still kept where neither agents nor checks may read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{MASK, Secrets};

/// By what secrets are found again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    salt: String,
    traces: Vec<Trace>,
}

/// One form of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Trace {
    name: String,
    /// Whether it can be nothing but a secret, and so is taken out of code as well.
    certain: bool,
    /// In bytes.
    length: usize,
    /// [`Rolling`], for a quick look.
    rolling: u64,
    /// Of the salt and the form, in hexadecimal digits.
    sha256: String,
}

impl Secrets {
    /// By what these secrets can be found again. The salt need not be secret, only another each time.
    #[must_use]
    pub fn traces(&self, salt: &str) -> Traces {
        let mut traces = Vec::new();
        for known in &self.known {
            for form in &known.forms {
                traces.push(Trace {
                    name: known.name.clone(),
                    certain: known.certain,
                    length: form.len(),
                    rolling: Rolling::new(salt, form.len()).of(form.as_bytes()),
                    sha256: sha256(salt, form.as_bytes()),
                });
            }
        }
        Traces {
            salt: salt.to_owned(),
            traces,
        }
    }
}

impl Traces {
    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.traces.is_empty()
    }

    /// As [`Secrets::redact_bytes`], of what is known here.
    #[must_use]
    pub fn redact_bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        match self.without(&bytes, |_| true) {
            Some((clean, _)) => clean,
            None => bytes,
        }
    }

    /// As [`Secrets::out_of_code`], of what is known here.
    #[must_use]
    pub fn out_of_code(&self, bytes: &[u8]) -> Option<(Vec<u8>, Vec<String>)> {
        self.without(bytes, |trace| trace.certain)
    }

    fn without(
        &self,
        bytes: &[u8],
        counts: impl Fn(&Trace) -> bool,
    ) -> Option<(Vec<u8>, Vec<String>)> {
        let mut by_length: BTreeMap<usize, Vec<&Trace>> = BTreeMap::new();
        for trace in self.traces.iter().filter(|t| t.length > 0 && counts(t)) {
            by_length.entry(trace.length).or_default().push(trace);
        }
        let mut places = Vec::new();
        for (length, traces) in by_length {
            Rolling::new(&self.salt, length).each(bytes, |at, rolling| {
                let mut near = traces.iter().filter(|t| t.rolling == rolling).peekable();
                if near.peek().is_some() {
                    let hash = sha256(&self.salt, &bytes[at..at + length]);
                    let found = near.filter(|t| t.sha256 == hash);
                    places.extend(found.map(|t| (at, at + length, t.name.as_str())));
                }
            });
        }
        if places.is_empty() {
            return None;
        }
        places.sort_unstable();
        let (mut out, mut from) = (Vec::with_capacity(bytes.len()), 0);
        for (start, end, _) in &places {
            if *start >= from {
                out.extend_from_slice(&bytes[from..*start]);
                out.extend_from_slice(MASK.as_bytes());
            }
            from = from.max(*end);
        }
        out.extend_from_slice(&bytes[from..]);
        let names: BTreeSet<&str> = places.iter().map(|(.., name)| *name).collect();
        Some((out, names.into_iter().map(str::to_owned).collect()))
    }
}

fn sha256(salt: &str, bytes: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(salt.as_bytes());
    hash.update([0]);
    hash.update(bytes);
    hash.finalize().iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// A hash of a window that moves on by one byte in constant time (Karp and Rabin), so that any file
/// is looked through in one pass for each length.
struct Rolling {
    base: u64,
    /// The base to the power of the window's length, less one.
    first: u64,
    length: usize,
}

/// A prime.
const MODULUS: u64 = (1 << 61) - 1;

fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    u64::try_from(product % u128::from(MODULUS)).unwrap_or_default()
}

impl Rolling {
    fn new(salt: &str, length: usize) -> Self {
        let digest = Sha256::digest(salt.as_bytes());
        let base = digest.iter().take(7).fold(0, |n, b| n << 8 | u64::from(*b));
        let base = base.max(256);
        let first = (1..length).fold(1, |power, _| times(power, base));
        Self {
            base,
            first,
            length,
        }
    }

    fn with(&self, hash: u64, byte: u8) -> u64 {
        (times(hash, self.base) + u64::from(byte)) % MODULUS
    }

    fn of(&self, window: &[u8]) -> u64 {
        window.iter().fold(0, |hash, byte| self.with(hash, *byte))
    }

    /// Hands over every window's place and hash.
    fn each(&self, bytes: &[u8], mut look: impl FnMut(usize, u64)) {
        let Some(window) = bytes.get(..self.length) else {
            return;
        };
        let mut hash = self.of(window);
        look(0, hash);
        for (at, byte) in bytes[self.length..].iter().enumerate() {
            let gone = times(u64::from(bytes[at]), self.first);
            hash = self.with((hash + MODULUS - gone) % MODULUS, *byte);
            look(at + 1, hash);
        }
    }
}
