//! Everything that can be judged before the first write: the text, the kinds, and by a dry run what
//! only the cluster knows.

mod definition;
mod dry_run;
mod needs;
mod own;
mod snapshot;

pub(crate) use dry_run::dry_run;
pub(crate) use own::OwnNamespace;
pub(crate) use snapshot::{Object, Served, Snapshot, Unfit, parse, read};
