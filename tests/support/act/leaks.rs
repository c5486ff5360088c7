//! Looks for secrets in everything that a run has left: files, git's objects, packs in bundles.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What is looked for, and where it was found.
pub struct Search {
    /// The forms that a secret may have, by how they begin.
    forms: HashMap<[u8; 4], Vec<Vec<u8>>>,
    /// Whether one begins with this byte.
    first: [bool; 256],
    /// A repository that has what packs in bundles build on.
    base: std::path::PathBuf,
    found: Vec<String>,
    /// Number of files and of repositories that were looked through.
    pub seen: (usize, usize),
}

impl Search {
    /// For these secrets, as they are and as git and HTTP write them.
    pub fn new(secrets: &[String], base: &Path) -> Self {
        let mut forms: HashMap<[u8; 4], Vec<Vec<u8>>> = HashMap::new();
        let mut first = [false; 256];
        for secret in secrets {
            assert!(secret.len() >= 12, "{secret} may be anywhere by chance");
            let login = STANDARD.encode(format!("x-access-token:{secret}"));
            for form in [secret.clone(), STANDARD.encode(secret), login] {
                let form = form.into_bytes();
                first[usize::from(form[0])] = true;
                forms
                    .entry(form[..4].try_into().unwrap())
                    .or_default()
                    .push(form);
            }
        }
        Self {
            forms,
            first,
            base: base.to_owned(),
            found: Vec::new(),
            seen: (0, 0),
        }
    }

    /// Where secrets were found.
    pub fn found(self) -> Vec<String> {
        self.found
    }

    /// Looks through some bytes.
    pub fn bytes(&mut self, place: &str, bytes: &[u8]) {
        let begins = |at: &usize| self.first[usize::from(bytes[*at])];
        let is_one = |at: usize| {
            let key = bytes[at..].first_chunk::<4>();
            let forms = key
                .and_then(|key| self.forms.get(key))
                .into_iter()
                .flatten();
            forms.into_iter().any(|form| bytes[at..].starts_with(form))
        };
        if (0..bytes.len()).filter(begins).any(is_one) {
            self.found.push(place.to_owned());
        }
    }

    /// Looks through a folder and the repositories in it. Names in `except` are not looked at.
    pub fn folder(&mut self, folder: &Path, except: &[&str]) {
        if folder.join("objects").is_dir() && folder.join("HEAD").is_file() {
            self.objects(folder);
        }
        let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        for entry in entries {
            let entry = entry.unwrap();
            let path = entry.path();
            if except.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            let kind = entry.file_type().unwrap();
            self.bytes(
                &format!("name of {}", path.display()),
                entry.file_name().as_encoded_bytes(),
            );
            if kind.is_dir() {
                self.folder(&path, except);
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                self.bytes(
                    &path.display().to_string(),
                    target.as_os_str().as_encoded_bytes(),
                );
            } else if kind.is_file() {
                let bytes = fs::read(&path).unwrap();
                self.seen.0 += 1;
                self.bytes(&path.display().to_string(), &bytes);
                self.bundles(&path, &bytes);
            }
        }
    }

    /// Every object of a repository, in a pack or not, reachable or not.
    fn objects(&mut self, repository: &Path) {
        let all = git(
            repository,
            &["cat-file", "--batch-all-objects", "--batch"],
            &[],
        );
        self.seen.1 += 1;
        self.bytes(&format!("objects of {}", repository.display()), &all);
    }

    /// Packs in bundles, which may be in an archive.
    fn bundles(&mut self, path: &Path, bytes: &[u8]) {
        let starts = (0..bytes.len()).filter(|at| bytes[*at] == b'P');
        let starts = starts.filter(|at| bytes[*at..].starts_with(b"PACK\0\0\0\x02"));
        // A pack without a bundle's last line before it is one of a repository.
        for start in starts.filter(|at| *at > 2 && bytes[..*at].ends_with(b"\n\n")) {
            let scratch = tempfile::tempdir().unwrap();
            git(scratch.path(), &["init", "--quiet", "--bare", "."], &[]);
            let alternates = scratch.path().join("objects/info/alternates");
            let objects = self.base.join("objects");
            fs::write(alternates, format!("{}\n", objects.display())).unwrap();
            let unpack = ["index-pack", "--stdin", "--fix-thin"];
            git(scratch.path(), &unpack, &bytes[start..]);
            let all = ["cat-file", "--batch-all-objects", "--batch"];
            let all = git(scratch.path(), &all, &[]);
            self.seen.1 += 1;
            self.bytes(&format!("bundle in {}", path.display()), &all);
        }
    }
}

fn git(folder: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut git = Command::new("git")
        .args(["-c", "safe.directory=*", "--git-dir"])
        .arg(folder)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // A copy of a repository may have objects elsewhere, where they are no more.
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = git.stdin.take().unwrap();
    let input = input.to_owned();
    // Who does not read to the end has what it wants.
    let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let out = git.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(out.status.success(), "git {args:?} in {}", folder.display());
    out.stdout
}
