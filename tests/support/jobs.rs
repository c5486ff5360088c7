//! The three steps as jobs, each in a clone and a home of its own, as a workflow would run them.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "a failing helper is a failing test"
)]

use std::cell::Cell;
use std::path::{Path, PathBuf};

use super::github::state;
use super::hub::{Hub, REPO};
use super::support::Output;

/// An order as `ci decide` hands it out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[allow(clippy::struct_field_names, reason = "as the JSON has it")]
pub struct Order {
    pub run: String,
    pub task: String,
    pub attempt: String,
    pub order: String,
}

/// Runs of the workflow, one after the other.
pub struct Jobs {
    pub hub: Hub,
    /// Id of the workflow run that is under way.
    pub id: Cell<u64>,
    /// How many times that run was begun.
    pub attempt_number: Cell<u32>,
    machines: Cell<u32>,
}

impl Jobs {
    pub fn of(hub: Hub) -> Self {
        Self {
            hub,
            id: Cell::new(1000),
            attempt_number: Cell::new(1),
            machines: Cell::new(0),
        }
    }

    /// A fresh machine: a clone with nothing but what is on GitHub.
    pub fn machine(&self) -> PathBuf {
        self.machines.set(self.machines.get() + 1);
        self.hub.clone()
    }

    /// A place beside a machine's clone: `home`, `result` or `user`.
    pub fn beside(&self, dir: &Path, what: &str) -> PathBuf {
        let name = dir.file_name().unwrap().to_str().unwrap();
        self.hub.sandbox.root().join(format!("{name}.{what}"))
    }

    /// A step on a machine, with a token or without.
    pub fn step(&self, dir: &Path, token: bool, args: &[&str]) -> Output {
        self.hub.sandbox.finish(self.command(dir, token, args))
    }

    /// The same, not started.
    pub fn command(&self, dir: &Path, token: bool, args: &[&str]) -> std::process::Command {
        let mut command = self.hub.sandbox.program(dir);
        if !token {
            command.env_remove("GITHUB_TOKEN");
        }
        // Nobody is known by name on a runner.
        let home = self.beside(dir, "user");
        std::fs::create_dir_all(&home).unwrap();
        command
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("PERTASK_HOME", self.beside(dir, "home"))
            .env("GITHUB_RUN_ID", self.id.get().to_string())
            .env("GITHUB_RUN_ATTEMPT", self.attempt_number.get().to_string())
            .env("GITHUB_REPOSITORY", REPO)
            .arg("ci")
            .args(args);
        command
    }

    /// A new run of the workflow, known to GitHub.
    pub fn begin(&self) -> u64 {
        self.end();
        self.id.set(self.id.get() + 1);
        self.attempt_number.set(1);
        let id = self.id.get();
        self.hub.github.change(REPO, |repo| {
            repo.runs.push(state::WorkflowRun::under_way(id));
        });
        id
    }

    /// GitHub knows that the run of the workflow is over.
    pub fn end(&self) {
        let id = self.id.get();
        self.hub.github.change(REPO, |repo| {
            for run in repo.runs.iter_mut().filter(|r| r.id == id) {
                "completed".clone_into(&mut run.status);
                run.conclusion = Some("success".to_owned());
            }
        });
    }

    /// `ci decide` in a new run of the workflow: what it said, and its orders.
    pub fn decide(&self, args: &[&str]) -> (Output, Vec<Order>) {
        self.begin();
        self.decide_again(args)
    }

    /// `ci decide` in the same run of the workflow.
    pub fn decide_again(&self, args: &[&str]) -> (Output, Vec<Order>) {
        let mut all = vec!["decide"];
        all.extend(args);
        let out = self.step(&self.machine(), true, &all);
        let said: serde_json::Value =
            serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", out.text()));
        let orders = serde_json::from_value(said["orders"].clone()).unwrap();
        (out, orders)
    }

    /// Carries an order out on a machine of its own; the folder that it hands on.
    pub fn attempt(&self, order: &Order) -> PathBuf {
        let dir = self.machine();
        let result = self.beside(&dir, "result");
        for (step, token) in [
            ("fetch", true),
            ("agent", false),
            ("checks", false),
            ("pack", false),
        ] {
            self.attempt_step(&dir, token, order, step, &result).code(0);
        }
        result
    }

    /// The same in one go, as by hand.
    pub fn attempt_at_once(&self, order: &Order) -> PathBuf {
        let dir = self.machine();
        let result = self.beside(&dir, "result");
        self.attempt_step(&dir, true, order, "all", &result).code(0);
        result
    }

    pub fn attempt_step(
        &self,
        dir: &Path,
        token: bool,
        order: &Order,
        step: &str,
        result: &Path,
    ) -> Output {
        let mut args = vec!["attempt", "--step", step, "--result"];
        args.push(result.to_str().unwrap());
        args.extend(of(order));
        self.step(dir, token, &args)
    }

    /// Publishes what was handed on.
    pub fn publish(&self, order: &Order, result: &Path) -> Output {
        let mut args = vec!["publish", "--result", result.to_str().unwrap()];
        args.extend(of(order));
        self.step(&self.machine(), true, &args)
    }

    /// How many runs of the workflow were asked for since the last time.
    pub fn dispatches(&self) -> usize {
        self.hub
            .github
            .change(REPO, |repo| std::mem::take(&mut repo.dispatches).len())
    }

    /// One run of the workflow with all its jobs, and those it wakes, until nothing is left.
    pub fn settle(&self, args: &[&str]) {
        let mut args = args.to_vec();
        for _ in 0..20 {
            let (out, orders) = self.decide(&args);
            out.code(0);
            for order in &orders {
                let result = self.attempt(order);
                self.publish(order, &result).code(0);
            }
            args.clear();
            if self.dispatches() == 0 {
                self.end();
                return;
            }
        }
        panic!("the workflow wakes itself for ever");
    }
}

/// An order as arguments.
pub fn of(order: &Order) -> [&str; 8] {
    [
        "--run",
        &order.run,
        "--task",
        &order.task,
        "--attempt",
        &order.attempt,
        "--order",
        &order.order,
    ]
}

/// `result.json` in a folder, changed.
pub fn edit(result: &Path, how: impl FnOnce(&mut serde_json::Value)) {
    let file = result.join("result.json");
    let mut value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    how(&mut value);
    std::fs::write(&file, serde_json::to_vec(&value).unwrap()).unwrap();
}

impl Jobs {
    /// A machine with what a result holds in it, and the commit that stands below it.
    pub fn base_of(&self, result: &Path) -> (PathBuf, String) {
        let dir = self.machine();
        let git = |args: &[&str]| self.hub.sandbox.git_in(&dir, args).trim().to_owned();
        let bundle = result.join("result.bundle");
        git(&[
            "fetch",
            "--quiet",
            bundle.to_str().unwrap(),
            "+refs/pertask/handed:refs/heads/honest",
        ]);
        let base = git(&["rev-parse", "honest^"]);
        (dir, base)
    }

    /// The bundle replaced by one with these files added to what the result holds; `parent` stands
    /// below it, else the order's base.
    pub fn forge_bundle(&self, result: &Path, files: &[(&str, &str, &str)], parent: Option<&str>) {
        let (dir, base) = self.base_of(result);
        let git = |args: &[&str]| self.hub.sandbox.git_in(&dir, args).trim().to_owned();
        git(&["read-tree", "honest"]);
        for (mode, path, content) in files {
            let file = dir.join("content-of-a-file");
            std::fs::write(&file, content).unwrap();
            let blob = git(&["hash-object", "-w", "--no-filters", file.to_str().unwrap()]);
            git(&[
                "update-index",
                "--add",
                "--cacheinfo",
                &format!("{mode},{blob},{path}"),
            ]);
        }
        let tree = git(&["write-tree"]);
        self.bundle_of(&dir, result, &tree, parent.unwrap_or(&base), &base);
    }

    /// The bundle replaced by one of this tree.
    pub fn bundle_of(&self, dir: &Path, result: &Path, tree: &str, parent: &str, base: &str) {
        let git = |args: &[&str]| self.hub.sandbox.git_in(dir, args).trim().to_owned();
        let commit = git(&["commit-tree", "-p", parent, "-m", "forged", tree]);
        git(&["update-ref", "refs/pertask/handed", &commit]);
        let bundle = result.join("result.bundle");
        std::fs::remove_file(&bundle).unwrap();
        git(&[
            "bundle",
            "create",
            "--quiet",
            bundle.to_str().unwrap(),
            "refs/pertask/handed",
            &format!("^{base}"),
        ]);
        edit(result, |r| r["tree"] = tree.into());
    }
}

const LEDGER: &str = "refs/pertask/runs/wiz";

impl Jobs {
    /// The commit that the ledger is at.
    pub fn ledger(&self) -> String {
        self.hub
            .github
            .git(REPO, ["rev-parse", LEDGER])
            .trim()
            .to_owned()
    }

    pub fn ledger_file(&self, path: &str) -> String {
        let at = format!("{LEDGER}:{path}");
        self.hub.github.git(REPO, ["cat-file", "blob", &*at])
    }

    pub fn state(&self) -> serde_json::Value {
        serde_json::from_str(&self.ledger_file("state.json")).unwrap()
    }

    /// Puts the ledger where it was.
    pub fn put_ledger(&self, commit: &str) {
        self.hub.github.git(REPO, ["update-ref", LEDGER, commit]);
    }

    /// A step that somebody who may push adds to the ledger by hand.
    pub fn rewrite(&self, files: &[(&str, &str)]) {
        let dir = self.machine();
        let git = |args: &[&str]| self.hub.sandbox.git_in(&dir, args).trim().to_owned();
        let url = self.hub.github.clone_url_as(REPO, &self.hub.token);
        git(&["fetch", "--quiet", &url, &format!("+{LEDGER}:{LEDGER}")]);
        git(&["read-tree", LEDGER]);
        for (path, text) in files {
            let file = dir.join("content-of-a-file");
            std::fs::write(&file, text).unwrap();
            let blob = git(&["hash-object", "-w", "--no-filters", file.to_str().unwrap()]);
            git(&[
                "update-index",
                "--add",
                "--cacheinfo",
                &format!("100644,{blob},{path}"),
            ]);
        }
        let tree = git(&["write-tree"]);
        let commit = git(&["commit-tree", "-p", LEDGER, "-m", "Forged", &tree]);
        git(&["push", "--quiet", &url, &format!("{commit}:{LEDGER}")]);
    }
}
