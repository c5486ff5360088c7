//! `git pertask init`.

use anyhow::Context as _;

use super::cli::InitArgs;
use super::{Exit, context, print, usage};

/// What a new configuration says: every setting with its default, as comments.
const CONFIG: &str = include_str!("../../templates/config.toml");

/// `git pertask init`.
pub(super) fn run(_: &InitArgs) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    let dir = repo.workdir().join(".pertask");
    let path = dir.join("config.toml");
    std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(&path);
    let mut file = match file {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(
                usage!(".pertask/config.toml is there already and is left as it is").into(),
            );
        }
        Err(e) => return Err(e).with_context(|| format!("writing {}", path.display())),
    };
    std::io::Write::write_all(&mut file, CONFIG.as_bytes())
        .with_context(|| format!("writing {}", path.display()))?;
    print(
        "Wrote .pertask/config.toml. Next:\n  1. write .pertask/<plan>/architecture.md or plan.toml\n  2. git add .pertask && git commit\n  3. git pertask plan <plan>\n  4. git pertask start <plan>\n",
    )?;
    Ok(Exit::Done)
}
