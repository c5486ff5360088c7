//! Merging, as GitHub does it, with git in the bare repository.

use git2::Oid;

use super::bare::{Bare, MergeTree};
use super::refusal::Refusal;
use super::state::{Id, Kind, Protection, Pull, Repo, State};

/// Who commits what is merged on the web.
const WEB: &str = "GitHub <noreply@github.com>";
const NOT_MERGEABLE: &str = "Pull Request is not mergeable";

/// What to merge, and how.
pub struct Merge<'a> {
    /// `merge`, `squash` or `rebase`.
    pub method: &'a str,
    pub title: Option<&'a str>,
    pub message: Option<&'a str>,
    /// What the head must be.
    pub sha: Option<&'a str>,
    /// The token may change workflow files.
    pub workflows: bool,
}

impl State {
    /// Merges a pull request: the new commit of the base.
    pub fn merge(&mut self, rid: Id, number: u64, by: Id, how: &Merge) -> Result<String, Refusal> {
        let pull = self.pull(rid, number).clone();
        let repo = self.repos[&rid].clone();
        self.refuse_merge(&repo, &pull, by, how)?;
        let base = repo.heads[&pull.base_ref].clone();
        let new = self.merged_commit(&repo, &pull, by, &base, how)?;
        let name = format!("refs/heads/{}", pull.base_ref);
        if repo.bare.set_ref(&name, &new, Some(&base)).is_err() {
            let what = "Base branch was modified. Review and try the merge again.";
            return Err(Refusal::new(405, what));
        }
        self.set_merged(rid, number, by, new.clone());
        self.repos.get_mut(&rid).unwrap().pushing.push(by);
        self.sync();
        self.repos.get_mut(&rid).unwrap().pushing.pop();
        if repo.delete_branch_on_merge && pull.head_repo == rid {
            self.delete_merged_branch(&repo, &pull);
        }
        Ok(new)
    }

    /// Deleting on merge moves what was based on the branch to where it went.
    fn delete_merged_branch(&mut self, repo: &Repo, pull: &Pull) {
        let (rid, onto) = (repo.id, pull.base_ref.clone());
        for other in &mut self.repos.get_mut(&rid).unwrap().pulls {
            if other.open() && other.base_ref == pull.head_ref {
                other.base_ref.clone_from(&onto);
            }
        }
        repo.bare
            .git(["update-ref", "-d", &format!("refs/heads/{}", pull.head_ref)]);
        self.sync();
    }

    fn refuse_merge(&self, repo: &Repo, pull: &Pull, by: Id, how: &Merge) -> Result<(), Refusal> {
        let no = |what: &str| Err(Refusal::new(405, what));
        if !pull.open() {
            return no(NOT_MERGEABLE);
        }
        if how.sha.is_some_and(|sha| sha != pull.head_sha) {
            let what = "Head branch was modified. Review and try the merge again.";
            return Err(Refusal::new(409, what));
        }
        if pull.draft {
            return no("Pull Request is still a draft");
        }
        match how.method {
            "merge" if !repo.allow_merge => {
                return no("Merge commits are not allowed on this repository.");
            }
            "squash" if !repo.allow_squash => {
                return no("Squash merges are not allowed on this repository.");
            }
            "rebase" if !repo.allow_rebase => {
                return no("Rebase merges are not allowed on this repository.");
            }
            _ => {}
        }
        let rules = repo.protection(&pull.base_ref);
        if rules.is_some_and(|r| r.queue) {
            return no("Changes must be made through the merge queue");
        }
        if how.method == "merge" && rules.is_some_and(|r| r.linear) {
            return no("This branch must not contain merge commits.");
        }
        if let Some(why) = self.blocked(repo.id, pull.number) {
            return no(&why);
        }
        let base = &repo.heads[&pull.base_ref];
        if rules.is_some_and(|r: &Protection| r.up_to_date)
            && !repo.bare.contains(&pull.head_sha, base)
        {
            return no("Head branch is out of date. Review and try the merge again.");
        }
        if self.merge_result(repo.id, pull.number) == MergeTree::Conflict {
            return no(NOT_MERGEABLE);
        }
        let range = format!("{base}...{}", pull.head_sha);
        let workflows = repo
            .bare
            .try_git(["diff", "--name-only", &range, "--", ".github/workflows"])
            .unwrap_or_default();
        if let (false, Some(path)) = (how.workflows, workflows.lines().next()) {
            let what = refused_workflow(self.who(by).kind, path);
            return Err(Refusal::new(403, what));
        }
        Ok(())
    }

    fn merged_commit(
        &self,
        repo: &Repo,
        pull: &Pull,
        by: Id,
        base: &str,
        how: &Merge,
    ) -> Result<String, Refusal> {
        let MergeTree::Clean(tree) = repo.bare.merge_tree(base, &pull.head_sha) else {
            return Err(Refusal::new(405, NOT_MERGEABLE));
        };
        let now = self.now();
        let merger = self.who(by).signature();
        if how.method == "rebase" {
            return rebase(&repo.bare, base, &pull.head_sha, &merger, now)
                .ok_or_else(|| Refusal::new(405, NOT_MERGEABLE));
        }
        let squash = how.method == "squash";
        let (title, body) = if squash {
            let author = self.who(pull.author).signature();
            squash_words(&repo.bare, pull, base, &author)
        } else {
            let owner = self.who(self.repos[&pull.head_repo].owner).login();
            let title = format!(
                "Merge pull request #{} from {owner}/{}",
                pull.number, pull.head_ref
            );
            (title, pull.title.clone())
        };
        let title = how.title.unwrap_or(&title);
        let body = how.message.unwrap_or(&body);
        let message = if body.is_empty() {
            format!("{title}\n")
        } else {
            format!("{title}\n\n{body}\n")
        };
        Ok(if squash {
            let author = self.who(pull.author).signature();
            repo.bare
                .commit(&tree, &[base], &message, (&author, WEB), now)
        } else {
            let parents = [base, pull.head_sha.as_str()];
            repo.bare
                .commit(&tree, &parents, &message, (&merger, WEB), now)
        })
    }
}

/// What GitHub says to somebody who may not change workflow files.
pub fn refused_workflow(kind: Kind, path: &str) -> String {
    match kind {
        Kind::Bot => format!(
            "refusing to allow a GitHub App to create or update workflow `{path}` without \
             `workflows` permission"
        ),
        Kind::User => format!(
            "refusing to allow a Personal Access Token to create or update workflow `{path}` \
             without `workflow` scope"
        ),
    }
}

/// GitHub's own title and message of a squash, with the other authors at the end.
fn squash_words(bare: &Bare, pull: &Pull, base: &str, author: &str) -> (String, String) {
    let repo = bare.open();
    let mut list = Vec::new();
    let mut others = Vec::new();
    let commits = bare.commits(base, &pull.head_sha);
    for sha in &commits {
        let commit = repo.find_commit(Oid::from_str(sha).unwrap()).unwrap();
        let person = commit.author();
        let person = format!(
            "{} <{}>",
            person.name().unwrap_or_default(),
            person.email().unwrap_or_default()
        );
        if person != author && !others.contains(&person) {
            others.push(person);
        }
        let summary = commit
            .summary()
            .ok()
            .flatten()
            .unwrap_or_default()
            .to_owned();
        let body = commit.body().ok().flatten().unwrap_or_default().to_owned();
        list.push((summary, body));
    }
    let (title, mut body) = if let [(summary, body)] = list.as_slice() {
        (format!("{summary} (#{})", pull.number), body.clone())
    } else {
        let items = list.iter().map(|(summary, body)| {
            let gap = if body.is_empty() { "" } else { "\n\n" };
            format!("* {summary}{gap}{body}")
        });
        let title = format!("{} (#{})", pull.title, pull.number);
        (title, items.collect::<Vec<_>>().join("\n\n"))
    };
    if !others.is_empty() {
        body.push_str("\n\n---------\n");
        for other in others {
            body.push_str("\nCo-authored-by: ");
            body.push_str(&other);
        }
    }
    (title, body)
}

/// The commits of the head one by one on the base; `None` at a conflict.
fn rebase(
    bare: &Bare,
    base: &str,
    head: &str,
    committer: &str,
    at: jiff::Timestamp,
) -> Option<String> {
    let repo = bare.open();
    let mut onto = base.to_owned();
    for sha in bare.commits(base, head) {
        let commit = repo.find_commit(Oid::from_str(&sha).ok()?).ok()?;
        if commit.parent_count() > 1 {
            continue;
        }
        let tip = repo.find_commit(Oid::from_str(&onto).ok()?).ok()?;
        let mut index = repo.cherrypick_commit(&commit, &tip, 0, None).ok()?;
        if index.has_conflicts() {
            return None;
        }
        let tree = index.write_tree_to(&repo).ok()?.to_string();
        let author = commit.author();
        let author = format!("{} <{}>", author.name().ok()?, author.email().ok()?);
        let message = commit.message().unwrap_or_default().to_owned();
        onto = bare.commit(&tree, &[&onto], &message, (&author, committer), at);
    }
    Some(onto)
}
