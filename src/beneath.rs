//! Files that agents wrote, opened so that no link leads out of their folder.
//!
//! Safe against links in every part of a path, also against those that take the place of a file or a
//! folder between two looks: each part is opened in the one before and never followed. Not against
//! hard links, which need the right to read what they name.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

/// A folder, held open.
#[derive(Debug)]
pub struct Beneath {
    root: OwnedFd,
}

/// What is at a path.
#[derive(Debug)]
pub enum Found {
    /// A plain file, opened to be read.
    File(File, Metadata),
    /// A link, and where it leads.
    Link(Vec<u8>),
    /// A folder, pipe, socket or device.
    Other,
}

/// Search, not read, is all a folder on the way must allow.
#[cfg(target_os = "linux")]
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);
#[cfg(not(target_os = "linux"))]
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

impl Beneath {
    /// Holds a folder, which must not be a link itself.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(root: &Path) -> io::Result<Self> {
        let flags = FOLDER | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(root, flags, Mode::empty())?;
        Ok(Self { root })
    }

    /// The folder a path is in, opened, and the last part of the path.
    fn parent<'p>(&self, path: &'p Path) -> io::Result<(OwnedFd, &'p OsStr)> {
        let mut parts = path.components().map(|part| match part {
            Component::Normal(name) => Ok(name),
            _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
        });
        let mut name = parts.next().ok_or(io::ErrorKind::InvalidInput)??;
        let mut at = self.root.as_fd().try_clone_to_owned()?;
        for next in parts {
            let flags = FOLDER | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            at = rustix::fs::openat(&at, name, flags, Mode::empty())?;
            name = next?;
        }
        Ok((at, name))
    }

    /// What is at a path in it.
    ///
    /// # Errors
    /// When nothing is there, it cannot be read, or a link stands where a folder has to be.
    pub fn look(&self, path: &Path) -> io::Result<Found> {
        let (parent, name) = self.parent(path)?;
        let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&parent, name, Vec::new())?;
                Ok(Found::Link(target.into_bytes()))
            }
            FileType::RegularFile => {
                // A pipe may have come there by now: opening it must not wait.
                let flags = OFlags::RDONLY
                    | OFlags::NOFOLLOW
                    | OFlags::NONBLOCK
                    | OFlags::NOCTTY
                    | OFlags::CLOEXEC;
                let file = File::from(rustix::fs::openat(&parent, name, flags, Mode::empty())?);
                let meta = file.metadata()?;
                if meta.is_file() {
                    Ok(Found::File(file, meta))
                } else {
                    Ok(Found::Other)
                }
            }
            _ => Ok(Found::Other),
        }
    }

    /// Names of at most `most` of what is in a folder at a path in it, in order.
    ///
    /// # Errors
    /// When it is no folder, or cannot be read.
    pub fn names(&self, path: &Path, most: usize) -> io::Result<Vec<OsString>> {
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(&parent, name, flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::new(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if names.len() == most {
                break;
            }
            names.push(OsStr::from_bytes(name).to_owned());
        }
        names.sort();
        Ok(names)
    }

    /// A plain file's content; an error when it is none, or larger than `most`.
    ///
    /// # Errors
    /// As [`Beneath::look`], and when it is no plain file, or too large.
    pub fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let Found::File(file, _) = self.look(path)? else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut bytes = Vec::new();
        // One more, to see that there is more.
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    /// Puts a new file in the place of what is at a path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let new = format!(".pertask-{}", std::process::id());
        let _ = rustix::fs::unlinkat(&parent, &new, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&parent, &new, flags, Mode::RUSR | Mode::WUSR)?;
        let written = File::from(file)
            .write_all(bytes)
            .and_then(|()| Ok(rustix::fs::renameat(&parent, &new, &parent, name)?));
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&parent, &new, AtFlags::empty());
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_is_followed_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("out")).unwrap();
        fs::create_dir_all(at("in/a/b")).unwrap();
        fs::write(at("out/key"), "secret").unwrap();
        fs::write(at("in/a/b/file"), "text").unwrap();
        symlink("../../out", at("in/a/link")).unwrap();
        symlink("../out/key", at("in/key")).unwrap();
        let beneath = Beneath::open(&at("in")).unwrap();
        let read = |path: &str| beneath.read(Path::new(path), 100).ok();
        assert_eq!(read("a/b/file").as_deref(), Some(&b"text"[..]));
        for path in [
            "a/link/key",
            "key",
            "../out/key",
            "a/../../out/key",
            "a/b",
            "",
        ] {
            assert_eq!(read(path), None, "{path}");
        }
        assert_eq!(read(at("out/key").to_str().unwrap()), None);
        assert!(beneath.read(Path::new("a/b/file"), 3).is_err());
        let link = beneath.look(Path::new("key")).unwrap();
        assert!(matches!(link, Found::Link(to) if to == b"../out/key"));
        assert!(beneath.replace(Path::new("a/link/new"), b"x").is_err());
        beneath.replace(Path::new("key"), b"x").unwrap();
        assert_eq!(fs::read(at("out/key")).unwrap(), b"secret");
        assert_eq!(fs::read_dir(at("out")).unwrap().count(), 1);
        assert_eq!(read("key").as_deref(), Some(&b"x"[..]));
        assert!(Beneath::open(&at("in/a/link")).is_err());
        let names = |path: &str, most| beneath.names(Path::new(path), most).ok();
        let all = ["b", "link"].map(OsString::from).to_vec();
        assert_eq!(names("a", 9), Some(all));
        assert_eq!(names("a", 1).map(|names| names.len()), Some(1));
        for path in ["a/link", "a/b/file", "key", "none", ".."] {
            assert_eq!(names(path, 9), None, "{path}");
        }
    }
}
