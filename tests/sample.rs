//! The sample repository and what the scripted agent writes, built by the real Go toolchain.
//!
//! Go is needed, and once the network (or a filled module cache) for `golang.org/x/sync`.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use git_pertask::demo::{self, agent};
use tempfile::TempDir;

/// A copy of the sample in a temporary folder.
struct Sample {
    folder: TempDir,
}

/// What a program said and whether it succeeded.
struct Outcome {
    succeeded: bool,
    output: String,
}

impl Sample {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in demo::repository() {
            let path = folder.path().join(&file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file.contents).unwrap();
        }
        Self { folder }
    }

    fn module(&self) -> PathBuf {
        self.folder.path().join("modules/chariot/backend")
    }

    fn source(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(agent::FOLDER).join(name)).unwrap()
    }

    /// Runs `program` in the module, output and errors together.
    fn run(&self, program: &Path, arguments: &[&str]) -> Outcome {
        let result = Command::new(program)
            .args(arguments)
            .current_dir(self.module())
            .env("GOTOOLCHAIN", "local")
            .env("GOWORK", "off")
            .env("GOFLAGS", "-mod=readonly")
            .output();
        let output = match result {
            Err(error) if error.kind() == ErrorKind::NotFound => panic!(
                "{} is not on PATH, and this test needs the real one: install Go 1.23 or newer from \
                 https://go.dev/dl/ (or `apt install golang-go`, `brew install go`)",
                program.display()
            ),
            other => other.unwrap(),
        };
        let text = [output.stdout, output.stderr].concat();
        Outcome {
            succeeded: output.status.success(),
            output: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    fn go(&self, arguments: &[&str]) -> Outcome {
        self.run(Path::new("go"), arguments)
    }

    /// Builds, vets, tests and asks gofmt; all of it must be content.
    fn is_good(&self, when: &str) {
        for arguments in [["build", "./..."], ["vet", "./..."], ["test", "./..."]] {
            let outcome = self.go(&arguments);
            assert!(
                outcome.succeeded,
                "{when}: go {arguments:?} failed:\n{}",
                outcome.output
            );
        }
        let root = self.go(&["env", "GOROOT"]).output;
        let gofmt = Path::new(root.trim()).join("bin/gofmt");
        let outcome = self.run(&gofmt, &["-l", "."]);
        assert!(
            outcome.succeeded && outcome.output.is_empty(),
            "{when}: {}",
            outcome.output
        );
    }

    /// One attempt of the scripted agent; its handoff must be of the given status.
    fn attempt(&self, task: &str, number: u32, prompt: &str) {
        let outside = tempfile::tempdir().unwrap();
        let handoff = outside.path().join("handoff.json");
        let env = |name: &str| match name {
            "PERTASK_TASK" => Some(task.to_owned()),
            "PERTASK_ATTEMPT" => Some(number.to_string()),
            "PERTASK_HANDOFF_FILE" => Some(handoff.to_str().unwrap().to_owned()),
            _ => None,
        };
        let status = agent::act(&env, self.folder.path(), prompt, &mut Vec::new()).unwrap();
        assert_eq!(status, 0);
        let handoff = fs::read_to_string(handoff).unwrap();
        let handoff: serde_json::Value = serde_json::from_str(&handoff).unwrap();
        assert_eq!(handoff["status"], "complete", "{task}: {handoff:#}");
    }

    fn keeps_the_line_limits(&self) {
        let limits = [
            ("wiz_types.go", 200),
            ("wiz_client.go", 200),
            ("wiz_transform.go", 150),
            ("wiz.go", 350),
        ];
        for (name, limit) in limits {
            let lines = self.source(name).lines().count();
            assert!(
                lines < limit,
                "{name} has {lines} lines, not fewer than {limit}"
            );
        }
    }
}

/// Number of the first line with that text, from 1.
fn line_of(source: &str, text: &str) -> usize {
    1 + source
        .lines()
        .position(|line| line.contains(text))
        .expect("the text is in the source")
}

#[test]
fn the_sample_itself_is_good() {
    Sample::new().is_good("the base");
}

#[test]
fn task_by_task_with_one_broken_client_and_one_revision() {
    let sample = Sample::new();
    sample.attempt("types", 1, "");
    assert!(sample.go(&["build", "./..."]).succeeded);

    sample.attempt("client", 1, "");
    let broken = sample.go(&["build", "./..."]);
    assert!(!broken.succeeded, "the first client was to be broken");
    let client = sample.source("wiz_client.go");
    for (text, message) in [
        ("WizFindingsResponse", "undefined: WizFindingsResponse"),
        ("remaining :=", "not used"),
    ] {
        let place = format!("wiz_client.go:{}:", line_of(&client, text));
        let line = broken.output.lines().find(|line| line.contains(&place));
        assert!(
            line.is_some_and(|line| line.contains(message)),
            "{place} {}",
            broken.output
        );
    }

    sample.attempt("client", 2, &broken.output);
    sample.is_good("with the mended client");

    sample.attempt("transform", 1, "");
    sample.is_good("with the first transform");
    let (task, feedback) = demo::REVISION;
    sample.attempt(task, 2, feedback);
    sample.is_good("with the revised transform");

    sample.attempt("handler", 1, "");
    sample.is_good("with everything");
    sample.keeps_the_line_limits();

    for task in ["types", "client", "transform", "handler"] {
        sample.attempt(task, 3, "Say more");
    }
    sample.is_good("after more revisions");
    sample.keeps_the_line_limits();
}

#[test]
fn in_another_order_the_parts_do_not_need_each_other() {
    let sample = Sample::new();
    sample.attempt("types", 1, "");
    sample.attempt("transform", 1, "");
    sample.is_good("types and transform, no client");
}

#[test]
fn all_at_once_is_the_same() {
    let sample = Sample::new();
    sample.attempt("batch", 1, "");
    sample.is_good("the batch");
    sample.keeps_the_line_limits();
}

#[test]
fn the_client_has_every_method_that_the_architecture_names() {
    let architecture = demo::repository()
        .into_iter()
        .find(|file| file.path == ".pertask/wiz/architecture.md")
        .expect("the sample has an architecture.md");
    let architecture = std::str::from_utf8(architecture.contents).unwrap();
    let sample = Sample::new();
    sample.attempt("batch", 1, "");
    let client = sample.source("wiz_client.go");
    let methods: Vec<&str> = architecture
        .lines()
        .filter(|line| line.contains("| `GET /"))
        .filter_map(|line| line.split('`').nth(1))
        .collect();
    assert_eq!(
        methods,
        ["GetCurrentUser", "ListAssets", "GetAsset", "ListFindings"]
    );
    for method in methods {
        assert!(
            client.contains(&format!("func (c *wizClient) {method}(")),
            "{method}"
        );
    }
}
