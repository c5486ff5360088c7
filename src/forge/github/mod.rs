//! GitHub: the pull request is the checkpoint.
//!
//! | module | what it is for |
//! |---|---|
//! | `place` | which server and repository, from the remote and the environment |
//! | `token` | which token, and for which server only |
//! | `client` | requests that obey GitHub's limits; octocrab stays in there |
//! | `limits` | how long an answer asks to wait; pure |
//! | `error` | what can go wrong, in words that say what mends it |
//! | `look` | everything about a run's pull requests in one query |
//! | `show` | a pull request made to show what it should |
//! | `merge` | a merge by commit, and why there is none |
//! | `talk` | review threads, answers |
//!
//! Races: every merge carries the commit that was approved. Crashes and lost answers: what is made is
//! looked for first, by head branch or by marker.

mod client;
mod error;
pub mod limits;
mod look;
mod merge;
mod place;
mod show;
mod talk;
mod token;

use std::collections::BTreeMap;

pub use client::{Answer, Client, Counts, Patience, segment};
pub use error::{ApiError, Result};
pub use place::{Env, Naming, Place, PlaceError, Transport, environment};
pub use token::{GitEnvironment, Source, Token, TokenError};

use super::{Asked, Forge, Merging, Page, Reply, Target, feedback};
use crate::git::Repo;
use crate::git::remote::Remote;
use crate::plan::Plan;
use crate::report;
use crate::run::seen::{PullStanding, Seen, SeenPull, Voice};
use crate::run::state::{Item, Person, State, ThreadRef, Workflow};

/// The GitHub forge.
pub struct GitHub {
    client: Client,
    remote: Remote,
    /// Whether check runs may be made: only with the token of an app.
    notes: bool,
    /// Entity tags of what is polled.
    tags: BTreeMap<String, String>,
    /// Whether it was said that the repository has another name.
    renamed: bool,
}

impl GitHub {
    /// The forge of a repository: its remote's place, with the token that the environment, `gh` or
    /// git has for it. Nothing is asked yet.
    ///
    /// # Errors
    /// [`PlaceError`], [`TokenError`].
    pub fn open(repo: &Repo, patience: Patience) -> anyhow::Result<Self> {
        let place = Place::find(repo)?;
        let token = Token::find(&place, repo)?;
        // Git gets nothing of ours but what is named here.
        let access = token
            .for_git(&place, &|_| None)
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let remote = Remote {
            name: place.remote.clone(),
            access,
        };
        let client = Client::new(&place, token, patience)?;
        Ok(Self {
            notes: client.is_of_app(),
            client,
            remote,
            tags: BTreeMap::new(),
            renamed: false,
        })
    }

    /// How many requests were sent.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.client.counts()
    }

    /// What git said when it was not let in, as what is to be changed about the token.
    #[must_use]
    pub fn denied(&self, detail: &str) -> ApiError {
        self.client.may_not_push(detail)
    }

    /// Whether a person may write to the repository.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn may_write(&mut self, login: &str) -> Result<bool> {
        look::may_write(&mut self.client, login)
    }

    /// Has a workflow run on a branch
    /// (<https://docs.github.com/en/rest/actions/workflows#create-a-workflow-dispatch-event>). Once too
    /// often does no harm: it finds nothing to do.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn wake(&mut self, workflow: &str, branch: &str) -> Result<()> {
        let at = format!(
            "{}/actions/workflows/{}/dispatches",
            self.client.place().repository(),
            segment(workflow)
        );
        let body = serde_json::json!({ "ref": branch });
        self.client.send(http::Method::POST, &at, &body).map(drop)
    }

    fn check(&mut self, facts: &look::Facts) -> anyhow::Result<()> {
        let place = self.client.place();
        if facts.archived {
            return Err(ApiError::Archived {
                repository: facts.name.clone(),
                settings: format!("{}/{}/settings", place.web, facts.name),
            }
            .into());
        }
        if !facts.name.eq_ignore_ascii_case(&place.slug())
            && !facts.name.is_empty()
            && !self.renamed
        {
            self.renamed = true;
            let (web, remote) = (place.web.clone(), self.remote.name.clone());
            self.client.tell(&format!(
                "the repository is called {name} now; change the remote: git remote set-url {remote} {web}/{name}.git",
                name = facts.name
            ));
        }
        if matches!(facts.permission.as_str(), "READ" | "TRIAGE") {
            return Err(self
                .client
                .may_not_write(&facts.permission.to_lowercase())
                .into());
        }
        Ok(())
    }
}

impl Forge for GitHub {
    fn remote(&self) -> Option<&Remote> {
        Some(&self.remote)
    }

    fn web(&self) -> Option<String> {
        let place = self.client.place();
        Some(format!("{}/{}", place.web, place.slug()))
    }

    fn look(&mut self, targets: &[Target]) -> anyhow::Result<Option<Seen>> {
        let (seen, facts) = look::look(&mut self.client, targets)?;
        self.check(&facts)?;
        Ok(Some(seen))
    }

    fn changed(&mut self, seen: &Seen) -> anyhow::Result<bool> {
        let repository = self.client.place().repository();
        let mut news = false;
        let open = seen.pulls.values().chain(&seen.last);
        for pull in open.filter(|p| !matches!(p.standing, PullStanding::Merged { .. })) {
            let number = pull.number;
            for path in [
                format!("{repository}/pulls/{number}"),
                format!("{repository}/pulls/{number}/reviews?per_page=100"),
                format!("{repository}/issues/{number}/comments?per_page=100"),
            ] {
                let tag = self.tags.get(&path).cloned();
                if let Some(answer) = self.client.get_if_changed(&path, tag.as_deref())? {
                    // Asked for the first time, it may have changed since it was looked at.
                    news = true;
                    match answer.etag {
                        Some(tag) => self.tags.insert(path, tag),
                        None => self.tags.remove(&path),
                    };
                }
            }
        }
        Ok(news)
    }

    fn is_over(&mut self, workflow: &Workflow) -> anyhow::Result<bool> {
        let at = format!(
            "{}/actions/runs/{}",
            self.client.place().repository(),
            workflow.run
        );
        match self.client.get(&at) {
            Ok(answer) => Ok(answer.body["status"] == "completed"),
            Err(ApiError::NotFound { .. }) => Ok(true),
            // A token that may not ask: the claim's deadline frees it in the end.
            Err(ApiError::Permission { .. }) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    fn merge(
        &mut self,
        plan: &Plan,
        state: &State,
        item: &Item,
        _: &Person,
        pull: Option<&SeenPull>,
    ) -> anyhow::Result<Merging> {
        let (Some(pull), Some(branch)) = (pull, &item.branch) else {
            anyhow::bail!("{} has no pull request to merge", item.key);
        };
        let message = report::commit::squash_message(state, item, &plan.purpose_of(&item.key));
        let head = &branch.head;
        Ok(merge::merge(
            &mut self.client,
            pull,
            head,
            state.merge,
            &message,
        )?)
    }

    fn differs(&self, page: &Page, pull: Option<&SeenPull>) -> bool {
        let page = show::cleaned(page, self.client.secrets());
        !show::steps(&page, pull, false).is_empty()
    }

    fn show(
        &mut self,
        page: &Page,
        pull: Option<&SeenPull>,
    ) -> anyhow::Result<(SeenPull, Vec<String>)> {
        let page = show::cleaned(page, self.client.secrets());
        Ok(show::show(&mut self.client, &page, pull, &mut self.notes)?)
    }

    fn close(&mut self, pull: &SeenPull) -> anyhow::Result<()> {
        let at = format!("{}/pulls/{}", self.client.place().repository(), pull.number);
        let body = serde_json::json!({ "state": "closed" });
        self.client.send(http::Method::PATCH, &at, &body)?;
        Ok(())
    }

    fn answer(
        &mut self,
        pull: &SeenPull,
        voice: &Voice,
        followed: bool,
        reply: Option<(String, String)>,
    ) -> anyhow::Result<()> {
        Ok(talk::answer(
            &mut self.client,
            pull,
            voice,
            followed,
            reply,
        )?)
    }

    fn asked_for(&mut self, pull: &SeenPull, reviews: &[Voice]) -> anyhow::Result<Asked> {
        let threads = talk::threads(&mut self.client, pull)?;
        let said = |r: &Voice| feedback::Said {
            by: r.by.login.clone(),
            permitted: r.permitted,
            altered: r.altered,
            body: r.text.clone(),
            url: r.url.clone(),
        };
        let said: Vec<feedback::Said> = reviews.iter().map(said).collect();
        let feedback = feedback::compose_all(&said, &threads);
        let refs = feedback
            .threads
            .iter()
            .filter_map(|t| {
                let thread = threads.iter().find(|x| x.id == t.id)?;
                Some(ThreadRef {
                    id: thread.id.clone(),
                    comment: thread
                        .comments
                        .first()
                        .map_or(0, |c| c.id.parse().unwrap_or(0)),
                    path: thread.path.clone(),
                    line: thread.line.or(thread.original_line),
                })
            })
            .collect();
        Ok(Asked {
            text: feedback.text,
            threads: refs,
        })
    }

    fn reply(&mut self, pull: &SeenPull, replies: &[Reply]) -> anyhow::Result<Vec<String>> {
        Ok(talk::reply(&mut self.client, pull, replies)?)
    }

    fn say(&mut self, pull: &SeenPull, text: &str) -> anyhow::Result<()> {
        Ok(talk::say(&mut self.client, pull, text)?)
    }
}
