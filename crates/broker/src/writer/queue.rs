//! Where changes wait for the writer task: a bounded queue for each lane.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::anyhow;
use brokkr_core::wire::Actor;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::{Change, Mutation};
use crate::error::{Error, Result};

/// What a queue may hold, in bytes. A full one is an overload: better to say so than to let memory grow.
const ROOM: usize = 64 * 1024 * 1024;

/// The end at which changes come in.
pub(super) struct Queue {
    sender: mpsc::UnboundedSender<Box<dyn Queued>>,
    held: Arc<AtomicUsize>,
}

impl Queue {
    /// A queue, and the end at which changes go out.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Box<dyn Queued>>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let held = Arc::default();
        (Self { sender, held }, receiver)
    }

    /// How many bytes of changes wait, or are being written.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Queues a change, and waits until it is durable.
    pub(super) async fn change<M: Mutation>(
        &self,
        actor: Actor,
        mutation: M,
    ) -> Result<(M::Output, u64)> {
        let room = Room::take(&self.held, mutation.weight()).ok_or_else(busy)?;
        let (answer, outcome) = oneshot::channel();
        let pending = Pending {
            actor,
            mutation,
            output: None,
            answer,
            room,
        };
        self.sender.send(Box::new(pending)).map_err(|_| busy())?;
        outcome.await.map_err(|_| busy())?
    }
}

fn busy() -> Error {
    Error::Unavailable("the broker is too busy or stopping; repeat the request".to_owned())
}

/// The part of a queue that a change takes up, until it is answered.
struct Room {
    held: Arc<AtomicUsize>,
    bytes: usize,
}

impl Room {
    /// One that is larger than all there is waits alone.
    fn take(held: &Arc<AtomicUsize>, bytes: usize) -> Option<Self> {
        let before = held.fetch_add(bytes, Ordering::Relaxed);
        let held = Arc::clone(held);
        let room = Self { held, bytes };
        (before == 0 || before + bytes <= ROOM).then_some(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A change in the queue, whatever its type.
pub(super) trait Queued: Send {
    fn run<'a>(&'a mut self, change: &'a mut Change) -> BoxFuture<'a, Result<()>>;
    fn is_kept(&self) -> bool;
    /// Its part of a group, in bytes.
    fn weight(&self) -> usize;
    /// The id of the request that asks for it, if one does.
    fn request(&self) -> Option<&str>;
    fn finish(self: Box<Self>, outcome: Result<u64>);
}

struct Pending<M: Mutation> {
    actor: Actor,
    mutation: M,
    output: Option<M::Output>,
    answer: oneshot::Sender<Result<(M::Output, u64)>>,
    room: Room,
}

impl<M: Mutation> Queued for Pending<M> {
    fn run<'a>(&'a mut self, change: &'a mut Change) -> BoxFuture<'a, Result<()>> {
        async move {
            change.actor.clone_from(&self.actor);
            self.output = Some(self.mutation.apply(change).await?);
            Ok(())
        }
        .boxed()
    }

    fn is_kept(&self) -> bool {
        M::KEPT
    }

    fn weight(&self) -> usize {
        self.room.bytes
    }

    fn request(&self) -> Option<&str> {
        self.actor.request_id.as_deref()
    }

    fn finish(self: Box<Self>, outcome: Result<u64>) {
        let Self { output, answer, .. } = *self;
        let missing = || Error::internal(anyhow!("a change was committed without an outcome"));
        let outcome = outcome
            .and_then(|revision| output.map(|output| (output, revision)).ok_or_else(missing));
        // Nobody is there when the client hung up; the change stands all the same.
        let _ = answer.send(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_takes_nothing_more_until_something_was_answered() {
        let held = Arc::default();
        let first = Room::take(&held, ROOM - 10).expect("it is empty");
        assert!(Room::take(&held, 11).is_none());
        let second = Room::take(&held, 10);
        assert!(second.is_some(), "what was refused takes up nothing");
        drop(first);
        assert!(Room::take(&held, ROOM - 10).is_some());
    }

    #[test]
    fn what_is_larger_than_the_queue_waits_alone() {
        let held = Arc::default();
        let alone = Room::take(&held, ROOM + 1);
        assert!(alone.is_some());
        assert!(Room::take(&held, 1).is_none());
    }
}
