use std::time::Duration;

use brokkr_core::ambient::{Ambient, System};
use brokkr_core::id::StackId;

/// A word that no other story has, for names.
pub fn unique() -> String {
    // The end of an id is random; its beginning is the time.
    StackId::generate(&System).uuid().simple().to_string()[22..].to_owned()
}

/// A random duration below `limit` milliseconds.
pub fn millis_up_to(limit: u64) -> Duration {
    let mut bytes = [0; 8];
    System.fill(&mut bytes);
    Duration::from_millis(u64::from_le_bytes(bytes) % limit)
}
