//! Git over HTTP: the real `git http-backend`, run as CGI against the bare repository.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::bare::command;
use super::merge::refused_workflow;
use super::serve::{Incoming, Outgoing, Shared};
use super::state::{Id, Permission, State, Token};

/// Refuses changes of protected branches and, where the pusher may not, of workflow files. The
/// reason goes into a file of the server's: git has none of its own to tell the pusher.
const HOOK: &str = r#"#!/bin/sh
ref=$1 old=$2 new=$3
zero=0000000000000000000000000000000000000000
case " $PERTASK_PROTECTED " in
*" $ref "*)
    echo "error: GH006: Protected branch update failed for $ref." >&2
    printf '%s\tprotected branch hook declined\n' "$ref" >> "$PERTASK_REASONS"
    exit 1
    ;;
esac
[ "$PERTASK_WORKFLOWS" = no ] || exit 0
[ "$new" != $zero ] || exit 0
path=$(
    if [ "$old" = $zero ]; then
        for one in $(git rev-list --reverse "$new" --not --all); do
            git diff-tree --root --no-commit-id --name-only -r --first-parent -m "$one" \
                -- .github/workflows
        done
    else
        git diff --name-only "$old" "$new" -- .github/workflows
    fi | head -n 1
)
[ -n "$path" ] || exit 0
printf '%s\tWORKFLOW %s\n' "$ref" "$path" >> "$PERTASK_REASONS"
exit 1
"#;

/// Puts the hook into a bare repository.
pub fn install_hook(bare: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let hook = bare.join("hooks/update");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, HOOK).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The name of a git request for faults and the log, and whether it pushes.
pub fn name(incoming: &Incoming) -> (String, bool) {
    let last = incoming.path.rsplit('/').next().unwrap_or_default();
    match last {
        // Before a long push git asks with an empty one.
        "git-receive-pack" if incoming.body == b"0000" => ("git:probe".into(), false),
        "git-receive-pack" => ("git:receive-pack".into(), true),
        "git-upload-pack" => ("git:upload-pack".into(), false),
        "refs" => ("git:info".into(), false),
        _ => ("git:other".into(), false),
    }
}

/// Who a request is from: the account and its token.
fn login(state: &State, incoming: &Incoming) -> Option<Result<Token, ()>> {
    let header = incoming.header("authorization")?;
    let (kind, value) = header.split_once(' ').unwrap_or((header, ""));
    let secret = if kind.eq_ignore_ascii_case("basic") {
        let text = STANDARD.decode(value.trim()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.split_once(':')
            .map_or(text.clone(), |(user, password)| {
                let both = [password, user];
                let known = both.into_iter().find(|s| state.tokens.contains_key(*s));
                known.unwrap_or(password).to_owned()
            })
    } else {
        value.trim().to_owned()
    };
    let token = state.tokens.get(&secret).filter(|t| !t.expired).cloned();
    Some(token.ok_or(()))
}

fn unauthorised(text: &str) -> Outgoing {
    Outgoing::text(401, text).with("www-authenticate", "Basic realm=\"GitHub\"")
}

/// Serves a request.
pub fn answer(shared: &Shared, incoming: &Incoming) -> Outgoing {
    let mut state = shared.state.lock().unwrap();
    state.sync();
    let mut parts = incoming.path.trim_start_matches('/').splitn(3, '/');
    let owner = parts.next().unwrap_or_default();
    let full = parts.next().unwrap_or_default();
    let rest = parts.next().unwrap_or_default().to_owned();
    let name = full.strip_suffix(".git").unwrap_or(full);
    let token = match login(&state, incoming) {
        None => None,
        Some(Ok(token)) => Some(token),
        Some(Err(())) => return unauthorised("Invalid username or token."),
    };
    let pushing = rest == "git-receive-pack" || incoming.query == "service=git-receive-pack";
    let Some(rid) = state.repo_named(owner, name) else {
        if let Some(rid) = state.repo_moved(owner, name) {
            let new = state.full_name(&state.repos[&rid]);
            let query = if incoming.query.is_empty() { "" } else { "?" };
            let to = format!(
                "{}/{new}.git/{rest}{query}{}",
                state.address, incoming.query
            );
            return Outgoing::text(301, "").with("location", to);
        }
        return match token {
            None => unauthorised("Repository not found."),
            Some(_) => Outgoing::text(404, "Repository not found."),
        };
    };
    let account = token.as_ref().map(|t| t.account);
    if let Err(refused) = allow(&state, rid, token.as_ref(), pushing) {
        return Outgoing { account, ..refused };
    }
    let repo = &state.repos[&rid];
    let reasons = repo
        .bare
        .path
        .join(format!("reasons-{:?}", std::thread::current().id()));
    std::fs::write(&reasons, "").unwrap();
    let workflows = token.as_ref().is_some_and(|t| t.may("workflows=write"));
    let protected: Vec<String> = repo
        .heads
        .keys()
        .filter(|b| repo.protection(b).is_some_and(|p| p.no_push || p.queue))
        .map(|b| format!("refs/heads/{b}"))
        .collect();
    let mut cgi = command(&repo.bare.path);
    cgi.arg("http-backend")
        .env("GIT_PROJECT_ROOT", &repo.bare.path)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{rest}"))
        .env("REQUEST_METHOD", &incoming.method)
        .env("QUERY_STRING", &incoming.query)
        .env("CONTENT_LENGTH", incoming.body.len().to_string())
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("PERTASK_REASONS", &reasons)
        .env("PERTASK_PROTECTED", protected.join(" "))
        .env("PERTASK_WORKFLOWS", if workflows { "yes" } else { "no" });
    if let Some(account) = account {
        cgi.env("REMOTE_USER", state.who(account).login());
    }
    for (header, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
        ("accept", "HTTP_ACCEPT"),
        ("user-agent", "HTTP_USER_AGENT"),
    ] {
        if let Some(value) = incoming.header(header) {
            cgi.env(variable, value);
        }
    }
    let push = rest == "git-receive-pack";
    if let (true, Some(account)) = (push, account) {
        let repo = state.repos.get_mut(&rid).unwrap();
        repo.pushing.push(account);
    }
    drop(state);
    let mut out = run(cgi, &incoming.body);
    if push {
        let mut state = shared.state.lock().unwrap();
        state.sync();
        state.repos.get_mut(&rid).unwrap().pushing.pop();
        let kind = account.map(|a| state.who(a).kind);
        let said = std::fs::read_to_string(&reasons).unwrap_or_default();
        for line in said.lines() {
            let (name, reason) = line.split_once('\t').unwrap_or((line, ""));
            let reason = match (reason.strip_prefix("WORKFLOW "), kind) {
                (Some(path), Some(kind)) => refused_workflow(kind, path),
                _ => reason.to_owned(),
            };
            out.body = explain(&out.body, name, &reason);
        }
    }
    std::fs::remove_file(&reasons).ok();
    Outgoing { account, ..out }
}

fn allow(state: &State, rid: Id, token: Option<&Token>, pushing: bool) -> Result<(), Outgoing> {
    let repo = &state.repos[&rid];
    let Some(token) = token else {
        return if pushing || repo.private {
            Err(unauthorised("No anonymous write access."))
        } else {
            Ok(())
        };
    };
    let may = state.permission(repo, token.account);
    if may == Permission::None || (repo.private && !token.may("contents=read")) {
        return Err(Outgoing::text(404, "Repository not found."));
    }
    if !pushing {
        return Ok(());
    }
    if repo.archived {
        let what = "This repository was archived so it is read-only.";
        return Err(Outgoing::text(403, what));
    }
    if may < Permission::Write || !token.may("contents=write") {
        let what = format!(
            "Permission to {}.git denied to {}.",
            state.full_name(repo),
            state.who(token.account).login()
        );
        return Err(Outgoing::text(403, &what));
    }
    Ok(())
}

fn run(mut cgi: std::process::Command, body: &[u8]) -> Outgoing {
    let mut child = cgi
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut answer = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(body).ok());
        output.read_to_end(&mut answer).ok();
    });
    child.wait().unwrap();
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n");
    let Some(split) = split else {
        return Outgoing::text(500, "git http-backend said nothing");
    };
    let head = String::from_utf8_lossy(&answer[..split]).into_owned();
    let mut out = Outgoing {
        status: 200,
        headers: Vec::new(),
        body: answer[split + 4..].to_vec(),
        account: None,
    };
    for line in head.split("\r\n") {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        if name.eq_ignore_ascii_case("status") {
            out.status = value[..3].parse().unwrap();
        } else {
            out.headers.push((name.to_lowercase(), value.to_owned()));
        }
    }
    out
}

/// Puts the reason into the report of a push where git only says `hook declined`.
fn explain(body: &[u8], name: &str, reason: &str) -> Vec<u8> {
    let mut report = Vec::new();
    let mut others = Vec::new();
    let mut framed = false;
    for packet in packets(body) {
        match packet {
            Some([1, rest @ ..]) => {
                framed = true;
                report.extend_from_slice(rest);
            }
            Some(other) => others.push(other.to_vec()),
            None => {}
        }
    }
    if !framed {
        return body.to_vec();
    }
    let mut inner = Vec::new();
    let wanted = format!("ng {name} ");
    for packet in packets(&report) {
        match packet {
            Some(line) if line.starts_with(wanted.as_bytes()) => {
                put(&mut inner, format!("{wanted}{reason}\n").as_bytes());
            }
            Some(line) => put(&mut inner, line),
            None => inner.extend_from_slice(b"0000"),
        }
    }
    let mut new = Vec::new();
    for other in others {
        put(&mut new, &other);
    }
    for chunk in inner.chunks(900) {
        put(&mut new, &[&[1], chunk].concat());
    }
    new.extend_from_slice(b"0000");
    new
}

fn put(out: &mut Vec<u8>, line: &[u8]) {
    out.extend_from_slice(format!("{:04x}", line.len() + 4).as_bytes());
    out.extend_from_slice(line);
}

/// The packets of a stream; `None` is a flush.
fn packets(mut rest: &[u8]) -> Vec<Option<&[u8]>> {
    let mut found = Vec::new();
    while rest.len() >= 4 {
        let length = std::str::from_utf8(&rest[..4]).ok();
        let length = length.and_then(|l| usize::from_str_radix(l, 16).ok());
        match length {
            Some(0) => {
                found.push(None);
                rest = &rest[4..];
            }
            Some(length) if (4..=rest.len()).contains(&length) => {
                found.push(Some(&rest[4..length]));
                rest = &rest[length..];
            }
            _ => break,
        }
    }
    found
}
