//! Words that nobody can guess.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};

use sha2::{Digest as _, Sha256};

/// Hands out words of 32 hexadecimal digits, each another. They are made from 32 bytes that the
/// system gave, so one that was printed says nothing of the next.
pub struct Words {
    seed: [u8; 32],
    given: u64,
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Words")
    }
}

impl Words {
    /// A source of its own.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new() -> io::Result<Self> {
        let mut seed = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut seed)?;
        Ok(Self { seed, given: 0 })
    }

    /// The same words every time, for tests.
    #[cfg(test)]
    pub(super) fn known() -> Self {
        Self {
            seed: [7; 32],
            given: 0,
        }
    }

    /// The next word.
    pub fn give(&mut self) -> String {
        self.given += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.given.to_be_bytes());
        let hash = hash.finalize();
        hash.iter().take(16).fold(String::new(), |mut word, b| {
            let _ = write!(word, "{b:02x}");
            word
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_given_twice() {
        let mut all = std::collections::BTreeSet::new();
        for _ in 0..3 {
            let mut words = Words::new().unwrap();
            for _ in 0..100 {
                let word = words.give();
                assert!(word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit()));
                assert!(all.insert(word));
            }
        }
    }
}
