//! Our part of a text that people may edit too: between markers on lines of their own.
//!
//! Safe against what people do to it: text around it is kept, edits inside are undone, a marker that
//! lost its partner is dropped, and a text in which nothing differs is left alone. GitHub returns
//! bodies with `\r\n` and without white space at the ends of lines; that is no difference.

/// A pair of markers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Markers {
    begin: &'static str,
    end: &'static str,
}

/// Around everything of ours in a body. The first names the run and the branch.
pub(super) const WHOLE: Markers = Markers {
    begin: "<!-- pertask:begin",
    end: "<!-- pertask:end",
};

/// Around the block of all tasks, inside the other.
pub(super) const TASKS: Markers = Markers {
    begin: "<!-- pertask:tasks",
    end: "<!-- pertask:tasks-end",
};

impl Markers {
    /// `content` between the markers; `name` goes into the first.
    pub(super) fn around(self, name: &str, content: &str) -> String {
        let Self { begin, end } = self;
        let name: String = name
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.'))
            .collect();
        let gap = if name.is_empty() { "" } else { " " };
        format!("{begin}{gap}{name} -->\n{}\n{end} -->", content.trim_end())
    }

    fn is(marker: &str, line: &str) -> bool {
        line.trim()
            .strip_prefix(marker)
            .and_then(|rest| rest.strip_suffix("-->"))
            .is_some_and(|name| name.starts_with(' ') && !name.contains("-->"))
    }

    /// Numbers of the lines of the first pair: an end and the nearest beginning before it.
    fn find(self, lines: &[&str]) -> Option<(usize, usize)> {
        let mut begin = None;
        for (i, line) in lines.iter().enumerate() {
            if Self::is(self.begin, line) {
                begin = Some(i);
            } else if Self::is(self.end, line)
                && let Some(begin) = begin
            {
                return Some((begin, i));
            }
        }
        None
    }

    fn is_either(self, line: &str) -> bool {
        Self::is(self.begin, line) || Self::is(self.end, line)
    }
}

/// `old` with its region replaced by `new`, which has the markers; appended where there is none.
/// `None` when nothing differs.
pub(super) fn replaced(old: &str, new: &str, markers: Markers, append: bool) -> Option<String> {
    let old = normal(old);
    let lines: Vec<&str> = old.lines().collect();
    let out = if let Some((begin, end)) = markers.find(&lines) {
        let keep = |lines: &[&str]| -> String {
            let kept: Vec<&str> = lines
                .iter()
                .copied()
                .filter(|l| !markers.is_either(l))
                .chain([""])
                .collect();
            kept.join("\n")
        };
        format!(
            "{}{}\n{}",
            keep(&lines[..begin]),
            new,
            keep(&lines[end + 1..])
        )
    } else if append {
        let kept: Vec<&str> = lines
            .into_iter()
            .filter(|l| !markers.is_either(l))
            .collect();
        let kept = kept.join("\n");
        match kept.trim_end() {
            "" => new.to_owned(),
            kept => format!("{kept}\n\n{new}"),
        }
    } else {
        return None;
    };
    let out = normal(&out);
    (out != old).then_some(out)
}

/// How many characters of a text are not ours.
pub(super) fn outside(old: &str) -> usize {
    let old = normal(old);
    let lines: Vec<&str> = old.lines().collect();
    let count = |lines: &[&str]| lines.iter().map(|l| l.chars().count() + 1).sum::<usize>();
    match WHOLE.find(&lines) {
        Some((begin, end)) => count(&lines[..begin]) + count(&lines[end + 1..]),
        None => count(&lines),
    }
}

/// Line breaks of one kind, nothing at the ends of lines, no empty lines at the ends.
fn normal(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(text: &str) -> String {
        WHOLE.around("wiz/2-client", text)
    }

    #[test]
    fn what_people_wrote_stays() {
        let (old, new) = (ours("a\n\nb"), ours("c"));
        let body = format!("Before\r\n\r\n{}  \r\nAfter\r\n", old.replace('\n', "\r\n"));
        let said = replaced(&body, &new, WHOLE, true).unwrap();
        assert_eq!(
            said,
            "Before\n\n<!-- pertask:begin wiz/2-client -->\nc\n<!-- pertask:end -->\nAfter"
        );
        assert_eq!(replaced(&said, &new, WHOLE, true), None);
        assert_eq!(replaced(&format!("{said} \r\n"), &new, WHOLE, true), None);
        assert_eq!(replaced(&body, &old, WHOLE, true), None);
        assert_eq!(outside(&body), "Before\n\nAfter\n".len());
    }

    #[test]
    fn where_there_is_no_region_it_is_appended() {
        let new = ours("c");
        assert_eq!(replaced("", &new, WHOLE, true).unwrap(), new);
        assert_eq!(
            replaced("Mine", &new, WHOLE, true).unwrap(),
            format!("Mine\n\n{new}")
        );
        assert_eq!(replaced("Mine", &new, WHOLE, false), None);
    }

    /// A marker without its partner goes, so that the next look finds one pair only.
    #[test]
    fn lost_markers_do_not_swallow_text() {
        let new = ours("c");
        let body = format!(
            "A\n<!-- pertask:begin x -->\nB\n{}\nC\n<!-- pertask:end -->",
            ours("o")
        );
        let said = replaced(&body, &new, WHOLE, true).unwrap();
        assert_eq!(said, format!("A\nB\n{new}\nC"));
        let said = replaced("A\n<!-- pertask:begin x -->\nB", &new, WHOLE, true).unwrap();
        assert_eq!(said, format!("A\nB\n\n{new}"));
        let quoted = "> <!-- pertask:begin x -->\n`<!-- pertask:end -->`";
        let said = replaced(quoted, &new, WHOLE, true).unwrap();
        assert_eq!(said, format!("{quoted}\n\n{new}"));
    }

    #[test]
    fn a_name_cannot_close_the_marker() {
        assert_eq!(
            WHOLE.around("a --> b\n", "x"),
            "<!-- pertask:begin a--b -->\nx\n<!-- pertask:end -->"
        );
    }
}
