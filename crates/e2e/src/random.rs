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
    Duration::from_millis(number() % limit)
}

/// A random number below `limit`.
pub fn below(limit: usize) -> usize {
    usize::try_from(number() % limit as u64).unwrap_or_default()
}

fn number() -> u64 {
    let mut bytes = [0; 8];
    System.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Puts things into a random order.
pub fn shuffle<T>(things: &mut [T]) {
    for last in (1..things.len()).rev() {
        things.swap(last, below(last + 1));
    }
}
