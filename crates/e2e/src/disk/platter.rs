use std::collections::BTreeMap;

use anyhow::{Context, Result};
use fastrand::Rng;

use super::file::{File, Loose};
use super::{Act, Step};

/// A disk, and what it may lose with the power.
///
/// A name and the file that it names are kept apart: a file may be on the disk without being found there.
pub struct Platter {
    files: Vec<File>,
    /// The names that are sure to be there, with the places of their files.
    kept: Names,
    /// What became of names since, each step whole or not at all: a file, or none.
    loose: Vec<Vec<(String, Option<usize>)>>,
}

type Names = BTreeMap<String, usize>;

impl Platter {
    /// With files that are sure to be there.
    pub(super) fn with(files: &BTreeMap<String, Vec<u8>>) -> Self {
        Self {
            files: files.values().cloned().map(File::sure).collect(),
            kept: files.keys().cloned().zip(0..).collect(),
            loose: Vec::new(),
        }
    }

    /// Takes the next step of a journal.
    pub fn take(&mut self, step: &Step) -> Result<()> {
        let name = step.name.clone();
        match &step.act {
            Act::Created => {
                self.loose.push(vec![(name, Some(self.files.len()))]);
                self.files.push(File::default());
            }
            Act::Removed => self.loose.push(vec![(name, None)]),
            Act::Renamed(new) => {
                let place = self.place(&name)?;
                self.loose
                    .push(vec![(name, None), (new.clone(), Some(place))]);
            }
            Act::Synced if name.is_empty() => {
                self.kept = self.names();
                self.loose.clear();
            }
            Act::Synced => self.file(&name)?.keep(),
            Act::Wrote(offset, bytes) => {
                let loose = Loose::Bytes(*offset, bytes.clone());
                self.file(&name)?.tell(loose);
            }
            // Nothing was done.
            Act::Failed(_) => {}
            Act::Cut(length) => self.file(&name)?.tell(Loose::Length(*length)),
        }
        Ok(())
    }

    fn file(&mut self, name: &str) -> Result<&mut File> {
        let place = self.place(name)?;
        Ok(&mut self.files[place])
    }

    fn place(&self, name: &str) -> Result<usize> {
        let place = self.names().get(name).copied();
        place.with_context(|| format!("the journal does not have how {name} began"))
    }

    fn names(&self) -> Names {
        let mut names = self.kept.clone();
        for change in &self.loose {
            rename(&mut names, change);
        }
        names
    }

    /// The files as those see them who look now.
    pub fn now(&self) -> BTreeMap<String, Vec<u8>> {
        let names = self.names().into_iter();
        names
            .map(|(name, place)| (name, self.files[place].now()))
            .collect()
    }

    /// What may be there when the power is back: all that was to be kept, and of the rest every sector, length and name
    /// at odds that are others each time, and sometimes none or all.
    pub fn after_a_loss(&self, random: &mut Rng) -> BTreeMap<String, Vec<u8>> {
        let odds = f64::from(random.u8(0..=4)) / 4.0;
        let mut names = self.kept.clone();
        for change in &self.loose {
            if random.f64() < odds {
                rename(&mut names, change);
            }
        }
        let names = names.into_iter();
        names
            .map(|(name, place)| (name, self.files[place].after_a_loss(odds, random)))
            .collect()
    }
}

fn rename(names: &mut Names, change: &[(String, Option<usize>)]) {
    for (name, place) in change {
        match place {
            Some(place) => names.insert(name.clone(), *place),
            None => names.remove(name),
        };
    }
}
