//! Where the remarks on lines go when the head moves.

use super::bare::Bare;
use super::state::Thread;

/// The changes of a pull request without line numbers, to see whether a push altered them.
pub fn patch(bare: &Bare, base: &str, head: &str) -> String {
    let range = format!("{base}...{head}");
    let diff = bare.diff(&["--full-index", &range]);
    let kept = diff
        .lines()
        .filter(|l| !l.starts_with("@@") && !l.starts_with("index "));
    kept.collect::<Vec<_>>().join("\n")
}

/// The part of a pull request's diff above and with a line of the new side.
pub fn hunk(bare: &Bare, base: &str, head: &str, path: &str, line: Option<u64>) -> Option<String> {
    let range = format!("{base}...{head}");
    let diff = bare.diff(&[&range, "--", path]);
    let mut at = 0;
    let mut kept: Vec<&str> = Vec::new();
    for text in diff.lines() {
        if let Some((_, _, start, _)) = header(text) {
            at = start;
            kept = vec![text];
            continue;
        }
        if kept.is_empty() || text.starts_with('\\') {
            continue;
        }
        kept.push(text);
        if !text.starts_with('-') {
            if line == Some(at) {
                return Some(kept.join("\n"));
            }
            at += 1;
        }
    }
    (line.is_none() && !diff.is_empty()).then(String::new)
}

/// `@@ -start,count +start,count @@`
fn header(text: &str) -> Option<(u64, u64, u64, u64)> {
    let rest = text.strip_prefix("@@ -")?;
    let (old, rest) = rest.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let range = |text: &str| match text.split_once(',') {
        Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    };
    let ((a, b), (c, d)) = (range(old)?, range(new)?);
    Some((a, b, c, d))
}

/// Moves a thread to where its lines are in the new head, or marks it as outdated.
pub fn move_thread(bare: &Bare, thread: &mut Thread, head: &str) {
    let Some(last) = thread.line else {
        head.clone_into(&mut thread.commit);
        return;
    };
    let first = thread.start_line.unwrap_or(last);
    let diff = bare.diff(&["-U0", &thread.commit, head, "--", &thread.path]);
    let mut shift = 0_i64;
    for (old, gone, _, come) in diff.lines().filter_map(header) {
        // Nothing gone: what came stands after line `old`.
        let (from, to) = if gone == 0 {
            (old + 1, old)
        } else {
            (old, old + gone - 1)
        };
        let inside = if gone == 0 {
            old >= first && old < last
        } else {
            from <= last && to >= first
        };
        if inside {
            thread.outdated = true;
            thread.line = None;
            thread.start_line = None;
            return;
        }
        if to < first {
            shift += i64::try_from(come).unwrap() - i64::try_from(gone).unwrap();
        }
    }
    let moved = |line: u64| line.checked_add_signed(shift).unwrap();
    thread.line = Some(moved(last));
    thread.start_line = thread.start_line.map(moved);
    head.clone_into(&mut thread.commit);
}
