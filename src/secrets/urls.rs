//! Passwords within addresses: of proxies, mirrors and package registries.

use std::ops::Range;

/// What stands in the place of a password to say that the name before it is the token.
const NO_PASSWORD: &[&str] = &["", "x-oauth-basic"];

/// Where `name:password@` stands in a text, without the `@`, of each address in it.
fn userinfos(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("://") {
        let from = at + 3;
        let ends = |c: char| "/?#\\\"'|<>".contains(c) || c.is_whitespace();
        let length = text[from..].find(ends).unwrap_or(text.len() - from);
        if let Some(end) = text[from..from + length].rfind('@') {
            found.push(from..from + end);
        }
    }
    found
}

/// What is secret in the value of a variable: passwords, and names that are tokens. A proxy needs no
/// `http://`.
pub(super) fn passwords(name: &str, value: &str) -> Vec<String> {
    let bare = name.to_ascii_lowercase().ends_with("proxy") && !value.contains("://");
    let whole = if bare { value.rfind('@') } else { None };
    let places = userinfos(value).into_iter().chain(whole.map(|end| 0..end));
    let mut found = Vec::new();
    for place in places {
        let userinfo = &value[place];
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        if !NO_PASSWORD.contains(&password) {
            found.push(password.to_owned());
        } else if user.len() >= super::SHORTEST_TOKEN && !is_word(user) {
            found.push(user.to_owned());
        }
    }
    // As Java takes them: `-Dhttps.proxyPassword=…`.
    for word in value.split_whitespace() {
        let property = word.strip_prefix("-D").and_then(|w| w.split_once('='));
        found.extend(
            property
                .filter(|(name, _)| name.to_ascii_lowercase().ends_with("password"))
                .map(|(_, value)| value.to_owned()),
        );
    }
    let decoded: Vec<String> = found.iter().map(|p| decoded(p)).collect();
    found.extend(decoded);
    found
}

/// The text without names and passwords in its addresses.
pub(crate) fn without_userinfo(text: &str) -> String {
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for place in userinfos(text) {
        out.push_str(&text[from..place.start]);
        from = place.end + 1;
    }
    out.push_str(&text[from..]);
    out
}

/// Whether code may hold this without meaning a password: `postgres`, `password`.
pub(super) fn is_word(text: &str) -> bool {
    let has = |is: fn(&u8) -> bool| text.as_bytes().iter().any(is);
    text.len() < 12 && !(has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic))
}

/// With `%2F` and the like read.
fn decoded(text: &str) -> String {
    let digit = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let pair = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2)));
        if let (b'%', (Some(high), Some(low))) = (byte, pair) {
            out.push(u8::try_from(high * 16 + low).unwrap_or_default());
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_in_addresses_of_any_kind() {
        for (name, value, expected) in [
            ("HTTPS_PROXY", "http://me:one@two:3", &["one"][..]),
            ("https_proxy", "me:one@two:3", &["one"]),
            ("HTTPS_PROXY", "two:3", &[]),
            ("HTTPS_PROXY", "http://two:3/", &[]),
            ("EMAIL", "me:one@two", &[]),
            ("GOPROXY", "https://a/go,https://b:c@d|direct", &["c"]),
            ("PIP_INDEX_URL", "https://a:b@c@d/simple", &["b@c"]),
            ("PIP_INDEX_URL", "https://me@d/simple", &[]),
            ("URL", "https://a1b2c3d4e5f6a7b8@d", &["a1b2c3d4e5f6a7b8"]),
            (
                "URL",
                "https://a1b2c3d4e5f6a7b8:x-oauth-basic@d",
                &["a1b2c3d4e5f6a7b8"],
            ),
            ("URL", "https://d/path@version", &[]),
            (
                "MAVEN_OPTS",
                "-Xmx1g -Dhttps.proxyPassword=one -Da=b",
                &["one"],
            ),
        ] {
            // As they stand there, and decoded, which is the same here.
            let expected = expected.repeat(2);
            assert_eq!(passwords(name, value), expected, "{name}={value}");
        }
        assert_eq!(
            passwords("X", "x://u:a%2Fb%zz%@h"),
            ["a%2Fb%zz%", "a/b%zz%"]
        );
        assert_eq!(
            without_userinfo("https://me:one@two/x@v,https://me@three|direct"),
            "https://two/x@v,https://three|direct"
        );
    }
}
