//! Colours of the terminal, in one place.

/// How text for a terminal is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether escape codes are written; the caller knows of the terminal and of `NO_COLOR`.
    pub colour: bool,
}

/// What a piece of text is, and so how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it comes.
    Plain,
    /// A heading, or what matters most.
    Strong,
    /// What matters least.
    Faint,
    /// It holds.
    Good,
    /// It does not hold.
    Bad,
    /// A person is wanted.
    Warn,
    /// Something is going on.
    Busy,
}

impl Style {
    /// Without escape codes.
    pub const PLAIN: Self = Self { colour: false };

    /// The text in this tone. Text is not cleaned here.
    #[must_use]
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Warn => "33",
            Tone::Busy => "36",
            Tone::Plain => "",
        };
        if self.colour && !code.is_empty() && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// A heading.
    #[must_use]
    pub fn strong(self, text: &str) -> String {
        self.paint(Tone::Strong, text)
    }

    /// An aside.
    #[must_use]
    pub fn faint(self, text: &str) -> String {
        self.paint(Tone::Faint, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_only_where_colour_is_wanted() {
        let colour = Style { colour: true };
        assert_eq!(colour.paint(Tone::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(colour.paint(Tone::Plain, "x"), "x");
        assert_eq!(colour.strong(""), "");
        assert_eq!(Style::PLAIN.paint(Tone::Bad, "x"), "x");
    }
}
