//! Places at which a process dies as by `kill -9`, in a build with the feature `mutants` that is told to:
//! `BROKKR_FAILPOINT=inventory-written:2` is the second time there. Any other build has none of this, not even the names.

/// A place at which dying makes a difference. Its neighbours in the list are its neighbours in the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Point {
    /// The lease was looked at, and is free.
    LeaseFree,
    /// The lease was taken.
    LeaseTaken,
    /// The lease was renewed.
    LeaseRenewed,
    /// A session is about to be opened.
    SessionOpening,
    /// A session was opened.
    SessionOpened,
    /// A namespace was made, the agent's own or a stack's.
    NamespaceMade,
    /// The root record was read.
    RootRead,

    /// A target state came.
    StateReceived,
    /// A target state follows from the accepted one, and is not on record yet.
    StateJudged,
    /// A target state is in the cache, and not on record yet.
    StateKept,
    /// A target state is on record.
    StateRecorded,
    /// A target state was handed on to the stacks.
    StateHandedOn,
    /// A stack has an order.
    OrderTaken,
    /// A content came.
    ContentReceived,
    /// What the state does not name any more was let go of in the cache.
    CacheSwept,
    /// A content is as its digest says.
    ContentChecked,
    /// A content is in the cache.
    ContentKept,

    /// A content was read as objects of this cluster.
    SnapshotRead,
    /// A plan was made.
    PlanMade,
    /// Adoptions were looked at.
    AdoptionsExamined,
    /// All was tried that can be tried before the first write.
    PlanTried,
    /// The inventory has what is about to be written, in memory.
    WritesExpected,

    /// A part of a large inventory was written.
    ChunkWritten,
    /// The head of an inventory is about to be written.
    InventoryWriting,
    /// The head of an inventory was written.
    InventoryWritten,
    /// A part of an older inventory was deleted.
    ChunkSwept,
    /// A stack with an inventory is about to be listed in the root record.
    StackEnlisting,
    /// A stack with an inventory is listed.
    StackEnlisted,
    /// The root record is about to be written.
    RootWriting,
    /// The root record was written.
    RootWritten,

    /// A stack's default namespace was made.
    DefaultNamespaceMade,
    /// The objects of a phase were tried and are about to be written.
    PhaseBegun,
    /// An object is about to be written.
    ObjectWriting,
    /// An object was written.
    ObjectWritten,
    /// An object that cannot be changed is about to be deleted.
    RemakeDeleting,
    /// The deletion of an object that cannot be changed was asked for.
    RemakeDeleted,
    /// An object that cannot be changed is gone, and not made anew yet.
    RemakeGone,
    /// The inventory has an object as ours, in memory.
    OwnershipNoted,
    /// The objects of a phase were written.
    PhaseWritten,
    /// A definition is established.
    DefinitionEstablished,
    /// The kinds of definitions are served.
    KindsServed,
    /// Everything of a snapshot was written.
    AllWritten,

    /// What is no longer wanted was looked for.
    LossesFound,
    /// What is no longer wanted was judged by the guard.
    LossesJudged,
    /// A deletion is about to be asked for.
    DeletionSending,
    /// A deletion was asked for.
    DeletionSent,
    /// An object was seen to be gone.
    LossGone,
    /// The inventory has an object no more, in memory.
    LossReleased,
    /// Everything that is no longer wanted is gone.
    PruneEnded,
    /// A success and its event are noted, in memory.
    SuccessNoted,
    /// What an attempt came to is in the inventory.
    AttemptSaved,

    /// A stack is about to be removed.
    RemovalBegun,
    /// The objects of a removed stack are gone.
    RemovalPruned,
    /// The inventory of a removed stack is empty.
    RemovalSaved,
    /// All was told of a removal that can be told before it is confirmed.
    RemovalTold,
    /// A removed stack is about to be taken out of the root record.
    StackStriking,
    /// A removed stack is not in the root record any more.
    StackStruck,
    /// The head of a removed stack's inventory is gone.
    HeadDiscarded,
    /// All records of a removed stack are gone.
    RecordsDiscarded,
    /// A removal was confirmed.
    RemovalConfirmed,

    /// A stack's status was noted.
    StatusNoted,
    /// An event is in the cache, to be said.
    EventKept,
    /// An event was noted.
    EventNoted,
    /// Statuses are about to be sent.
    StatusSending,
    /// Statuses were sent, and not noted as said yet.
    StatusSent,
    /// Statuses were noted as said.
    StatusSaid,
    /// Events are about to be sent.
    EventSending,
    /// Events were sent, and not noted as said yet.
    EventSent,
    /// Events were noted as said.
    EventSaid,
    /// An agent that ends is about to give up its lease.
    LeaseReleasing,
    /// An agent that ends gave up its lease.
    LeaseReleased,
}

impl Point {
    /// Every point, those of a verb side by side.
    pub const ALL: [Self; 71] = [
        Self::LeaseFree,
        Self::LeaseTaken,
        Self::LeaseRenewed,
        Self::SessionOpening,
        Self::SessionOpened,
        Self::NamespaceMade,
        Self::RootRead,
        Self::StateReceived,
        Self::StateJudged,
        Self::StateKept,
        Self::StateRecorded,
        Self::StateHandedOn,
        Self::OrderTaken,
        Self::ContentReceived,
        Self::CacheSwept,
        Self::ContentChecked,
        Self::ContentKept,
        Self::SnapshotRead,
        Self::PlanMade,
        Self::AdoptionsExamined,
        Self::PlanTried,
        Self::WritesExpected,
        Self::ChunkWritten,
        Self::InventoryWriting,
        Self::InventoryWritten,
        Self::ChunkSwept,
        Self::StackEnlisting,
        Self::StackEnlisted,
        Self::RootWriting,
        Self::RootWritten,
        Self::DefaultNamespaceMade,
        Self::PhaseBegun,
        Self::ObjectWriting,
        Self::ObjectWritten,
        Self::RemakeDeleting,
        Self::RemakeDeleted,
        Self::RemakeGone,
        Self::OwnershipNoted,
        Self::PhaseWritten,
        Self::DefinitionEstablished,
        Self::KindsServed,
        Self::AllWritten,
        Self::LossesFound,
        Self::LossesJudged,
        Self::DeletionSending,
        Self::DeletionSent,
        Self::LossGone,
        Self::LossReleased,
        Self::PruneEnded,
        Self::SuccessNoted,
        Self::AttemptSaved,
        Self::RemovalBegun,
        Self::RemovalPruned,
        Self::RemovalSaved,
        Self::RemovalTold,
        Self::StackStriking,
        Self::StackStruck,
        Self::HeadDiscarded,
        Self::RecordsDiscarded,
        Self::RemovalConfirmed,
        Self::StatusNoted,
        Self::EventKept,
        Self::EventNoted,
        Self::StatusSending,
        Self::StatusSent,
        Self::StatusSaid,
        Self::EventSending,
        Self::EventSent,
        Self::EventSaid,
        Self::LeaseReleasing,
        Self::LeaseReleased,
    ];

    /// Dies here, if this process is told to.
    #[cfg(not(feature = "mutants"))]
    pub const fn reached(self) {}

    /// Dies here, if this process is told to.
    #[cfg(feature = "mutants")]
    pub fn reached(self) {
        use std::sync::atomic::{AtomicU32, Ordering};
        static TIMES: AtomicU32 = AtomicU32::new(0);
        if let Some((point, time)) = told()
            && self == point
            && TIMES.fetch_add(1, Ordering::Relaxed) + 1 == time
        {
            eprintln!("died at the fail point {}:{time}", self.name());
            std::process::abort();
        }
    }

    /// Whether this process is to die here.
    #[cfg(not(feature = "mutants"))]
    pub const fn is_meant(self) -> bool {
        false
    }

    /// Whether this process is to die here.
    #[cfg(feature = "mutants")]
    pub fn is_meant(self) -> bool {
        told().is_some_and(|(point, _)| point == self)
    }

    /// What a process is told, without the time.
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

/// Where this process is to die, and the how manieth time it is there.
#[cfg(feature = "mutants")]
fn told() -> Option<(Point, u32)> {
    static TOLD: std::sync::OnceLock<Option<(Point, u32)>> = std::sync::OnceLock::new();
    *TOLD.get_or_init(|| {
        let told = std::env::var("BROKKR_FAILPOINT").ok()?;
        let (name, time) = told.split_once(':')?;
        let point = Point::ALL.into_iter().find(|point| point.name() == name)?;
        Some((point, time.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_listed_once_in_the_order_of_the_agent() {
        let numbers: Vec<_> = Point::ALL.iter().map(|point| *point as usize).collect();
        assert!(numbers.into_iter().eq(0..Point::ALL.len()));
        assert_eq!(Point::ALL.last(), Some(&Point::LeaseReleased));
        assert_eq!(Point::InventoryWritten.name(), "inventory-written");
    }
}
