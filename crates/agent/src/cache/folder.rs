use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// What a file is called until it is whole.
const PART: &str = "part";
/// A longer file is none of ours: a broker's answers are shorter.
const LONGEST: u64 = 64 * 1024 * 1024;

/// A folder whose files are there whole or not at all, also after a power loss.
#[derive(Clone)]
pub(super) struct Folder {
    path: Arc<Path>,
    /// Two who write the same name do it one after the other.
    writing: Arc<Mutex<()>>,
}

impl Folder {
    /// Makes the folder if it is missing, and tries whether it can be written to.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path)?;
        let folder = Self {
            path: path.into(),
            writing: Arc::default(),
        };
        folder.write_now("trial", b"")?;
        fs::remove_file(path.join("trial"))?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn write(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        let name = name.to_owned();
        self.blocking(move |folder| folder.write_now(&name, &bytes))
            .await
    }

    /// What is under this name, if there is anything.
    pub(super) async fn read(&self, name: &str) -> io::Result<Option<Bytes>> {
        let name = name.to_owned();
        self.blocking(move |folder| folder.read_now(&name)).await
    }

    pub(super) async fn remove(&self, name: &str) -> io::Result<()> {
        let name = name.to_owned();
        self.blocking(
            move |folder| match fs::remove_file(folder.path.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        )
        .await
    }

    pub(super) async fn names(&self) -> io::Result<Vec<String>> {
        self.blocking(|folder| {
            let files = fs::read_dir(&folder.path)?;
            let names = files.map(|file| Ok(file?.file_name().into_string().unwrap_or_default()));
            names.collect()
        })
        .await
    }

    fn write_now(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let part = self.path.join(format!("{name}.{PART}"));
        // Of a process that died while it wrote.
        let _ = fs::remove_file(&part);
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&part)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&part, self.path.join(name))?;
            File::open(&self.path)?.sync_all()
        };
        write().inspect_err(|_| drop(fs::remove_file(&part)))
    }

    fn read_now(&self, name: &str) -> io::Result<Option<Bytes>> {
        let file = match File::open(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST {
            return Err(io::Error::other("it is too long to be ours"));
        }
        Ok(Some(bytes.into()))
    }

    /// Does something that may take the disk its time.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let folder = self.clone();
        tokio::task::spawn_blocking(move || work(&folder))
            .await
            .map_err(io::Error::other)?
    }
}
