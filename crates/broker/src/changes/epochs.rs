use brokkr_core::Epoch;
use brokkr_core::wire::{AcceptedEpoch, AuditAction, Epochs};

use crate::error::{Error, Result};
use crate::store::changes::Touched;
use crate::store::epochs;
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
        let current = epochs::current(&mut change.tx).await?;
        let mut accepted = epochs::accepted(&mut change.tx).await?;
        if self.epoch == current {
            return Err(Error::invalid(
                "/epoch",
                "this is the broker's own history: give the one that the agents hold on to, which their status names",
            ));
        }
        if accepted.iter().any(|known| known.epoch == self.epoch) {
            change.unchanged();
            return Ok(Epochs { current, accepted });
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
        Ok(Epochs { current, accepted })
    }
}
