use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::{Broker, Database, Process};

/// A disk of a few megabytes, which is there for those who are started [under](SmallDisk::under) it, and goes with this value. It needs no
/// root, but a kernel that gives everybody a user namespace.
pub struct SmallDisk {
    holder: Process,
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts it in a folder of the story's.
    pub async fn mount(directory: &Path, megabytes: usize) -> Result<Self> {
        let folder = directory.join("disk");
        std::fs::create_dir(&folder)?;
        let mount = format!(
            "mount -t tmpfs -o size={megabytes}m none \"$0\" && echo mounted && exec sleep infinity"
        );
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount]);
        let mut holder = Process::start("disk", command.arg(&folder), directory)?;
        holder
            .says("mounted")
            .await
            .context("no disk can be mounted: does the kernel allow user namespaces?")?;
        Ok(Self { holder, folder })
    }

    /// What a program is started by that has the disk.
    pub fn under(&self) -> Result<Vec<String>> {
        let holder = self.holder.id()?.to_string();
        let enter = ["nsenter", "--target", &holder, "--user", "--mount"];
        let keep = ["--preserve-credentials", "--"];
        Ok(enter.into_iter().chain(keep).map(str::to_owned).collect())
    }

    /// A database on it, as those see it who are started under it.
    pub fn database(&self) -> String {
        format!("sqlite:{}", self.folder.join("brokkr.db").display())
    }

    /// The engine's own word that the database is whole, as it would be found after a crash at this moment.
    pub async fn check_integrity(&self, broker: &Broker) -> Result<()> {
        let copy = self.folder.with_extension("copy");
        broker.process().suspend()?;
        for end in ["", "-wal"] {
            let from = self.outside(&format!("brokkr.db{end}"))?;
            std::fs::copy(from, format!("{}{end}", copy.display()))?;
        }
        broker.process().resume()?;
        Database::check_file(&copy).await
    }

    /// Leaves no room, not even for a byte.
    pub fn fill(&self) -> Result<()> {
        let mut ballast = File::options()
            .append(true)
            .create(true)
            .open(self.outside("ballast")?)?;
        for piece in [vec![0; 64 * 1024], vec![0]] {
            loop {
                match ballast.write(&piece) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Gives the room back.
    pub fn empty(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.outside("ballast")?)?)
    }

    /// A file on it, as all others see it.
    fn outside(&self, file: &str) -> Result<PathBuf> {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()?));
        let inside = self.folder.strip_prefix("/")?;
        let path = root.join(inside);
        ensure!(path.is_dir(), "the disk is gone");
        Ok(path.join(file))
    }
}
