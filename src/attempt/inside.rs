//! Files below a folder that an agent may write to, written and read without following a link.
//!
//! An agent that has ended leaves links where it likes, and one that is cut off may still be moving
//! things. So each folder on the way is opened from the one before it, and whatever stands there that
//! is no folder is replaced: what is written lies below the root, or nothing is written.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, Mode, OFlags, RawMode, mkdirat, open, openat, unlinkat};
use rustix::io::Errno;

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// Writes a new file at `path` below `root`, whose folders are made as they are missing; what was
/// there is replaced. `root` itself must be where no agent can put another in its place.
///
/// # Errors
/// When it cannot be written, `path` leads outside, or a folder stands there.
pub(super) fn write(root: &Path, path: &Path, bytes: &[u8], mode: RawMode) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = enter(root, folder)?;
    match unlinkat(&folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    // Created, so no link is followed either.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = openat(&folder, name, flags, permissions(mode))?;
    File::from(file).write_all(bytes)
}

/// Opens a file for reading that an agent may have put there, in a folder that it may have put there
/// itself.
///
/// # Errors
/// When it cannot be opened; [`Errno::LOOP`] when it or its folder is a link.
pub(super) fn open_file(file: &Path) -> rustix::io::Result<OwnedFd> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(Errno::INVAL);
    };
    let folder = match open(folder, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::NOTDIR) => return Err(Errno::LOOP),
        other => other?,
    };
    // Nor is a pipe waited on.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    openat(&folder, name, flags, Mode::empty())
}

/// The folder at `path` below `root`.
fn enter(root: &Path, path: &Path) -> io::Result<OwnedFd> {
    let mut at = open(root, FOLDER, Mode::empty())?;
    for part in path.components() {
        let Component::Normal(name) = part else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let there = |at: &OwnedFd| openat(at, name, FOLDER | OFlags::NOFOLLOW, Mode::empty());
        let next = match there(&at) {
            Err(error @ (Errno::NOENT | Errno::LOOP | Errno::NOTDIR)) => {
                if error != Errno::NOENT {
                    unlinkat(&at, name, AtFlags::empty())?;
                }
                mkdirat(&at, name, permissions(0o700))?;
                there(&at)
            }
            other => other,
        };
        at = next?;
    }
    Ok(at)
}

fn permissions(mode: RawMode) -> Mode {
    Mode::from_raw_mode(mode)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn links_are_replaced_wherever_they_stand() {
        let place = tempfile::tempdir().unwrap();
        let (root, outside) = (place.path().join("root"), place.path().join("outside"));
        let told = || write(&root, "a/b/file".as_ref(), b"new", 0o600);
        for link in ["root/a", "root/a/b", "root/a/b/file"] {
            let _ = fs::remove_dir_all(&root);
            fs::create_dir_all(outside.join("b")).unwrap();
            fs::write(outside.join("file"), "old").unwrap();
            fs::write(outside.join("b/file"), "old").unwrap();
            let link = place.path().join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            let leads = outside.join(if link.ends_with("file") { "file" } else { "" });
            symlink(&leads, &link).unwrap();
            told().unwrap();
            assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "old");
            assert_eq!(fs::read_to_string(outside.join("b/file")).unwrap(), "old");
            let file = root.join("a/b/file");
            assert_eq!(fs::read_to_string(&file).unwrap(), "new");
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        // One that leads nowhere, and a file in the place of a folder.
        fs::remove_dir_all(root.join("a")).unwrap();
        symlink(outside.join("none"), root.join("a")).unwrap();
        told().unwrap();
        fs::remove_dir_all(root.join("a")).unwrap();
        fs::write(root.join("a"), "").unwrap();
        told().unwrap();
        assert!(!outside.join("none").exists());
        assert!(write(&root, "../outside/file".as_ref(), b"new", 0o600).is_err());
        assert!(write(&root, &outside.join("file"), b"new", 0o600).is_err());
    }
}
