//! What an agent or a check sees of our environment.
//!
//! Safe against keys that reach somebody they are not meant for: nothing is passed on that is not
//! named here or in the agent's `env`, and what would let an agent act on the forge or as the
//! person's git is passed on in no case.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::attempt::process::Env;
use crate::plan::Adapter;

/// Whom an environment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// An agent driven by this adapter, which also gets its own keys.
    Agent(Adapter),
    /// A check, which gets no agent's key.
    Check,
}

/// What everybody gets: basics, proxies, CA files, and where toolchains keep their things.
const BASIC: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "TERM",
    "TMPDIR",
    // Proxies.
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "ftp_proxy",
    "no_proxy",
    // CA files.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
    // Go; not GOAUTH, which may name a program that holds credentials.
    "GOPATH",
    "GOROOT",
    "GOBIN",
    "GOPROXY",
    "GOFLAGS",
    "GOMODCACHE",
    "GOCACHE",
    "GOTOOLCHAIN",
    "GOTMPDIR",
    "GOENV",
    "GOWORK",
    "GO111MODULE",
    "GOOS",
    "GOARCH",
    "GOAMD64",
    "GOARM",
    "GOEXPERIMENT",
    "GOPRIVATE",
    "GONOPROXY",
    "GONOSUMDB",
    "GONOSUMCHECK",
    "GOSUMDB",
    "GOINSECURE",
    "GOVCS",
    "CGO_ENABLED",
    "CGO_CFLAGS",
    "CGO_CPPFLAGS",
    "CGO_CXXFLAGS",
    "CGO_LDFLAGS",
    // C, for what the others link.
    "CC",
    "CXX",
    "AR",
    "PKG_CONFIG_PATH",
    "SDKROOT",
    "DEVELOPER_DIR",
    // Rust.
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    // Java.
    "JAVA_HOME",
    "M2_HOME",
    "MAVEN_HOME",
    "MAVEN_OPTS",
    "MAVEN_ARGS",
    "GRADLE_HOME",
    "GRADLE_USER_HOME",
    "ANDROID_HOME",
    "ANDROID_SDK_ROOT",
    // Node.
    "NODE_PATH",
    "NVM_DIR",
    "NVM_BIN",
    "VOLTA_HOME",
    "PNPM_HOME",
    "COREPACK_HOME",
    // Python.
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "UV_CACHE_DIR",
    "PIP_CACHE_DIR",
    "PIP_INDEX_URL",
    // Others.
    "DOTNET_ROOT",
    "NUGET_PACKAGES",
    "GEM_HOME",
    "GEM_PATH",
    "BUNDLE_PATH",
    "RBENV_ROOT",
    "RBENV_VERSION",
    "XDG_CACHE_HOME",
];

/// Beginnings of names everybody gets.
const BASIC_PREFIXES: &[&str] = &["LC_", "npm_config_", "NPM_CONFIG_"];

/// What Claude Code reads to find its model and prove who pays.
const CLAUDE: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
    "MAX_THINKING_TOKENS",
];

/// The same for Codex.
const CODEX: &[&str] = &[
    "OPENAI_API_KEY",
    "CODEX_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_ORGANIZATION",
    "OPENAI_PROJECT",
];

/// Settings of ours for git: an empty helper clears the list of those configured before (git-config
/// `credential.helper`).
const OUR_GIT: [(&str, &str); 4] = [
    ("GIT_CONFIG_COUNT", "1"),
    ("GIT_CONFIG_KEY_0", "credential.helper"),
    ("GIT_CONFIG_VALUE_0", ""),
    ("GIT_TERMINAL_PROMPT", "0"),
];

/// Names that are passed on in no case, not even when the configuration names them.
const NEVER: &[&str] = &[
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "SSH_ASKPASS",
];

/// Beginnings of such names.
const NEVER_PREFIXES: &[&str] = &["GIT_", "ACTIONS_", "RUNNER_", "PERTASK_"];

/// Whether a variable is kept from every agent and check, even when the configuration names it.
#[must_use]
pub fn is_never_passed(name: &str) -> bool {
    NEVER.contains(&name) || NEVER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The variables of `parent` that `whom` may see; `extra` are the names its configuration adds. A
/// check given an agent's names in `extra` would see them: pass none.
///
/// Git in there asks nobody for credentials: the person's credential helpers are switched off, and
/// there is no terminal to ask on.
///
/// Folders on `PATH` that are not absolute are left out, because they would mean a folder of the
/// tree the agent writes to.
pub fn allowed(
    parent: impl IntoIterator<Item = (OsString, OsString)>,
    whom: For,
    extra: &[String],
) -> Env {
    let mut env = Env::default();
    for (name, value) in parent {
        let Some(text) = name.to_str() else { continue };
        if is_never_passed(text) || !(is_basic(text) || is_own(text, whom) || named(extra, text)) {
            continue;
        }
        if text == "PATH" {
            env.set(name, absolute_only(&value));
        } else {
            env.set(name, value);
        }
    }
    for (name, value) in OUR_GIT {
        env.set(name, value);
    }
    env
}

fn named(extra: &[String], name: &str) -> bool {
    extra.iter().any(|extra| extra == name)
}

fn is_basic(name: &str) -> bool {
    if BASIC.contains(&name) {
        return true;
    }
    // npm takes its registry's tokens by this way too.
    let lower = name.to_ascii_lowercase();
    let holds_key = ["auth", "token", "password", "username", "otp"];
    BASIC_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && !holds_key.iter().any(|word| lower.contains(word))
}

fn is_own(name: &str, whom: For) -> bool {
    match whom {
        For::Agent(Adapter::Claude) => CLAUDE.contains(&name),
        For::Agent(Adapter::Codex) => CODEX.contains(&name),
        For::Agent(Adapter::Command) | For::Check => false,
    }
}

fn absolute_only(path: &OsStr) -> OsString {
    let folders = std::env::split_paths(path).filter(|folder| Path::is_absolute(folder));
    // Folders that were split at the separator hold none.
    std::env::join_paths(folders).unwrap_or_default()
}

/// The values in `env` that are keys: those an adapter reads to prove who pays, and whatever the
/// configuration adds. For taking them out of what is kept.
#[must_use]
pub fn keys(env: &Env, extra: &[String]) -> Vec<String> {
    let is_key = |name: &str| {
        let upper = name.to_ascii_uppercase();
        ["KEY", "TOKEN", "SECRET", "PASSWORD"]
            .iter()
            .any(|word| upper.contains(word))
            && !upper.contains("MAX_")
    };
    let mut keys: Vec<String> = env
        .names()
        .filter_map(OsStr::to_str)
        .filter(|name| is_key(name) || named(extra, name) || *name == "ANTHROPIC_CUSTOM_HEADERS")
        .filter_map(|name| env.get(name)?.to_str().map(str::to_owned))
        // Short values would take ordinary words out.
        .filter(|value| value.len() >= 8)
        .collect();
    // The longer first, in case one holds the other.
    keys.sort_by_key(|key| std::cmp::Reverse(key.len()));
    keys
}

/// `text` with every one of `keys` replaced.
#[must_use]
pub fn masked(text: &str, keys: &[String]) -> String {
    keys.iter().fold(text.to_owned(), |text, key| {
        text.replace(key.as_str(), "***")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(whom: For, extra: &[&str]) -> Vec<String> {
        let parent = [
            "PATH",
            "HOME",
            "LC_ALL",
            "LD_PRELOAD",
            "GOCACHE",
            "https_proxy",
            "ANTHROPIC_API_KEY",
            "OPENAI_API_KEY",
            "GITHUB_TOKEN",
            "GH_TOKEN",
            "GIT_DIR",
            "GIT_ASKPASS",
            "SSH_AUTH_SOCK",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            "RUNNER_TEMP",
            "PERTASK_ATTEMPT",
            "AWS_SECRET_ACCESS_KEY",
            "npm_config_registry",
            "npm_config__authToken",
            "MY_KEY",
            "CARGO_REGISTRY_TOKEN",
        ];
        let parent = parent.map(|name| (name.into(), "/value".into()));
        let extra: Vec<String> = extra.iter().map(|name| (*name).to_owned()).collect();
        let env = allowed(parent, whom, &extra);
        let names = env.names().map(|name| name.to_str().unwrap().to_owned());
        names
            .filter(|name| !OUR_GIT.iter().any(|(ours, _)| ours == name))
            .collect()
    }

    const EVERYBODY: [&str; 6] = [
        "GOCACHE",
        "HOME",
        "LC_ALL",
        "PATH",
        "https_proxy",
        "npm_config_registry",
    ];

    #[test]
    fn everybody_gets_their_own_keys_only() {
        let with = |own: &'static str| {
            let mut names = EVERYBODY.to_vec();
            names.push(own);
            names.sort_unstable();
            names
        };
        assert_eq!(names(For::Check, &[]), EVERYBODY);
        assert_eq!(names(For::Agent(Adapter::Command), &[]), EVERYBODY);
        assert_eq!(
            names(For::Agent(Adapter::Command), &["MY_KEY"]),
            with("MY_KEY")
        );
        assert_eq!(
            names(For::Agent(Adapter::Claude), &[]),
            with("ANTHROPIC_API_KEY")
        );
        assert_eq!(
            names(For::Agent(Adapter::Codex), &[]),
            with("OPENAI_API_KEY")
        );
    }

    #[test]
    fn the_forge_and_git_are_out_of_reach_even_by_name() {
        let wanted = [
            "GITHUB_TOKEN",
            "GH_TOKEN",
            "GIT_ASKPASS",
            "SSH_AUTH_SOCK",
            "RUNNER_TEMP",
        ];
        assert_eq!(names(For::Agent(Adapter::Command), &wanted), EVERYBODY);
        assert!(wanted.iter().all(|name| is_never_passed(name)));
        assert!(!is_never_passed("GITLAB_KEY"));
    }

    #[test]
    fn the_path_loses_what_would_lie_in_the_tree() {
        let parent = [("PATH".into(), ".:/usr/bin::bin:/bin".into())];
        let env = allowed(parent, For::Check, &[]);
        assert_eq!(env.get("PATH"), Some(OsStr::new("/usr/bin:/bin")));
    }

    #[test]
    fn keys_are_taken_out_of_text() {
        let parent = [
            ("ANTHROPIC_API_KEY".into(), "sk-12345678".into()),
            ("MY".into(), "sk-12345678-long".into()),
            ("HOME".into(), "/home/someone".into()),
            ("MAX_THINKING_TOKENS".into(), "10000000".into()),
        ];
        let extra = ["MY".to_owned()];
        let env = allowed(parent, For::Agent(Adapter::Claude), &extra);
        let keys = keys(&env, &extra);
        assert_eq!(
            masked(
                "a sk-12345678-long b sk-12345678 c /home/someone 10000000",
                &keys
            ),
            "a *** b *** c /home/someone 10000000"
        );
    }
}
