//! Looks for secrets in everything that a run has left: files, git's objects, packs in bundles.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What is looked for, and where it was found.
pub struct Search {
    /// The forms that a secret may have.
    forms: Vec<Vec<u8>>,
    /// A repository that has what packs in bundles build on.
    base: std::path::PathBuf,
    found: Vec<String>,
    /// Number of files and of repositories that were looked through.
    pub seen: (usize, usize),
}

impl Search {
    /// For these secrets, as they are and as git and HTTP write them.
    pub fn new(secrets: &[String], base: &Path) -> Self {
        let forms = secrets.iter().flat_map(|secret| {
            assert!(secret.len() >= 12, "{secret} may be anywhere by chance");
            let login = STANDARD.encode(format!("x-access-token:{secret}"));
            [secret.clone(), STANDARD.encode(secret), login]
        });
        Self {
            forms: forms.map(String::into_bytes).collect(),
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
        if self.forms.iter().any(|form| contains(bytes, form)) {
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
                if contains(&bytes, b" git bundle\n") {
                    self.bundle(&path, &bytes);
                }
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

    /// The pack in a bundle, which may be in an archive.
    fn bundle(&mut self, path: &Path, bytes: &[u8]) {
        let starts = bytes.windows(8).enumerate();
        let starts = starts.filter(|(_, window)| window == b"PACK\0\0\0\x02");
        for (start, _) in starts {
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

fn contains(bytes: &[u8], form: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == form[0]) {
        rest = &rest[at..];
        if rest.starts_with(form) {
            return true;
        }
        rest = &rest[1..];
    }
    false
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
