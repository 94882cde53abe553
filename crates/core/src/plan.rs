//! What an attempt to apply or remove a stack does to each object, decided without I/O from what is
//! wanted, what the inventory says and what was seen in the cluster.
//!
//! The rules that keep foreign objects safe stand here and nowhere else: an object that exists is
//! written or deleted only if the inventory names it, and only in the incarnation that was recorded.

mod fields;
mod fingerprint;
mod guard;
mod ignore;
mod phase;
mod remake;
mod resemblance;

use serde::{Deserialize, Serialize};

use crate::mutant::Mutant;
use crate::object::{KeptKind, ObjectKey};
use crate::wire::Adopt;

pub use fields::Cession;
pub use fingerprint::Fingerprint;
pub use guard::{Guard, LOSS_WINDOW, Ruling};
pub use ignore::{IGNORE_ANNOTATION, Ignored};
pub use phase::Phase;
pub use remake::{Obstacle, RECREATE_ANNOTATION, Wishes};
pub use resemblance::{Difference, all_differences, differences};

/// The field manager of everything that an agent writes.
pub const FIELD_MANAGER: &str = "brokkr";
/// The label that names the stack to which an object belongs.
pub const STACK_LABEL: &str = "brokkr.io/stack";
/// With the value `disabled`, an object is kept when its stack drops it.
pub const PRUNE_ANNOTATION: &str = "brokkr.io/prune";
/// With the value `keep`, an object is kept when its stack drops it.
pub const HELM_POLICY_ANNOTATION: &str = "helm.sh/resource-policy";

/// What the inventory says of an object.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ownership {
    /// It was about to be created; whether it was, is not known.
    Pending,
    /// It was somebody else's and about to be taken over. Whether it was, the object tells: it may carry our marks from
    /// a time when it was ours, so that they alone prove nothing.
    Claimed {
        /// The incarnation.
        uid: String,
        /// [`Live::applied_at`] before it was taken over.
        applied_at: Option<String>,
    },
    /// It was written.
    Owned {
        /// The incarnation.
        uid: String,
        /// The last write; none while another one is under way, which may have happened or not.
        written: Option<Written>,
    },
}

/// A write of an object, as far as it takes to see whether it still holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Written {
    /// What was sent.
    pub manifest: Fingerprint,
    /// What the cluster then listed as ours: it changes when somebody else changes one of our fields. It names the
    /// fields and not their values, so it does not tell two writes of ours apart.
    pub fields: Fingerprint,
}

/// An object as it was just seen in the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Live {
    /// Which object, and which state of it.
    pub incarnation: Incarnation,
    /// The value of [`STACK_LABEL`].
    pub stack: Option<String>,
    /// What the cluster lists as ours; none if we never wrote it.
    pub fields: Option<Fingerprint>,
    /// When our last write changed it, in the cluster's words, which tell seconds: other people's writes leave it as it is.
    pub applied_at: Option<String>,
    /// Everybody who wrote it.
    pub managers: Vec<String>,
    /// Whether an annotation asks to keep it.
    pub asks_to_stay: bool,
    /// Its finalizers, if it is being deleted.
    pub deleting: Option<Vec<String>>,
    /// Fields that are left to others, who set them.
    pub ceded: Vec<Cession>,
}

/// One incarnation of an object in one state: the precondition of every write and every delete.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incarnation {
    /// Tells it from another object of the same name.
    pub uid: String,
    /// Tells it from the same object before or after a change.
    pub resource_version: String,
}

/// What happens to an object that is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is not there: create it, and nothing but create it.
    Create,
    /// It is ours and not as it should be.
    Update(Incarnation),
    /// It is ours, cannot become what it should be, and its manifest allows to delete it and create it anew. The
    /// cluster's refusal says so and no judgement.
    Remake(Incarnation),
    /// It is ours and as it should be.
    Leave,
    /// It is somebody else's, and the stack takes it over.
    Adopt(Adoption),
    /// It is somebody else's and stays so.
    Conflict {
        /// Who wrote it.
        managers: Vec<String>,
        /// Why it is not taken.
        claim: Claim,
    },
    /// It is being deleted, ours or one that would be taken: it can be created when it is gone.
    Await {
        /// What its deletion waits for.
        finalizers: Vec<String>,
    },
}

/// The taking over of an object that somebody else made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adoption {
    /// Which object, in the state in which it was judged.
    pub incarnation: Incarnation,
    /// [`Live::applied_at`], should it have been ours before.
    pub applied_at: Option<String>,
    /// Who wrote it so far.
    pub managers: Vec<String>,
    /// Whether it is taken only if applying would change nothing of it but whose it is.
    pub if_identical: bool,
}

impl Adoption {
    /// What the inventory says while it is under way.
    pub fn claim(&self) -> Ownership {
        Ownership::Claimed {
            uid: self.incarnation.uid.clone(),
            applied_at: self.applied_at.clone(),
        }
    }

    /// Whether a new look at an object needs no other than what an earlier verdict was examined by: it is the same one,
    /// and may be taken whatever it is.
    pub fn is_settled_by(&self, earlier: &Verdict) -> bool {
        let is_same = |before: &Self| before.incarnation.uid == self.incarnation.uid;
        !self.if_identical && matches!(earlier, Verdict::Adopt(before) if is_same(before))
    }
}

/// Why an object that exists is not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// The stack takes nothing that is not its own.
    Unasked,
    /// It carries the label of this other stack.
    Labelled(String),
    /// The inventory of this other stack names it, whatever its label says.
    Recorded(String),
    /// Applying would change these fields of it.
    Different(Vec<String>),
    /// It changed while it was looked at; the next look may say something else.
    Busy,
    /// Whether applying would change it cannot be told.
    Untried(String),
}

/// What happens to an object that is no longer wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Loss {
    /// It is ours: delete it.
    Delete(Incarnation),
    /// It stays as it is and is nobody's from now on.
    Keep(Keep),
    /// Ours is gone, whatever has its name now.
    Forget,
    /// It is being deleted.
    Await {
        /// What its deletion waits for.
        finalizers: Vec<String>,
    },
}

/// Why an object that is no longer wanted is not deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// Its loss would take data or a whole environment along, and nobody allowed that.
    Kind(KeptKind),
    /// It carries an annotation that asks for it.
    Asked,
    /// Somebody took our label away or put another stack's there.
    LabelGone,
}

/// Whether the inventory is the one that was written last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// It is, so an object that is not in it is not ours.
    Whole,
    /// It was lost: objects that carry all our marks are taken back, and nothing is deleted.
    Lost,
}

/// A stack's point of view, from which every object is judged.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    stack: &'a str,
    memory: Memory,
    adopt: Adopt,
}

impl<'a> Judge<'a> {
    /// `stack` is the stack's id as [`STACK_LABEL`] has it, `memory` how far its inventory can be trusted.
    pub const fn new(stack: &'a str, memory: Memory) -> Self {
        Self {
            stack,
            memory,
            adopt: Adopt::Never,
        }
    }

    /// What the stack does about objects that exist already, as somebody else's.
    #[must_use]
    pub const fn adopting(self, adopt: Adopt) -> Self {
        Self { adopt, ..self }
    }

    /// What to do about an object that is wanted as `manifest`.
    pub fn wanted(
        self,
        manifest: Fingerprint,
        ownership: Option<&Ownership>,
        live: Option<&Live>,
    ) -> Verdict {
        let Some(live) = live else {
            return Verdict::Create;
        };
        if !self.is_ours(ownership, live) && !Mutant::ConflictIgnored.is_on() {
            return self.foreign(live);
        }
        if let Some(finalizers) = &live.deleting {
            return Verdict::Await {
                finalizers: finalizers.clone(),
            };
        }
        match ownership {
            Some(Ownership::Owned {
                written: Some(written),
                ..
            }) if written.manifest == manifest && live.fields == Some(written.fields) => {
                Verdict::Leave
            }
            _ => Verdict::Update(live.incarnation.clone()),
        }
    }

    /// What to do about an object of the inventory that is no longer wanted. `may_go` says whether
    /// somebody allowed the deletion of an object of a kept kind.
    pub fn dropped(
        self,
        key: &ObjectKey,
        ownership: &Ownership,
        live: Option<&Live>,
        may_go: impl FnOnce(&ObjectKey, KeptKind) -> bool,
    ) -> Loss {
        let Some(live) = live.filter(|live| self.is_ours(Some(ownership), live)) else {
            return Loss::Forget;
        };
        if live.stack.as_deref() != Some(self.stack) && !Mutant::LabelUnchecked.is_on() {
            return Loss::Keep(Keep::LabelGone);
        }
        if live.asks_to_stay && !Mutant::AskIgnored.is_on() {
            return Loss::Keep(Keep::Asked);
        }
        if let Some(kind) = key.kept_kind()
            && !may_go(key, kind)
            && !Mutant::KeptKindsDeleted.is_on()
        {
            return Loss::Keep(Keep::Kind(kind));
        }
        match &live.deleting {
            Some(finalizers) => Loss::Await {
                finalizers: finalizers.clone(),
            },
            None => Loss::Delete(live.incarnation.clone()),
        }
    }

    /// What to do about an object that is wanted, exists, and is not ours. Another stack's is never taken.
    fn foreign(self, live: &Live) -> Verdict {
        let managers = live.managers.clone();
        let another = live.stack.as_deref().filter(|stack| *stack != self.stack);
        if let Some(stack) = another
            && !Mutant::OtherStacksTaken.is_on()
        {
            let claim = Claim::Labelled(stack.to_owned());
            return Verdict::Conflict { managers, claim };
        }
        if self.adopt.is_never() && !Mutant::AdoptUnasked.is_on() {
            let claim = Claim::Unasked;
            return Verdict::Conflict { managers, claim };
        }
        match &live.deleting {
            Some(finalizers) => Verdict::Await {
                finalizers: finalizers.clone(),
            },
            None => Verdict::Adopt(Adoption {
                incarnation: live.incarnation.clone(),
                applied_at: live.applied_at.clone(),
                managers,
                if_identical: self.adopt == Adopt::IfIdentical,
            }),
        }
    }

    fn is_ours(self, ownership: Option<&Ownership>, live: &Live) -> bool {
        match ownership {
            Some(Ownership::Owned { uid, .. }) => {
                *uid == live.incarnation.uid || Mutant::UidUnchecked.is_on()
            }
            Some(Ownership::Pending) => self.has_our_marks(live),
            Some(Ownership::Claimed { uid, applied_at }) => {
                let is_written = *applied_at != live.applied_at || Mutant::ClaimsBelieved.is_on();
                *uid == live.incarnation.uid && is_written && self.has_our_marks(live)
            }
            None => self.memory == Memory::Lost && self.has_our_marks(live),
        }
    }

    fn has_our_marks(self, live: &Live) -> bool {
        live.stack.as_deref() == Some(self.stack) && live.fields.is_some()
    }
}

#[cfg(test)]
mod tests;
