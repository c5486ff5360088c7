//! Output of any size in memory of a fixed size.

use std::io::BufRead as _;

/// The beginning and the end of a stream, and how long it was.
#[derive(Debug, Clone)]
pub struct Captured {
    head: Vec<u8>,
    tail: Vec<u8>,
    head_cap: usize,
    tail_cap: usize,
    total: u64,
}

impl Captured {
    /// Nothing captured yet; keeps at most `head_cap` bytes of the beginning and `tail_cap` of the
    /// end.
    #[must_use]
    pub fn new(head_cap: usize, tail_cap: usize) -> Self {
        Self {
            head: Vec::new(),
            tail: Vec::new(),
            head_cap,
            tail_cap,
            total: 0,
        }
    }

    /// Takes the next piece of the stream.
    pub fn push(&mut self, mut bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self
            .head_cap
            .saturating_sub(self.head.len())
            .min(bytes.len());
        if room > 0 {
            self.head.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
        }
        if bytes.len() >= self.tail_cap {
            self.tail.clear();
            self.tail
                .extend_from_slice(&bytes[bytes.len() - self.tail_cap..]);
            return;
        }
        // Compacted only when twice full, so each byte is moved about once.
        if self.tail.len() + bytes.len() > 2 * self.tail_cap {
            let keep = self.tail_cap - bytes.len();
            self.tail.drain(..self.tail.len() - keep);
        }
        self.tail.extend_from_slice(bytes);
    }

    /// Bytes of the whole stream.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The end of the stream, at most `tail_cap` bytes (all of it when it was that short), invalid
    /// UTF-8 replaced.
    #[must_use]
    pub fn tail(&self) -> String {
        let tail = self.tail_bytes();
        let missing = self.tail_cap - tail.len();
        // A short stream sits in the head; the end is then made of both.
        if missing > 0 && !self.head.is_empty() {
            let from = self.head.len().saturating_sub(missing);
            let mut all = self.head[from..].to_vec();
            all.extend_from_slice(tail);
            let cut = (all.len() as u64) < self.total;
            return lossy(if cut { at_boundary(&all) } else { &all });
        }
        let cut = (tail.len() as u64) < self.total;
        lossy(if cut { at_boundary(tail) } else { tail })
    }

    /// Beginning and end as text, with a line that says how much was left out between them.
    /// Invalid UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        let tail = self.tail_bytes();
        let left_out = self.total - (self.head.len() + tail.len()) as u64;
        if left_out == 0 {
            let mut all = self.head.clone();
            all.extend_from_slice(tail);
            return lossy(&all);
        }
        let mut text = lossy(whole_characters(&self.head));
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let tail = lossy(at_boundary(tail));
        format!("{text}… {left_out} bytes left out …\n{tail}")
    }

    fn tail_bytes(&self) -> &[u8] {
        &self.tail[self.tail.len().saturating_sub(self.tail_cap)..]
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Without the rest of a character that was cut in two at the beginning.
fn at_boundary(bytes: &[u8]) -> &[u8] {
    let rest = bytes
        .iter()
        .take(3)
        .take_while(|byte| **byte & 0xC0 == 0x80)
        .count();
    &bytes[rest..]
}

/// Without the first part of a character that was cut in two at the end.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let length = match byte {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            0x80..=0xBF => continue,
            _ => return bytes,
        };
        return if length > back {
            &bytes[..bytes.len() - back]
        } else {
            bytes
        };
    }
    bytes
}

/// Which lines of stdout are handed over while the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// None.
    None,
    /// The last whole line of each piece that was read; for showing what goes on.
    Latest,
    /// Every line; one longer than `max` bytes is cut there and its rest skipped.
    Every {
        /// Longest line, in bytes.
        max: usize,
    },
}

/// Cuts a stream into lines without ever holding more than one.
#[derive(Debug)]
pub(in crate::attempt) struct Splitter {
    lines: Lines,
    held: Vec<u8>,
}

impl Splitter {
    pub(in crate::attempt) fn new(lines: Lines) -> Self {
        Self {
            lines,
            held: Vec::new(),
        }
    }

    /// Takes the next piece and hands over the lines that became whole; stops early when `each`
    /// returns false.
    pub(in crate::attempt) fn push(&mut self, piece: &[u8], each: &mut dyn FnMut(&str) -> bool) {
        match self.lines {
            Lines::None => {}
            Lines::Latest => latest(piece, each),
            Lines::Every { max } => self.every(piece, max, each),
        }
    }

    /// Hands over what stands after the last line break.
    pub(in crate::attempt) fn finish(&mut self, each: &mut dyn FnMut(&str) -> bool) {
        if !self.held.is_empty() {
            hand_over(&self.held, each);
            self.held.clear();
        }
    }

    fn every(&mut self, mut piece: &[u8], max: usize, each: &mut dyn FnMut(&str) -> bool) {
        while !piece.is_empty() {
            let mut rest = piece;
            // Reading from a slice cannot fail; this finds the line break at memory speed.
            let taken = rest.skip_until(b'\n').unwrap_or(piece.len());
            let line = &piece[..taken];
            piece = &piece[taken..];
            let (line, whole) = match line.strip_suffix(b"\n") {
                Some(line) => (line, true),
                None => (line, false),
            };
            if whole && self.held.is_empty() {
                if !hand_over(&line[..line.len().min(max)], each) {
                    return;
                }
                continue;
            }
            let room = max.saturating_sub(self.held.len()).min(line.len());
            self.held.extend_from_slice(&line[..room]);
            if whole {
                let go_on = hand_over(&self.held, each);
                self.held.clear();
                if !go_on {
                    return;
                }
            }
        }
    }
}

/// Longest line shown as what goes on, in bytes.
const LATEST_MAX: usize = 400;
/// How far back it is looked for; binary output has no lines to look for.
const LATEST_WITHIN: usize = 4096;

fn latest(piece: &[u8], each: &mut dyn FnMut(&str) -> bool) {
    let piece = &piece[piece.len().saturating_sub(LATEST_WITHIN)..];
    let Some(end) = piece.iter().rposition(|byte| *byte == b'\n') else {
        return;
    };
    let from = end.saturating_sub(LATEST_MAX);
    let start = piece[from..end]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(from, |at| from + at + 1);
    hand_over(at_boundary(&piece[start..end]), each);
}

fn hand_over(line: &[u8], each: &mut dyn FnMut(&str) -> bool) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    each(&String::from_utf8_lossy(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_stream_is_kept_whole() {
        let mut captured = Captured::new(4, 8);
        captured.push(b"hello ");
        captured.push(b"you");
        assert_eq!(captured.text(), "hello you");
        assert_eq!(captured.tail(), "ello you");
        assert_eq!(captured.total(), 9);
    }

    #[test]
    fn a_long_stream_keeps_both_ends_and_says_what_is_missing() {
        let mut captured = Captured::new(3, 3);
        for byte in b"abcdefghijklmnopqrstuvwxyz" {
            captured.push(&[*byte]);
        }
        assert_eq!(captured.text(), "abc\n… 20 bytes left out …\nxyz");
        assert_eq!(captured.tail(), "xyz");
    }

    #[test]
    fn any_piece_size_gives_the_same() {
        let bytes: Vec<u8> = (0..5000_u32).map(|n| b'a' + (n % 26) as u8).collect();
        let mut whole = Captured::new(7, 50);
        whole.push(&bytes);
        for size in [1, 3, 49, 50, 51, 99, 100, 101, 4999] {
            let mut pieces = Captured::new(7, 50);
            for piece in bytes.chunks(size) {
                pieces.push(piece);
            }
            assert_eq!(pieces.text(), whole.text(), "pieces of {size}");
            assert_eq!(pieces.tail(), whole.tail(), "pieces of {size}");
            assert!(pieces.tail.len() <= 100);
        }
    }

    #[test]
    fn characters_cut_in_two_are_left_out_and_bad_bytes_replaced() {
        let mut captured = Captured::new(4, 4);
        captured.push("aé€zzzzzzzz€bc".as_bytes());
        assert_eq!(captured.text(), "aé\n… 11 bytes left out …\nbc");
        let mut captured = Captured::new(10, 10);
        captured.push(b"a\xffb");
        assert_eq!(captured.text(), "a\u{fffd}b");
    }

    fn split(lines: Lines, pieces: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::new(lines);
        let mut seen = Vec::new();
        for piece in pieces {
            splitter.push(piece, &mut |line| {
                seen.push(line.to_owned());
                true
            });
        }
        splitter.finish(&mut |line| {
            seen.push(line.to_owned());
            true
        });
        seen
    }

    #[test]
    fn lines_are_joined_over_pieces_and_long_ones_cut() {
        let every = Lines::Every { max: 5 };
        assert_eq!(split(every, &[b"a\r\nb", b"c\n\nd"]), ["a", "bc", "", "d"]);
        assert_eq!(split(every, &[b"1234567", b"89\nx\n"]), ["12345", "x"]);
        assert_eq!(split(every, &[b"123456789\ny"]), ["12345", "y"]);
        assert_eq!(split(every, &[b"\xff\n"]), ["\u{fffd}"]);
    }

    #[test]
    fn only_the_latest_whole_line_is_shown() {
        assert_eq!(split(Lines::Latest, &[b"a\nb\nc", b"d"]), ["b"]);
        assert_eq!(split(Lines::None, &[b"a\nb\n"]), [""; 0]);
    }
}
