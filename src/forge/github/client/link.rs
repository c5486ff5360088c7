//! Addresses within the API: links to further pages, routes of a moved repository, encoding; pure.

use std::fmt::Write as _;

use http::{HeaderMap, header};

/// A text as one segment of a path or one value of a query: everything but letters, digits and
/// `-._~` is encoded, the slash of a branch's name too.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The address of the next page, from the `Link` header (RFC 8288).
pub(super) fn next(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(|value| links(value).find(|(_, rest)| is_next(rest)))
        .map(|(address, _)| address.to_owned())
}

/// Each address with its parameters. An address may have commas in it.
fn links(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.split('<').skip(1).filter_map(|l| l.split_once('>'))
}

fn is_next(parameters: &str) -> bool {
    parameters
        .split([';', ','])
        .filter_map(|parameter| parameter.trim().strip_prefix("rel="))
        .any(|rel| rel.trim_matches('"').split(' ').any(|r| r == "next"))
}

/// What follows `prefix` in `path`, if it is that route or below it; names know no case.
pub(super) fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let head = path.get(..prefix.len())?;
    let rest = &path[prefix.len()..];
    (head.eq_ignore_ascii_case(prefix)
        && (rest.is_empty() || rest.starts_with('/') || rest.starts_with('?')))
    .then_some(rest)
}

/// The route of a repository in `path`, which is followed by `rest` there: `/repositories/ID` or
/// `/repos/owner/name`.
pub(super) fn repository(path: &str, rest: &str) -> Option<String> {
    let route = path.strip_suffix(rest)?;
    let parts: Vec<&str> = route.split('/').collect();
    match parts.as_slice() {
        ["", "repositories", id] if !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) => {}
        ["", "repos", owner, name] if !owner.is_empty() && !name.is_empty() => {}
        _ => return None,
    }
    Some(route.to_owned())
}

/// `owner/name` of a repository's route, where it says it.
pub(super) fn name(route: &str) -> Option<String> {
    route.strip_prefix("/repos/").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(text: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::LINK, text.parse().unwrap());
        next(&headers)
    }

    #[test]
    fn the_next_page_is_found() {
        assert_eq!(
            link(
                r#"<https://a/x?page=1>; rel="prev", <https://a/x?page=3>; rel="next", <https://a/x?page=9>; rel="last""#
            ),
            Some("https://a/x?page=3".to_owned())
        );
        assert_eq!(link(r#"<https://a/x?page=9>; rel="last""#), None);
        assert_eq!(
            link(r#"<https://a/x?l=a,b&page=3>; rel="next""#),
            Some("https://a/x?l=a,b&page=3".to_owned())
        );
        assert_eq!(link("<>; rel=next"), Some(String::new()));
        assert_eq!(link("nonsense, <https://a"), None);
    }

    #[test]
    fn a_moved_repository_is_known_by_its_route() {
        assert_eq!(
            below("/repos/O/R/pulls?x=1", "/repos/o/r"),
            Some("/pulls?x=1")
        );
        assert_eq!(below("/repos/o/r", "/repos/o/r"), Some(""));
        assert_eq!(below("/repos/o/r2/pulls", "/repos/o/r"), None);
        assert_eq!(below("/repos/ö", "/repos/o"), None);
        assert_eq!(
            repository("/repositories/17/pulls?x=1", "/pulls?x=1"),
            Some("/repositories/17".to_owned())
        );
        assert_eq!(
            repository("/repos/new/name", ""),
            Some("/repos/new/name".to_owned())
        );
        assert_eq!(repository("/login", ""), None);
        assert_eq!(repository("/repositories/17/issues", "/pulls"), None);
    }

    #[test]
    fn segments_hold_nothing_that_ends_them() {
        assert_eq!(
            segment("pertask/wiz/1-a b?ü"),
            "pertask%2Fwiz%2F1-a%20b%3F%C3%BC"
        );
        assert_eq!(segment("a-b_c.d~e"), "a-b_c.d~e");
    }
}
