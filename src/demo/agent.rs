//! The scripted agent: `git pertask demo-agent`.
//!
//! It does what a real agent does, seen from outside: reads the prompt, writes files in its working
//! directory, prints what it is about and leaves a handoff. It asks no model, says so, and given the
//! same prompt and the same files it does the same. What it writes was shipped with this program,
//! one planned mistake included: its first client file does not compile.
//!
//! It writes only the plan's own files below the working directory and the handoff file, and
//! refuses any task it does not know by a `blocked` handoff.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// Folder of the files that it writes, from the repository's root.
pub const FOLDER: &str = "modules/chariot/backend/pkg/tasks/integrations/wiz";

/// The file where the handler is registered, from the repository's root.
pub const REGISTRY: &str = "modules/chariot/backend/pkg/tasks/integrations/integrations.go";

/// What it calls itself in handoffs.
const NAME: &str = "scripted-demo-agent";

macro_rules! shipped {
    ($path:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/templates/demo/",
            $path
        ))
    };
}

/// A source file with its test.
struct Version {
    source: &'static str,
    test: Option<&'static str>,
}

/// What it knows of one task.
struct Piece {
    task: &'static str,
    /// The task's name in handoffs.
    title: &'static str,
    /// File name without `.go`.
    stem: &'static str,
    /// The version written at first, where it is not the last.
    first: Option<Version>,
    /// Whether `first` does not compile, so that it is written once only.
    broken: bool,
    last: Version,
    /// Points for the reviewer that hold for both versions.
    notes: &'static [&'static str],
    /// Points that hold for the last version only.
    last_notes: &'static [&'static str],
}

/// The four tasks of the `integration` template, in dependency order.
static PIECES: [Piece; 4] = [
    Piece {
        task: "types",
        title: "Task 1 of 4: API Types",
        stem: "wiz_types",
        first: None,
        broken: false,
        last: Version {
            source: shipped!("final/wiz_types.go"),
            test: None,
        },
        notes: &[
            "Answers: user, asset, finding, page of assets, page of findings",
            "Fields that may be missing are pointers",
            "Status, type and severity are string types with constants",
        ],
        last_notes: &[],
    },
    Piece {
        task: "client",
        title: "Task 2 of 4: Client File",
        stem: "wiz_client",
        first: Some(Version {
            source: shipped!("first/wiz_client.go"),
            test: Some(shipped!("final/wiz_client_test.go")),
        }),
        broken: true,
        last: Version {
            source: shipped!("final/wiz_client.go"),
            test: Some(shipped!("final/wiz_client_test.go")),
        },
        notes: &[
            "API methods: GetCurrentUser, ListAssets, GetAsset, ListFindings",
            "Rate limiting: waits as Retry-After says, three tries at most",
            "Error handling: every error is wrapped with the request it belongs to",
            "Each request has a time limit of 30 seconds",
        ],
        last_notes: &["Logs when X-RateLimit-Remaining falls below ten"],
    },
    Piece {
        task: "transform",
        title: "Task 3 of 4: Transform File",
        stem: "wiz_transform",
        first: Some(Version {
            source: shipped!("first/wiz_transform.go"),
            test: Some(shipped!("first/wiz_transform_test.go")),
        }),
        broken: false,
        last: Version {
            source: shipped!("final/wiz_transform.go"),
            test: Some(shipped!("final/wiz_transform_test.go")),
        },
        notes: &[
            "Follows the Tabularium mapping of architecture.md",
            "Missing fields stay empty; an unknown severity is info and logged",
            "Descriptions are cut at 4,000 characters",
        ],
        last_notes: &["Host names are trimmed, in lower case, without a trailing dot"],
    },
    Piece {
        task: "handler",
        title: "Task 4 of 4: Primary Handler",
        stem: "wiz",
        first: None,
        broken: false,
        last: Version {
            source: shipped!("final/wiz.go"),
            test: Some(shipped!("final/wiz_test.go")),
        },
        notes: &[
            "Invoke validates the credentials first",
            "The VMFilter is asked before every Job.Send",
            "CheckAffiliation asks GetAsset",
            "At most 1,000 pages of assets, 50 of findings for each, ten assets at a time",
            "Registered in integrations.go",
        ],
        last_notes: &[],
    },
];

/// What is written for a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    First,
    Last,
    /// The file stays as it is, but for one comment line at its end.
    Comment,
}

/// Works on the task that the environment names, in `workdir`, and returns the exit status.
///
/// It reads `PERTASK_TASK` (a task of the `integration` template, or `batch`), `PERTASK_ATTEMPT`
/// (a number; 1 when missing) and `PERTASK_HANDOFF_FILE`. Without the last one the handoff is
/// printed as the last thing, in one line of JSON. A task it does not know is handed off as
/// `blocked`, with status 0.
///
/// # Errors
///
/// When `PERTASK_TASK` is missing, `PERTASK_ATTEMPT` is no number, a file cannot be read or
/// written, or `out` is closed.
pub fn act(
    env: &dyn Fn(&str) -> Option<String>,
    workdir: &Path,
    prompt: &str,
    out: &mut dyn Write,
) -> Result<i32> {
    say(
        out,
        "I am a script, no model is asked. What I write came with git-pertask.",
    )?;
    let Some(task) = env("PERTASK_TASK") else {
        bail!(
            "PERTASK_TASK is not set: the scripted agent is started by a run, not by hand; \
             try `git pertask demo`"
        );
    };
    let attempt: u32 = match env("PERTASK_ATTEMPT") {
        None => 1,
        Some(text) => text
            .trim()
            .parse()
            .with_context(|| format!("PERTASK_ATTEMPT is {text:?}, not a number"))?,
    };
    say(
        out,
        &format!(
            "task {task}, attempt {attempt}, a prompt of {} bytes",
            prompt.len()
        ),
    )?;

    let handoff = if task == "batch" {
        batch(workdir, attempt, out)?
    } else if let Some(piece) = PIECES.iter().find(|piece| piece.task == task) {
        single(piece, workdir, attempt, prompt, out)?
    } else {
        say(out, "this task is not in my script")?;
        blocked(&task, &format!("the scripted agent knows no task {task:?}"))
    };

    match env("PERTASK_HANDOFF_FILE") {
        Some(file) => {
            fs::write(&file, format!("{handoff:#}\n"))
                .with_context(|| format!("cannot write the handoff to {file}"))?;
            say(out, "done, the handoff is written")?;
        }
        None => writeln!(out, "{handoff}").context("cannot print the handoff")?,
    }
    Ok(0)
}

/// One task.
fn single(
    piece: &Piece,
    workdir: &Path,
    attempt: u32,
    prompt: &str,
    out: &mut dyn Write,
) -> Result<Value> {
    let choice = choose(
        piece,
        read(workdir, &piece.path())?.as_deref(),
        attempt,
        prompt,
    );
    let written = write_piece(piece, choice, workdir, attempt, out)?;
    if piece.task == "handler" && !register(workdir, out)? {
        return Ok(not_registered(piece.task));
    }

    let mut notes = vec!["Written by a script for the demo; no model was asked"];
    notes.extend(piece.notes);
    if choice != Choice::First {
        notes.extend(piece.last_notes);
    }
    let mut handoff = json!({
        "agent": NAME,
        "output_type": "implementation",
        "status": "complete",
        "task": piece.title,
        "file_created": piece.path(),
        "files_created": written.files,
        "lines": written.lines,
        "skills_invoked": ["developing-with-tdd", "verifying-before-completion"],
        "review_notes": notes,
        "handoff": { "next_task": null },
    });
    let position = PIECES.iter().position(|other| other.task == piece.task);
    if let Some(next) = position.and_then(|position| PIECES.get(position + 1)) {
        handoff["handoff"]["next_task"] = json!(next.title);
    }
    Ok(handoff)
}

/// All tasks at once, last versions only.
fn batch(workdir: &Path, attempt: u32, out: &mut dyn Write) -> Result<Value> {
    let mut files = Vec::new();
    let mut notes = vec!["Written by a script for the demo; no model was asked"];
    let mut changed = false;
    for piece in &PIECES {
        if read(workdir, &piece.path())?.as_deref() == Some(piece.last.source) {
            files.push(piece.path());
        } else {
            changed = true;
            files.extend(write_piece(piece, Choice::Last, workdir, attempt, out)?.files);
        }
        notes.extend(piece.notes.iter().chain(piece.last_notes));
    }
    if !changed && let Some(piece) = PIECES.iter().find(|piece| piece.task == super::REVISION.0) {
        write_piece(piece, Choice::Comment, workdir, attempt, out)?;
    }
    if !register(workdir, out)? {
        return Ok(not_registered("batch"));
    }
    Ok(json!({
        "agent": NAME,
        "output_type": "implementation",
        "status": "complete",
        "task": "Tasks 1 to 4 of 4",
        "files_created": files,
        "skills_invoked": ["developing-with-tdd", "verifying-before-completion"],
        "review_notes": notes,
        "handoff": { "next_task": null },
    }))
}

/// Which version the situation asks for.
///
/// It goes by what it finds, not by how the prompt is worded: its own first version in place means
/// that something was wrong with it, be it a build error or a review.
fn choose(piece: &Piece, present: Option<&str>, attempt: u32, prompt: &str) -> Choice {
    let diagnosed = names_a_line(prompt, &format!("{}.go", piece.stem));
    let first = piece.first.as_ref().map(|version| version.source);
    match present {
        None if first.is_none() => Choice::Last,
        None if piece.broken && (attempt > 1 || diagnosed) => Choice::Last,
        None => Choice::First,
        Some(text) if Some(text) == first => Choice::Last,
        Some(text) if diagnosed && text != piece.last.source => Choice::Last,
        Some(_) => Choice::Comment,
    }
}

/// Whether the text has a compiler's `file:line:` for the file of that name.
fn names_a_line(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let rest = text[at + name.len()..]
            .strip_prefix(':')
            .unwrap_or_default();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && rest[digits..].starts_with(':')
    })
}

impl Piece {
    /// The source file, from the repository's root.
    fn path(&self) -> String {
        format!("{FOLDER}/{}.go", self.stem)
    }

    /// Its test, from the repository's root.
    fn test_path(&self) -> String {
        format!("{FOLDER}/{}_test.go", self.stem)
    }
}

/// What was written, for the handoff.
struct Written {
    files: Vec<String>,
    /// Lines of the source file, without its test.
    lines: usize,
}

fn write_piece(
    piece: &Piece,
    choice: Choice,
    workdir: &Path,
    attempt: u32,
    out: &mut dyn Write,
) -> Result<Written> {
    let version = match (choice, &piece.first) {
        (Choice::First, Some(first)) => first,
        _ => &piece.last,
    };
    let path = piece.path();
    let present = read(workdir, &path)?;
    let mends = piece.first.is_some() && present.is_some();
    let source = if choice == Choice::Comment {
        let mut text = present.unwrap_or_default();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text + &format!("\n// Looked at once more in attempt {attempt}.\n")
    } else {
        version.source.to_owned()
    };
    let lines = source.lines().count();
    write(workdir, &path, &source)?;
    say(out, &format!("wrote {path} ({lines} lines)"))?;
    let mut files = vec![path];
    if let (Some(test), true) = (version.test, choice != Choice::Comment) {
        let path = piece.test_path();
        write(workdir, &path, test)?;
        say(out, &format!("wrote {path}"))?;
        files.push(path);
    }
    match choice {
        Choice::First if piece.broken => {
            say(
                out,
                "this version does not compile, on purpose: let us see who finds out",
            )?;
        }
        Choice::Last if mends => say(out, "this is the better version, with what was asked for")?,
        Choice::First | Choice::Last => {}
        Choice::Comment => say(out, "I have no better version, so I left a comment line")?,
    }
    Ok(Written { files, lines })
}

/// Adds the handler to the registry, once. False when the registry is not as the sample has it.
fn register(workdir: &Path, out: &mut dyn Write) -> Result<bool> {
    let Some(text) = read(workdir, REGISTRY)? else {
        return Ok(false);
    };
    let Some(registered) = with_handler(&text) else {
        return Ok(false);
    };
    if registered != text {
        write(workdir, REGISTRY, &registered)?;
        say(out, &format!("registered wiz.New in {REGISTRY}"))?;
    }
    Ok(true)
}

/// The registry's text with import and factory behind those of the pattern, `acme`.
fn with_handler(text: &str) -> Option<String> {
    if text.contains("integrations/wiz\"") {
        return Some(text.to_owned());
    }
    let mut result = String::with_capacity(text.len() + 100);
    let (mut imported, mut listed) = (false, false);
    for line in text.split_inclusive('\n') {
        result.push_str(line);
        if line.trim_end().ends_with("integrations/acme\"") && !imported {
            result.push_str(&line.replace("integrations/acme", "integrations/wiz"));
            imported = true;
        } else if line.trim() == "acme.New," && !listed {
            result.push_str(&line.replace("acme.New", "wiz.New"));
            listed = true;
        }
    }
    (imported && listed).then_some(result)
}

fn not_registered(task: &str) -> Value {
    blocked(
        task,
        &format!("{REGISTRY} is not as the sample has it: acme is not registered there"),
    )
}

fn blocked(task: &str, reason: &str) -> Value {
    json!({
        "agent": NAME,
        "output_type": "implementation",
        "status": "blocked",
        "task": task,
        "blocked_reason": reason,
        "attempted": ["looked into the script that the demo's agent follows"],
        "skills_invoked": ["verifying-before-completion"],
        "handoff": { "next_agent": null },
    })
}

fn say(out: &mut dyn Write, line: &str) -> Result<()> {
    writeln!(out, "demo-agent: {line}").context("cannot print")
}

fn read(workdir: &Path, path: &str) -> Result<Option<String>> {
    match fs::read(workdir.join(path)) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {path}")),
    }
}

fn write(workdir: &Path, path: &str, text: &str) -> Result<()> {
    let target = workdir.join(path);
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    fs::write(&target, text).with_context(|| format!("cannot write {path}"))
}

#[cfg(test)]
mod tests;
