//! What `go.mod` declares.

/// The language version of a `go.mod`'s `go` directive as major and minor, e.g. `(1, 22)`.
///
/// `None` when there is no such directive or it is not a version
/// (<https://go.dev/ref/mod#go-mod-file-go>).
#[must_use]
pub fn go_version(go_mod: &str) -> Option<(u32, u32)> {
    go_mod.lines().find_map(|line| {
        let line = line.split("//").next()?;
        let mut words = line.split_whitespace();
        if words.next()? != "go" {
            return None;
        }
        let mut parts = words.next()?.split('.');
        let major = parts.next()?.parse().ok()?;
        // A release candidate is written `1.22rc1`.
        let minor: String = parts
            .next()?
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        Some((major, minor.parse().ok()?))
    })
}

/// The module path of a `go.mod`'s `module` directive
/// (<https://go.dev/ref/mod#go-mod-file-module>).
#[must_use]
pub fn go_module(go_mod: &str) -> Option<String> {
    go_mod.lines().find_map(|line| {
        let line = line.split("//").next()?;
        let mut words = line.split_whitespace();
        if words.next()? != "module" {
            return None;
        }
        let path = words.next()?.trim_matches(['"', '`']);
        (!path.is_empty()).then(|| path.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_module_path() {
        let path = |text| go_module(text);
        assert_eq!(
            path("// x\nmodule example.com/a // b\n"),
            Some("example.com/a".to_owned())
        );
        assert_eq!(
            path("module \"example.com/a\"\n"),
            Some("example.com/a".to_owned())
        );
        assert_eq!(path("modules x\n"), None);
        assert_eq!(path("module\n"), None);
    }

    #[test]
    fn reads_the_go_directive() {
        assert_eq!(go_version("module x\n\ngo 1.21\n"), Some((1, 21)));
        assert_eq!(
            go_version("module x\n// go 1.18\ngo\t1.25.3 // current\n"),
            Some((1, 25))
        );
        assert_eq!(go_version("go 1.22rc1"), Some((1, 22)));
        assert_eq!(go_version("module go\nrequire go v1\n"), None);
        assert_eq!(go_version("go latest"), None);
        assert_eq!(go_version("go 99999999999999.1"), None);
        assert_eq!(go_version(""), None);
    }
}
