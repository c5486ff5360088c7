//! Any command: it reads the prompt from stdin, what it prints is shown as it comes.

use std::time::{Duration, Instant};

use super::{Invocation, Prepared, Progress, Reader, Said, activity};
use crate::attempt::process::{Flow, Lines};

/// Least time between two lines shown.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) fn prepare(inv: &Invocation) -> Prepared {
    Prepared {
        argv: inv.config.command.iter().map(Into::into).collect(),
        lines: Lines::Latest,
        reader: Box::new(Plain { shown: None }),
        login: None,
    }
}

struct Plain {
    shown: Option<Instant>,
}

impl Reader for Plain {
    fn line(&mut self, line: &str, progress: &mut dyn FnMut(Progress)) -> Flow {
        if !line.trim().is_empty() && self.shown.is_none_or(|shown| shown.elapsed() >= PAUSE) {
            self.shown = Some(Instant::now());
            progress(activity(line));
        }
        Flow::Continue
    }

    fn finish(self: Box<Self>) -> Said {
        Said::default()
    }
}
