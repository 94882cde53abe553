use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// A file that grows beside the one whose place it will take, `FILE.part`, which only its owner reads. What an earlier
/// run left of it is written over.
pub(super) struct Part {
    path: PathBuf,
    target: PathBuf,
    file: File,
}

impl Part {
    /// Begins an empty one. It is locked: two at once would write into each other.
    pub(super) fn begin(target: &Path) -> anyhow::Result<Self> {
        ensure!(!target.is_dir(), "{} is a folder", target.display());
        let path = with_ending(target, ".part");
        let shown = path.display();
        let cannot = || format!("{shown} cannot be written: does its folder exist?");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(cannot)?;
        // Whoever had the lock before may have finished, and the file is the one that it made.
        let (ours, there) = (file.metadata()?, fs::symlink_metadata(&path));
        let is_there =
            there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
        if file.try_lock().is_err() || !is_there {
            bail!("{shown} is in use: is another backup or restore at work?");
        }
        file.set_permissions(Permissions::from_mode(0o600))
            .and_then(|()| file.set_len(0))
            .with_context(cannot)?;
        Ok(Self {
            path,
            target: target.to_owned(),
            file,
        })
    }

    /// Copies a file into it.
    pub(super) async fn fill(&self, from: &Path) -> anyhow::Result<()> {
        let (mut file, path) = (self.file.try_clone()?, from.to_owned());
        let filled = tokio::task::spawn_blocking(move || {
            io::copy(&mut File::open(path)?, &mut file).map(drop)
        });
        filled
            .await
            .context("a task died")?
            .with_context(|| format!("{} cannot be copied", from.display()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it to the owner of another file, who is to read it instead of that one.
    pub(super) fn belong_like(&self, other: &Path) -> io::Result<()> {
        let (ours, other) = (self.file.metadata()?, fs::metadata(other)?);
        if (ours.uid(), ours.gid()) == (other.uid(), other.gid()) {
            return Ok(());
        }
        fchown(&self.file, Some(other.uid()), Some(other.gid()))
    }

    /// Brings it onto the disk, and answers its size in bytes.
    pub(super) async fn flush(&self) -> anyhow::Result<u64> {
        let file = self.file.try_clone()?;
        let flushed = tokio::task::spawn_blocking(move || {
            file.sync_all()?;
            Ok::<_, io::Error>(file.metadata()?.len())
        });
        flushed
            .await
            .context("a task died")?
            .with_context(|| format!("{} cannot be brought onto the disk", self.path.display()))
    }

    /// Takes the place, in one step.
    pub(super) fn take_its_place(self) -> anyhow::Result<()> {
        fs::rename(&self.path, &self.target)
            .and_then(|()| flush_folder(&self.target))
            .with_context(|| format!("{} cannot be written", self.target.display()))
    }
}

impl Drop for Part {
    /// When it took its place nothing is there any more.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The name of a file that lies beside another.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// Brings names onto the disk.
pub(crate) fn flush_folder(of: &Path) -> io::Result<()> {
    File::open(folder(of))?.sync_all()
}

pub(super) fn folder(of: &Path) -> &Path {
    match of.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
