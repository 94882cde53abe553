//! Defects that a build with the feature `mutants` can be told to have, to see whether the tests find them:
//! `BROKKR_MUTANT=absence-deletes`. Any other build has none of this, not even the names.

/// A defect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// A stack that a target state does not name is removed.
    AbsenceDeletes,
    /// An older target state is acted upon.
    OlderAccepted,
    /// The target state of another history is acted upon.
    OtherHistoryAccepted,
    /// A content is applied whatever its digest is.
    DigestUnchecked,
    /// The rules of the environment are not looked at.
    RulesIgnored,
    /// Nothing is tried before it is written.
    DryRunSkipped,
    /// An object of the right name is ours, whatever its UID is.
    UidUnchecked,
    /// An object that was about to be taken over is ours, whether it was or not.
    ClaimsBelieved,
    /// Writes and deletions do not say which state of an object they mean.
    PreconditionsLeftOut,
    /// An object that is not in the inventory is taken.
    ConflictIgnored,
    /// An object of somebody else is taken although the stack adopts nothing.
    AdoptUnasked,
    /// An object that carries another stack's label is taken by a stack that adopts.
    OtherStacksTaken,
    /// A stack that adopts what is identical takes what is not.
    DifferenceIgnored,
    /// An object that cannot be changed is deleted and created anew although its manifest does not allow it.
    RecreateUnasked,
    /// What is ours of ignored fields is left out of what is applied.
    IgnoredForgotten,
    /// The inventory is written behind the objects.
    InventoryLate,
    /// The inventory does not say that a change is under way.
    ChangeUnannounced,
    /// What a snapshot drops is deleted although the rest could not be applied.
    PruneInSpiteOfFailure,
    /// An empty list proves that objects are gone.
    EmptyListBelieved,
    /// Objects whose label was taken away are deleted.
    LabelUnchecked,
    /// Objects that ask to stay are deleted.
    AskIgnored,
    /// Objects of kept kinds are deleted unasked.
    KeptKindsDeleted,
    /// A removal is confirmed while objects are still there.
    ConfirmedEarly,
    /// A removal is not confirmed again to a broker that still asks for it.
    ConfirmedOnce,
    /// Any loss passes, however large.
    GuardOff,
    /// A removal that is held is confirmed.
    HeldRemovalConfirmed,
    /// Objects whose loss was refused are deleted.
    ReleasedDeleted,
    /// The token of the accepted state is not returned.
    TokenKept,
    /// A token of a history that the database does not have is taken for one that it has.
    LineageIgnored,
    /// What is paused is changed as if it were not.
    PauseIgnored,
    /// What waits for its turn when a pause comes is written in spite of it.
    StopIgnored,
    /// What is new is brought although it is to wait for a window.
    WindowIgnored,
    /// What a stack acts as is ignored: all is done by the agent's own rights.
    AccountIgnored,
    /// Any 410 tells an agent that it was retired.
    AnyGoneLetsGo,
    /// A target state is followed because it is in the cache.
    CacheBelieved,
    /// An agent that was told that it is retired follows its cache after its next start.
    FarewellForgotten,
    /// A change may take away whatever it likes without a plan.
    BrokerGuardOff,
    /// A change is made whatever its plan says.
    PlanUnchecked,
    /// A process writes although its lease ran out.
    LeaseIgnored,
    /// Requests of a session that was superseded are served.
    SessionIgnored,
}

impl Mutant {
    /// Whether this process has the defect.
    #[cfg(not(feature = "mutants"))]
    pub const fn is_on(self) -> bool {
        false
    }

    /// Whether this process has the defect.
    #[cfg(feature = "mutants")]
    pub fn is_on(self) -> bool {
        let told = std::env::var("BROKKR_MUTANT").unwrap_or_default();
        let name: String = told.split('-').map(capitalised).collect();
        format!("{self:?}") == name
    }
}

#[cfg(feature = "mutants")]
fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
