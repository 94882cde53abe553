use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::store::broker::Progress;

/// How far somebody who watches has seen: `REVISION.INGEST.LINEAGE`. The last part is the random id of the revision, by
/// which a history is told from any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) seen: Progress,
    pub(crate) lineage: Uuid,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { revision, ingest } = self.seen;
        write!(f, "{revision}.{ingest}.{}", self.lineage.simple())
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(());
        let (revision, ingest, lineage) = (part()?, part()?, part()?);
        let cursor = Self {
            seen: Progress {
                revision: revision.parse().map_err(drop)?,
                ingest: ingest.parse().map_err(drop)?,
            },
            lineage: lineage.parse().map_err(drop)?,
        };
        // One text for each, so that nothing else is taken for it.
        (cursor.to_string() == text).then_some(cursor).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(revision: u64, ingest: u64, lineage: u128) {
            let cursor = Cursor { seen: Progress { revision, ingest }, lineage: Uuid::from_u128(lineage) };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn whatever_else_comes_is_no_cursor(text in "[0-9a-f.+-]{0,48}") {
            let cursor: Result<Cursor, ()> = text.parse();
            prop_assert!(cursor.is_err() || cursor.map(|cursor| cursor.to_string()) == Ok(text));
        }
    }
}
