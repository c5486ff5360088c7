//! A model of git's objects: trees of pieces, commits, and what is worked out from them.
//!
//! A file is a set of pieces (`path` or `path#n`), each of which holds one word. Changes to different
//! pieces of one file merge; two changes of the same piece conflict. A commit's id follows from what
//! is in it, so what is made twice is the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use git_pertask::run::decide::Standing;
use jiff::Timestamp;

use super::random::id_of;

/// Words by piece.
pub type Pieces = BTreeMap<String, String>;

/// A commit.
#[derive(Debug, Clone)]
pub struct Commit {
    pub parents: Vec<String>,
    pub tree: String,
    pub by: String,
    pub at: Timestamp,
    number: usize,
}

/// Every object there is. All clones share them: what a clone does not have, it fetches.
#[derive(Default)]
pub struct Git {
    commits: HashMap<String, Commit>,
    names: Vec<String>,
    /// For each commit the commits it contains, itself among them, as bits.
    inside: Vec<Vec<u64>>,
    trees: HashMap<String, Rc<Pieces>>,
    /// What long words stand for.
    texts: HashMap<String, Rc<str>>,
}

/// The file that a piece belongs to.
pub fn path_of(piece: &str) -> &str {
    piece.split_once('#').map_or(piece, |(path, _)| path)
}

impl Git {
    pub fn put(&mut self, pieces: Pieces) -> String {
        let mut parts = Vec::with_capacity(pieces.len() * 2);
        for (piece, word) in &pieces {
            parts.push(piece.as_str());
            parts.push(word.as_str());
        }
        let id = id_of(&parts);
        self.trees
            .entry(id.clone())
            .or_insert_with(|| Rc::new(pieces));
        id
    }

    pub fn tree(&self, id: &str) -> Rc<Pieces> {
        Rc::clone(&self.trees[id])
    }

    /// A word that stands for a text.
    pub fn text(&mut self, text: &str) -> String {
        let word = format!("text:{}", id_of(&[text]));
        self.texts
            .entry(word.clone())
            .or_insert_with(|| text.into());
        word
    }

    /// The text of a file that is one piece.
    pub fn file(&self, commit: &str, path: &str) -> Option<String> {
        let tree = self.tree(&self.get(commit).tree);
        let word = tree.get(path)?;
        Some(
            self.texts
                .get(word)
                .map_or_else(|| word.clone(), ToString::to_string),
        )
    }

    /// A tree with some pieces changed.
    pub fn with(&mut self, tree: &str, edits: &[(&str, Option<&str>)]) -> String {
        let mut pieces = (*self.tree(tree)).clone();
        for (piece, word) in edits {
            match word {
                Some(word) => pieces.insert((*piece).to_owned(), (*word).to_owned()),
                None => pieces.remove(*piece),
            };
        }
        self.put(pieces)
    }

    pub fn commit(&mut self, tree: &str, parents: &[String], by: &str, at: Timestamp) -> String {
        let second = at.as_second().to_string();
        let mut parts = vec![tree, by, second.as_str()];
        parts.extend(parents.iter().map(String::as_str));
        let id = id_of(&parts);
        if self.commits.contains_key(&id) {
            return id;
        }
        let number = self.names.len();
        let mut inside = vec![0_u64; number / 64 + 1];
        for parent in parents {
            for (all, theirs) in inside
                .iter_mut()
                .zip(&self.inside[self.commits[parent].number])
            {
                *all |= theirs;
            }
        }
        inside[number / 64] |= 1 << (number % 64);
        self.inside.push(inside);
        self.names.push(id.clone());
        let commit = Commit {
            parents: parents.to_vec(),
            tree: tree.to_owned(),
            by: by.to_owned(),
            at,
            number,
        };
        self.commits.insert(id.clone(), commit);
        id
    }

    pub fn get(&self, id: &str) -> &Commit {
        self.commits
            .get(id)
            .unwrap_or_else(|| panic!("there is no commit {id}"))
    }

    /// The newest of those commits that are in this one.
    pub fn newest_in<'c>(
        &self,
        commits: impl Iterator<Item = &'c String>,
        commit: &str,
    ) -> Option<&'c String> {
        let inside = commits.filter(|c| self.is_in(c, commit));
        inside.max_by_key(|c| self.get(c).number)
    }

    pub fn knows(&self, id: &str) -> bool {
        self.commits.contains_key(id)
    }

    pub fn tree_of(&self, commit: &str) -> String {
        self.get(commit).tree.clone()
    }

    /// Whether `older` is in `newer`, or the same.
    pub fn is_in(&self, older: &str, newer: &str) -> bool {
        let (older, newer) = (self.get(older).number, self.get(newer).number);
        let bits = &self.inside[newer];
        bits.get(older / 64)
            .is_some_and(|word| word >> (older % 64) & 1 == 1)
    }

    /// As `git::Repo::standing`.
    pub fn standing(&self, at: Option<&String>, ours: &str) -> Standing {
        let Some(at) = at.cloned() else {
            return Standing::Missing;
        };
        if at == ours {
            Standing::Same
        } else if self.is_in(&at, ours) {
            Standing::Behind { at }
        } else if self.is_in(ours, &at) {
            Standing::Ahead { at }
        } else {
            Standing::Diverged { at }
        }
    }

    /// The newest commit that is in both.
    pub fn base_of(&self, a: &str, b: &str) -> String {
        let (a, b) = (
            &self.inside[self.get(a).number],
            &self.inside[self.get(b).number],
        );
        let common = a.iter().zip(b).enumerate().rev().find_map(|(n, (a, b))| {
            let both = a & b;
            (both != 0).then(|| n * 64 + 63 - both.leading_zeros() as usize)
        });
        self.names[common.expect("all commits have one root")].clone()
    }

    /// Pieces that differ, with what they were and what they are.
    pub fn changes(&self, from: &str, to: &str) -> Vec<(String, Option<String>, Option<String>)> {
        if from == to {
            return Vec::new();
        }
        let (from, to) = (self.tree(from), self.tree(to));
        let pieces: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
        pieces
            .into_iter()
            .filter(|p| from.get(*p) != to.get(*p))
            .map(|p| (p.clone(), from.get(p).cloned(), to.get(p).cloned()))
            .collect()
    }

    /// What a commit changes against another, one file left out: as `git::Repo::patch_id`.
    pub fn patch(
        &self,
        from: &str,
        to: &str,
        without: &str,
    ) -> Vec<(String, Option<String>, Option<String>)> {
        let mut changes = self.changes(&self.tree_of(from), &self.tree_of(to));
        changes.retain(|(piece, _, _)| piece != without);
        changes
    }

    /// Both together: the tree, and the files in which they cannot be.
    pub fn merge(&mut self, ours: &str, theirs: &str) -> (String, Vec<String>) {
        let base = self.tree_of(&self.base_of(ours, theirs));
        let base = self.tree(&base);
        let (a, b) = (
            self.tree(&self.get(ours).tree),
            self.tree(&self.get(theirs).tree),
        );
        let mut merged = Pieces::new();
        let mut conflicts = BTreeSet::new();
        let pieces: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for piece in pieces {
            let (was, one, other) = (base.get(piece), a.get(piece), b.get(piece));
            let word = if one == other || was == other {
                one
            } else if was == one {
                other
            } else {
                conflicts.insert(path_of(piece).to_owned());
                one
            };
            if let Some(word) = word {
                merged.insert(piece.clone(), word.clone());
            }
        }
        (self.put(merged), conflicts.into_iter().collect())
    }

    /// Commits after `from` up to `to`, oldest first, along first parents.
    pub fn first_parents(&self, from: &str, to: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut at = to.to_owned();
        while !self.is_in(&at, from) {
            found.push(at.clone());
            match self.get(&at).parents.first() {
                Some(parent) => at.clone_from(parent),
                None => break,
            }
        }
        found.reverse();
        found
    }
}
