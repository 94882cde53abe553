//! Keys in files that only their owner may read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use brokkr_core::pak::Pak;

/// Reads a key.
pub fn read(path: &Path) -> anyhow::Result<Pak> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("the key file {} cannot be read", path.display()))?;
    text.trim()
        .parse()
        .with_context(|| format!("in the key file {}", path.display()))
}

/// Writes a key whole or not at all, readable by the owner of another file only: of the one that it will replace.
pub fn replace(path: &Path, key: &str, like: &Path) -> anyhow::Result<()> {
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let write = || {
        let owner = fs::metadata(like)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)?;
        if !key.is_empty() {
            writeln!(file, "{key}")?;
        }
        // Whoever reads the old one must be able to read the new one.
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        flush_folder(path)
    };
    write()
        .inspect_err(|_| drop(fs::remove_file(&part)))
        .with_context(|| format!("the key file {} cannot be written", path.display()))
}

/// Brings the name of a file onto the disk: without it a loss of power may take the file, whatever is on the disk of it.
pub fn flush_folder(of: &Path) -> io::Result<()> {
    let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// A file that waits for a key. A key is shown once, so the place for it is made before the key is.
pub struct Reserved {
    path: PathBuf,
    file: File,
    written: bool,
}

impl Reserved {
    /// Makes the file; one that exists is never overwritten.
    pub fn new(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| cannot_make(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            written: false,
        })
    }

    /// Puts the key into it.
    pub fn write(mut self, key: &str) -> anyhow::Result<()> {
        writeln!(self.file, "{key}")
            .and_then(|()| self.file.sync_all())
            .and_then(|()| flush_folder(&self.path))
            .with_context(|| format!("the key file {} cannot be written", self.path.display()))?;
        self.written = true;
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.written {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn cannot_make(path: &Path, error: io::Error) -> anyhow::Error {
    let file = path.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            anyhow!("{file} exists already — name another file, or remove it if its key is dead")
        }
        _ => anyhow!(error).context(format!("the key file {file} cannot be made")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use brokkr_core::ambient::System;
    use brokkr_core::pak::Role;

    use super::*;

    #[test]
    fn only_the_owner_reads_a_key_file_and_nothing_overwrites_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.key");
        let key = Pak::generate(Role::Agent, &System);
        Reserved::new(&path).unwrap().write(key.expose()).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(read(&path).unwrap().id(), key.id());
        assert!(Reserved::new(&path).is_err());
    }

    #[test]
    fn a_key_file_is_replaced_whole_and_stays_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.key");
        let old = Pak::generate(Role::Agent, &System);
        Reserved::new(&path).unwrap().write(old.expose()).unwrap();
        let new = Pak::generate(Role::Agent, &System);
        replace(&path, new.expose(), &path).unwrap();
        assert_eq!(read(&path).unwrap().id(), new.id());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_got_no_key_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.key");
        drop(Reserved::new(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn what_is_wrong_with_a_key_file_is_said_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.key");
        fs::write(&path, "brokkr_a_secret").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("agent.key"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
