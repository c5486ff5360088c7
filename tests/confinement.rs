//! Agents and checks, confined: which doors are closed, and that work goes on behind them.
//!
//! Left out where the kernel has no Landlock, or one that leaves doors open; `PERTASK_TEST_REQUIRE=landlock,go`
//! makes that a failure.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "tests fail by panic")]

#[path = "support/needs.rs"]
mod needs;
mod support;

use std::fs;
use std::path::Path;

use git_pertask::attempt::sandbox;
use support::{Sandbox, write};

/// Whether to leave a test out.
fn skipped() -> bool {
    let why = "this kernel has no Landlock of ABI 6, so confinement is not tested";
    needs::lacks("landlock", confines(), why)
}

fn confines() -> bool {
    sandbox::available().is_some_and(|landlock| landlock.abi >= 6)
}

/// For `.ci/run`, which requires Landlock where this holds.
#[test]
#[ignore = "says whether the others can be relied on"]
fn this_kernel_confines() {
    assert!(confines());
}

/// What an agent does all day, and every door it may try.
const DOORS: &str = include_str!("confinement/doors.sh");

const PLAN: &str = r#"title = "Doors"

[[task]]
id = "one"
title = "Doors"
file = "one.txt"
purpose = "Which doors are open"
risk = "high"
checks = [["sh", "doors.sh", "ROOT"]]
"#;

/// A person with keys, and an agent that tries them.
fn person(agent: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("GITHUB_TOKEN", "only-for-the-parent");
    for secret in [
        "home/.ssh/id_rsa",
        "home/.netrc",
        "home/.git-credentials",
        "home/.config/gh/hosts.yml",
        "home/.claude/.credentials.json",
        "home/.cargo/credentials.toml",
        "home/.cache/go-build/README",
        "pertask/other/wiz/workspace-0/tree/secret",
        "tmp/secret",
    ] {
        write(&sandbox.root().join(secret), "secret\n");
    }
    sandbox.write(".gitignore", ".env\n");
    sandbox.write(".env", "secret\n");
    sandbox.write("doors.sh", DOORS);
    sandbox.agent(agent);
    let root = sandbox.root();
    sandbox.plan(&PLAN.replace("ROOT", root.to_str().unwrap()));
    sandbox.commit("Add the plan");
    sandbox
}

/// What is below the person's folders, to see whether anything changed; objects left out, because
/// the run adds some.
fn persons(sandbox: &Sandbox) -> Vec<(std::path::PathBuf, u32, Vec<u8>)> {
    ["home", "repo", "tmp", "pertask/other"]
        .iter()
        .flat_map(|name| support::everything_in(&sandbox.root().join(name)))
        .filter(|(path, _, _)| {
            let path = path.to_string_lossy();
            !path.contains("/.git/objects/")
                && !path.contains("/.git/refs/")
                && !path.contains("/.git/logs/")
                && !path.contains("/.git/pertask/")
        })
        .collect()
}

#[test]
fn every_door() {
    if skipped() {
        return;
    }
    let root = "\"$(dirname \"$0\")\"";
    let sandbox = person(&format!(
        "cat > \"$TMPDIR/prompt\"\nsh doors.sh {root} $PPID > one.txt\necho '{{\"status\":\"complete\"}}' > \"$PERTASK_HANDOFF_FILE\""
    ));
    let before = persons(&sandbox);
    let out = sandbox.pertask(["start", "wiz", "--mode", "per-task"]);
    assert_eq!(out.code, 0, "{}", out.text());
    let agent = sandbox.file_at("pertask/wiz/1-one", "one.txt");
    insta::assert_snapshot!(agent, @r"
    # work
    works   write in the tree
    works   git status
    works   git log
    works   git commit
    works   a temporary file
    works   a pipe in it
    works   the null device
    works   a home
    works   its own children
    works   the prompt
    works   a cache
    # the person's home
    closed  read ~/.ssh/id_rsa
    closed  read ~/.netrc
    closed  read ~/.git-credentials
    closed  read ~/.config/gh/hosts.yml
    closed  read ~/.claude/.credentials
    closed  read ~/.cargo/credentials.toml
    closed  list the home
    closed  write ~/.bashrc
    closed  write ~/.ssh/authorized_keys
    closed  write into a build cache
    # the person's repository
    closed  read the working tree
    closed  read what is not committed
    closed  read the configuration
    closed  list the refs
    closed  write the configuration
    closed  write a hook
    closed  write an object
    closed  push to it
    closed  empty an object
    closed  write the working tree
    # our own places
    closed  read another workspace
    closed  list the workspaces
    closed  read the judge
    closed  write the judge
    closed  write its index
    closed  write our policy
    closed  write beside the tree
    closed  rename the tree
    closed  link out of the tree
    closed  read the order
    closed  write the order
    closed  write the answer
    closed  write the result
    closed  write into the checks caches
    # the one that started it
    closed  read its environment
    closed  read any with the secret
    closed  read its memory
    closed  follow its folder
    closed  signal it
    closed  signal its supervisor
    closed  read the supervisor
    # the system
    closed  write into /tmp
    closed  write into /var/tmp
    closed  write into /dev/shm
    closed  read what others left in /tmp
    closed  read /etc/shadow
    closed  write into /etc
    closed  write into /usr
    closed  open the terminal
    closed  make a device
    closed  mount
    closed  signal the first process
    ");
    let names = sandbox.files_at("refs/pertask/runs/wiz");
    let check = names.lines().find(|n| n.contains("/checks/")).unwrap();
    let check = sandbox.file_at("refs/pertask/runs/wiz", check);
    // Checks are confined like the agent, but for their own caches.
    let own = "write into the checks caches";
    let expected = agent.replace(&format!("closed  {own}"), &format!("OPEN    {own}"));
    assert_eq!(check.trim(), expected.trim());
    assert_eq!(
        persons(&sandbox),
        before,
        "something of the person's changed"
    );
    let left: Vec<_> = fs::read_dir(sandbox.root().join("tmp")).unwrap().collect();
    assert_eq!(left.len(), 1, "temporary folders stay: {left:?}");
}

#[test]
fn unconfined_every_door_is_open() {
    // So that a closed door is one that was there.
    let sandbox =
        person("root=$(dirname \"$0\"); sh doors.sh \"$root\" $PPID harmless > \"$root/report\"");
    sandbox.config("sandbox = \"off\"");
    sandbox.commit("Confine nobody");
    sandbox.pertask(["start", "wiz", "--mode", "per-task"]);
    let report = support::read(&sandbox.root().join("report"));
    assert!(report.lines().count() > 50, "{report}");
    for line in report.lines() {
        assert!(
            !line.starts_with("closed") && !line.starts_with("BROKEN"),
            "{line}"
        );
    }
}

/// Preparing an attempt writes into the caches that the agent before could write to, unconfined.
#[test]
fn a_link_left_in_the_caches_leads_the_next_attempt_nowhere() {
    if skipped() {
        return;
    }
    let sandbox = Sandbox::with(
        r#"title = "Links"

[[task]]
id = "one"
title = "One"
file = "one.txt"
purpose = "Write it"
risk = "high"
"#,
        r#"cat > /dev/null
if [ "$PERTASK_ATTEMPT" = 1 ]; then
  rm -rf "$CARGO_HOME"; ln -s "$(dirname "$0")/home/.codex" "$CARGO_HOME"
else
  cat "$CARGO_HOME/config.toml" > one.txt
fi
echo '{"status":"complete"}' > "$PERTASK_HANDOFF_FILE""#,
    );
    let cargo = "[registries.own]\nindex = \"https://own\"\n";
    write(&sandbox.home.join(".cargo/config.toml"), cargo);
    write(&sandbox.home.join(".codex/config.toml"), "the person's\n");
    let before = support::everything_in(&sandbox.home);
    let out = sandbox.pertask(["start", "wiz", "--mode", "per-task"]);
    assert_eq!(
        support::everything_in(&sandbox.home),
        before,
        "something of the person's changed: {}",
        out.text()
    );
    // And the tool finds the person's mirrors again.
    assert_eq!(out.code, 0, "{}", out.text());
    let copied = sandbox.file_at("pertask/wiz/1-one", "one.txt");
    assert_eq!(copied.trim_end(), cargo.trim_end());
}

#[test]
fn of_gos_settings_no_password_comes_inside() {
    if skipped() {
        return;
    }
    let sandbox = Sandbox::with(
        r#"title = "Go's settings"

[[task]]
id = "one"
title = "One"
file = "one.txt"
purpose = "Write it"
risk = "high"
"#,
        r#"cat > /dev/null
{ cat "$GOENV"; cat "$(dirname "$0")/home/.config/go/env"; printenv GOPROXY GOAUTH
} 2> /dev/null | sed 's,file://[^,]*,FILE,' > one.txt
echo '{"status":"complete"}' > "$PERTASK_HANDOFF_FILE""#,
    );
    fs::create_dir_all(sandbox.home.join("go/pkg/mod")).unwrap();
    write(
        &sandbox.home.join(".config/go/env"),
        "GOAUTH=netrc\nGOPROXY=https://me:secret-0001@one/go,https://two|direct\n\
         GOPRIVATE=example.com/me@own\nGOFLAGS=-mod=mod\n",
    );
    let out = sandbox.pertask(["start", "wiz", "--mode", "per-task"]);
    assert_eq!(out.code, 0, "{}", out.text());
    assert_eq!(
        sandbox.file_at("pertask/wiz/1-one", "one.txt"),
        "GOPROXY=https://one/go,https://two|direct\nGOPRIVATE=example.com/me@own\n\
         GOFLAGS=-mod=mod\nFILE,https://one/go,https://two|direct"
    );
}

#[test]
fn go_builds_and_adds_modules_inside() {
    let go = std::process::Command::new("go").arg("version").output();
    if skipped() || needs::lacks("go", go.is_ok(), "there is no Go") {
        return;
    }
    let sandbox = Sandbox::new();
    // Nothing here imports the standard library: compiling that takes long.
    // A module that the person has downloaded, and nobody else offers.
    let cache = sandbox
        .home
        .join("go/pkg/mod/cache/download/example.com/have/@v");
    write(&cache.join("list"), "v1.0.0\n");
    write(&cache.join("v1.0.0.info"), r#"{"Version":"v1.0.0"}"#);
    write(&cache.join("v1.0.0.mod"), "module example.com/have\n");
    fs::write(cache.join("v1.0.0.zip"), module_zip()).unwrap();
    sandbox.write("go.mod", "module example.com/mine\n\ngo 1.21\n");
    sandbox.write("mine.go", "package mine\n");
    sandbox.agent(
        r#"cat > /dev/null
exec > "$PERTASK_OUTPUT_DIR/said" 2>&1
set -ex
export GONOSUMDB=example.com GOFLAGS="$GOFLAGS -mod=mod"
printf 'package mine\nimport _ "example.com/have"\n' > two.go
go build ./...
go env GOCACHE GOMODCACHE GOPATH > "$PERTASK_OUTPUT_DIR/caches"
echo '{"status":"complete"}' > "$PERTASK_HANDOFF_FILE""#,
    );
    sandbox.plan(
        r#"title = "Go"
build = [["go", "build", "./..."]]
[[task]]
id = "two"
title = "Two"
file = "two.go"
purpose = "Build it"
risk = "high"
allow = ["go.mod", "go.sum"]
"#,
    );
    sandbox.commit("Add the plan");
    let before = support::everything_in(&sandbox.home);
    let out = sandbox.pertask(["start", "wiz", "--mode", "per-task"]);
    let ledger = "refs/pertask/runs/wiz";
    let names = sandbox.files_at(ledger);
    let said = names.lines().find(|n| n.ends_with("/said"));
    let said = said.map(|n| sandbox.file_at(ledger, n)).unwrap_or_default();
    assert_eq!(
        sandbox.states("wiz"),
        "two=review",
        "{}\n{said}",
        out.text()
    );
    let caches = names.lines().find(|n| n.ends_with("/caches")).unwrap();
    for line in sandbox.file_at(ledger, caches).lines() {
        assert!(
            line.contains("/pertask/") && line.contains("/wiz/caches/"),
            "{line}"
        );
    }
    let after = support::everything_in(&sandbox.home);
    assert_eq!(after.len(), before.len(), "something is new in the home");
}

/// A module without a file of Go but one, as a zip that is stored and not packed.
fn module_zip() -> Vec<u8> {
    let (name, data) = ("example.com/have@v1.0.0/have.go", "package have\n");
    let mut crc = u32::MAX;
    for byte in data.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let length = |text: &str| u32::try_from(text.len()).unwrap().to_le_bytes();
    let sizes = [(!crc).to_le_bytes(), length(data), length(data)].concat();
    let names = [&length(name)[..2], &[0, 0]].concat();
    // Local header, then the directory at the end (APPNOTE.TXT 4.3.7, 4.3.12, 4.3.16).
    let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &sizes, &names].concat();
    let mut zip = [b"PK\x03\x04", &common[..], name.as_bytes(), data.as_bytes()].concat();
    let start = u32::try_from(zip.len()).unwrap().to_le_bytes();
    let entry = [
        b"PK\x01\x02\x14\x00",
        &common[..],
        &[0; 14],
        name.as_bytes(),
    ]
    .concat();
    let size = u32::try_from(entry.len()).unwrap().to_le_bytes();
    zip.extend(&entry);
    zip.extend(
        [
            b"PK\x05\x06\0\0\0\0\x01\0\x01\0",
            &size[..],
            &start,
            &[0, 0],
        ]
        .concat(),
    );
    zip
}

/// Runs a program confined to the system's folders and what is named.
fn confine(sandbox: &Sandbox, policy: &str, command: &[&str]) -> support::Output {
    let file = sandbox.root().join("policy");
    write(&file, policy);
    let mut program = sandbox.program(&sandbox.root());
    program
        .args(["confine", "--policy"])
        .arg(&file)
        .arg("--")
        .args(command);
    sandbox.finish(program)
}

/// Where [`connects`] connects to; an abstract name begins with `@`.
const SOCKETS: &str = "CONFINEMENT_TEST_SOCKETS";

/// Run confined by [`sockets`], in a process of its own.
#[test]
#[ignore = "run by another test"]
fn connects() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixStream};
    for name in std::env::var(SOCKETS).unwrap_or_default().split(',') {
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(name),
        };
        let open = UnixStream::connect_addr(&address.unwrap()).is_ok();
        eprintln!("{}: {}", if open { "open" } else { "closed" }, &name[..1]);
    }
    eprintln!(
        "network: {}",
        std::net::UdpSocket::bind("127.0.0.1:0").is_ok()
    );
}

#[test]
fn sockets() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let found = sandbox::available();
    needs::lacks("landlock", found.is_some(), "this kernel has no Landlock");
    let Some(landlock) = found else { return };
    let mut sandbox = Sandbox::empty();
    let path = sandbox.root().join("socket");
    let name = format!("pertask-test-{}", std::process::id());
    let _by_path = UnixListener::bind(&path).unwrap();
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _by_name = UnixListener::bind_addr(&address).unwrap();
    sandbox.set(SOCKETS, format!("@{name},{}", path.display()));
    let me = std::env::current_exe().unwrap();
    let me = me.to_str().unwrap();
    let policy = SYSTEM.replacen('[', &format!("[{me:?}, "), 1);
    let policy = format!("{{{policy}, \"write\": []}}");
    let arguments = [me, "connects", "--exact", "--ignored", "--nocapture"];
    let out = confine(&sandbox, &policy, &arguments).code(0);
    let state = |open: bool| if open { "open" } else { "closed" };
    // What a kernel leaves open, the start says.
    let expected = format!(
        "{}: @\n{}: /\nnetwork: true\n",
        state(landlock.abi < 6),
        state(landlock.abi < 9),
    );
    assert_eq!(out.stderr, expected, "{}", out.text());
}

const SYSTEM: &str =
    r#""read": ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache"], "set": {}, "unset": []"#;

#[test]
fn what_cannot_be_confined_is_not_started() {
    if skipped() {
        return;
    }
    let sandbox = Sandbox::empty();
    let policy = format!("{{{SYSTEM}, \"write\": []}}");
    let out = confine(&sandbox, &policy, &["sh", "-c", "echo here; echo x > x"]);
    assert_eq!(out.stdout, "here\n");
    assert_eq!(out.code, 2);
    assert!(!Path::new(&sandbox.root().join("x")).exists());
    for wrong in ["", "{}", "{\"read\": 1}", &policy.replace("read", "raed")] {
        let out = confine(&sandbox, wrong, &["sh", "-c", "echo here"]);
        assert_eq!(
            (out.code, &*out.stdout),
            (70, ""),
            "{wrong}: {}",
            out.text()
        );
    }
}
