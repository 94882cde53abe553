use anyhow::{Context, Result, bail};

/// One step, as `shim.c` writes it down.
#[derive(Debug)]
pub struct Step {
    /// The file; empty: the folder itself.
    pub name: String,
    /// What was done to it.
    pub act: Act,
    /// How far the journal had come with it.
    pub end: u64,
}

/// The kinds of steps, as `shim.c` numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A file is made.
    Create = 1,
    /// Bytes are put into it.
    Write,
    /// It gets another length.
    Cut,
    /// All of it is to be kept.
    Sync,
    /// Its name is taken away.
    Remove,
    /// It gets another name.
    Rename,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Create,
        Self::Write,
        Self::Cut,
        Self::Sync,
        Self::Remove,
        Self::Rename,
    ];
}

/// What can be done to a file.
#[derive(Debug)]
pub enum Act {
    /// It was made.
    Created,
    /// It has these bytes at this place.
    Wrote(usize, Vec<u8>),
    /// It has this length.
    Cut(usize),
    /// All of it is to be kept; of a folder, its names.
    Synced,
    /// Its name was taken away.
    Removed,
    /// It has this name, and what had it before has none.
    Renamed(String),
    /// This was refused.
    Failed(Kind),
}

/// Reads a whole journal.
pub(super) fn read(journal: &[u8]) -> Result<Vec<Step>> {
    let mut rest = journal;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let [kind, name] = take::<2>(&mut rest)?;
        take::<2>(&mut rest)?;
        let bytes = usize::try_from(u32::from_le_bytes(take(&mut rest)?))?;
        let offset = usize::try_from(u64::from_le_bytes(take(&mut rest)?))?;
        let name = String::from_utf8(some(&mut rest, name.into())?.to_vec())?;
        let bytes = some(&mut rest, bytes)?;
        let act = match kind {
            1 => Act::Created,
            2 => Act::Wrote(offset, bytes.to_vec()),
            3 => Act::Cut(offset),
            4 => Act::Synced,
            5 => Act::Removed,
            6 => Act::Renamed(String::from_utf8(bytes.to_vec())?),
            7 => Act::Failed(
                Kind::ALL
                    .into_iter()
                    .find(|kind| *kind as usize == offset)
                    .context("no kind of step")?,
            ),
            other => bail!("the journal has a step of kind {other}"),
        };
        let end = u64::try_from(journal.len() - rest.len())?;
        steps.push(Step { name, act, end });
    }
    Ok(steps)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    Ok(some(rest, N)?.try_into()?)
}

fn some<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (some, more) = rest
        .split_at_checked(length)
        .context("the journal breaks off")?;
    *rest = more;
    Ok(some)
}
