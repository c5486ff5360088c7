//! What a look finds is compared with what git's own `add -A` makes of the same files.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use super::*;

struct Place {
    dir: tempfile::TempDir,
    repo: Repo,
    worktree: Worktree,
}

const FILES: &[(&str, &str)] = &[
    (".gitignore", "*.log\n/out/\n"),
    ("a/one.txt", "one\n"),
    ("a/two.txt", "two\n"),
    ("a/deep/er/three.txt", "three\n"),
    ("b/four.txt", "four\n"),
    ("b/kept.log", "tracked although ignored\n"),
    ("run.sh", "#!/bin/sh\n"),
    ("top.txt", "top\n"),
];

impl Place {
    fn new(more: &[(String, Vec<u8>)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("repo");
        let mut files: Vec<_> = FILES
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect();
        files.extend_from_slice(more);
        for (path, bytes) in &files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let repo = Repo::create_with(&root, &files, "First").unwrap();
        let worktree = Worktree::open(&repo, &dir.path().join("ws")).unwrap();
        Self {
            dir,
            repo,
            worktree,
        }
    }

    fn base(&self) -> String {
        let head = self.repo.head().unwrap().commit;
        self.repo.tree_of(&head).unwrap()
    }

    fn go(&self, tree: &str, sparse: &[&str]) {
        let sparse: Vec<String> = sparse.iter().map(|s| (*s).to_owned()).collect();
        let head = self.repo.head().unwrap().commit;
        self.worktree
            .move_to(&self.repo, tree, &sparse, &head, "task")
            .unwrap();
    }

    fn at(&self, path: &str) -> PathBuf {
        self.worktree.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GIT_") {
                command.env_remove(name);
            }
        }
        let objects = self.repo.common_dir().join("objects");
        let out = command
            .current_dir(self.worktree.path())
            .env("GIT_OBJECT_DIRECTORY", objects)
            .args(args)
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// Looks, and compares with the agent's own repository. The second look, which need not hash
    /// what the first one did, must say the same.
    fn scan(&self) -> Scan {
        let scan = self.worktree.scan(&self.repo).unwrap();
        self.git(&["add", "-A"]);
        assert_eq!(
            scan.tree,
            self.git(&["write-tree"]),
            "git sees it otherwise"
        );
        assert_eq!(self.worktree.scan(&self.repo).unwrap(), scan);
        scan
    }

    fn changed(&self, scan: &Scan) -> Vec<String> {
        let changes = self.repo.changes(&self.base(), &scan.tree).unwrap();
        changes.into_iter().map(|c| c.path).collect()
    }
}

#[test]
fn a_judge_that_was_never_finished_is_finished() {
    let p = Place::new(&[]);
    let judge = p.dir.path().join("ws/judge");
    // Killed at every file that makes it, last to first.
    for name in ["HEAD", "objects/info/alternates", "config"] {
        fs::write(judge.join("HEAD"), "").unwrap();
        fs::write(judge.join(name), "").unwrap();
        let worktree = Worktree::open(&p.repo, &p.dir.path().join("ws")).unwrap();
        let head = p.repo.head().unwrap().commit;
        worktree
            .move_to(&p.repo, &p.base(), &[], &head, "task")
            .unwrap();
    }
}

#[test]
fn every_kind_of_change_is_seen() {
    let p = Place::new(&[]);
    p.go(&p.base(), &[]);
    assert_eq!(p.scan().tree, p.base());
    p.write("a/one.txt", "eno\n");
    fs::remove_file(p.at("a/two.txt")).unwrap();
    p.write("a/new.txt", "new\n");
    p.write("c/d/new.txt", "new\n");
    p.write("b/kept.log", "changed\n");
    fs::set_permissions(p.at("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let scan = p.scan();
    assert!(scan.odd.is_empty() && scan.ignored.is_empty());
    assert_eq!(
        p.changed(&scan),
        [
            "a/new.txt",
            "a/one.txt",
            "a/two.txt",
            "b/kept.log",
            "c/d/new.txt",
            "run.sh"
        ]
    );
}

#[test]
fn files_folders_and_links_that_trade_places_are_seen() {
    let p = Place::new(&[]);
    p.go(&p.base(), &[]);
    fs::remove_file(p.at("top.txt")).unwrap();
    symlink("a/one.txt", p.at("top.txt")).unwrap();
    // The files behind the link are the very same ones, with the same times.
    fs::rename(p.at("a"), p.at("moved")).unwrap();
    symlink("moved", p.at("a")).unwrap();
    fs::remove_file(p.at("run.sh")).unwrap();
    p.write("run.sh/inside", "a file before\n");
    fs::remove_dir_all(p.at("b")).unwrap();
    p.write("b", "a folder before\n");
    let scan = p.scan();
    let entry = p.repo.entry(&scan.tree, "a").unwrap().unwrap();
    assert_eq!(entry.mode, super::super::SYMLINK);
    assert!(
        p.changed(&scan)
            .contains(&"moved/deep/er/three.txt".to_owned())
    );
    // And all of it is undone.
    p.go(&p.base(), &[]);
    assert_eq!(p.scan().tree, p.base());
    assert!(!p.at("moved").exists());
}

#[test]
fn what_git_ignores_is_named_and_removed_but_not_part_of_the_tree() {
    let p = Place::new(&[]);
    p.go(&p.base(), &[]);
    p.write("out/big", "x");
    p.write("noise.log", "x");
    p.write("new/noise.log", "x");
    p.write("new/code.txt", "x");
    p.write("a/noise.log", "x");
    let scan = p.scan();
    assert_eq!(p.changed(&scan), ["new/code.txt"]);
    let mut ignored = scan.ignored.clone();
    ignored.sort();
    assert_eq!(
        ignored,
        ["a/noise.log", "new/noise.log", "noise.log", "out/"]
    );
    p.worktree.remove_leftovers(&scan).unwrap();
    assert!(!p.at("out").exists() && !p.at("new/noise.log").exists());
    assert!(p.at("new/code.txt").exists() && p.at("b/kept.log").exists());
}

#[test]
fn a_repository_inside_is_odd_wherever_it_lies() {
    let p = Place::new(&[]);
    p.go(&p.base(), &[]);
    p.write("inner/.git/HEAD", "ref: refs/heads/main\n");
    p.write("inner/file", "x");
    p.write("new/inner/.git", "gitdir: elsewhere\n");
    let scan = p.worktree.scan(&p.repo).unwrap();
    assert_eq!(
        scan.odd,
        [
            Oddity::NestedRepository("inner".to_owned()),
            Oddity::NestedRepository("new/inner".to_owned()),
        ]
    );
    assert_eq!(scan.tree, p.base());
    p.go(&p.base(), &[]);
    assert!(!p.at("inner").exists() && !p.at("new").exists());
}

#[test]
fn small_and_large_moves_end_at_the_same_files() {
    let many: Vec<_> = (0..MANY + 50)
        .map(|n| (format!("many/{n}.txt"), format!("{n}\n").into_bytes()))
        .collect();
    let p = Place::new(&many);
    p.go(&p.base(), &[]);
    for n in 0..MANY + 10 {
        p.write(&format!("many/{n}.txt"), "other\n");
    }
    let large = p.scan().tree;
    fs::remove_file(p.at("many/0.txt")).unwrap();
    p.write("z/y/x.txt", "x\n");
    let small = p.scan().tree;
    // Untracked and ignored things, and whatever became of the agent's repository, do not matter.
    p.write("left/over.txt", "x\n");
    p.write("over.log", "x\n");
    fs::write(p.at(".git/index"), "no index").unwrap();
    for tree in [&large, &small, &p.base(), &small, &large] {
        p.go(tree, &[]);
        assert_eq!(p.scan().tree, *tree);
        assert!(!p.at("left").exists() && !p.at("over.log").exists());
        assert_eq!(p.at("z").exists(), *tree == small, "empty folders go too");
    }
}

#[test]
fn outside_the_cone_nothing_is_lost_and_nothing_hidden() {
    let p = Place::new(&[]);
    p.go(&p.base(), &["a/deep"]);
    assert!(p.at("a/one.txt").exists() && p.at("top.txt").exists() && !p.at("b").exists());
    assert_eq!(p.worktree.scan(&p.repo).unwrap().tree, p.base());
    p.write("a/deep/er/three.txt", "3\n");
    p.write("a/deep/new.txt", "new\n");
    let inside = p.worktree.scan(&p.repo).unwrap();
    assert_eq!(
        p.changed(&inside),
        ["a/deep/er/three.txt", "a/deep/new.txt"]
    );
    p.write("b/four.txt", "4\n");
    p.write("b/new.txt", "new\n");
    let outside = p.worktree.scan(&p.repo).unwrap();
    assert_eq!(
        p.changed(&outside),
        [
            "a/deep/er/three.txt",
            "a/deep/new.txt",
            "b/four.txt",
            "b/new.txt"
        ]
    );
    // By difference, and with another cone.
    p.go(&inside.tree, &["a/deep"]);
    assert_eq!(p.worktree.scan(&p.repo).unwrap().tree, inside.tree);
    p.go(&inside.tree, &["b"]);
    assert!(p.at("b/four.txt").exists() && !p.at("a").exists());
    assert_eq!(p.worktree.scan(&p.repo).unwrap().tree, inside.tree);
}

#[test]
fn a_difference_is_that_of_git() {
    let p = Place::new(&[]);
    p.go(&p.base(), &[]);
    fs::remove_file(p.at("top.txt")).unwrap();
    symlink("run.sh", p.at("top.txt")).unwrap();
    fs::remove_dir_all(p.at("a/deep")).unwrap();
    p.write("a/deep", "a file now\n");
    fs::remove_file(p.at("run.sh")).unwrap();
    p.write("run.sh/x/y", "a folder now\n");
    let after = p.scan().tree;
    let zero = "0".repeat(40);
    for (from, to) in [(p.base(), after.clone()), (after, p.base())] {
        let ours: Vec<String> = p
            .repo
            .changes(&from, &to)
            .unwrap()
            .into_iter()
            .map(|c| {
                let side = |e: Option<Entry>| e.map_or((0, zero.clone()), |e| (e.mode, e.oid));
                let ((m1, o1), (m2, o2)) = (side(c.before), side(c.after));
                format!("{m1:06o} {m2:06o} {o1} {o2} {}", c.path)
            })
            .collect();
        let theirs = p.git(&["diff-tree", "-r", "--raw", "--no-renames", &from, &to]);
        let mut theirs: Vec<String> = theirs
            .lines()
            .map(|line| {
                let (facts, path) = line.trim_start_matches(':').split_once('\t').unwrap();
                let (facts, _status) = facts.rsplit_once(' ').unwrap();
                format!("{facts} {path}")
            })
            .collect();
        theirs.sort_by(|a, b| a.rsplit(' ').next().cmp(&b.rsplit(' ').next()));
        assert_eq!(ours, theirs);
    }
    drop(p.dir);
}

#[test]
fn a_link_that_comes_between_two_looks_is_not_followed() {
    let place = Place::new(&[]);
    place.go(&place.base(), &[]);
    let key = place.dir.path().join("persons");
    fs::create_dir(&key).unwrap();
    fs::write(key.join("id_rsa"), "the key\n").unwrap();
    let secret = Command::new("git")
        .args(["hash-object", "id_rsa"])
        .current_dir(&key)
        .output()
        .unwrap();
    let secret = String::from_utf8(secret.stdout).unwrap().trim().to_owned();
    let kept = || place.repo.blob(&secret).is_ok();
    // What the look found as a file in a folder is a link by now.
    symlink(&key, place.at("new")).unwrap();
    let (path, mut odd) = ("new/id_rsa".to_owned(), Vec::new());
    let edits = place
        .worktree
        .hash(&place.repo, std::slice::from_ref(&path), &mut odd)
        .unwrap();
    assert!(!kept());
    assert_eq!((edits, odd), (Vec::new(), vec![Oddity::Unreadable(path)]));
    // The file itself, by turns.
    let (file, link) = (place.at("file"), place.at("link"));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                fs::write(&link, "mine\n").unwrap();
                fs::rename(&link, &file).unwrap();
                symlink(key.join("id_rsa"), &link).unwrap();
                fs::rename(&link, &file).unwrap();
            }
        });
        for _ in 0..100 {
            let paths = ["file".to_owned()];
            let _ = place.worktree.hash(&place.repo, &paths, &mut Vec::new());
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(!kept());
}

#[test]
fn files_become_what_git_makes_of_them() {
    let attributes = "*.txt text\n*.up filter=up\n";
    let place = Place::new(&[(".gitattributes".to_owned(), attributes.as_bytes().to_vec())]);
    // A filter that runs where the files are.
    place.write("upper.sh", "tr a-z A-Z\n");
    let repo = place.dir.path().join("repo");
    let config = ["config", "filter.up.clean", "sh upper.sh"];
    let set = Command::new("git").args(config).current_dir(&repo).status();
    assert!(set.unwrap().success());
    let worktree = Worktree::open(&place.repo, &place.dir.path().join("ws")).unwrap();
    place.go(&place.base(), &[]);
    place.write("upper.sh", "tr a-z A-Z\n");
    place.write("deep/new/.gitattributes", "*.dat text eol=lf\n");
    for name in ["crlf.txt", "deep/new/a.dat", "deep/b.dat", "c.up"] {
        place.write(name, "one\r\ntwo\r\n");
    }
    let tree = worktree.scan(&place.repo).unwrap().tree;
    let text = |path: &str| {
        let bytes = place.repo.file(&tree, path).unwrap().unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(text("crlf.txt"), "one\ntwo\n");
    assert_eq!(text("deep/new/a.dat"), "one\ntwo\n");
    assert_eq!(text("deep/b.dat"), "one\r\ntwo\r\n");
    assert_eq!(text("c.up"), "ONE\r\nTWO\r\n");
    assert!(!worktree.judge.join("copies").exists());
}
