//! What people do to branches with git.

use super::hub::ADA;
use super::world::{BASE_BRANCH, World};

impl World {
    pub fn set_by_person(&mut self, branch: &str, to: Option<&str>) {
        let who = self.who_may_write().unwrap_or(ADA);
        self.audit.by_person = true;
        self.set_ref(branch, to, who);
        self.audit.by_person = false;
        self.event();
    }

    /// A commit of somebody's own on top of a branch.
    pub fn commit_on(&mut self, branch: &str, key: Option<&str>) {
        let Some(head) = self.refs.get(branch).cloned() else {
            return;
        };
        let n = self.new_id();
        let mark = self.random.weighed(&[(8, ""), (1, "!bad"), (1, "!rule")]);
        let mark = mark.filter(|m| !m.is_empty() && !self.calm).unwrap_or("");
        let piece = match key {
            Some(key) if self.random.chance(600) => super::content::file_of(key),
            _ if self.random.chance(400) => format!("shared.x#{}", self.random.below(3)),
            _ => {
                let files: Vec<String> = self
                    .setup
                    .plan
                    .tasks
                    .iter()
                    .map(|t| t.file.clone())
                    .collect();
                let file = self.random.pick(&files).cloned();
                file.filter(|_| key.is_none() && branch != BASE_BRANCH)
                    .filter(|f| self.git.tree(&self.git.tree_of(&head)).contains_key(f))
                    .unwrap_or_else(|| format!("other.x#{n}"))
            }
        };
        let word = format!("person.{n}{mark}");
        let tree = self.git.tree_of(&head);
        let tree = self.git.with(&tree, &[(&piece, Some(&word))]);
        let now = World::time(self.now);
        let commit = self.git.commit(&tree, &[head], "olive", now);
        self.note(|| {
            format!(
                "olive commits {piece} = {word} on {branch}: {}",
                &commit[..6]
            )
        });
        self.set_by_person(branch, Some(&commit));
    }

    /// Somebody merges one branch into another with git.
    pub fn join(&mut self, into: &str, from: &str) {
        let (Some(a), Some(b)) = (self.refs.get(into).cloned(), self.refs.get(from).cloned())
        else {
            return;
        };
        if self.git.is_in(&b, &a) {
            return;
        }
        let (tree, _) = self.git.merge(&a, &b);
        let tree = self.with_both_logs(&tree, &a, &b);
        let now = World::time(self.now);
        let commit = self.git.commit(&tree, &[a, b], "olive", now);
        self.note(|| format!("olive merges {from} into {into}: {}", &commit[..6]));
        self.set_by_person(into, Some(&commit));
    }

    /// Where two logs meet, a person keeps the sections of both.
    pub fn with_both_logs(&mut self, tree: &str, a: &str, b: &str) -> String {
        let path = ".pertask/wiz/implementation-log.md";
        let (Some(one), Some(other)) = (self.git.file(a, path), self.git.file(b, path)) else {
            return tree.to_owned();
        };
        let name = |section: &str| section.split(':').next().unwrap_or("").to_owned();
        let mut both = one.clone();
        let known: Vec<String> = one.split("\n## ").skip(1).map(name).collect();
        for section in other.split("\n## ").skip(1) {
            if !known.contains(&name(section)) {
                both.push_str("\n## ");
                both.push_str(section);
            }
        }
        let word = self.git.text(&both);
        self.git.with(tree, &[(path, Some(&word))])
    }

    /// Somebody rewrites a branch under review.
    pub fn rewrite(&mut self, branch: &str) {
        let Some(head) = self.refs.get(branch).cloned() else {
            return;
        };
        let commit = self.git.get(&head).clone();
        let Some(parent) = commit.parents.first().cloned() else {
            return;
        };
        let to = match self.random.below(3) {
            0 => parent,
            // The same difference on another commit.
            1 => {
                let now = World::time(self.now);
                self.git.commit(&commit.tree, &[parent], "mallory", now)
            }
            _ => {
                let n = self.new_id();
                let word = format!("person.{n}");
                let tree = self.git.with(&commit.tree, &[("other.x", Some(&word))]);
                let now = World::time(self.now);
                self.git.commit(&tree, &[parent], "mallory", now)
            }
        };
        self.note(|| format!("mallory rewrites {branch}: {}", &to[..6]));
        self.set_by_person(branch, Some(&to));
    }
}
