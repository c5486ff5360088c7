//! Addresses of pages on GitHub.

use std::fmt::Write as _;

/// Where a repository's pages are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    /// Address of the repository's page, e.g. `https://github.com/o/r`.
    pub web: String,
}

impl Links {
    /// Links into the repository whose page this is.
    #[must_use]
    pub fn new(web: &str) -> Self {
        Self {
            web: web.trim_end_matches('/').to_owned(),
        }
    }

    /// The page of a run of a workflow.
    #[must_use]
    pub fn workflow_run(&self, run: u64) -> String {
        self.at("actions/runs", &run.to_string())
    }

    fn at(&self, kind: &str, rest: &str) -> String {
        format!(
            "{}/{kind}/{}",
            self.web.trim_end_matches('/'),
            encoded(rest)
        )
    }

    /// Page of a commit.
    #[must_use]
    pub fn commit(&self, oid: &str) -> String {
        self.at("commit", oid)
    }

    /// Page of a branch.
    #[must_use]
    pub fn branch(&self, name: &str) -> String {
        self.at("tree", name)
    }

    /// Page of a file at a commit.
    #[must_use]
    pub fn file(&self, commit: &str, path: &str) -> String {
        self.at("blob", &format!("{commit}/{path}"))
    }

    /// A line of a file at a commit.
    #[must_use]
    pub fn line(&self, commit: &str, path: &str, line: u32) -> String {
        format!("{}#L{line}", self.file(commit, path))
    }

    /// What `head` has that `base` has not.
    #[must_use]
    pub fn compare(&self, base: &str, head: &str) -> String {
        format!("{}...{}", self.at("compare", base), encoded(head))
    }

    /// Page of a pull request.
    #[must_use]
    pub fn pull(&self, number: u64) -> String {
        self.at("pull", &number.to_string())
    }
}

/// As part of an address: everything that is not plainly allowed is percent-encoded.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let links = Links::new("https://github.com/o/r/");
        assert_eq!(links.commit("abc"), "https://github.com/o/r/commit/abc");
        assert_eq!(
            links.line("abc", "a b/(c)#.go", 7),
            "https://github.com/o/r/blob/abc/a%20b/%28c%29%23.go#L7"
        );
        assert_eq!(
            links.compare("pertask/wiz/main", "pertask/wiz/kept/2-client-1"),
            "https://github.com/o/r/compare/pertask/wiz/main...pertask/wiz/kept/2-client-1"
        );
        assert_eq!(links.pull(7), "https://github.com/o/r/pull/7");
    }
}
