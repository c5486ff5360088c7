//! What is known at a place.

use std::collections::{BTreeMap, BTreeSet};

use crate::rules::go::scope::DeclId;

/// The fact that branches establish.
const PASSED: usize = usize::MAX;

/// What the truth of an expression tells about [`PASSED`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Know {
    /// Being true means passed.
    pub when_true: bool,
    /// Being false means passed.
    pub when_false: bool,
}

impl Know {
    /// What the negation tells.
    #[must_use]
    pub fn negated(self) -> Self {
        Self {
            when_true: self.when_false,
            when_false: self.when_true,
        }
    }

    /// What holds for one of two values, not known which.
    #[must_use]
    pub fn either(self, other: Self) -> Self {
        Self {
            when_true: self.when_true && other.when_true,
            when_false: self.when_false && other.when_false,
        }
    }
}

/// What holds on every path to a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Facts, [`PASSED`] and whatever the guard numbers.
    pub facts: BTreeSet<usize>,
    /// What the values of variables tell.
    pub(super) vars: BTreeMap<DeclId, Know>,
}

impl State {
    /// Whether a branch has established [`PASSED`].
    #[must_use]
    pub fn passed(&self) -> bool {
        self.facts.contains(&PASSED)
    }

    fn meet(mut self, other: &Self) -> Self {
        let (mine, theirs) = (self.passed(), other.passed());
        let ids: BTreeSet<DeclId> = self.vars.keys().chain(other.vars.keys()).copied().collect();
        let vars = ids
            .into_iter()
            .map(|id| {
                let weigh = |state: &Self, passed: bool| {
                    let know = state.vars.get(&id).copied().unwrap_or_default();
                    Know {
                        when_true: know.when_true || passed,
                        when_false: know.when_false || passed,
                    }
                };
                (id, weigh(&self, mine).either(weigh(other, theirs)))
            })
            .collect();
        self.facts = self.facts.intersection(&other.facts).copied().collect();
        self.vars = vars;
        self
    }

    pub(super) fn with(mut self, passed: bool) -> Self {
        if passed {
            self.facts.insert(PASSED);
        }
        self
    }
}

/// What holds where two paths meet, either of which may have ended.
pub(super) fn meet(a: Option<State>, b: Option<State>) -> Option<State> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.meet(&b)),
        (one, None) | (None, one) => one,
    }
}
