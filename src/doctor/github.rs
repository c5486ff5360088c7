//! GitHub: remote, token, repository, rules, workflows.
//!
//! Reads only. What cannot be seen with this token is said to be so, or left out where it does not
//! matter, and is never taken for good.

mod actions;
mod facts;

use std::time::Duration;

use serde_json::{Value, json};

use super::settings::Known;
use super::{Finding, Level, head, workflows};
use crate::forge::github::{
    ApiError, Client, Patience, Place, PlaceError, Source, Token, Transport, environment, segment,
};
use crate::git::Repo;
use crate::plan::Documents as _;
use crate::report::clean;
use crate::workflow;

const SECTION: &str = "github";

/// A branch as tasks have it, to ask for the rules that hold for it.
const TASK_BRANCH: &str = "pertask/run/1-task";
/// A branch as runs have it.
const RUN_BRANCH: &str = "pertask/run/main";

fn finding(check: &'static str, level: Level, text: &str) -> Finding {
    Finding::new(SECTION, check, level, clean::line(text))
}

/// Looks at everything of GitHub.
pub(super) fn look(repo: &Repo, known: &Known, out: &mut Vec<Finding>) {
    let place = match Place::find(repo) {
        Ok(place) => place,
        Err(error) => {
            out.push(no_place(&error));
            return workflows_of(repo, "main", out);
        }
    };
    let text = format!(
        "the remote {} is {} on {}",
        place.remote,
        place.slug(),
        place.host()
    );
    out.push(finding("github.remote", Level::Ok, &text));
    for note in &place.notes {
        out.push(finding("github.environment", Level::Warn, note));
    }
    let base = match Token::find(&place, repo) {
        Ok(token) => {
            out.push(of_git(repo, &place, &token));
            api(repo, &place, token, known, out)
        }
        Err(error) => {
            out.push(split("github.token", Level::Bad, &error.to_string()));
            None
        }
    };
    workflows_of(repo, base.as_deref().unwrap_or("main"), out);
}

fn no_place(error: &PlaceError) -> Finding {
    split("github.remote", Level::Bad, &error.to_string())
}

/// Messages of the forge say what happened, a semicolon, and what mends it.
fn split(check: &'static str, level: Level, message: &str) -> Finding {
    match message.split_once("; ") {
        Some((text, mend)) => finding(check, level, text).mend(clean::line(mend)),
        None => finding(check, level, message),
    }
}

/// Whether git, too, can reach the remote.
fn of_git(repo: &Repo, place: &Place, token: &Token) -> Finding {
    let from = format!("the token is that of {}", token.source());
    let git = |how: &str| {
        finding(
            "github.token",
            Level::Ok,
            &format!("{from}; git pushes {how}"),
        )
    };
    match (place.transport, token.source()) {
        (Transport::Ssh, _) => git("by ssh with your keys"),
        (Transport::Folder, _) => git("to a folder"),
        (Transport::Http, Source::Variable(_)) => git("with it too"),
        (Transport::Http, Source::CredentialHelper) => git("with what its helper has"),
        (Transport::Http, Source::Gh) if repo.has_credential_helper(&place.web) => {
            git("with what its credential helper has")
        }
        (Transport::Http, Source::Gh) => finding(
            "github.token",
            Level::Bad,
            &format!("{from}, and git has no credential helper, so it cannot push by https"),
        )
        .mend(format!("gh auth setup-git --hostname {}", place.host())),
    }
}

/// Git goes through a proxy that the environment names; requests to the API do not.
fn proxy(place: &Place) -> Option<Finding> {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let set = names.iter().find(|name| environment(name).is_some())?;
    let text = format!(
        "{set} is set, but {} is asked without a proxy; if only the proxy can reach it, GitHub cannot be used",
        place.api
    );
    (!place.api.starts_with("http://")).then(|| finding("github.proxy", Level::Warn, &text))
}

/// Asks the API; the repository's default branch, if it answers.
fn api(
    repo: &Repo,
    place: &Place,
    token: Token,
    known: &Known,
    out: &mut Vec<Finding>,
) -> Option<String> {
    // A person waits: a limit is said, not waited for.
    let patience = Patience {
        longest: Duration::from_secs(3),
        ..Patience::default()
    };
    out.extend(proxy(place));
    let answer = Client::new(place, token, patience)
        .and_then(|mut client| Ok((client.get(&place.repository())?, client)));
    let (answer, mut client) = match answer {
        Ok(answer) => answer,
        Err(error) => {
            out.push(unreachable(place, &error));
            return None;
        }
    };
    out.push(finding(
        "github.api",
        Level::Ok,
        &format!("{} answers", place.api),
    ));
    who(&mut client, known, out);
    let private = answer.body["private"].as_bool().unwrap_or(true);
    out.extend(facts::scopes(place, answer.scopes.as_deref(), private));
    out.extend(facts::repository(place, &answer.body, known.config.merge));
    let base = answer.body["default_branch"].as_str().map(str::to_owned);
    rules(&mut client, known, out);
    protection(&mut client, known, out);
    if let Some(base) = &base {
        actions::look(&mut client, repo, known, base, out);
    }
    base
}

fn unreachable(place: &Place, error: &ApiError) -> Finding {
    let message = error.to_string();
    match error {
        error if error.is_temporary() => {
            let text = format!(
                "{} cannot be asked, so the rest was not looked at: {message}",
                place.api
            );
            finding("github.api", Level::Warn, &text)
        }
        ApiError::Unauthorized { mend, .. } | ApiError::Permission { mend, .. } => {
            let text = message.strip_suffix(mend.as_str()).unwrap_or(&message);
            let text = text.trim_end_matches([' ', ':', ';']);
            finding("github.token", Level::Bad, text).mend(clean::line(mend))
        }
        ApiError::NotFound { .. } => {
            let text = format!(
                "{} has no repository {}, or the token may not see it",
                place.host(),
                place.slug()
            );
            finding("github.repository", Level::Bad, &text)
                .mend(format!("give the token access to it, or correct the remote: git remote set-url {} {}/OWNER/NAME.git", place.remote, place.web))
        }
        _ => split("github.api", Level::Bad, &message),
    }
}

/// Whose token it is: who opens the pull requests cannot approve them.
fn who(client: &mut Client, known: &Known, out: &mut Vec<Finding>) {
    // The token of a workflow is nobody's; then this is refused, which is as good.
    let Ok(answer) = client.get("/user") else {
        return;
    };
    let Some(login) = answer.body["login"].as_str() else {
        return;
    };
    let text = if known.config.github.author_may_approve {
        format!("pull requests are opened by @{login}, who decides by comment (author_may_approve)")
    } else {
        format!(
            "pull requests are opened by @{login}, whose own reviews do not count: somebody else has to decide"
        )
    };
    out.push(finding("github.account", Level::Ok, &text));
}

fn rules(client: &mut Client, known: &Known, out: &mut Vec<Finding>) {
    let place = client.place().clone();
    for (branch, run) in [(TASK_BRANCH, false), (RUN_BRANCH, true)] {
        let path = format!(
            "{}/rules/branches/{}?per_page=100",
            place.repository(),
            segment(branch)
        );
        match client.pages(&path) {
            Ok(rules) => out.extend(facts::rules(&place, &rules, run, known.config.merge)),
            // Servers that do not know rules have none.
            Err(ApiError::NotFound { .. }) => return,
            Err(error) => {
                let text = format!("the rules for branches pertask/* cannot be seen: {error}");
                out.push(finding("github.rules", Level::Warn, &text));
                return;
            }
        }
    }
    if !out.iter().any(|f| f.check == "github.rules") {
        let text = "no rule stands in the way of branches pertask/*";
        out.push(finding("github.rules", Level::Ok, text));
    }
}

const PROTECTION: &str = "query Protection($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    branchProtectionRules(first: 100) {
      nodes {
        pattern
        dismissesStaleReviews
        requiresApprovingReviews
        requiresCommitSignatures
        requiresLinearHistory
        requiresStatusChecks
        restrictsPushes
        lockBranch
        blocksCreations
      }
    }
  }
}";

/// The older branch protection, whose patterns only GraphQL tells.
fn protection(client: &mut Client, known: &Known, out: &mut Vec<Finding>) {
    let place = client.place().clone();
    let variables = json!({ "owner": place.owner, "name": place.name });
    match client.query("Protection", PROTECTION, &variables) {
        Ok(data) => {
            let nodes = &data["repository"]["branchProtectionRules"]["nodes"];
            let nodes: &[Value] = nodes.as_array().map_or(&[], Vec::as_slice);
            out.extend(facts::protection(&place, nodes, known.config.merge));
        }
        Err(error) => {
            tracing::debug!("branch protection: {error}");
            let text = "whether branch protection covers branches pertask/* cannot be seen with this token";
            out.push(
                finding("github.protection", Level::Warn, text).mend(format!(
                    "look at {}/{}/settings/branches",
                    place.web,
                    place.slug()
                )),
            );
        }
    }
}

/// The workflows of the commit at hand that run because of us.
pub(super) fn workflows_of(repo: &Repo, base: &str, out: &mut Vec<Finding>) {
    let Some(commit) = head(repo) else { return };
    let docs = crate::git::AtCommit::new(repo, &commit);
    let folder = ".github/workflows";
    let names = docs.list(folder).unwrap_or_default();
    let is_yaml = |name: &&String| {
        let end = name.rsplit('.').next();
        end.is_some_and(|e| e == "yml" || e == "yaml")
    };
    for name in names.iter().filter(is_yaml) {
        let path = format!("{folder}/{name}");
        if [workflow::MAIN, workflow::ORDER].contains(&&*path) {
            continue;
        }
        let text = match docs.read(&path) {
            Ok(Some(text)) => text,
            Ok(None) => continue,
            Err(error) => {
                let text = format!("{path} cannot be read: {error:#}");
                out.push(finding("github.workflow", Level::Warn, &text));
                continue;
            }
        };
        match workflows::read(&text, base) {
            Ok(Some(running)) => out.push(facts::workflow(&path, &running)),
            Ok(None) => {}
            Err(error) => {
                let first = error.lines().next().unwrap_or_default();
                let first = first.trim_start_matches("error: ");
                let text = format!("{path} is not understood: {first}");
                out.push(finding("github.workflow", Level::Warn, &text));
            }
        }
    }
}
