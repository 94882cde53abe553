use std::collections::BTreeSet;

use brokkr_core::access::Rule;

use crate::Error;
use crate::redact::Redactor;

/// What is longer, in bytes, is cut, so that one answer has room for many things.
const LONGEST: usize = 1_000;
const MOST_REMARKS: usize = 20;

/// Through whom all words of the cluster go that leave it.
pub(super) struct Teller {
    pub(super) redactor: Redactor,
}

impl Teller {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self { redactor }
    }

    /// The words, without values of Secrets and not longer than people read. They are cut last: of a value that is cut in
    /// two, nobody would know what the rest was of.
    pub(super) fn tell(&self, words: &str) -> String {
        cut(&self.redactor.redact(words), LONGEST)
    }

    /// Why something cannot be seen, and what would let it be seen.
    pub(super) fn unseen(&self, what: &str, error: &Error, rule: &Rule) -> String {
        // Of a service account's rights the error itself says whose, which, and what to do.
        if error.is_forbidden() && !error.is_of_an_account() {
            format!(
                "{what} cannot be seen, because the agent's account may not: it takes the rule {rule} there, which `brokkr agent rbac --requests describe,logs` prints"
            )
        } else {
            self.tell(&format!("{what} cannot be seen: {error}"))
        }
    }
}

/// The remarks, and how many more there are.
pub(super) fn remarks(all: BTreeSet<String>) -> Vec<String> {
    let more = all.len().saturating_sub(MOST_REMARKS);
    let mut told: Vec<_> = all.into_iter().take(MOST_REMARKS).collect();
    if more > 0 {
        told.push(format!("{more} more remarks are left out"));
    }
    told
}

/// The text, and no more than so many bytes of it.
pub(super) fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mut end = bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}
