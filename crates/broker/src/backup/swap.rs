//! How a database takes the place of another one: a list of steps, after each of which a whole one is there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::part::{flush_folder, folder, with_ending};

/// What SQLite puts beside a database. It must never come to lie beside another one, which it would be written into.
pub(super) const SIDES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What the files of a replaced database are called instead, and then the time.
const ASIDE: &str = ".replaced-";

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The file has another name too.
    Keep { file: PathBuf, aside: PathBuf },
    /// What was done is on the disk.
    Flush,
    /// The file has its first name no longer.
    Drop(PathBuf),
    /// The file takes the place of the other.
    Put { file: PathBuf, over: PathBuf },
}

/// The database and what lies beside it, as far as it is there.
pub(super) fn present(database: &Path) -> Vec<PathBuf> {
    let sides = SIDES.map(|side| with_ending(database, side));
    let mut all = vec![database.to_owned()];
    all.extend(sides);
    all.retain(|file| file.symlink_metadata().is_ok());
    all
}

/// What the database is called when it was put aside.
pub(super) fn aside(database: &Path, time: &str) -> PathBuf {
    with_ending(database, &format!("{ASIDE}{time}"))
}

/// Puts `new` into the place of the database, and what is there aside.
pub(super) fn steps(database: &Path, new: &Path, present: &[PathBuf], aside: &Path) -> Vec<Step> {
    let ending = |file: &Path| {
        let side = SIDES
            .into_iter()
            .find(|side| with_ending(database, side) == file);
        with_ending(aside, side.unwrap_or_default())
    };
    let kept = present.iter().map(|file| Step::Keep {
        file: file.clone(),
        aside: ending(file),
    });
    let sides = present.iter().filter(|file| *file != database);
    let dropped = sides.map(|file| Step::Drop(file.clone()));
    let put = Step::Put {
        file: new.to_owned(),
        over: database.to_owned(),
    };
    let steps = kept.chain([Step::Flush]).chain(dropped);
    steps.chain([Step::Flush, put, Step::Flush]).collect()
}

impl Step {
    pub(super) fn take(&self, database: &Path) -> io::Result<()> {
        match self {
            Self::Keep { file, aside } => keep(file, aside),
            Self::Flush => flush_folder(database),
            Self::Drop(file) => match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
            Self::Put { file, over } => fs::rename(file, over),
        }
    }
}

/// Not every file system gives a file two names; then it is copied.
fn keep(file: &Path, aside: &Path) -> io::Result<()> {
    match fs::hard_link(file, aside) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => {
            fs::copy(file, aside)?;
            fs::File::open(aside)?.sync_all()
        }
    }
}

/// Takes back second names of the database: of a restore that was cut short before its end.
pub(super) fn forget_second_names(database: &Path) -> io::Result<()> {
    let Some(name) = database.file_name() else {
        return Ok(());
    };
    let begins = with_ending(Path::new(name), ASIDE);
    for entry in fs::read_dir(folder(database))? {
        let path = entry?.path();
        let is_aside = path.file_name().is_some_and(|name| {
            name.as_encoded_bytes()
                .starts_with(begins.as_os_str().as_encoded_bytes())
        });
        let is_second = |file: &PathBuf| is_same(file, &path).unwrap_or(false);
        if is_aside && present(database).iter().any(is_second) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (fs::symlink_metadata(one)?, fs::symlink_metadata(other)?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

#[cfg(test)]
mod tests;
