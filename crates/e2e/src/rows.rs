use anyhow::Result;
use brokkr_core::targeting::AgentScope;
use brokkr_core::wire::{
    CreateAgent, CreateAgentTarget, CreateGenerator, CreateStack, Publish, PublishOptions,
    Published, Stack,
};

use crate::Broker;

/// What stories need at a broker, in one line each. All of it is named.
impl Broker {
    /// Registers an agent and returns its key.
    pub async fn new_agent(&self, name: &str) -> Result<String> {
        let name = name.parse()?;
        Ok(self
            .admin()
            .create_agent(&CreateAgent::named(name))
            .await?
            .pak)
    }

    /// Registers a generator that may reach every agent, and returns its key.
    pub async fn new_generator(&self, name: &str) -> Result<String> {
        let create = CreateGenerator::new(name.parse()?, AgentScope::AllAgents);
        Ok(self.admin().create_generator(&create).await?.pak)
    }

    /// Makes a stack of the operators.
    pub async fn new_stack(&self, name: &str) -> Result<Stack> {
        let create = CreateStack::named(name.parse()?);
        Ok(self.admin().create_stack(&create).await?)
    }

    /// Makes an agent responsible for a stack.
    pub async fn target(&self, agent: &str, stack: &str) -> Result<()> {
        let create = CreateAgentTarget {
            agent: agent.parse()?,
            stack: stack.parse()?,
        };
        self.admin().create_agent_target(&create).await?;
        Ok(())
    }

    /// Publishes a snapshot of a stack.
    pub async fn publish(&self, stack: &str, manifests: &str) -> Result<Published> {
        let publish = Publish {
            manifests: manifests.to_owned(),
            options: PublishOptions::default(),
        };
        Ok(self.admin().publish(&stack.parse()?, &publish).await?)
    }
}
