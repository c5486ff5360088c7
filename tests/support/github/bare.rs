//! A bare repository, read and written with real git; only looking up is done with libgit2.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use git2::{Oid, Repository};
use jiff::Timestamp;

/// Where a repository is.
#[derive(Debug, Clone)]
pub struct Bare {
    pub path: PathBuf,
}

/// What a merge came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeTree {
    /// The tree.
    Clean(String),
    Conflict,
}

/// A git command that sees nothing of the machine's configuration.
pub fn command(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .current_dir(dir)
        .stdin(Stdio::null());
    command
}

impl Bare {
    /// Makes an empty repository that serves what GitHub's serve.
    pub fn create(path: PathBuf, branch: &str) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        let bare = Self { path };
        bare.git(["init", "--quiet", "--bare", "-b", branch]);
        bare.configure();
        bare
    }

    /// Makes a repository with everything another has.
    pub fn copy(path: PathBuf, from: &Self) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        let bare = Self { path };
        bare.git(["clone", "--quiet", "--bare", from.text(), "."]);
        bare.configure();
        bare
    }

    fn configure(&self) {
        for (key, value) in [
            ("http.receivepack", "true"),
            ("uploadpack.allowAnySHA1InWant", "true"),
            ("uploadpack.allowFilter", "true"),
            ("transfer.fsckObjects", "true"),
            ("receive.hideRefs", "refs/pull"),
            ("receive.advertisePushOptions", "true"),
            ("core.logAllRefUpdates", "false"),
            ("gc.auto", "0"),
            ("receive.autogc", "false"),
        ] {
            self.git(["config", key, value]);
        }
        super::git::install_hook(&self.path);
    }

    /// Its path as git wants it.
    pub fn text(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Runs git in it; it must succeed.
    #[track_caller]
    pub fn git<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> String {
        self.try_git(args).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Runs git in it: what it printed, or what it said when it failed.
    pub fn try_git<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<String, String> {
        self.run(args, &[], b"")
    }

    /// Runs git with variables and input.
    pub fn run<'a>(
        &self,
        args: impl IntoIterator<Item = &'a str>,
        env: &[(&str, &str)],
        input: &[u8],
    ) -> Result<String, String> {
        let args: Vec<&str> = args.into_iter().collect();
        let mut child = command(&self.path)
            .args(&args)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).ok();
        let out = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if out.status.success() {
            Ok(text(&out.stdout))
        } else {
            let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
            Err(format!("git {}: {stderr}\n{stdout}", args.join(" ")))
        }
    }

    /// The repository for looking up.
    pub fn open(&self) -> Repository {
        Repository::open_bare(&self.path).unwrap()
    }

    /// Every branch with its commit.
    pub fn heads(&self) -> BTreeMap<String, String> {
        let repo = self.open();
        let found = repo.references_glob("refs/heads/*").unwrap();
        found
            .flatten()
            .filter_map(|one| {
                let name = one.name().ok()?.strip_prefix("refs/heads/")?.to_owned();
                Some((name, one.target()?.to_string()))
            })
            .collect()
    }

    /// Whether there is such a commit.
    pub fn has_commit(&self, sha: &str) -> bool {
        Oid::from_str(sha).is_ok_and(|oid| self.open().find_commit(oid).is_ok())
    }

    /// Whether `old` is contained in `new`.
    pub fn contains(&self, new: &str, old: &str) -> bool {
        if new == old {
            return true;
        }
        match (Oid::from_str(new), Oid::from_str(old)) {
            (Ok(new), Ok(old)) => self.open().graph_descendant_of(new, old).unwrap_or(false),
            _ => false,
        }
    }

    /// Commits of `head` that are not in `base`, oldest first.
    pub fn commits(&self, base: &str, head: &str) -> Vec<String> {
        let range = format!("{base}..{head}");
        self.try_git(["rev-list", "--reverse", "--topo-order", &range])
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Merges two commits without touching anything.
    pub fn merge_tree(&self, base: &str, head: &str) -> MergeTree {
        match self.try_git(["merge-tree", "--write-tree", "--no-messages", base, head]) {
            Ok(tree) => MergeTree::Clean(tree.lines().next().unwrap_or_default().to_owned()),
            Err(_) => MergeTree::Conflict,
        }
    }

    /// Makes a commit; people as `Name <address>`.
    pub fn commit(
        &self,
        tree: &str,
        parents: &[&str],
        message: &str,
        people: (&str, &str),
        at: Timestamp,
    ) -> String {
        let (author, committer) = (parts(people.0), parts(people.1));
        let date = format!("{} +0000", at.as_second());
        let mut args = vec!["commit-tree", tree];
        for parent in parents {
            args.extend(["-p", parent]);
        }
        let env = [
            ("GIT_AUTHOR_NAME", author.0),
            ("GIT_AUTHOR_EMAIL", author.1),
            ("GIT_AUTHOR_DATE", &date),
            ("GIT_COMMITTER_NAME", committer.0),
            ("GIT_COMMITTER_EMAIL", committer.1),
            ("GIT_COMMITTER_DATE", &date),
        ];
        self.run(args, &env, message.as_bytes()).unwrap()
    }

    /// A tree like that of `from` (nothing when `None`), with these files put in; no text: removed.
    pub fn tree_with(&self, from: Option<&str>, files: &[(&str, Option<&[u8]>)]) -> String {
        let index = self
            .path
            .join(format!("index-{:?}", std::thread::current().id()));
        let env = [("GIT_INDEX_FILE", index.to_str().unwrap())];
        let run = |args: &[&str], input: &[u8]| self.run(args.iter().copied(), &env, input);
        if let Some(from) = from {
            run(&["read-tree", from], b"").unwrap();
        } else {
            run(&["read-tree", "--empty"], b"").unwrap();
        }
        for (path, text) in files {
            if let Some(text) = text {
                let blob = run(&["hash-object", "-w", "--stdin"], text).unwrap();
                let entry = format!("100644,{blob},{path}");
                run(&["update-index", "--add", "--cacheinfo", &entry], b"").unwrap();
            } else {
                let entry = format!("0 {}\t{path}\n", "0".repeat(40));
                run(&["update-index", "--index-info"], entry.as_bytes()).unwrap();
            }
        }
        let tree = run(&["write-tree"], b"").unwrap();
        std::fs::remove_file(&index).ok();
        tree
    }

    /// Moves a ref from what it was (`None`: from wherever it is; all zeros: from nothing).
    pub fn set_ref(&self, name: &str, new: &str, old: Option<&str>) -> Result<(), String> {
        let args = ["update-ref", name, new];
        self.try_git(args.into_iter().chain(old)).map(drop)
    }

    /// A file's bytes in a commit.
    pub fn file(&self, rev: &str, path: &str) -> Option<Vec<u8>> {
        let repo = self.open();
        let object = repo.revparse_single(&format!("{rev}:{path}")).ok()?;
        Some(object.as_blob()?.content().to_vec())
    }

    /// Paths that differ between two commits.
    pub fn changed(&self, old: &str, new: &str, under: &str) -> Vec<String> {
        self.try_git(["diff", "--name-only", old, new, "--", under])
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

fn parts(person: &str) -> (&str, &str) {
    let (name, address) = person.split_once(" <").unwrap_or((person, ""));
    (name, address.trim_end_matches('>'))
}
