//! The sample repository and the scripted agent of `git pertask demo`.
//!
//! Everything is embedded at build time, so the demo needs no network of its own and no checkout of
//! this project. It is safe against a sample that drifts from what is embedded: a test compares the
//! two, file by file.

pub mod agent;

/// A file of the sample repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path from the repository's root, with `/`.
    pub path: String,
    /// What is in it.
    pub contents: &'static [u8],
    /// Whether its mode has the executable bit.
    pub executable: bool,
}

/// The feedback that `demo --yes` gives in its one revision: the task's id and the words.
///
/// The first version that [`agent::act`] writes for that task deserves it; the second heeds it.
pub const REVISION: (&str, &str) = (
    "transform",
    "Trim the host name, lower-case it and drop a trailing dot before it becomes Asset.DNS: the \
     platform joins assets by it byte by byte, so every spelling makes an asset of its own.",
);

/// Name of the plan in the sample repository.
pub const PLAN: &str = "wiz";

macro_rules! embed {
    ($($path:literal),* $(,)?) => {
        &[$((
            $path,
            include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/samples/wiz/repository/",
                $path
            )) as &[u8],
        )),*]
    };
}

/// Path and contents of every file of the sample, sorted by path. None of them is executable.
const FILES: &[(&str, &[u8])] = embed![
    ".gitignore",
    ".pertask/wiz/architecture.md",
    ".pertask/wiz/discovery.md",
    ".pertask/wiz/file-placement.md",
    "README.md",
    "modules/chariot/backend/go.mod",
    "modules/chariot/backend/go.sum",
    "modules/chariot/backend/pkg/model/asset.go",
    "modules/chariot/backend/pkg/model/job.go",
    "modules/chariot/backend/pkg/model/risk.go",
    "modules/chariot/backend/pkg/tasks/capability.go",
    "modules/chariot/backend/pkg/tasks/filter/filter.go",
    "modules/chariot/backend/pkg/tasks/integrations/acme/acme.go",
    "modules/chariot/backend/pkg/tasks/integrations/acme/acme_client.go",
    "modules/chariot/backend/pkg/tasks/integrations/acme/acme_test.go",
    "modules/chariot/backend/pkg/tasks/integrations/acme/acme_transform.go",
    "modules/chariot/backend/pkg/tasks/integrations/acme/acme_types.go",
    "modules/chariot/backend/pkg/tasks/integrations/integrations.go",
];

/// The sample repository, sorted by path, without `.pertask/config.toml` (see [`config`]).
#[must_use]
pub fn repository() -> Vec<File> {
    FILES
        .iter()
        .map(|&(path, contents)| File {
            path: path.to_owned(),
            contents,
            executable: false,
        })
        .collect()
}

/// The `.pertask/config.toml` that the demo writes: the scripted agent, and nothing but defaults.
///
/// `program` is the path of the `git-pertask` program; any text is quoted as TOML asks.
#[must_use]
pub fn config(program: &str) -> String {
    let program = toml::Value::String(program.to_owned());
    format!(
        "# Written by `git pertask demo`.\n\
         # The agent is a script that comes with git-pertask: it asks no model and costs nothing.\n\
         # To try a real one, set agent to \"claude\" or \"codex\".\n\
         agent = \"scripted\"\n\
         \n\
         [agents.scripted]\n\
         command = [{program}, \"demo-agent\"]\n"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/wiz/repository")
    }

    fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), root, found);
            } else {
                let path = entry.path();
                let relative = path.strip_prefix(root).unwrap();
                found.insert(relative.to_str().unwrap().replace('\\', "/"));
            }
        }
    }

    #[test]
    fn what_is_embedded_is_what_is_on_disk() {
        let mut on_disk = BTreeSet::new();
        walk(&folder(), &folder(), &mut on_disk);
        let embedded: Vec<String> = repository().into_iter().map(|file| file.path).collect();
        assert_eq!(embedded, on_disk.into_iter().collect::<Vec<_>>());

        for file in repository() {
            let path = folder().join(&file.path);
            assert_eq!(file.contents, fs::read(&path).unwrap(), "{}", file.path);
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                let mode = fs::metadata(&path).unwrap().permissions().mode();
                assert_eq!(file.executable, mode & 0o111 != 0, "{}", file.path);
            }
        }
    }

    #[test]
    fn the_configuration_names_the_program_whatever_it_is_called() {
        insta::assert_snapshot!(config("/usr/bin/git-pertask"), @r#"
        # Written by `git pertask demo`.
        # The agent is a script that comes with git-pertask: it asks no model and costs nothing.
        # To try a real one, set agent to "claude" or "codex".
        agent = "scripted"

        [agents.scripted]
        command = ["/usr/bin/git-pertask", "demo-agent"]
        "#);

        for program in [
            "C:\\Tools\\new\\git-pertask.exe",
            "/tmp/a \"b\" 'c'\n\u{7}/ü",
            "'''\"\"\"",
        ] {
            let parsed: toml::Table = config(program).parse().unwrap();
            let command = parsed["agents"]["scripted"]["command"].as_array().unwrap();
            assert_eq!(command[0].as_str(), Some(program));
            assert_eq!(command[1].as_str(), Some("demo-agent"));
        }
    }
}
