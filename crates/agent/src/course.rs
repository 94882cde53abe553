//! What the stacks follow: the target state that was accepted last, whether the broker or the cache says it.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::failpoint::Point;
use brokkr_core::mutant::Mutant;
use brokkr_core::wire::TargetState;
use tokio::sync::watch;

use crate::cache::Cache;
use crate::inventory::{Accepted, Change, Records};
use crate::reconcile::Reconciler;
use crate::{Error, Monitor, Settings};

/// What the cache says may be withdrawn by now, so the broker is listened to first, for so long.
const HEAD_START: Duration = Duration::from_secs(5);

/// Where a term is heading.
#[derive(Clone, Default)]
pub(crate) enum Heading {
    /// Nobody has said it yet: everything is left as it is.
    #[default]
    Unknown,
    /// It makes this state real.
    Follow(Arc<TargetState>),
    /// It was turned away, and leaves everything as it is.
    LetGo,
}

/// The heading of a term, and what makes it outlast the term.
pub(crate) struct Course<'a> {
    records: &'a Records,
    cache: &'a Cache,
    monitor: &'a Monitor,
    heading: watch::Sender<Heading>,
}

impl<'a> Course<'a> {
    pub(crate) fn new(reconciler: &'a Reconciler, settings: &'a Settings) -> Self {
        Self {
            records: &reconciler.records,
            cache: &settings.cache,
            monitor: &settings.monitor,
            heading: watch::Sender::default(),
        }
    }

    pub(crate) fn heading(&self) -> watch::Receiver<Heading> {
        self.heading.subscribe()
    }

    /// What is on record as accepted.
    pub(crate) async fn accepted(&self) -> Option<Accepted> {
        self.records.root.accepted().await
    }

    /// Puts a state on record as accepted: before anybody acts upon it, and when the cache has it.
    pub(crate) async fn record(&self, state: &TargetState) -> Result<(), Error> {
        let kept = self.cache.keep_state(state).await?;
        let accepted = Accepted {
            epoch: state.epoch,
            revision: state.revision,
            state_token: state.state_token.clone(),
            kept: Some(kept),
        };
        self.records.root.change(Change::Accept(accepted)).await?;
        self.monitor.accepted(state.revision);
        Point::StateRecorded.reached();
        Ok(())
    }

    /// Hands on a state that is on record.
    pub(crate) async fn follow(&self, state: Box<TargetState>) {
        let state: Arc<TargetState> = Arc::from(state);
        self.heading.send_replace(Heading::Follow(state.clone()));
        Point::StateHandedOn.reached();
        if let Some(kept) = self.accepted().await.and_then(|accepted| accepted.kept) {
            self.cache.keep_only(kept, &state).await;
        }
    }

    /// Follows what the cache has, if it is what was accepted last, and nobody has said anything else meanwhile.
    pub(crate) async fn recall(&self) {
        tokio::time::sleep(HEAD_START).await;
        let Some(kept) = self.accepted().await.and_then(|accepted| accepted.kept) else {
            return;
        };
        let Some(state) = self.cache.state(kept).await else {
            return;
        };
        let is_new = self.heading.send_if_modified(|heading| {
            let is_unknown = matches!(heading, Heading::Unknown);
            if is_unknown {
                *heading = Heading::Follow(Arc::new(state));
            }
            is_unknown
        });
        if is_new {
            tracing::info!(
                "no word of the broker yet: going on with the state that was accepted last"
            );
        }
    }

    /// Takes all orders back: what is in the cluster stays as it is, the records with it. The cache is not followed any more
    /// either, by whichever process: the root record says so.
    pub(crate) async fn let_go(&self) -> Result<(), Error> {
        self.heading.send_replace(Heading::LetGo);
        if Mutant::FarewellForgotten.is_on() {
            return Ok(());
        }
        self.cache.forget().await;
        self.records.root.change(Change::LetGo).await
    }
}
