use brokkr_core::AgentId;
use brokkr_core::Epoch;
use brokkr_core::wire::{AcceptedEpoch, AuditAction, Epochs, LostEpoch};

use crate::error::{Error, Result};
use crate::store::broker;
use crate::store::changes::Touched;
use crate::store::epochs::{self, Place};
use crate::writer::{Change, Mutation};

/// Every agent is told all of them with each of its states.
const MOST: usize = 100;

/// Declares that this broker's history continues another one, so that the agents that followed that one follow
/// this.
pub(crate) struct AcceptEpoch {
    pub(crate) epoch: Epoch,
}

impl Mutation for AcceptEpoch {
    type Output = Epochs;

    async fn apply(&self, change: &mut Change) -> Result<Epochs> {
        let Epochs {
            current,
            mut accepted,
            lost,
        } = epochs::all(&mut change.tx).await?;
        if self.epoch == current {
            return Err(Error::invalid(
                "/epoch",
                "this is the broker's own history: give the one that the agents hold on to, which their status names",
            ));
        }
        if accepted.iter().any(|known| known.epoch == self.epoch) {
            change.unchanged();
            return Ok(Epochs {
                current,
                accepted,
                lost,
            });
        }
        if accepted.len() == MOST {
            return Err(Error::InUse(format!(
                "{MOST} histories were accepted already: begin with an empty database"
            )));
        }
        let new = AcceptedEpoch {
            epoch: self.epoch,
            accepted_at: change.now,
            revision: change.revision,
        };
        epochs::insert(&new, &mut change.tx).await?;
        change.touch(Touched::History);
        let subject = (self.epoch.uuid(), None);
        change.audit(AuditAction::EpochAccept, subject, None::<&()>, Some(&new))?;
        accepted.push(new);
        Ok(Epochs {
            current,
            accepted,
            lost,
        })
    }
}

/// Puts a new epoch in the place of the present one, because an agent was told what this history does not have.
pub(crate) struct LoseHistory {
    pub(crate) agent: AgentId,
    /// Where it was told, as its authentic token says.
    pub(crate) place: Place,
}

impl Mutation for LoseHistory {
    /// The present epoch.
    type Output = Epoch;

    async fn apply(&self, change: &mut Change) -> Result<Epoch> {
        let Self { agent, place } = *self;
        // Another agent, or another replica, may have been quicker.
        let ended = epochs::current(&mut change.tx).await?;
        if epochs::knows(place, &mut change.tx).await? {
            change.unchanged();
            return Ok(ended);
        }
        let lost = LostEpoch {
            epoch: ended,
            lost_at: change.now,
            revision: change.revision,
            agent,
            agent_name: None,
            told: place.revision,
        };
        epochs::insert_lost(&lost, &mut change.tx).await?;
        if place.epoch != ended {
            let other = LostEpoch {
                epoch: place.epoch,
                ..lost.clone()
            };
            epochs::insert_lost(&other, &mut change.tx).await?;
        }
        let epoch = Epoch::generate(&*change.ambient);
        broker::set_epoch(epoch, &mut change.tx).await?;
        change.touch(Touched::History);
        let subject = (epoch.uuid(), None);
        change.audit(AuditAction::EpochLose, subject, Some(&lost), None::<&()>)?;
        Ok(epoch)
    }
}
