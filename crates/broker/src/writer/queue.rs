//! Where changes wait for the writer task: a bounded queue for each lane.

use anyhow::anyhow;
use brokkr_core::wire::Actor;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::{Change, Mutation};
use crate::error::{Error, Result};
use crate::memory::{Room, Taken};

/// The end at which changes come in.
pub(super) struct Queue {
    sender: mpsc::UnboundedSender<Box<dyn Queued>>,
    /// A full one is an overload: better to say so than to let memory grow.
    room: Room,
}

impl Queue {
    /// A queue, and the end at which changes go out.
    pub(super) fn new(room: Room) -> (Self, mpsc::UnboundedReceiver<Box<dyn Queued>>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, room }, receiver)
    }

    /// What changes that wait, or are being written, take up.
    pub(super) const fn room(&self) -> &Room {
        &self.room
    }

    /// Queues a change, and waits until it is durable.
    pub(super) async fn change<M: Mutation>(
        &self,
        actor: Actor,
        mutation: M,
    ) -> Result<(M::Output, u64)> {
        let weight = mutation.weight();
        let room = self.room.take(weight).ok_or_else(busy)?;
        let (answer, outcome) = oneshot::channel();
        let pending = Pending {
            actor,
            mutation,
            output: None,
            answer,
            weight,
            _room: room,
        };
        self.sender.send(Box::new(pending)).map_err(|_| busy())?;
        outcome.await.map_err(|_| busy())?
    }
}

fn busy() -> Error {
    Error::Unavailable("the broker is too busy or stopping; repeat the request".to_owned())
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
    weight: usize,
    _room: Taken,
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
        self.weight
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
