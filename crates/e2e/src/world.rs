use std::sync::Arc;

use anyhow::{Result, ensure};
use brokkr_client::Client;
use brokkr_core::id::StackId;
use brokkr_core::wire::{CreateStack, StackOptions};

use crate::agent::Pace;
use crate::{
    AgentProcess, Broker, Bystanders, Cluster, PATIENCE, Proxy, TestStack, eventually, unique,
};

/// One broker, one agent on the test cluster, and the link between them.
pub struct World {
    /// The agent.
    pub agent: AgentProcess,
    /// All that the agent says and hears goes through here.
    pub link: Proxy,
    /// The broker.
    pub broker: Broker,
    /// The cluster.
    pub cluster: Cluster,
    pub(crate) bystanders: Arc<Bystanders>,
}

impl World {
    /// Makes a stack whose objects live in a new namespace of their own, targeted at the agent.
    pub async fn stack(&self, name: &str) -> Result<TestStack> {
        let options = StackOptions {
            create_namespace: true,
            ..StackOptions::default()
        };
        self.stack_with(name, options).await
    }

    /// Makes a targeted stack with options; its default namespace is always its own.
    pub async fn stack_with(&self, name: &str, options: StackOptions) -> Result<TestStack> {
        let stack = self.untargeted_stack(name, options).await?;
        stack.target().await?;
        Ok(stack)
    }

    /// Makes a stack with options that nobody runs yet.
    pub async fn untargeted_stack(
        &self,
        name: &str,
        mut options: StackOptions,
    ) -> Result<TestStack> {
        let namespace = format!("{name}-{}", unique());
        options.default_namespace = Some(namespace.clone());
        let id = create_stack(self.broker.admin(), name, options).await?;
        Ok(self.stack_of(id, namespace))
    }

    /// A stack that somebody made, with its default namespace.
    pub fn stack_of(&self, id: StackId, namespace: String) -> TestStack {
        TestStack {
            admin: self.broker.admin().clone(),
            agent: self.agent.reference(),
            id,
            namespace,
            cluster: self.cluster.clone(),
            bystanders: self.bystanders.clone(),
        }
    }

    /// Waits until the agent has asked so many times more.
    pub async fn polls(&self, more: u64) -> Result<()> {
        let end = self.link.polls() + more;
        eventually("the agent asks", PATIENCE, async || {
            let asked = self.link.polls();
            ensure!(asked >= end, "{asked} of {end} times");
            Ok(())
        })
        .await
    }

    /// Starts the agent's process, which waits for changes.
    pub fn start_agent(&mut self) -> Result<()> {
        self.agent.start(Pace::Waiting)
    }

    /// Stops the agent and waits for its end.
    pub async fn stop_agent(&mut self) -> Result<()> {
        let status = self.agent.terminate().await?;
        ensure!(status.success(), "the agent ended with {status} on SIGTERM");
        Ok(())
    }
}

async fn create_stack(admin: &Client, name: &str, options: StackOptions) -> Result<StackId> {
    let create = CreateStack {
        options,
        ..CreateStack::named(name.parse()?)
    };
    Ok(admin.create_stack(&create).await?.id)
}
