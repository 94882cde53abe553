use std::collections::BTreeMap;

use brokkr_core::ObjectKey;
use brokkr_core::wire::{ObjectOutcome, ObjectResult};

use crate::outcome;

/// So many reasons are told of an object.
const TOLD: usize = 5;
/// So many objects have their reasons told; of others the rules are named.
const EXPLAINED: usize = 100;
/// So long may a reason be.
const LONGEST: usize = 500;

/// What the rules have against the objects of a snapshot.
#[derive(Default)]
pub(super) struct Verdicts(BTreeMap<ObjectKey, Vec<Verdict>>);

struct Verdict {
    rule: String,
    reason: String,
}

impl Verdicts {
    pub(super) fn refuse(&mut self, key: &ObjectKey, rule: &str, reason: impl Into<String>) {
        let verdicts = self.0.entry(key.clone()).or_default();
        verdicts.push(Verdict {
            rule: rule.to_owned(),
            reason: reason.into(),
        });
    }

    /// One outcome for each object that is refused, in order of their keys.
    pub(super) fn into_outcomes(self) -> Vec<ObjectOutcome> {
        let told = self.0.into_iter().enumerate();
        told.map(|(index, (key, verdicts))| {
            let reason = reason(&verdicts, index < EXPLAINED);
            outcome::with(&key, ObjectResult::Invalid, reason)
        })
        .collect()
    }
}

fn reason(verdicts: &[Verdict], is_explained: bool) -> String {
    let told = verdicts.iter().take(TOLD).map(|Verdict { rule, reason }| {
        if is_explained {
            let reason: String = reason.chars().take(LONGEST).collect();
            format!("rule {rule}: {reason}")
        } else {
            format!("rule {rule}")
        }
    });
    let mut told: Vec<_> = told.collect();
    if let Some(more) = verdicts.len().checked_sub(TOLD + 1) {
        told.push(format!("and {} more", more + 1));
    }
    format!("refused by this environment's {}", told.join("; "))
}
