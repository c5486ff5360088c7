//! A stateful GitHub on loopback for the tests: the parts of the REST and GraphQL interfaces that
//! are used, and git over HTTP from real bare repositories.
//!
//! Heads, bases, mergeability, merges and conflicts come from git. It refuses what GitHub refuses.
//! Every REST request, every undisturbed REST answer and every GraphQL query is held against
//! GitHub's own descriptions; what violates them fails the test when the [`GitHub`] is dropped.
//! What goes wrong is data, see [`faults`].

#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::format_push_string,
    clippy::similar_names,
    clippy::format_collect,
    clippy::unused_self,
    clippy::too_many_lines,
    clippy::unnecessary_wraps,
    clippy::allow_attributes,
    reason = "each test file uses a part of this; a server that cannot be set up is a failed test"
)]

mod acts;
mod bare;
pub mod client;
mod diff;
mod events;
pub mod faults;
mod git;
mod graphql;
pub mod keep;
mod merge;
mod mutate;
mod npm;
mod objects;
mod people;
mod pulls;
mod refusal;
mod render;
mod resolve;
mod resolve_pull;
mod rest;
mod rest_actions;
mod rest_issues;
mod rest_pulls;
mod rest_repos;
mod routes;
mod schema;
mod serve;
pub mod state;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use jiff::Timestamp;
use tempfile::TempDir;

pub use acts::Remark;
pub use faults::{Count, Fault, FaultKind, Logged, When};
pub use npm::package_file;
pub use people::Person;
pub use state::{
    Branches, Environment, Id, Kind, Permission, Protection, Pull, PullState, ReviewState,
};

use bare::Bare;
use serve::Shared;
use state::{Account, CheckRun, Comment, Label, Repo, State, Status, Token};

/// A running server, stopped when dropped.
pub struct GitHub {
    shared: Arc<Shared>,
    address: String,
    root: TempDir,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl GitHub {
    /// Starts on a free port of loopback.
    pub fn start() -> Self {
        let root = tempfile::Builder::new()
            .prefix("github-")
            .tempdir()
            .unwrap();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            address: address.clone(),
            ..State::default()
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            desk: Mutex::default(),
        });
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                serve::run(listener, served, stopped).await;
            });
            runtime.shutdown_background();
        });
        Self {
            shared,
            address,
            root,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        self.address.clone()
    }

    /// `http://127.0.0.1:PORT/api/v3`
    pub fn api(&self) -> String {
        format!("{}/api/v3", self.address)
    }

    /// `http://127.0.0.1:PORT/api/graphql`
    pub fn graphql(&self) -> String {
        format!("{}/api/graphql", self.address)
    }

    /// Where git finds a repository.
    pub fn clone_url(&self, repo: &str) -> String {
        format!("{}/{repo}.git", self.address)
    }

    /// The same with a token in it.
    pub fn clone_url_as(&self, repo: &str, token: &str) -> String {
        let host = self.address.trim_start_matches("http://");
        format!("http://x-access-token:{token}@{host}/{repo}.git")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.shared.state.lock().unwrap();
        state.sync();
        state
    }

    /// Makes an account; a name that ends in `[bot]` is an App's.
    pub fn account(&self, login: &str) -> Id {
        let mut state = self.state();
        account(&mut state, login)
    }

    /// Makes a token of an account, made if need be: `contents:write,pull_requests:read`, or `*`
    /// for all there are but `workflows` and `administration`.
    pub fn token(&self, login: &str, scopes: &str) -> String {
        let mut state = self.state();
        let account = account(&mut state, login);
        let number = state.fresh();
        let prefix = match state.who(account).kind {
            Kind::User => "ghp",
            Kind::Bot => "ghs",
        };
        let secret = format!("{prefix}_{number:036}");
        let all = "contents:write,pull_requests:write,issues:write,statuses:write,checks:write,\
                   actions:write";
        let scopes = scopes.replace('*', all);
        let scopes = scopes
            .split(',')
            .filter(|one| !one.is_empty())
            .map(|one| one.split_once(':').unwrap_or((one, "write")))
            .map(|(name, access)| (name.trim().to_owned(), access == "write"))
            .collect();
        let token = Token {
            account,
            scopes,
            expired: false,
        };
        state.tokens.insert(secret.clone(), token);
        secret
    }

    /// From now on the token is no good.
    pub fn expire(&self, token: &str) {
        self.state().tokens.get_mut(token).unwrap().expired = true;
    }

    /// Makes an empty public repository `owner/name`, its owner an account made if need be.
    pub fn repository(&self, full: &str) -> Id {
        let mut state = self.state();
        let (owner, name) = full.split_once('/').unwrap();
        let owner = account(&mut state, owner);
        let id = state.fresh();
        let bare = Bare::create(self.root.path().join(format!("{id}.git")), "main");
        add_repo(&mut state, id, owner, name, bare);
        id
    }

    /// Changes anything about a repository.
    pub fn change<T>(&self, repo: &str, how: impl FnOnce(&mut Repo) -> T) -> T {
        let mut state = self.state();
        let rid = rid(&state, repo);
        how(state.repos.get_mut(&rid).unwrap())
    }

    /// Changes anything about a pull request.
    pub fn change_pull<T>(&self, repo: &str, number: u64, how: impl FnOnce(&mut Pull) -> T) -> T {
        let mut state = self.state();
        let rid = rid(&state, repo);
        how(state.pull_mut(rid, number))
    }

    /// Makes somebody a collaborator.
    pub fn collaborator(&self, repo: &str, login: &str, permission: Permission) {
        let id = self.account(login);
        self.change(repo, |r| r.collaborators.insert(id, permission));
    }

    /// Protects a branch; `*` at the end of the name stands for the rest.
    pub fn protect(&self, repo: &str, branch: &str, rules: Protection) {
        self.change(repo, |r| r.protections.insert(branch.to_owned(), rules));
    }

    /// Archives a repository.
    pub fn archive(&self, repo: &str) {
        self.change(repo, |r| r.archived = true);
    }

    /// Renames a repository to `owner/name`; the old name leads on.
    pub fn rename(&self, repo: &str, new: &str) {
        let mut state = self.state();
        let rid = rid(&state, repo);
        let (owner, name) = new.split_once('/').unwrap();
        let owner = account(&mut state, owner);
        state.moved.insert(repo.to_lowercase(), rid);
        state.moved.remove(&new.to_lowercase());
        let repo = state.repos.get_mut(&rid).unwrap();
        repo.owner = owner;
        name.clone_into(&mut repo.name);
    }

    /// Removes a repository.
    pub fn remove(&self, repo: &str) {
        let mut state = self.state();
        let rid = rid(&state, repo);
        state.repos.remove(&rid);
    }

    /// Somebody to act as, made if need be.
    pub fn person(&self, login: &str) -> Person<'_> {
        let id = self.account(login);
        Person { github: self, id }
    }

    /// A pull request as it is.
    pub fn pull(&self, repo: &str, number: u64) -> Pull {
        let state = self.state();
        state.pull(rid(&state, repo), number).clone()
    }

    /// All pull requests of a repository.
    pub fn pulls(&self, repo: &str) -> Vec<Pull> {
        self.change(repo, |r| r.pulls.clone())
    }

    /// The conversation of a pull request: who, and what.
    pub fn comments(&self, repo: &str, number: u64) -> Vec<(String, Comment)> {
        let list = self.pull(repo, number).comments;
        list.into_iter().map(|c| (self.login(c.user), c)).collect()
    }

    /// Everything about a repository.
    pub fn repo(&self, repo: &str) -> Repo {
        self.change(repo, |r| r.clone())
    }

    /// The name of an account as REST has it.
    pub fn login(&self, id: Id) -> String {
        self.state().who(id).login()
    }

    /// The logins of those whose review is asked for.
    pub fn requested(&self, repo: &str, number: u64) -> Vec<String> {
        let list = self.pull(repo, number).requested;
        list.into_iter().map(|id| self.login(id)).collect()
    }

    /// The statuses of a commit, oldest first.
    pub fn statuses(&self, repo: &str, sha: &str) -> Vec<Status> {
        let list = self.repo(repo).statuses.into_iter();
        list.filter(|s| s.sha == sha).collect()
    }

    /// The check runs of a commit, oldest first.
    pub fn checks(&self, repo: &str, sha: &str) -> Vec<CheckRun> {
        let list = self.repo(repo).checks.into_iter();
        list.filter(|c| c.sha == sha).collect()
    }

    /// The labels that a repository has.
    pub fn labels(&self, repo: &str) -> Vec<Label> {
        self.repo(repo).labels
    }

    /// What `mergeStateStatus` is once it is worked out.
    pub fn merge_state(&self, repo: &str, number: u64) -> &'static str {
        let mut state = self.state();
        let rid = rid(&state, repo);
        state.mergeable(rid, number);
        state.compute_asked();
        let found = state.merge_state(rid, number);
        state.asked.clear();
        found
    }

    /// Runs git in the bare repository; it must succeed.
    #[track_caller]
    pub fn git<'a>(&self, repo: &str, args: impl IntoIterator<Item = &'a str>) -> String {
        let said = self.repo(repo).bare.git(args);
        drop(self.state());
        said
    }

    /// A branch's commit.
    pub fn tip(&self, repo: &str, branch: &str) -> Option<String> {
        self.repo(repo).heads.get(branch).cloned()
    }

    /// A file's text in a commit or branch.
    pub fn file(&self, repo: &str, rev: &str, path: &str) -> Option<String> {
        let bytes = self.repo(repo).bare.file(rev, path)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What goes wrong from now on.
    pub fn fault(&self, fault: Fault) {
        self.faults([fault]);
    }

    /// What goes wrong from now on.
    pub fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut desk = self.shared.desk.lock().unwrap();
        desk.faults
            .extend(faults.into_iter().map(|fault| faults::Planned {
                fault,
                seen: 0,
                used: false,
            }));
    }

    /// Every fault with whether it was used.
    pub fn used(&self) -> Vec<(Fault, bool)> {
        let desk = self.shared.desk.lock().unwrap();
        desk.faults
            .iter()
            .map(|p| (p.fault.clone(), p.used))
            .collect()
    }

    /// Faults that did not come to pass.
    pub fn unused(&self) -> Vec<Fault> {
        let all = self.used().into_iter();
        all.filter(|(_, used)| !used)
            .map(|(fault, _)| fault)
            .collect()
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        let mut desk = self.shared.desk.lock().unwrap();
        desk.faults.clear();
        desk.stale = None;
    }

    /// Reads see the state of this moment, until [`Self::thaw`].
    pub fn freeze(&self) {
        let state = self.state();
        self.shared.desk.lock().unwrap().stale = Some((state.clone(), None));
    }

    /// Reads see the state as it is again.
    pub fn thaw(&self) {
        self.shared.desk.lock().unwrap().stale = None;
    }

    /// How many requests an hour there are, REST and GraphQL apart; 5,000 unless told. Beyond them
    /// requests are refused.
    pub fn rate_limit(&self, limit: u64) {
        self.shared.desk.lock().unwrap().limit = Some(limit);
    }

    /// How many REST and GraphQL requests a token was charged for.
    pub fn charged(&self, token: &str) -> (u64, u64) {
        let desk = self.shared.desk.lock().unwrap();
        let used = |resource| {
            let rate = desk.rates.get(&(token.to_owned(), resource));
            rate.map_or(0, |r| r.used)
        };
        (used("core"), used("graphql"))
    }

    /// Sets the clock, which stands still from then on.
    pub fn at(&self, time: &str) {
        let time: Timestamp = time.parse().unwrap();
        self.state().clock.set(time);
    }

    /// Moves the clock on by some seconds; it stands still from then on.
    pub fn advance(&self, seconds: i64) {
        let mut state = self.state();
        let now = state.now().as_second();
        state
            .clock
            .set(Timestamp::from_second(now + seconds).unwrap());
    }

    /// All requests so far.
    pub fn log(&self) -> Vec<Logged> {
        self.shared.desk.lock().unwrap().log.clone()
    }

    /// Numbers of requests so far.
    pub fn count(&self) -> Count {
        self.shared.desk.lock().unwrap().count()
    }

    /// Number of requests to a route, named as in [`Fault::route`].
    pub fn count_of(&self, route: &str) -> usize {
        let log = self.log();
        log.iter().filter(|one| one.route == route).count()
    }

    /// Forgets the requests so far.
    pub fn clear_log(&self) {
        self.shared.desk.lock().unwrap().log.clear();
    }

    /// What was against GitHub's descriptions, taken out so that the test does not fail by it.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.desk.lock().unwrap().violations)
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        if std::thread::panicking() {
            return;
        }
        let violations = self.take_violations();
        assert!(
            violations.is_empty(),
            "against GitHub's description:\n{}",
            violations.join("\n")
        );
    }
}

fn account(state: &mut State, login: &str) -> Id {
    if let Some(account) = state.account(login) {
        return account.id;
    }
    let (name, kind) = match login.strip_suffix("[bot]") {
        Some(name) => (name, Kind::Bot),
        None => (login, Kind::User),
    };
    let id = state.fresh();
    let name = name.to_owned();
    state.accounts.insert(id, Account { id, name, kind });
    id
}

#[track_caller]
fn rid(state: &State, repo: &str) -> Id {
    let (owner, name) = repo.split_once('/').unwrap();
    state
        .repo_named(owner, name)
        .unwrap_or_else(|| panic!("there is no repository {repo}"))
}

fn add_repo(state: &mut State, id: Id, owner: Id, name: &str, bare: Bare) {
    let now = state.now();
    let repo = Repo {
        id,
        owner,
        name: name.to_owned(),
        heads: bare.heads(),
        bare,
        private: false,
        archived: false,
        fork_of: None,
        default_branch: "main".into(),
        created: now,
        pushed: now,
        collaborators: std::collections::BTreeMap::default(),
        labels: Vec::new(),
        pulls: Vec::new(),
        statuses: Vec::new(),
        checks: Vec::new(),
        protections: std::collections::BTreeMap::default(),
        allow_merge: true,
        allow_squash: true,
        allow_rebase: true,
        delete_branch_on_merge: false,
        actions_may_approve: true,
        environments: std::collections::BTreeMap::default(),
        workflow_states: std::collections::BTreeMap::default(),
        dispatches: Vec::new(),
        runs: Vec::new(),
        pushing: Vec::new(),
    };
    state.repos.insert(id, repo);
}
