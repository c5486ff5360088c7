//! Forges: where checkpoints happen and tasks are merged.
//!
//! A forge reports what people decided there and merges. The state machine is the same for all.

pub mod github;
mod local;

use crate::git::Repo;
use crate::plan::{ForgeKind, Plan};
use crate::run::state::{Item, Person, Review, State};

pub use local::Local;

/// What a forge is asked by the driver.
pub trait Forge {
    /// Decisions made on the forge that the ledger does not have yet, with the item they are about.
    ///
    /// # Errors
    /// When the forge cannot be asked.
    fn decisions(&mut self, state: &State) -> anyhow::Result<Vec<(String, Review)>>;

    /// Merges an approved item into the run branch; returns the run branch's new head. Moves no ref
    /// that the ledger can restore.
    ///
    /// # Errors
    /// When the forge refuses or cannot be asked.
    fn merge(
        &mut self,
        plan: &Plan,
        state: &State,
        item: &Item,
        by: &Person,
    ) -> anyhow::Result<String>;
}

/// The forge of this kind.
///
/// # Errors
/// When this program cannot serve it.
pub fn open(kind: ForgeKind, repo: &Repo) -> anyhow::Result<Box<dyn Forge + '_>> {
    match kind {
        ForgeKind::Local => Ok(Box::new(Local::new(repo))),
        ForgeKind::Github => anyhow::bail!(
            "this version cannot use GitHub yet; set forge = \"local\" in .pertask/config.toml, or give --forge local"
        ),
    }
}
