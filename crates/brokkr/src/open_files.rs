//! How many files the process may open: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Takes all that the process may have, and says how many that is.
pub fn raise() -> usize {
    // More than the kernel can count waiters for; no broker comes near.
    const MOST: u64 = 1 << 20;
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(_) => limit.current,
    };
    usize::try_from(current.unwrap_or(MOST).min(MOST)).unwrap_or(usize::MAX)
}
