//! What agents are asked beside their work: how much of it there may be, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::RequestId;
use brokkr_core::wire::{ActorRole, MAX_REQUESTS, REQUESTS_HEADER};
use http::HeaderMap;
use jiff::SignedDuration;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::Broker;
use crate::audit;
use crate::changes::requests::ForgetRequests;
use crate::error::{Error, Result};
use crate::extract::header;

/// How long a request and its answer are kept.
pub(crate) const KEPT: SignedDuration = SignedDuration::from_mins(15);
/// How many an agent has not answered yet.
pub(crate) const MOST_OPEN: u64 = MAX_REQUESTS as u64;
/// How many of an agent are kept, with their answers.
pub(crate) const MOST_KEPT: u64 = 128;
/// How many bytes, compressed, the open ones of a generator have, or of the operators.
pub(crate) const MOST_BYTES: u64 = 256 * 1024 * 1024;

const EVERY: Duration = Duration::from_mins(1);

/// Forgets what has expired, until the broker stops.
pub(crate) async fn keep(broker: Arc<Broker>) {
    loop {
        if let Err(error) = forget(&broker).await {
            tracing::warn!(%error, "requests that have expired could not be forgotten yet");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = broker.stopping.cancelled() => return,
        }
    }
}

async fn forget(broker: &Broker) -> Result<()> {
    let itself = || audit::local(ActorRole::Broker);
    while !broker.stopping.is_cancelled() && broker.change(itself(), ForgetRequests).await? {}
    Ok(())
}

/// The requests that an agent says it has in hand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InHand(Vec<RequestId>);

impl InHand {
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self> {
        let Some(value) = headers.get(REQUESTS_HEADER) else {
            return Ok(Self(Vec::new()));
        };
        let ids = value.to_str().unwrap_or("?").split(',');
        let ids = ids.map(str::trim).filter(|text| !text.is_empty());
        let ids: Option<Vec<_>> = ids.map(|text| text.parse().ok()).collect();
        ids.filter(|ids| ids.len() <= MAX_REQUESTS)
            .map(Self)
            .ok_or_else(|| {
                Error::Malformed(format!(
                    "`Brokkr-Requests` is at most {MAX_REQUESTS} ids of requests, separated by commas"
                ))
            })
    }

    pub(crate) fn has(&self, id: RequestId) -> bool {
        self.0.contains(&id)
    }
}

impl IntoParams for InHand {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header(
            "Brokkr-Requests",
            "The ids of the requests that the agent has in hand, at most 16, separated by commas: only others end a wait.",
        )]
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;

    use super::*;

    fn read(value: &str) -> Result<InHand> {
        let value = value.parse().expect("a value");
        let name: http::HeaderName = REQUESTS_HEADER.parse().expect("a name");
        InHand::read(&HeaderMap::from_iter([(name, value)]))
    }

    #[test]
    fn what_an_agent_has_in_hand_is_a_short_list_of_ids() {
        let ids = |count| -> Vec<_> { (0..count).map(|_| RequestId::generate(&System)).collect() };
        let listed = |ids: &[RequestId]| {
            let texts: Vec<_> = ids.iter().map(ToString::to_string).collect();
            texts.join(", ")
        };
        assert_eq!(
            InHand::read(&HeaderMap::new()).ok(),
            Some(InHand(Vec::new()))
        );
        for count in [0, 1, MAX_REQUESTS] {
            let ids = ids(count);
            let in_hand = read(&listed(&ids)).expect("in hand");
            assert!(ids.iter().all(|id| in_hand.has(*id)));
            assert!(!in_hand.has(RequestId::generate(&System)));
        }
        for bad in ["x", "é", "1,2", &listed(&ids(MAX_REQUESTS + 1))] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
