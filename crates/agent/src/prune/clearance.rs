use std::collections::BTreeSet;

use brokkr_core::ObjectKey;
use brokkr_core::plan::Incarnation;
use brokkr_core::wire::{HeldLoss, LossCause};

use super::Consent;
use crate::guard::{Barred, Passage};

/// The most objects of a held loss that are told, so that a report of it stays below what a broker reads; when
/// these are decided about, the others are told.
const MOST_TOLD: usize = 5_000;
const MOST_BYTES: usize = 700 * 1024;
/// So many objects are named in a reason.
const NAMED: usize = 2;

/// What an attempt may delete.
pub(super) struct Clearance<'a> {
    consent: &'a Consent<'a>,
    outcome: Outcome<'a>,
}

enum Outcome<'a> {
    Passes(Passage<'a>),
    Holds(BTreeSet<ObjectKey>, Barred),
}

/// A loss that is held, in words too.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub loss: HeldLoss,
    pub reason: String,
}

impl<'a> Clearance<'a> {
    pub(super) const fn passes(consent: &'a Consent<'a>, passage: Passage<'a>) -> Self {
        Self {
            consent,
            outcome: Outcome::Passes(passage),
        }
    }

    pub(super) const fn holds(
        consent: &'a Consent<'a>,
        objects: BTreeSet<ObjectKey>,
        barred: Barred,
    ) -> Self {
        Self {
            consent,
            outcome: Outcome::Holds(objects, barred),
        }
    }

    /// Whether an object may be deleted in this incarnation. One that could not go when the attempt was judged
    /// is left to the next.
    pub(super) fn covers(&self, key: &ObjectKey, incarnation: &Incarnation) -> bool {
        let passes = match &self.outcome {
            Outcome::Passes(passage) => passage.covers(&incarnation.uid),
            Outcome::Holds(..) => false,
        };
        passes || self.consent.approves(key)
    }

    pub(super) fn is_held(&self, key: &ObjectKey) -> bool {
        matches!(&self.outcome, Outcome::Holds(objects, _) if objects.contains(key))
    }

    pub(super) fn held(self) -> Option<Held> {
        match self.outcome {
            Outcome::Passes(_) => None,
            Outcome::Holds(objects, barred) => {
                Some(Held::of(self.consent.cause(), objects, &barred))
            }
        }
    }
}

impl Held {
    fn of(cause: LossCause, objects: BTreeSet<ObjectKey>, barred: &Barred) -> Self {
        Self {
            reason: reason(&objects, barred),
            loss: HeldLoss {
                cause,
                objects: told(objects),
                owned: barred.owned as u64,
            },
        }
    }
}

/// What to do about it stands before the names, which may be long.
fn reason(objects: &BTreeSet<ObjectKey>, barred: &Barred) -> String {
    let beside = match (barred.gone, barred.held) {
        (0, 0) => String::new(),
        (gone, 0) => format!(", beside {gone} that went in the last 10 minutes"),
        (0, held) => format!(", beside {held} of other stacks that are held"),
        (gone, held) => {
            format!(", beside {gone} that went in the last 10 minutes and {held} that are held")
        }
    };
    let mut names: Vec<_> = objects
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    let more = objects.len() - names.len();
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    format!(
        "{} of {} objects would be deleted{beside}: more than 5 and more than 20 %; nothing of it is deleted until somebody decides: `brokkr removals list` ({})",
        objects.len(),
        barred.owned,
        names.join(", "),
    )
}

fn told(objects: BTreeSet<ObjectKey>) -> Vec<ObjectKey> {
    let mut bytes = 0;
    let fits = |key: &ObjectKey| {
        bytes += serde_json::to_vec(key).map_or(0, |json| json.len());
        bytes <= MOST_BYTES
    };
    objects
        .into_iter()
        .take(MOST_TOLD)
        .take_while(fits)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(count: usize, name: &str) -> BTreeSet<ObjectKey> {
        let key = |index| ObjectKey {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: Some("shop".into()),
            name: format!("{name}{index:05}"),
        };
        (0..count).map(key).collect()
    }

    #[test]
    fn a_reason_says_how_much_and_what_to_do() {
        let barred = |gone, held| Barred {
            gone,
            held,
            owned: 40,
        };
        assert_eq!(
            reason(&objects(12, "a"), &barred(0, 0)),
            "12 of 40 objects would be deleted: more than 5 and more than 20 %; nothing of it is deleted until somebody decides: `brokkr removals list` (ConfigMap shop/a00000, ConfigMap shop/a00001, and 10 more)"
        );
        let reason = reason(&objects(2, "a"), &barred(7, 3));
        assert!(reason.contains("beside 7 that went"), "{reason}");
        assert!(reason.ends_with("shop/a00001)"), "{reason}");
    }

    #[test]
    fn what_is_told_of_a_loss_is_bounded() {
        assert_eq!(told(objects(6_000, "a")).len(), MOST_TOLD);
        let long = told(objects(6_000, &"a-long-name-".repeat(20)));
        assert!(long.len() > 1_000);
        let json = serde_json::to_vec(&long).expect("JSON");
        assert!(json.len() < 1024 * 1024, "{}", json.len());
    }
}
