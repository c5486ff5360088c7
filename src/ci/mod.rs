//! What is particular to jobs of GitHub Actions.
//!
//! | module | what it is for |
//! |---|---|
//! | [`artifact`] | a result as it passes from one job to another |

pub mod artifact;
