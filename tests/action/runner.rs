//! As much of a runner as the action needs: it reads `action.yml` and runs its steps as GitHub does,
//! beside a server of releases on loopback.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// What stands for the program: leaves in `$SAW` what it was given, and sets outputs.
pub const PROGRAM: &str = r#"#!/bin/sh
for argument in "$@"; do printf '%s\0' "$argument"; done > "$SAW/arguments"
env -0 > "$SAW/environment"
pwd > "$SAW/folder"
printf 'run=wiz\nstate=waiting\npull-request=https://github.com/o/r/pull/7\n' >> "$GITHUB_OUTPUT"
printf 'orders<<end\n[{"run":"wiz",\n"task":"one"}]\nend\n' >> "$GITHUB_OUTPUT"
echo "the program ran"
exit "${EXIT:-0}"
"#;

/// Everything the scripts may call, beside bash.
const TOOLS: &[&str] = &[
    "cat", "curl", "cut", "dirname", "env", "gzip", "mkdir", "mktemp", "mv", "pwd", "rm", "sed",
    "sh", "tar", "touch", "tr",
];

/// Where the action is used.
pub struct Runner {
    dir: TempDir,
    pub server: Server,
    /// More variables of the job.
    vars: BTreeMap<String, String>,
}

/// How a use of the action ended.
pub struct Used {
    pub code: i32,
    pub log: String,
    pub outputs: BTreeMap<String, String>,
}

impl Runner {
    /// A checkout of the action, on a Linux runner whose programs are `TOOLS` and `sha256sum`.
    pub fn new() -> Self {
        let runner = Self {
            dir: tempfile::Builder::new()
                .prefix("action-")
                .tempdir()
                .unwrap(),
            server: Server::start(),
            vars: BTreeMap::new(),
        };
        for name in ["action/action", "bin", "cache", "repo", "saw", "temp"] {
            fs::create_dir_all(runner.path(name)).unwrap();
        }
        let from = Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in [
            "action.yml",
            "Cargo.toml",
            "action/common.sh",
            "action/install.sh",
            "action/run.sh",
        ] {
            fs::copy(from.join(name), runner.path("action").join(name)).unwrap();
        }
        runner.write("action/action/checksums.txt", "# none\n");
        for name in TOOLS {
            runner.tool(name, &which(name));
        }
        runner.tool("sha256sum", &which("sha256sum"));
        // Another bash, for example the 3.2 of macOS.
        let bash =
            std::env::var_os("PERTASK_TEST_BASH").map_or_else(|| which("bash"), PathBuf::from);
        runner.tool("bash", &bash);
        runner
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A program of the machine.
    pub fn tool(&self, name: &str, program: &Path) {
        let _ = fs::remove_file(self.path("bin").join(name));
        symlink(program, self.path("bin").join(name)).unwrap();
    }

    pub fn script(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn without(&self, name: &str) {
        fs::remove_file(self.path("bin").join(name)).unwrap();
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.vars.insert(name.to_owned(), value.to_owned());
    }

    /// A release with this program, known to the action; returns the program's hash.
    pub fn release(&self, version: &str, target: &str, program: &str) -> String {
        self.release_of(version, target, program.as_bytes())
    }

    /// The same with a program of bytes.
    pub fn release_of(&self, version: &str, target: &str, program: &[u8]) -> String {
        let name = format!("git-pertask-{version}-{target}");
        let folder = self.path("temp").join(&name);
        fs::create_dir_all(&folder).unwrap();
        let binary = folder.join("git-pertask");
        fs::write(&binary, program).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        let archive = self.path(&format!("{name}.tar.gz"));
        let packed = Command::new("tar")
            .arg("-czf")
            .arg(&archive)
            .arg("-C")
            .arg(self.path("temp"))
            .arg(&name)
            .status()
            .unwrap();
        assert!(packed.success());
        fs::remove_dir_all(&folder).unwrap();
        let bytes = fs::read(&archive).unwrap();
        self.know(&format!("{name}.tar.gz"), &hash(&bytes));
        self.know(&format!("{name}/git-pertask"), &hash(program));
        self.server
            .offer(&format!("/v{version}/{name}.tar.gz"), bytes);
        hash(program)
    }

    /// Another line of `checksums.txt`.
    pub fn know(&self, name: &str, hash: &str) {
        let path = self.path("action/action/checksums.txt");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{text}{hash}  {name}\n")).unwrap();
    }

    /// Uses the action.
    pub fn uses(&self, inputs: &[(&str, &str)]) -> Used {
        let action = description();
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        for (name, input) in action["inputs"].as_object().unwrap() {
            let default = input["default"].as_str().unwrap_or_default();
            given.insert(format!("inputs.{name}"), default.to_owned());
        }
        for (name, value) in inputs {
            let known = given.insert(format!("inputs.{name}"), (*value).to_owned());
            assert!(known.is_some(), "action.yml has no input {name}");
        }
        let mut used = Used {
            code: 0,
            log: String::new(),
            outputs: BTreeMap::new(),
        };
        for step in action["runs"]["steps"].as_array().unwrap() {
            let id = step["id"].as_str().unwrap();
            assert_eq!(step["shell"], "bash");
            let output = self.path("temp").join(format!("output-{id}"));
            fs::write(&output, "").unwrap();
            let script = self.path("temp").join("step.sh");
            fs::write(&script, step["run"].as_str().unwrap()).unwrap();
            let mut command = self.machine("bash");
            command
                .args(["--noprofile", "--norc", "-eo", "pipefail"])
                .arg(&script)
                .env("GITHUB_OUTPUT", &output);
            for (name, value) in step["env"].as_object().unwrap() {
                command.env(name, filled(value.as_str().unwrap(), &given));
            }
            let out = command.output().unwrap();
            used.log.push_str(&String::from_utf8_lossy(&out.stdout));
            used.log.push_str(&String::from_utf8_lossy(&out.stderr));
            for (name, value) in outputs(&fs::read_to_string(&output).unwrap()) {
                given.insert(format!("steps.{id}.outputs.{name}"), value);
            }
            used.code = out.status.code().unwrap();
            if used.code != 0 {
                break;
            }
        }
        for (name, output) in action["outputs"].as_object().unwrap() {
            let value = filled(output["value"].as_str().unwrap(), &given);
            used.outputs.insert(name.clone(), value);
        }
        used.log = used
            .log
            .replace(&self.server.url, "http://releases")
            .replace(&self.path("").display().to_string(), "/");
        used
    }

    /// A program of this machine, in the job's environment.
    pub fn machine(&self, program: &str) -> Command {
        let mut command = Command::new(self.path("bin").join(program));
        command
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("temp"))
            .env("SAW", self.path("saw"))
            .env("GITHUB_ACTION_PATH", self.path("action"))
            .env("RUNNER_OS", "Linux")
            .env("RUNNER_ARCH", "X64")
            .env("RUNNER_TEMP", self.path("temp"))
            .env("RUNNER_TOOL_CACHE", self.path("cache"))
            .env("PERTASK_RELEASES", &self.server.url)
            .envs(&self.vars)
            .current_dir(self.path("repo"))
            .stdin(Stdio::null());
        command
    }

    /// Arguments that the program was started with; takes them away. `None` when it was not.
    pub fn arguments(&self) -> Option<Vec<String>> {
        let path = self.path("saw/arguments");
        let text = fs::read_to_string(&path).ok()?;
        fs::remove_file(path).unwrap();
        Some(text.split_terminator('\0').map(str::to_owned).collect())
    }

    /// Environment that the program was started with.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.path("saw/environment")).unwrap();
        text.split_terminator('\0')
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

/// `action.yml`.
pub fn description() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml");
    ast_grep_config::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

pub fn which(name: &str) -> PathBuf {
    std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is needed for this test; install it"))
}

/// A value of `env` or `outputs`: text, or one expression that names an input or an output.
fn filled(text: &str, given: &BTreeMap<String, String>) -> String {
    let Some(name) = text
        .strip_prefix("${{ ")
        .and_then(|t| t.strip_suffix(" }}"))
    else {
        assert!(!text.contains("${{"), "{text}");
        return text.to_owned();
    };
    given.get(name).cloned().unwrap_or_default()
}

/// What a step wrote to its file of outputs.
fn outputs(text: &str) -> Vec<(String, String)> {
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some((name, end)) = line.split_once("<<") {
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
            found.push((name.to_owned(), value.join("\n")));
        } else {
            let (name, value) = line.split_once('=').unwrap();
            found.push((name.to_owned(), value.to_owned()));
        }
    }
    found
}

/// A server of releases that counts what it is asked.
pub struct Server {
    pub url: String,
    state: Arc<Mutex<Offers>>,
}

#[derive(Default)]
struct Offers {
    files: BTreeMap<String, Vec<u8>>,
    /// Answers that are yet to fail.
    failing: u32,
    asked: Vec<String>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Offers::default()));
        let shared = Arc::clone(&state);
        // Ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(&stream, &shared);
            }
        });
        Self { url, state }
    }

    pub fn offer(&self, path: &str, bytes: Vec<u8>) {
        self.state
            .lock()
            .unwrap()
            .files
            .insert(path.to_owned(), bytes);
    }

    pub fn fail(&self, times: u32) {
        self.state.lock().unwrap().failing = times;
    }

    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }
}

fn answer(stream: &TcpStream, state: &Mutex<Offers>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut state = state.lock().unwrap();
    state.asked.push(path.clone());
    let (status, body) = if state.failing > 0 {
        state.failing -= 1;
        ("503 Service Unavailable", &[][..])
    } else if let Some(bytes) = state.files.get(&path) {
        ("200 OK", bytes.as_slice())
    } else {
        ("404 Not Found", &[][..])
    };
    let mut stream = stream;
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}
