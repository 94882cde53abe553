use std::time::Duration;

use brokkr_core::id::RequestId;
use brokkr_core::name::Reference;
use brokkr_core::wire::{AgentRequest, Ask, MAX_WAIT_SECONDS, RequestAnswer, RequestTask};
use reqwest::Method;

use crate::{Client, Result};

/// What agents are asked beside their work.
impl Client {
    /// Asks an agent something; an agent that would not answer is refused at once.
    pub async fn ask(&self, agent: &Reference, ask: &Ask) -> Result<AgentRequest> {
        self.post(&["agents", &agent.to_string(), "requests"], ask)
            .await
    }

    /// A request, with its answer as soon as there is one, or when the wait (at most 50 s) is over.
    pub async fn agent_request(&self, id: RequestId, wait: Duration) -> Result<AgentRequest> {
        let wait = wait.as_secs().min(MAX_WAIT_SECONDS);
        let request = self.request(Method::GET, &["requests", &id.to_string()]);
        self.json(request.query(&[("wait", wait)])).await
    }

    /// What the agent is asked.
    pub async fn request_task(&self, id: RequestId) -> Result<RequestTask> {
        self.get(&["agent", "requests", &id.to_string()]).await
    }

    /// Answers what the agent is asked; repeating an answer is harmless.
    pub async fn answer_request(&self, id: RequestId, answer: &RequestAnswer) -> Result<()> {
        let path = ["agent", "requests", &id.to_string()];
        let request = self.request(Method::POST, &path).json(answer);
        self.report(request).await
    }
}
