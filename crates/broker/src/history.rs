//! Recognises lost history: a database that was restored, or a standby that was behind when it took over.
//!
//! Each state carries a token, which its agent returns with its polls. One that is authentic, of a history that this
//! database does not have, proves that somebody was told what is not known here any more. From then on the broker
//! speaks under a new epoch: its agents hold what they run until an operator accepts the old one.

use std::time::Duration;

use brokkr_core::mutant::Mutant;
use brokkr_core::{AgentId, Epoch};

use crate::Broker;
use crate::changes::epochs::LoseHistory;
use crate::error::{Error, Result};
use crate::fleet::{Recall, Seat, StateToken};
use crate::scope::Caller;
use crate::store::epochs;

/// How long an answer waits for the index to take in another history.
const PATIENCE: Duration = Duration::from_secs(5);

impl Broker {
    /// Looks at the token that a poll returns. When this answers, the index may be behind what the agent was told, but
    /// is of no other history than the agent can judge by the epoch. What memory cannot tell is looked up once in the
    /// database, so that a replica that lags loses nothing.
    pub(crate) async fn recognise(
        &self,
        caller: &Caller,
        agent: AgentId,
        seat: &Seat,
        token: StateToken,
    ) -> Result<()> {
        match self.fleet.recall(agent, seat, token) {
            // It is seldom, and large: a poll that waits shall not carry room for it.
            Recall::Unclear { load } if !Mutant::LineageIgnored.is_on() => {
                Box::pin(self.look_up(caller, agent, seat, token, load)).await
            }
            _ => Ok(()),
        }
    }

    /// Asks the database whether it knows a token that memory does not.
    async fn look_up(
        &self,
        caller: &Caller,
        agent: AgentId,
        seat: &Seat,
        token: StateToken,
        load: u64,
    ) -> Result<()> {
        let place = token.place;
        let (current, is_known) = {
            let mut tx = self.db.read().await?;
            let current = epochs::current(&mut tx).await?;
            (current, epochs::knows(place, &mut tx).await?)
        };
        if is_known {
            self.is_followed(current).await?;
            self.fleet.found(load, seat, token);
            return Ok(());
        }
        tracing::error!(
            %agent, epoch = %place.epoch, revision = place.revision,
            "an agent was told what this database does not have: it was restored, or took over while it was behind; \
             agents hold what they run until an operator accepts the history that they follow: brokkr epochs"
        );
        let change = LoseHistory { agent, place };
        let current = self.change(caller.actor(), change).await?;
        self.is_followed(current).await
    }

    /// Waits until the index is of this history: a replica that still believes in the one before must not answer.
    async fn is_followed(&self, epoch: Epoch) -> Result<()> {
        tokio::time::timeout(PATIENCE, self.fleet.follows(epoch))
            .await
            .map_err(|_| Error::Unavailable("this broker is behind its database".to_owned()))
    }
}
