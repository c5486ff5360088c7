//! A door for `fuzz/` alone: what an agent prints, read as when it runs.

use std::path::PathBuf;

use super::{EVENT_MAX, Progress, claude, codex, text};
use crate::attempt::process::{Flow, Lines, Splitter};
use crate::plan::Adapter;

/// Reads a stream as it came from the process, in pieces of `piece` bytes. Returns what the adapter
/// made of it, as it would be kept; nothing for a plain command, which has no stream.
pub fn stream(
    adapter: Adapter,
    bytes: &[u8],
    piece: usize,
    progress: &mut dyn FnMut(Progress),
) -> Vec<String> {
    let workdir = PathBuf::from("/workspace");
    let mut reader = match adapter {
        Adapter::Claude => claude::reader(workdir),
        Adapter::Codex => codex::reader(workdir, PathBuf::new()),
        Adapter::Command => return Vec::new(),
    };
    let mut splitter = Splitter::new(Lines::Every { max: EVENT_MAX });
    let mut line = |line: &str| reader.line(line, progress) == Flow::Continue;
    for piece in bytes.chunks(piece.max(1)) {
        splitter.push(piece, &mut line);
    }
    splitter.finish(&mut line);
    let said = reader.finish();
    if adapter == Adapter::Codex {
        // Its record of a session has lines of the same kind.
        let _ = codex::limit(&String::from_utf8_lossy(bytes));
    }
    let kept = [
        said.version,
        said.model,
        said.session,
        said.error
            .map(|error| text::clean(&error, super::ERROR_MAX)),
        said.last_message,
    ];
    kept.into_iter().flatten().collect()
}
