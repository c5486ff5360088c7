//! What others wrote, as Markdown for GitHub: rendered as the text itself and nothing else.
//!
//! Safe against mentions, references and closing keywords, raw HTML and HTML comments (our markers
//! among them), images, tables, fences that are closed from inside, and what cannot be seen.

use super::clean;
use crate::text;

/// One line of text, at most `max` characters of it.
#[must_use]
pub fn line(text: &str, max: usize) -> String {
    clean::markdown(&clean::short_line(text, max))
}

/// Paragraphs of text, at most `max` characters of them. Line breaks stay: GitHub shows them in
/// pull requests and comments.
#[must_use]
pub fn prose(text: &str, max: usize) -> String {
    // Far more than can be shown need not be looked at.
    let some = text.char_indices().nth(max.saturating_mul(8).max(256));
    let some = some.map_or(text, |(end, _)| &text[..end]);
    let text = text::clipped(text::lines(some).trim_start().to_owned(), max);
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for line in text.lines().map(clean::markdown) {
        if line.is_empty() {
            gap = !out.is_empty();
            continue;
        }
        if !out.is_empty() {
            out.push_str(if gap { "\n\n" } else { "\n" });
        }
        gap = false;
        out.push_str(&line);
    }
    out
}

/// Rendered Markdown as a quotation.
#[must_use]
pub fn quoted(rendered: &str) -> String {
    let lines: Vec<String> = rendered
        .lines()
        .map(|line| format!("> {line}").trim_end().to_owned())
        .collect();
    lines.join("\n")
}

/// One line as code; empty when there is nothing to show.
#[must_use]
pub fn code(text: &str) -> String {
    text::code(&uncommented(text))
}

/// Text in a fence that nothing in it closes, the middle left out when it is longer than `max`
/// characters.
#[must_use]
pub fn fenced(text: &str, info: &str, max: usize) -> String {
    text::fenced(&uncommented(&text::shorten(&text::lines(text), max)), info)
}

/// A marker of ours that somebody wrote must not be found as one.
fn uncommented(text: &str) -> String {
    text.replace("<!--", "<! --")
}

/// Text inside an HTML element of ours, on one line.
#[must_use]
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text::line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// Rendered Markdown that is shown when a person opens it; `summary` is text, shown as code when
/// `about` stands before it.
#[must_use]
pub fn folded(about: &str, summary: &str, rendered: &str) -> String {
    let summary = html(summary);
    let code = if summary.is_empty() {
        String::new()
    } else {
        format!(" <code>{summary}</code>")
    };
    format!("<details><summary>{about}{code}</summary>\n\n{rendered}\n\n</details>\n")
}

/// Rendered Markdown for a cell of a table: a bar would end it.
#[must_use]
pub fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        if c == '|' && !escaped {
            out.push('\\');
        }
        escaped = c == '\\' && !escaped;
        out.push(c);
    }
    out
}

/// A link whose text is rendered Markdown.
#[must_use]
pub fn link(rendered: &str, address: &str) -> String {
    format!("[{rendered}]({address})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_stay() {
        assert_eq!(
            prose("One\r\n# two\n\n\n- three @bob\n<!-- pertask:end -->", 200),
            "One\n\\# two\n\n\\- three `@bob`\n\\<!-- pertask:end --\\>"
        );
        assert_eq!(prose("\n\nabc def", 4), "abc…");
        assert_eq!(quoted("a\n\nb"), "> a\n>\n> b");
    }

    #[test]
    fn a_fence_holds_no_comment() {
        assert_eq!(
            fenced("```\n<!-- pertask:end -->\n", "text", 100),
            "````text\n```\n<! -- pertask:end -->\n````"
        );
        assert_eq!(fenced("<!--", "", 4), "```\n<! --\n```");
        assert_eq!(
            folded("Output of", "go <vet>", "x"),
            "<details><summary>Output of <code>go &lt;vet&gt;</code></summary>\n\nx\n\n</details>\n"
        );
        assert_eq!(cell("a|b \\| c"), "a\\|b \\| c");
    }
}
