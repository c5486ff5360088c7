//! What an agent left, without the keys it had in reach.
//!
//! Holds too where the agent was cut off and its keys are not known any more: before it begins, it is
//! noted by what they are found again. Not against an agent that changes them on purpose, puts one into
//! the name of a file, or is not confined and removes the note.

use crate::attempt::agent::login;
use crate::attempt::folder::{self, Folder};
use crate::attempt::process::{kill_carriers, new_mark};
use crate::git::{GITLINK, Repo, Worktree};
use crate::run::order::Order;
use crate::secrets::{Secrets, Traces};

/// Notes by what secrets are found again.
pub(super) fn note(folder: &Folder, secrets: &Secrets) -> anyhow::Result<()> {
    folder.write(folder::TRACES, &secrets.traces(&new_mark()))
}

/// Looks at what an agent left that was cut off, as a tree without the keys that are known by name or
/// by the note, and what is to be said of those. What is still running of it is ended first, and its
/// outputs are cleaned.
///
/// # Errors
/// When git fails, or an output cannot be written.
pub fn unfinished(
    repo: &Repo,
    worktree: &Worktree,
    folder: &Folder,
    order: &Order,
) -> anyhow::Result<(String, Vec<String>)> {
    kill_carriers("PERTASK_OUTPUT_DIR", folder.output().as_os_str());
    let agent = order.agent.as_ref();
    let mut secrets = Secrets::of_process(agent.map_or(&[], |a| a.config.env.as_slice()));
    if let Some(agent) = agent {
        let settings = folder.path("settings");
        secrets.join(login::left(agent.config.adapter, &settings));
    }
    let noted: Option<Traces> = folder.read(folder::TRACES)?;
    let noted = noted.filter(|_| !crate::plant::is("key-stays-in-kept-work"));
    let traces = noted.unwrap_or_default();
    folder.clean_outputs(&|bytes| traces.redact_bytes(secrets.redact_bytes(bytes)))?;
    let tree = worktree.scan(repo)?.tree;
    without_keys(repo, order, &tree, &|bytes| {
        let known = secrets.out_of_code(bytes);
        let noted = traces.out_of_code(known.as_ref().map_or(bytes, |(clean, _)| clean));
        match (known, noted) {
            (Some((_, mut names)), Some((clean, more))) => {
                names.extend(more);
                names.sort_unstable();
                names.dedup();
                Some((clean, names))
            }
            (known, noted) => noted.or(known),
        }
    })
}

/// What is left of a file, and the names of the secrets that stood in it; `None` when none did.
type OutOfCode<'a> = &'a dyn Fn(&[u8]) -> Option<(Vec<u8>, Vec<String>)>;

/// The tree without the keys that the agent wrote into it, and what is to be said of that: the tree
/// is shown and kept even if the attempt fails.
pub(super) fn without_keys(
    repo: &Repo,
    order: &Order,
    tree: &str,
    out_of_code: OutOfCode<'_>,
) -> anyhow::Result<(String, Vec<String>)> {
    let (mut edits, mut said) = (Vec::new(), Vec::new());
    for change in repo.changes(&order.base, tree)? {
        let Some(entry) = change.after.filter(|e| e.mode != GITLINK) else {
            continue;
        };
        if let Some((clean, names)) = out_of_code(&repo.blob(&entry.oid)?) {
            said.push(format!(
                "{} held the value of {}, which was taken out",
                change.path,
                names.join(" and of ")
            ));
            edits.push((change.path, Some((entry.mode, repo.write_blob(&clean)?))));
        }
    }
    if edits.is_empty() {
        return Ok((tree.to_owned(), said));
    }
    Ok((repo.with_entries(Some(tree), &edits)?, said))
}
