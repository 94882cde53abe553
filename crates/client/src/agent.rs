use std::time::Duration;

use brokkr_core::id::DeploymentObjectId;
use brokkr_core::targeting::Facts;
use brokkr_core::wire::{
    AgentEvent, Confirmation, ConfirmationReport, Confirmations, EventReport, OpenSession,
    OpenedSession, REQUESTS_HEADER, STATE_HEADER, StackStatus, StatusReport, TargetState,
};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, IF_NONE_MATCH};
use reqwest::{Method, RequestBuilder, StatusCode};

use crate::connection::ANSWER_BYTES;
use crate::{Client, Error, Result};

/// What a poll brought.
#[derive(Debug)]
pub enum Poll {
    /// Nothing new since the given `ETag`.
    Unchanged,
    /// The whole target state.
    Changed {
        /// Names this state in the next poll.
        etag: String,
        /// The state.
        state: Box<TargetState>,
    },
}

/// How contents lie at the broker.
const ZSTD: &str = "zstd";
/// What a poll may take beyond its wait.
const POLL_GRACE: Duration = Duration::from_secs(20);

/// What an agent asks and says.
impl Client {
    /// Begins a session, which ends the one before. Requests of [`Client::in_session`] belong to it.
    pub async fn open_session(&self, open: &OpenSession) -> Result<OpenedSession> {
        self.post(&["agent", "session"], open).await
    }

    /// Asks for the target state. With `wait`, the broker answers at the next change or when the wait is over;
    /// `interval` is how soon the next poll will come, by which the broker tells a silent agent.
    pub async fn target_state(
        &self,
        etag: Option<&str>,
        wait: Duration,
        interval: Duration,
    ) -> Result<Poll> {
        let mut request = self
            .request(Method::GET, &["agent", "target-state"])
            .query(&[
                ("wait", wait.as_secs()),
                ("interval", interval.as_secs().max(1)),
            ])
            .timeout(wait + POLL_GRACE);
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(accepted) = &self.accepted {
            request = request.header(STATE_HEADER, accepted);
        }
        if let Some(in_hand) = &self.in_hand {
            request = request.header(REQUESTS_HEADER, in_hand);
        }
        let response = self.send(request).await?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED {
            return Ok(Poll::Unchanged);
        }
        let not_a_broker = || Error::NotABroker {
            status: status.as_u16(),
        };
        let etag = response
            .headers()
            .get(ETAG)
            .and_then(|value| value.to_str().ok());
        let etag = etag.ok_or_else(not_a_broker)?.to_owned();
        let body = self.body(response).await?;
        let state = serde_json::from_slice(&body).map_err(|_| not_a_broker())?;
        Ok(Poll::Changed { etag, state })
    }

    /// Fetches the YAML of a deployment object. Check its digest before use.
    pub async fn manifests(&self, id: DeploymentObjectId) -> Result<String> {
        let request = self
            .request(
                Method::GET,
                &["deployment-objects", &id.to_string(), "manifests"],
            )
            .header(ACCEPT_ENCODING, ZSTD);
        let response = self.send(request).await?;
        let status = response.status().as_u16();
        let encoding = response.headers().get(CONTENT_ENCODING);
        let is_compressed = encoding.is_some_and(|encoding| encoding == ZSTD);
        let mut body = self.body(response).await?;
        if is_compressed {
            let restored = self.decompressors.restore(&body, ANSWER_BYTES);
            let restored = restored.map_err(|_| Error::NotABroker { status })?;
            body = restored.ok_or_else(|| self.too_long())?;
        }
        String::from_utf8(body).map_err(|_| Error::NotABroker { status })
    }

    /// Reports removals that are done.
    pub async fn confirm_removals(&self, removals: Vec<Confirmation>) -> Result<Confirmations> {
        self.post(&["agent", "removals"], &ConfirmationReport { removals })
            .await
    }

    /// Reports outcomes; repeating a report is harmless.
    pub async fn report_events(&self, events: Vec<AgentEvent>) -> Result<()> {
        let request = self
            .request(Method::POST, &["agent", "events"])
            .json(&EventReport { events });
        self.report(request).await
    }

    /// Reports what the agent found out about its cluster.
    pub async fn report_facts(&self, facts: &Facts) -> Result<()> {
        let request = self.request(Method::PUT, &["agent", "facts"]).json(facts);
        self.report(request).await
    }

    /// Reports how stacks are doing.
    pub async fn report_status(&self, stacks: Vec<StackStatus>) -> Result<()> {
        let request = self
            .request(Method::PUT, &["agent", "status"])
            .json(&StatusReport { stacks });
        self.report(request).await
    }

    /// Sends a report. A broker takes it without a word; a page with which somebody in between answers is no receipt.
    pub(crate) async fn report(&self, request: RequestBuilder) -> Result<()> {
        match self.send(request).await?.status() {
            StatusCode::NO_CONTENT => Ok(()),
            status => Err(Error::NotABroker {
                status: status.as_u16(),
            }),
        }
    }
}
