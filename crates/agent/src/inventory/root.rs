//! The root record: which stacks have an inventory, and the target state that was accepted last.
//!
//! It makes a lost inventory distinguishable from a first install, and a restarted agent unable to go
//! back to an older target state.

use std::collections::{BTreeMap, BTreeSet};

use brokkr_core::failpoint::Point;
use brokkr_core::plan::Fingerprint;
use brokkr_core::{Epoch, StackId};
use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::records::Shelf;
use crate::Error;

const NAME: &str = "brokkr-agent";
const RECORD: &str = "record";
/// Grows when an older agent could no longer read it rightly.
const FORMAT: u32 = 1;

/// The root record, changed by one at a time.
pub(crate) struct Root {
    shelf: Shelf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    record: Record,
    resource_version: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    format: u32,
    accepted: Option<Accepted>,
    stacks: BTreeSet<StackId>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            format: FORMAT,
            accepted: None,
            stacks: BTreeSet::new(),
        }
    }
}

/// The target state that was accepted last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub epoch: Epoch,
    pub revision: u64,
    pub state_token: String,
    /// By what a cache has it; none if it is not to be followed unless the broker says it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Fingerprint>,
}

/// A change of the root record.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// The stack has an inventory.
    Enlist(StackId),
    /// The stack has none any more.
    Strike(StackId),
    /// This target state is acted upon from now on.
    Accept(Accepted),
    /// What was accepted is not acted upon any more.
    LetGo,
}

impl Record {
    fn has(&self, change: &Change) -> bool {
        match change {
            Change::Enlist(stack) => self.stacks.contains(stack),
            Change::Strike(stack) => !self.stacks.contains(stack),
            Change::Accept(accepted) => self.accepted.as_ref() == Some(accepted),
            Change::LetGo => self.kept().is_none(),
        }
    }

    fn make(&mut self, change: Change) {
        match change {
            Change::Enlist(stack) => drop(self.stacks.insert(stack)),
            Change::Strike(stack) => drop(self.stacks.remove(&stack)),
            Change::Accept(accepted) => self.accepted = Some(accepted),
            Change::LetGo => {
                if let Some(accepted) = &mut self.accepted {
                    accepted.kept = None;
                }
            }
        }
    }

    fn kept(&self) -> Option<Fingerprint> {
        self.accepted.as_ref()?.kept
    }
}

impl Root {
    pub(super) fn new(shelf: Shelf) -> Self {
        Self {
            shelf,
            state: Mutex::default(),
        }
    }

    /// Reads the record, for a start or because somebody else wrote it.
    pub(super) async fn load(&self) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        *state = self.read().await?;
        Ok(())
    }

    pub(crate) async fn accepted(&self) -> Option<Accepted> {
        self.state.lock().await.record.accepted.clone()
    }

    pub(super) async fn stacks(&self) -> BTreeSet<StackId> {
        self.state.lock().await.record.stacks.clone()
    }

    pub(super) async fn lists(&self, stack: StackId) -> bool {
        self.state.lock().await.record.stacks.contains(&stack)
    }

    /// Makes a change durable.
    pub(crate) async fn change(&self, change: Change) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        if state.record.has(&change) {
            return Ok(());
        }
        let mut record = state.record.clone();
        record.make(change);
        Point::RootWriting.reached();
        match self.write(&record, state.resource_version.as_deref()).await {
            Ok(resource_version) => {
                state.record = record;
                state.resource_version = Some(resource_version);
                Point::RootWritten.reached();
                Ok(())
            }
            Err(error) if error.is_conflict() || error.is_not_found() => {
                *state = self.read().await?;
                Err(Error::Records(
                    "somebody else changed the root record: is a second agent at work here?"
                        .to_owned(),
                ))
            }
            Err(error) => Err(error),
        }
    }

    async fn read(&self) -> Result<State, Error> {
        let Some(config_map) = self.shelf.get(NAME).await? else {
            return Ok(State::default());
        };
        let text = config_map.data.as_ref().and_then(|data| data.get(RECORD));
        let record = text.and_then(|text| serde_json::from_str::<Record>(text).ok());
        match record {
            Some(record) if record.format <= FORMAT => Ok(State {
                record,
                resource_version: config_map.metadata.resource_version,
            }),
            Some(_) => Err(Error::Records(
                "the root record was written by a newer version: upgrade this agent".to_owned(),
            )),
            None => Err(Error::Records(format!(
                "the root record, ConfigMap {NAME}, is damaged: delete it to begin with a new one"
            ))),
        }
    }

    async fn write(
        &self,
        record: &Record,
        resource_version: Option<&str>,
    ) -> Result<String, Error> {
        let text = serde_json::to_string(record).map_err(|e| Error::Records(e.to_string()))?;
        let mut config_map: ConfigMap = self.shelf.record(NAME);
        config_map.data = Some(BTreeMap::from([(RECORD.to_owned(), text)]));
        config_map.metadata.resource_version = resource_version.map(str::to_owned);
        let method = match resource_version {
            Some(_) => Method::PUT,
            None => Method::POST,
        };
        self.shelf.send(method, &config_map).await
    }
}
