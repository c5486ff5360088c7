//! A bare repository. Merging, diffs and what clients do is real git; looking up and writing single
//! objects is libgit2, which starts no program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use git2::{Oid, Repository, Sort};
use jiff::Timestamp;

/// Where a repository is.
#[derive(Debug, Clone)]
pub struct Bare {
    pub path: PathBuf,
    merges: Arc<Mutex<Merges>>,
    diffs: Arc<Mutex<BTreeMap<String, String>>>,
}

/// What merging two commits gave, which never changes.
type Merges = BTreeMap<(String, String), MergeTree>;

/// What GitHub's repositories allow.
const CONFIG: &str = "\
[http]
\treceivepack = true
[uploadpack]
\tallowAnySHA1InWant = true
\tallowFilter = true
[transfer]
\tfsckObjects = true
[receive]
\thideRefs = refs/pull
\tadvertisePushOptions = true
\tautogc = false
[gc]
\tauto = 0
";

/// What a merge came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeTree {
    /// The tree.
    Clean(String),
    Conflict,
}

/// Where git is. A program named by its path is started without copying this process's memory map
/// first, which is large.
fn git_program() -> &'static Path {
    static GIT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    GIT.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut places = std::env::split_paths(&path).map(|folder| folder.join("git"));
        places.find(|p| p.is_file()).unwrap_or_else(|| "git".into())
    })
}

/// A git command that sees nothing of the machine's configuration.
pub fn command(dir: &Path) -> Command {
    let mut command = Command::new(git_program());
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
        let mut options = git2::RepositoryInitOptions::new();
        options
            .bare(true)
            .mkpath(true)
            .external_template(false)
            .initial_head(branch);
        Repository::init_opts(&path, &options).unwrap();
        Self::configured(path)
    }

    /// Makes a repository with everything another has.
    pub fn copy(path: PathBuf, from: &Self) -> Self {
        let out = command(from.path.parent().unwrap())
            .args(["clone", "--quiet", "--bare"])
            .args([&from.path, &path])
            .status();
        assert!(out.unwrap().success(), "git clone failed");
        Self::configured(path)
    }

    fn configured(path: PathBuf) -> Self {
        let file = path.join("config");
        let mut config = std::fs::read_to_string(&file).unwrap();
        config.push_str(CONFIG);
        std::fs::write(file, config).unwrap();
        super::git::install_hook(&path);
        Self {
            path,
            merges: Arc::default(),
            diffs: Arc::default(),
        }
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
        let args: Vec<&str> = args.into_iter().collect();
        let out = command(&self.path).args(&args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if out.status.success() {
            Ok(text(&out.stdout))
        } else {
            let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
            Err(format!("git {}: {stderr}\n{stdout}", args.join(" ")))
        }
    }

    /// What `git diff` says of two commits, which never changes; nothing where one is missing.
    pub fn diff(&self, args: &[&str]) -> String {
        let key = args.join("\n");
        if let Some(known) = self.diffs.lock().unwrap().get(&key) {
            return known.clone();
        }
        let all = ["diff", "--no-color"]
            .into_iter()
            .chain(args.iter().copied());
        let Ok(said) = self.try_git(all) else {
            return String::new();
        };
        self.diffs.lock().unwrap().insert(key, said.clone());
        said
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
        let repo = self.open();
        let walk = || {
            let mut walk = repo.revwalk()?;
            walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
            walk.push(Oid::from_str(head)?)?;
            walk.hide(Oid::from_str(base)?)?;
            let found = walk.map(|oid| oid.map(|oid| oid.to_string()));
            found.collect::<Result<Vec<String>, git2::Error>>()
        };
        walk().unwrap_or_default()
    }

    /// Files changed, lines added, lines removed since the two parted.
    pub fn stat(&self, base: &str, head: &str) -> (usize, usize, usize) {
        let repo = self.open();
        let stat = || {
            let (base, head) = (Oid::from_str(base)?, Oid::from_str(head)?);
            let old = repo.find_commit(repo.merge_base(base, head)?)?.tree()?;
            let new = repo.find_commit(head)?.tree()?;
            let stats = repo
                .diff_tree_to_tree(Some(&old), Some(&new), None)?
                .stats()?;
            let found = (stats.files_changed(), stats.insertions(), stats.deletions());
            Ok::<_, git2::Error>(found)
        };
        stat().unwrap_or((0, 0, 0))
    }

    /// Merges two commits without touching anything.
    pub fn merge_tree(&self, base: &str, head: &str) -> MergeTree {
        let pair = (base.to_owned(), head.to_owned());
        if let Some(known) = self.merges.lock().unwrap().get(&pair) {
            return known.clone();
        }
        let merged = match self.try_git(["merge-tree", "--write-tree", "--no-messages", base, head])
        {
            Ok(tree) => MergeTree::Clean(tree.lines().next().unwrap_or_default().to_owned()),
            Err(_) => MergeTree::Conflict,
        };
        self.merges.lock().unwrap().insert(pair, merged.clone());
        merged
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
        let repo = self.open();
        let find = |sha: &&str| repo.find_commit(Oid::from_str(sha).unwrap()).unwrap();
        let parents: Vec<git2::Commit<'_>> = parents.iter().map(find).collect();
        let person = |person: &str| {
            let (name, address) = person.split_once(" <").unwrap();
            let when = git2::Time::new(at.as_second(), 0);
            git2::Signature::new(name, address.trim_end_matches('>'), &when).unwrap()
        };
        let message = format!("{}\n", message.trim_end_matches('\n'));
        let tree = repo.find_tree(Oid::from_str(tree).unwrap()).unwrap();
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        let (author, committer) = (person(people.0), person(people.1));
        let made = repo.commit(None, &author, &committer, &message, &tree, &parents);
        made.unwrap().to_string()
    }

    /// A tree like that of `from` (nothing when `None`), with these files put in; no text: removed.
    pub fn tree_with(&self, from: Option<&str>, files: &[(&str, Option<&[u8]>)]) -> String {
        let repo = self.open();
        let old = match from {
            Some(from) => repo
                .find_commit(Oid::from_str(from).unwrap())
                .unwrap()
                .tree_id(),
            None => repo.treebuilder(None).unwrap().write().unwrap(),
        };
        let mut update = git2::build::TreeUpdateBuilder::new();
        for (path, text) in files {
            match text {
                Some(text) => update.upsert(*path, repo.blob(text).unwrap(), git2::FileMode::Blob),
                None => update.remove(*path),
            };
        }
        let old = repo.find_tree(old).unwrap();
        update.create_updated(&repo, &old).unwrap().to_string()
    }

    /// Moves a ref from what it was; `None`: from wherever it is.
    pub fn set_ref(&self, name: &str, new: &str, old: Option<&str>) -> Result<(), String> {
        if let Some(old) = old {
            return self.try_git(["update-ref", name, new, old]).map(drop);
        }
        let repo = self.open();
        let done = Oid::from_str(new).and_then(|new| repo.reference(name, new, true, "").map(drop));
        done.map_err(|error| error.message().to_owned())
    }

    /// A file's bytes in a commit.
    pub fn file(&self, rev: &str, path: &str) -> Option<Vec<u8>> {
        let repo = self.open();
        let object = repo.revparse_single(&format!("{rev}:{path}")).ok()?;
        Some(object.as_blob()?.content().to_vec())
    }
}
