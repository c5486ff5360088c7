//! What may be read: the system, programs on the `PATH`, toolchains.
//!
//! `docs/confinement.md` has the same lists for people.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use crate::git::Repo;

/// Devices that may be read and written. No terminal: who may open `/dev/pts` may read what the
/// person types.
#[cfg(target_os = "linux")]
pub(super) const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// The system's own folders.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/etc",
    "/proc",
    "/sys",
    "/nix",
    "/gnu",
    "/snap",
    "/home/linuxbrew/.linuxbrew",
    "/run/current-system",
    "/var/lib/ca-certificates",
];

/// What holds secrets of the machine among them.
const SECRET: &[&str] = &[
    "/etc/NetworkManager",
    "/etc/apt/auth.conf",
    "/etc/apt/auth.conf.d",
    "/etc/credstore",
    "/etc/credstore.encrypted",
    "/etc/docker",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/krb5.keytab",
    "/etc/kubernetes",
    "/etc/letsencrypt",
    "/etc/pki/tls/private",
    "/etc/ppp",
    "/etc/rancher",
    "/etc/security/opasswd",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/ssh",
    "/etc/ssl/private",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/wireguard",
];

/// Toolchains and what they installed, in the person's home.
const IN_HOME: &[&str] = &[
    ".asdf",
    ".bun/bin",
    ".deno/bin",
    ".dotnet",
    ".fnm",
    ".ghcup",
    ".juliaup",
    ".local/lib",
    ".local/share/fnm",
    ".local/share/mise/installs",
    ".local/share/pipx/venvs",
    ".local/share/pnpm",
    ".local/share/uv/python",
    ".local/share/uv/tools",
    ".nvm",
    ".pyenv",
    ".rbenv",
    ".rustup",
    ".sdkman/candidates",
    ".swiftly",
    ".volta",
    "sdk",
];

/// Variables that name folders or files which may be read, several divided by colons.
const VARIABLES: &[&str] = &[
    "ANDROID_HOME",
    "ANDROID_SDK_ROOT",
    "BUNDLE_PATH",
    "CARGO_HTTP_CAINFO",
    "CONDA_PREFIX",
    "COREPACK_HOME",
    "CURL_CA_BUNDLE",
    "DEVELOPER_DIR",
    "DOTNET_ROOT",
    "GEM_HOME",
    "GEM_PATH",
    "GOROOT",
    "GRADLE_HOME",
    "JAVA_HOME",
    "M2_HOME",
    "MAVEN_HOME",
    "NODE_EXTRA_CA_CERTS",
    "NODE_PATH",
    "NVM_BIN",
    "NVM_DIR",
    "PIP_CERT",
    "PKG_CONFIG_PATH",
    "PNPM_HOME",
    "PYENV_ROOT",
    "PYTHONPATH",
    "RBENV_ROOT",
    "REQUESTS_CA_BUNDLE",
    "RUSTUP_HOME",
    "SDKROOT",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "VIRTUAL_ENV",
    "VOLTA_HOME",
];

/// What stands beside a `bin` folder and belongs to its programs.
const BESIDE_BIN: &[&str] = &["lib", "lib64", "libexec", "include", "share"];

/// What is known of this machine and its user.
#[derive(Debug)]
pub(super) struct Machine {
    environment: Vec<(OsString, OsString)>,
    /// Never granted, nor what they are in: only what is named below them.
    closed: Vec<PathBuf>,
}

impl Machine {
    /// `ours` is the folder of workspaces of this repository; beside it lie those of others.
    pub(super) fn new(environment: &[(OsString, OsString)], repo: &Repo, ours: &Path) -> Self {
        let mut machine = Self {
            environment: environment.to_owned(),
            closed: Vec::new(),
        };
        let mut closed: Vec<PathBuf> = SECRET.iter().map(PathBuf::from).collect();
        closed.extend(machine.home());
        closed.push(repo.workdir().to_owned());
        closed.push(repo.common_dir().to_owned());
        closed.push(ours.parent().unwrap_or(ours).to_owned());
        closed.push(std::env::temp_dir());
        let real = closed.iter().filter_map(|path| path.canonicalize().ok());
        machine.closed = real.chain(closed.clone()).collect();
        machine
    }

    /// A variable that is not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        let found = self.environment.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| &**value).filter(|v| !v.is_empty())
    }

    /// The person's home.
    pub(super) fn home(&self) -> Option<PathBuf> {
        let home = PathBuf::from(self.variable("HOME")?);
        home.is_absolute().then_some(home)
    }

    /// A folder named by a variable, else by its place in the person's home; only if it is there.
    pub(super) fn folder(&self, variable: &str, in_home: &str) -> Option<PathBuf> {
        let named = self.variable(variable).map(PathBuf::from);
        let folder = named.or_else(|| Some(self.home()?.join(in_home)))?;
        (folder.is_absolute() && folder.is_dir()).then_some(folder)
    }

    /// Whether granting this would grant what is closed.
    fn opens(&self, path: &Path) -> bool {
        self.closed.iter().any(|closed| closed.starts_with(path))
    }

    /// Whether a path may be granted, followed to where it leads.
    pub(super) fn granted(&self, path: &Path) -> Option<PathBuf> {
        let real = path.canonicalize().ok()?;
        (path.is_absolute() && !self.opens(&real) && !self.opens(path)).then_some(real)
    }

    /// All that everybody may read.
    pub(super) fn readable(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for folder in SYSTEM {
            self.without_closed(Path::new(folder), &mut found);
        }
        // Often a link into /run.
        found.extend(Path::new("/etc/resolv.conf").canonicalize().ok());
        if let Some(home) = self.home() {
            found.extend(IN_HOME.iter().filter_map(|p| self.granted(&home.join(p))));
        }
        for value in VARIABLES.iter().filter_map(|name| self.variable(name)) {
            found.extend(std::env::split_paths(value).filter_map(|path| self.granted(&path)));
        }
        for folder in std::env::split_paths(self.variable("PATH").unwrap_or_default()) {
            self.path_folder(&folder, &mut found);
        }
        found.extend(std::env::current_exe().ok());
        found.sort();
        found.dedup();
        found
    }

    /// A folder, or of one that holds something closed, all but that.
    fn without_closed(&self, folder: &Path, found: &mut Vec<PathBuf>) {
        let Ok(real) = folder.canonicalize() else {
            return;
        };
        if !self.opens(&real) {
            found.push(real);
            return;
        }
        if self.closed.contains(&real) {
            return;
        }
        for entry in fs::read_dir(&real).into_iter().flatten().flatten() {
            // A link leads to a place that is granted by itself, or not at all.
            if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
                self.without_closed(&entry.path(), found);
            }
        }
    }

    /// A folder of the `PATH`, what belongs to it, and where the links in it lead.
    fn path_folder(&self, folder: &Path, found: &mut Vec<PathBuf>) {
        let Some(real) = self.granted(folder) else {
            return;
        };
        if SYSTEM.iter().any(|system| real.starts_with(system)) {
            return;
        }
        self.beside_bin(&real, found);
        for entry in fs::read_dir(&real).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                self.program(&entry.path(), found);
            }
        }
        found.push(real);
    }

    fn beside_bin(&self, folder: &Path, found: &mut Vec<PathBuf>) {
        let Some(parent) = folder.parent().filter(|_| folder.ends_with("bin")) else {
            return;
        };
        // Go's own root, and Python's environments, are granted whole.
        if parent.join("pkg/tool").is_dir() || parent.join("pyvenv.cfg").is_file() {
            found.extend(self.granted(parent));
            return;
        }
        let local = parent.ends_with(".local") || self.closed.iter().any(|c| c == parent);
        for name in BESIDE_BIN {
            // Under ~/.local/share lie keyrings.
            if !(local && *name == "share") {
                found.extend(self.granted(&parent.join(name)));
            }
        }
    }

    /// A program and what it is part of.
    fn program(&self, path: &Path, found: &mut Vec<PathBuf>) {
        let Ok(real) = path.canonicalize() else {
            return;
        };
        if real.is_file() {
            let package = real
                .ancestors()
                .filter(|p| p.ends_with("node_modules"))
                .last();
            found.extend(package.and_then(|p| self.granted(p)));
            if let Some(folder) = real.parent() {
                self.beside_bin(folder, found);
            }
            found.push(real);
        }
    }

    /// What a command needs beyond the `PATH`: the files that it names.
    pub(super) fn programs(&self, command: &[String]) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for word in command {
            if Path::new(word).is_absolute() {
                self.program(Path::new(word), &mut found);
            }
        }
        found
    }
}
