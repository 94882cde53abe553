//! A published stack that must be as before after all that is tried on it.

use anyhow::{Result, ensure};
use brokkr_core::wire::{Code, DeploymentObject, Problem};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Answer, Broker, Raw, Stage};
use reqwest::Method;

const OBJECTS: &str = "/stacks/victim/deployment-objects";

pub struct Victim {
    raw: Raw,
    history: Vec<DeploymentObject>,
    _broker: Broker,
}

impl Victim {
    /// A stack with one deployment object, at a broker of its own.
    pub async fn publish_first(stage: &Stage) -> Result<Self> {
        let broker = stage.broker("broker").await?;
        broker.new_stack("victim").await?;
        let raw = Raw::admin(&broker)?;
        let mut victim = Self {
            raw,
            history: Vec::new(),
            _broker: broker,
        };
        let published = victim.publish(config_map("a", "1")).await?;
        ensure!(published.status.is_success(), "{published:?}");
        victim.history = victim.raw.list(OBJECTS).await?;
        Ok(victim)
    }

    /// Publishes a text as it is.
    pub async fn publish(&self, text: impl Into<Vec<u8>>) -> Result<Answer> {
        let body: Vec<u8> = text.into();
        self.raw
            .send(Method::POST, OBJECTS, "application/yaml", body)
            .await
    }

    /// The refusal of a text, which must be the same as raw YAML and inside JSON.
    pub async fn refusal(&self, text: &str) -> Result<Problem> {
        let problem = self
            .publish(text)
            .await?
            .refuses(422, Code::InvalidManifests)?;
        let json = serde_json::json!({ "manifests": text }).to_string();
        let other = self
            .raw
            .post(OBJECTS, &json)
            .await?
            .refuses(422, Code::InvalidManifests)?;
        let is_the_same = other.line == problem.line && other.detail == problem.detail;
        ensure!(is_the_same, "{other:?} is not {problem:?}");
        Ok(problem)
    }

    /// Fails if anything was stored since.
    pub async fn is_as_before(&self) -> Result<()> {
        let history: Vec<DeploymentObject> = self.raw.list(OBJECTS).await?;
        ensure!(
            history == self.history,
            "a refused snapshot left something behind: {history:?}"
        );
        let next = self.publish(config_map("a", "2")).await?;
        let is_second = next.body.contains(r#""sequence":2"#);
        ensure!(next.status.is_success() && is_second, "{next:?}");
        Ok(())
    }
}
