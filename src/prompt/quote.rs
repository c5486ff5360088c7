//! Quoting what others wrote, as data and within a size.

/// Most characters of all check outputs together in one prompt.
pub const OUTPUT_MOST: usize = 20_000;

/// The text in a fence that nothing in it can close, without control characters, and without
/// characters that are invisible or turn the direction of writing.
#[must_use]
pub fn quoted(text: &str) -> String {
    let text = visible(text);
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}text\n{}\n{fence}", text.trim_end_matches('\n'))
}

/// The text as a code span, on one line.
pub(super) fn code(text: &str) -> String {
    let text = line(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest + 1);
    if longest == 0 {
        format!("`{text}`")
    } else {
        format!("{ticks} {text} {ticks}")
    }
}

/// The text on one line.
pub(super) fn line(text: &str) -> String {
    visible(text).replace('\n', " ").trim().to_owned()
}

fn visible(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .filter(|c| {
            let hidden = matches!(
                c,
                '\u{200b}'..='\u{200f}'
                    | '\u{202a}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}'
                    | '\u{feff}'
                    | '\u{00ad}'
                    | '\u{e0000}'..='\u{e007f}'
            );
            !hidden && (!c.is_control() || matches!(c, '\n' | '\t'))
        })
        .collect()
}

/// The text cut to at most `most` characters, head and tail kept, with a line between them that
/// says how many characters were left out. The tail gets the larger part: errors end there.
#[must_use]
pub fn shorten(text: &str, most: usize) -> String {
    /// Room for the line that says what was left out.
    const MARK: usize = 60;
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(MARK);
    let head = kept / 3;
    let tail = kept - head;
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(count - tail).collect();
    let left_out = count - head - tail;
    let short = format!("{start}\n[… {left_out} characters left out …]\n{end}");
    if most >= MARK {
        short
    } else {
        short.chars().take(most).collect()
    }
}

/// How many characters each text may have so that all together have at most `most`: short ones
/// stay whole, the rest share what is left evenly.
#[must_use]
pub fn share(lengths: &[usize], most: usize) -> Vec<usize> {
    let mut by_length: Vec<usize> = (0..lengths.len()).collect();
    by_length.sort_by_key(|index| lengths[*index]);
    let (mut left, mut shares) = (most, vec![0; lengths.len()]);
    for (done, index) in by_length.iter().enumerate() {
        let even = left / (lengths.len() - done);
        shares[*index] = lengths[*index].min(even);
        left -= shares[*index];
    }
    shares
}
