//! P0 rules on syntax trees.
