//! GitHub: the pull request is the checkpoint.
//!
//! | module | what it is for |
//! |---|---|
//! | `place` | which server and repository, from the remote and the environment |
//! | `token` | which token, and for which server only |
//! | `client` | requests that obey GitHub's limits; octocrab stays in there |
//! | `limits` | how long an answer asks to wait; pure |
//! | `error` | what can go wrong, in words that say what mends it |

mod client;
mod error;
mod limits;
mod place;
mod token;

pub use client::{Answer, Client, Counts, Patience, segment};
pub use error::{ApiError, Result};
pub use place::{Env, Naming, Place, PlaceError, Transport, environment};
pub use token::{GitEnvironment, Source, Token, TokenError};
