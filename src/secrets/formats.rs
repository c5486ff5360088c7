//! What keys of common services look like.

/// A format that begins with a word of its own.
struct Format {
    name: &'static str,
    starts: &'static str,
    /// Whether other words may end like that, so that none may stand before it.
    apart: bool,
    /// Whether a character belongs to the rest.
    has: fn(u8) -> bool,
    /// Whether the rest is that of a key.
    is: fn(&[u8]) -> bool,
}

fn alnum(b: u8) -> bool {
    b.is_ascii_alphanumeric()
}

/// Letters, digits and underscores.
fn word(b: u8) -> bool {
    alnum(b) || b == b'_'
}

/// As in URL-safe base64.
fn safe(b: u8) -> bool {
    word(b) || b == b'-'
}

fn any(rest: &[u8], what: fn(&u8) -> bool) -> bool {
    rest.iter().any(what)
}

/// Not just words with hyphens between them.
fn mixed(rest: &[u8]) -> bool {
    let random = any(rest, u8::is_ascii_digit)
        && any(rest, u8::is_ascii_uppercase)
        && any(rest, u8::is_ascii_lowercase);
    random || (rest.len() >= 32 && rest.iter().all(u8::is_ascii_hexdigit))
}

const GITHUB: &str = "a token of GitHub";
const SLACK: &str = "a token of Slack";
const AWS: &str = "an access key of AWS";

/// What begins with these is a key if the rest is long enough.
const FORMATS: [Format; 18] = [
    github("ghp_"),
    github("gho_"),
    github("ghu_"),
    github("ghr_"),
    // The newer ones hold a JSON web token.
    Format {
        name: GITHUB,
        starts: "ghs_",
        apart: false,
        has: |b| safe(b) || b == b'.',
        is: |rest| rest.len() >= 30,
    },
    Format {
        name: GITHUB,
        starts: "github_pat_",
        apart: false,
        has: word,
        is: |rest| rest.len() >= 22,
    },
    Format {
        name: "a key of Anthropic",
        starts: "sk-ant-",
        apart: true,
        has: safe,
        is: |rest| rest.len() >= 20,
    },
    Format {
        name: "an API key (sk-…)",
        starts: "sk-",
        apart: true,
        has: safe,
        is: |rest| rest.len() >= 20 && mixed(rest),
    },
    aws("AKIA"),
    aws("ASIA"),
    slack("xoxb-"),
    slack("xoxp-"),
    slack("xoxa-"),
    slack("xoxs-"),
    Format {
        name: "a token of GitLab",
        starts: "glpat-",
        apart: false,
        has: safe,
        is: |rest| rest.len() >= 20,
    },
    Format {
        name: "a token of npm",
        starts: "npm_",
        apart: false,
        has: alnum,
        is: |rest| rest.len() >= 36,
    },
    Format {
        name: "a key of Google",
        starts: "AIza",
        apart: true,
        has: safe,
        is: |rest| rest.len() == 35,
    },
    Format {
        name: "a JSON web token",
        starts: "eyJ",
        apart: true,
        has: |b| safe(b) || b == b'.',
        is: web_token,
    },
];

const fn github(starts: &'static str) -> Format {
    Format {
        name: GITHUB,
        starts,
        apart: false,
        has: word,
        is: |rest| rest.len() >= 30,
    }
}

const fn aws(starts: &'static str) -> Format {
    Format {
        name: AWS,
        starts,
        apart: true,
        has: alnum,
        is: |rest| {
            let plain = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
            rest.len() == 16 && rest.iter().all(plain)
        },
    }
}

const fn slack(starts: &'static str) -> Format {
    Format {
        name: SLACK,
        starts,
        apart: false,
        has: safe,
        is: |rest| rest.len() >= 20 && any(rest, u8::is_ascii_digit),
    }
}

/// Three parts, of which the first two are objects of JSON, and long.
fn web_token(rest: &[u8]) -> bool {
    let parts: Vec<&[u8]> = rest.split(|b| *b == b'.').collect();
    let [head, body, signature] = parts.as_slice() else {
        return false;
    };
    rest.len() >= 60 && head.len() >= 8 && body.starts_with(b"eyJ") && signature.len() >= 20
}

/// Where keys stand in a text: from, to, whose.
pub(super) fn find(text: &str) -> Vec<(usize, usize, &'static str)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    for format in &FORMATS {
        for (at, _) in text.match_indices(format.starts) {
            // Part of a longer word: `task-…`, `MAKIA…`; but not behind the `\n` of a text in JSON.
            let escaped = at > 1 && bytes[at - 2] == b'\\';
            if format.apart && at > 0 && alnum(bytes[at - 1]) && !escaped {
                continue;
            }
            let from = at + format.starts.len();
            let rest = &bytes[from..];
            let length = rest.iter().take_while(|b| (format.has)(**b)).count();
            let mut rest = &rest[..length];
            // The end of a sentence is no part of it.
            while let [shorter @ .., b'.'] = rest {
                rest = shorter;
            }
            if (format.is)(rest) {
                found.push((at, from + rest.len(), format.name));
            }
        }
    }
    pem(text, &mut found);
    found
}

/// Private keys in the format of RFC 7468, to their end or as far as they are there.
fn pem(text: &str, found: &mut Vec<(usize, usize, &'static str)>) {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    const KIND: &str = "PRIVATE KEY-----";
    /// Longest key that is looked for.
    const LONGEST: usize = 16 * 1024;
    let mut done = 0;
    for (at, _) in text.match_indices(BEGIN) {
        let label = &text[at + BEGIN.len()..];
        let Some(kind) = label.find("-----").filter(|i| *i < 40) else {
            continue;
        };
        if at < done || !label[..kind + 5].ends_with(KIND) {
            continue;
        }
        let body = at + BEGIN.len() + kind + 5;
        let end = text[body..].find(END).filter(|i| *i < LONGEST);
        let end = end.and_then(|i| {
            let end = body + i + END.len();
            Some(end + text[end..].find("-----").filter(|i| *i < 40)? + 5)
        });
        done = end.unwrap_or_else(|| body + lines_of_key(&text[body..]));
        found.push((at, done, "a private key"));
    }
}

/// How much of a text is the body of a key: its lines of base64, whatever marks stand before them.
fn lines_of_key(text: &str) -> usize {
    let (mut read, mut length, mut whole) = (0, 0, true);
    for line in text.split_inclusive('\n') {
        let said = line.trim_matches(|c: char| c.is_whitespace() || "|+>".contains(c));
        let base64 = said.bytes().all(|b| alnum(b) || b"+/=".contains(&b));
        let header = said.starts_with("Proc-Type:") || said.starts_with("DEK-Info:");
        if !(header || base64 && (said.is_empty() || whole)) {
            break;
        }
        if !said.is_empty() {
            length = read + line.trim_end().len();
        }
        read += line.len();
        // A line that is not full is the last.
        whole = header || said.len() >= 40 || (said.is_empty() && whole);
    }
    length
}
