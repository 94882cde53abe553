//! A disk that remembers: every step that a broker takes with its files, in order, and so what a loss of power may leave
//! after each.

mod file;
mod journal;
mod platter;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

pub use self::journal::{Act, Kind, Step};
pub use self::platter::Platter;

/// It is compiled where SQLite is, from C.
const SHIM: &str = include_str!("disk/shim.c");

/// A folder for the files of one broker, and the journal of what was done to them.
pub struct Disk {
    folder: PathBuf,
    beginning: BTreeMap<String, Vec<u8>>,
    fault: Option<Fault>,
    /// Apart from the story's files: all keys of the story are in the journal too.
    notes: TempDir,
}

/// A step that a disk refuses to each process that is started on it.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Of these kinds.
    pub kinds: &'static [Kind],
    /// The how-manieth, from 1.
    pub number: usize,
    /// The error, as Linux numbers them.
    pub error: i32,
}

impl Disk {
    /// An empty folder in `directory`.
    pub async fn below(directory: &Path) -> Result<Self> {
        let folder = directory.canonicalize()?.join("disk");
        std::fs::create_dir(&folder)?;
        let notes = tempfile::Builder::new().prefix("brokkr-disk.").tempdir()?;
        let disk = Self {
            folder,
            beginning: BTreeMap::new(),
            fault: None,
            notes,
        };
        compile(&disk.shim()).await?;
        Ok(disk)
    }

    /// Puts a file there before anything is written down.
    pub fn put(&mut self, name: &str, from: &Path) -> Result<()> {
        let content = std::fs::read(from)?;
        std::fs::write(self.folder.join(name), &content)?;
        self.beginning.insert(name.to_owned(), content);
        Ok(())
    }

    /// From now on a step is refused to each process.
    pub const fn refuse(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// The disk before the first step.
    pub fn platter(&self) -> Platter {
        Platter::with(&self.beginning)
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The database on it, as `--database` takes it.
    pub fn database(&self) -> String {
        format!("sqlite:{}", self.folder.join("brokkr.db").display())
    }

    /// What a process must have in its environment to be listened to.
    pub fn variables(&self) -> Vec<(&'static str, PathBuf)> {
        let mut variables = vec![
            ("LD_PRELOAD", self.shim()),
            ("DISK_FOLDER", self.folder.clone()),
            ("DISK_JOURNAL", self.journal_file()),
        ];
        if let Some(fault) = self.fault {
            variables.push(("DISK_FAULT", fault.to_string().into()));
        }
        variables
    }

    /// How far the journal has come: what is done later has a greater [`Step::end`].
    pub fn moment(&self) -> Result<u64> {
        Ok(std::fs::metadata(self.journal_file())?.len())
    }

    /// What is written down so far; nothing, before a process has begun.
    pub fn journal(&self) -> Result<Vec<Step>> {
        journal::read(&std::fs::read(self.journal_file()).unwrap_or_default())
    }

    /// All that was done to the files. Played to the end it must have left what is there, or the journal is not whole.
    pub fn steps(&self) -> Result<Vec<Step>> {
        let steps = self.journal()?;
        let mut platter = self.platter();
        for step in &steps {
            platter.take(step)?;
        }
        for (name, content) in platter.now() {
            let there = std::fs::read(self.folder.join(&name)).with_context(|| name.clone())?;
            ensure!(there == content, "the journal does not have all of {name}");
        }
        Ok(steps)
    }

    fn shim(&self) -> PathBuf {
        self.notes.path().join("shim.so")
    }

    fn journal_file(&self) -> PathBuf {
        self.notes.path().join("journal")
    }
}

impl fmt::Display for Fault {
    /// As `shim.c` reads it.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: u32 = self.kinds.iter().map(|kind| 1 << *kind as u32).sum();
        write!(to, "{kinds}:{}:{}", self.number, self.error)
    }
}

async fn compile(to: &Path) -> Result<()> {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut compiling = Command::new(compiler)
        .args(["-shared", "-fPIC", "-O2", "-x", "c", "-", "-o"])
        .arg(to)
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("the C compiler")?;
    let mut stdin = compiling.stdin.take().context("stdin")?;
    stdin.write_all(SHIM.as_bytes()).await?;
    drop(stdin);
    let status = compiling.wait().await?;
    ensure!(status.success(), "the C compiler ended with {status}");
    Ok(())
}
