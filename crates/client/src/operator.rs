use brokkr_core::id::{AgentTargetId, DeploymentObjectId, StackId};
use brokkr_core::name::Reference;
use brokkr_core::object::KeptKind;
use brokkr_core::wire::{
    Agent, AgentTarget, ChainedEntry, CreateAgent, CreateAgentTarget, CreateGenerator, CreateStack,
    CreatedAgent, CreatedGenerator, DeploymentObject, Explanation, Generator, Glance, Held, Me,
    OnRemove, Outcome, Page, PatchAgent, PatchGenerator, PatchStack, Plan, Publish, Published,
    RecordedEvent, Removal, Rollback, Stack, StackAtAgent, TargetStatus, Workloads,
};
use reqwest::header::IF_MATCH;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Client, Error, Result};

/// Which events to list; absent fields do not restrict.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Of this stack.
    pub stack: Option<Reference>,
    /// Of this agent.
    pub agent: Option<Reference>,
    /// That ended so.
    pub outcome: Option<Outcome>,
}

/// What becomes of an agent that has something in its cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retirement {
    /// It finishes, and is retired then.
    Finish(Workloads),
    /// It is abandoned.
    Force,
}

impl Retirement {
    const fn query(self) -> (&'static str, &'static str) {
        match self {
            Self::Finish(Workloads::Remove) => ("workloads", "remove"),
            Self::Finish(Workloads::Keep) => ("workloads", "keep"),
            Self::Force => ("force", "true"),
        }
    }
}

/// What operators and generators do.
impl Client {
    /// Who this key belongs to.
    pub async fn me(&self) -> Result<Me> {
        self.get(&["me"]).await
    }

    /// Registers an agent; the answer holds its key.
    pub async fn create_agent(&self, create: &CreateAgent) -> Result<CreatedAgent> {
        self.post(&["agents"], create).await
    }

    /// Changes an agent's labels and annotations.
    pub async fn patch_agent(&self, agent: &Reference, patch: &PatchAgent) -> Result<Agent> {
        self.patch(&["agents", &agent.to_string()], patch).await
    }

    /// What [`Client::patch_agent`] would begin and end.
    pub async fn plan_agent(&self, agent: &Reference, patch: &PatchAgent) -> Result<Plan> {
        self.plan(Method::PATCH, &["agents", &agent.to_string()], patch)
            .await
    }

    /// All agents.
    pub async fn agents(&self) -> Result<Vec<Agent>> {
        self.list(&["agents"], &[]).await
    }

    /// All agents that the caller may see, with how many of their stacks are how.
    pub async fn fleet(&self) -> Result<Vec<Glance>> {
        self.list(&["fleet"], &[]).await
    }

    /// The same of one agent.
    pub async fn glance(&self, agent: &Reference) -> Result<Glance> {
        self.get(&["fleet", &agent.to_string()]).await
    }

    /// How each stack is doing at an agent.
    pub async fn agent_status(&self, agent: &Reference) -> Result<Vec<StackAtAgent>> {
        self.list(&["agents", &agent.to_string(), "status"], &[])
            .await
    }

    /// One agent.
    pub async fn agent(&self, agent: &Reference) -> Result<Agent> {
        self.get(&["agents", &agent.to_string()]).await
    }

    /// Lets the next session bind an agent to the cluster that it comes from, and ends the present one.
    pub async fn rebind_agent(&self, agent: &Reference) -> Result<Agent> {
        let path = ["agents", &agent.to_string(), "rebind"];
        self.json(self.request(Method::POST, &path)).await
    }

    /// Deletes an agent that has nothing left to run or to remove.
    pub async fn delete_agent(&self, agent: &Reference) -> Result<()> {
        self.send(self.request(Method::DELETE, &["agents", &agent.to_string()]))
            .await
            .map(drop)
    }

    /// Lets an agent finish and go; answers it, unless it had nothing left.
    pub async fn retire_agent(
        &self,
        agent: &Reference,
        retirement: Retirement,
    ) -> Result<Option<Agent>> {
        let request = self.request(Method::DELETE, &["agents", &agent.to_string()]);
        let response = self.send(request.query(&[retirement.query()])).await?;
        let status = response.status();
        if status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let body = self.body(response).await?;
        let status = status.as_u16();
        serde_json::from_slice(&body)
            .map(Some)
            .map_err(|_| Error::NotABroker { status })
    }

    /// What [`Client::retire_agent`] would end.
    pub async fn plan_retire_agent(
        &self,
        agent: &Reference,
        retirement: Retirement,
    ) -> Result<Plan> {
        let request = self.request(Method::DELETE, &["agents", &agent.to_string()]);
        self.json(request.query(&[retirement.query(), PLAN_ONLY]))
            .await
    }

    /// What [`Client::delete_agent`] would end.
    pub async fn plan_delete_agent(&self, agent: &Reference) -> Result<Plan> {
        let request = self.request(Method::DELETE, &["agents", &agent.to_string()]);
        self.json(request.query(&[PLAN_ONLY])).await
    }

    /// Registers a generator; the answer holds its key.
    pub async fn create_generator(&self, create: &CreateGenerator) -> Result<CreatedGenerator> {
        self.post(&["generators"], create).await
    }

    /// Changes what a generator may reach and have.
    pub async fn patch_generator(
        &self,
        generator: &Reference,
        patch: &PatchGenerator,
    ) -> Result<Generator> {
        self.patch(&["generators", &generator.to_string()], patch)
            .await
    }

    /// What [`Client::patch_generator`] would begin and end.
    pub async fn plan_generator(
        &self,
        generator: &Reference,
        patch: &PatchGenerator,
    ) -> Result<Plan> {
        self.plan(
            Method::PATCH,
            &["generators", &generator.to_string()],
            patch,
        )
        .await
    }

    /// All generators.
    pub async fn generators(&self) -> Result<Vec<Generator>> {
        self.list(&["generators"], &[]).await
    }

    /// One generator.
    pub async fn generator(&self, generator: &Reference) -> Result<Generator> {
        self.get(&["generators", &generator.to_string()]).await
    }

    /// Deletes a generator that has no stacks left.
    pub async fn delete_generator(&self, generator: &Reference) -> Result<()> {
        self.send(self.request(Method::DELETE, &["generators", &generator.to_string()]))
            .await
            .map(drop)
    }

    /// Creates a stack.
    pub async fn create_stack(&self, create: &CreateStack) -> Result<Stack> {
        self.post(&["stacks"], create).await
    }

    /// All stacks that the caller may see.
    pub async fn stacks(&self) -> Result<Vec<Stack>> {
        self.list(&["stacks"], &[]).await
    }

    /// The stacks that were deleted and can be brought back.
    pub async fn deleted_stacks(&self) -> Result<Vec<Stack>> {
        self.list(&["stacks"], &[("deleted", "true".to_owned())])
            .await
    }

    /// Brings a deleted stack back.
    pub async fn undelete_stack(&self, stack: StackId) -> Result<Stack> {
        let path = ["stacks", &stack.to_string(), "undelete"];
        self.json(self.request(Method::POST, &path)).await
    }

    /// One stack.
    pub async fn stack(&self, stack: &Reference) -> Result<Stack> {
        self.get(&["stacks", &stack.to_string()]).await
    }

    /// Changes a stack.
    pub async fn patch_stack(&self, stack: &Reference, patch: &PatchStack) -> Result<Stack> {
        self.patch(&["stacks", &stack.to_string()], patch).await
    }

    /// The same, refused if the stack was edited since it was `seen`.
    pub async fn patch_seen_stack(&self, seen: &Stack, patch: &PatchStack) -> Result<Stack> {
        self.patch_seen(&["stacks", &seen.id.to_string()], seen.revision, patch)
            .await
    }

    /// What [`Client::patch_stack`] would begin and end.
    pub async fn plan_stack(&self, stack: &Reference, patch: &PatchStack) -> Result<Plan> {
        self.plan(Method::PATCH, &["stacks", &stack.to_string()], patch)
            .await
    }

    /// Why an agent runs a stack, or why it does not.
    pub async fn explain(&self, agent: &Reference, stack: &Reference) -> Result<Explanation> {
        let request = self.request(Method::GET, &["explain"]);
        self.json(request.query(&stack_and_agent(Some(stack), Some(agent))))
            .await
    }

    /// Deletes a stack: its agents remove it, by the stack's policy unless `policy` says another.
    pub async fn delete_stack(
        &self,
        stack: &Reference,
        policy: Option<OnRemove>,
        allow_delete: &[KeptKind],
    ) -> Result<()> {
        let request = self.request(Method::DELETE, &["stacks", &stack.to_string()]);
        self.send(request.query(&removal_query(policy, allow_delete)))
            .await
            .map(drop)
    }

    /// Publishes a snapshot.
    pub async fn publish(&self, stack: &Reference, publish: &Publish) -> Result<Published> {
        self.post(
            &["stacks", &stack.to_string(), "deployment-objects"],
            publish,
        )
        .await
    }

    /// What [`Client::publish`] would drop.
    pub async fn plan_publish(&self, stack: &Reference, publish: &Publish) -> Result<Plan> {
        let path = ["stacks", &stack.to_string(), "deployment-objects"];
        self.plan(Method::POST, &path, publish).await
    }

    /// What [`Client::rollback`] would drop.
    pub async fn plan_rollback(&self, stack: &Reference, rollback: &Rollback) -> Result<Plan> {
        let path = ["stacks", &stack.to_string(), "rollback"];
        self.plan(Method::POST, &path, rollback).await
    }

    /// Publishes an older snapshot's content again.
    pub async fn rollback(&self, stack: &Reference, rollback: &Rollback) -> Result<Published> {
        self.post(&["stacks", &stack.to_string(), "rollback"], rollback)
            .await
    }

    /// The snapshots of a stack, newest first.
    pub async fn history(&self, stack: &Reference) -> Result<Vec<DeploymentObject>> {
        self.list(&["stacks", &stack.to_string(), "deployment-objects"], &[])
            .await
    }

    /// One snapshot; [`Client::manifests`] has its content.
    pub async fn deployment_object(&self, id: DeploymentObjectId) -> Result<DeploymentObject> {
        self.get(&["deployment-objects", &id.to_string()]).await
    }

    /// How a stack is doing at each of its agents.
    pub async fn stack_status(&self, stack: &Reference) -> Result<Vec<TargetStatus>> {
        self.list(&["stacks", &stack.to_string(), "status"], &[])
            .await
    }

    /// Makes an agent responsible for a stack.
    pub async fn create_agent_target(&self, create: &CreateAgentTarget) -> Result<AgentTarget> {
        self.post(&["agent-targets"], create).await
    }

    /// The agent targets of a stack or an agent, or all of them.
    pub async fn agent_targets(
        &self,
        stack: Option<&Reference>,
        agent: Option<&Reference>,
    ) -> Result<Vec<AgentTarget>> {
        self.list(&["agent-targets"], &stack_and_agent(stack, agent))
            .await
    }

    /// Ends an agent target: the agent removes the stack, by the stack's policy unless `policy` says another.
    pub async fn delete_agent_target(
        &self,
        target: AgentTargetId,
        policy: Option<OnRemove>,
        allow_delete: &[KeptKind],
    ) -> Result<()> {
        let request = self.request(Method::DELETE, &["agent-targets", &target.to_string()]);
        self.send(request.query(&removal_query(policy, allow_delete)))
            .await
            .map(drop)
    }

    /// What [`Client::delete_agent_target`] would end.
    pub async fn plan_delete_agent_target(
        &self,
        target: AgentTargetId,
        policy: Option<OnRemove>,
        allow_delete: &[KeptKind],
    ) -> Result<Plan> {
        let request = self.request(Method::DELETE, &["agent-targets", &target.to_string()]);
        let request = request.query(&removal_query(policy, allow_delete));
        self.json(request.query(&[PLAN_ONLY])).await
    }

    /// Approves a removal, or the loss that an agent holds: just the one that was seen, if one is given.
    pub async fn approve_removal(&self, id: AgentTargetId, seen: Option<&Held>) -> Result<()> {
        self.decide(id, "approve", seen).await
    }

    /// Refuses a removal, or the loss that an agent holds: the objects stay. Just the one that was seen, if one is given.
    pub async fn refuse_removal(&self, id: AgentTargetId, seen: Option<&Held>) -> Result<()> {
        self.decide(id, "refuse", seen).await
    }

    async fn decide(&self, id: AgentTargetId, verdict: &str, seen: Option<&Held>) -> Result<()> {
        let path = ["removals", &id.to_string(), verdict];
        let loss = seen.and_then(|held| held.digest);
        let query = loss.map(|digest| ("loss", digest.to_string()));
        let request = self.request(Method::POST, &path).query(&query.as_slice());
        self.send(request).await.map(drop)
    }

    /// Removals that agents have not confirmed yet, and losses that they hold.
    pub async fn removals(
        &self,
        stack: Option<&Reference>,
        agent: Option<&Reference>,
    ) -> Result<Vec<Removal>> {
        self.list(&["removals"], &stack_and_agent(stack, agent))
            .await
    }

    /// What [`Client::delete_stack`] would end.
    pub async fn plan_delete_stack(
        &self,
        stack: &Reference,
        policy: Option<OnRemove>,
        allow_delete: &[KeptKind],
    ) -> Result<Plan> {
        let request = self.request(Method::DELETE, &["stacks", &stack.to_string()]);
        let request = request.query(&removal_query(policy, allow_delete));
        self.json(request.query(&[PLAN_ONLY])).await
    }

    /// The newest page of who changed what.
    pub async fn newest_audit(&self, filter: &[(&str, String)]) -> Result<Vec<ChainedEntry>> {
        let request = self.request(Method::GET, &["audit"]).query(filter);
        let page: Page<ChainedEntry> = self.json(request).await?;
        Ok(page.items)
    }

    /// Who changed what, newest first.
    pub async fn audit(&self, filter: &[(&str, String)]) -> Result<Vec<ChainedEntry>> {
        self.list(&["audit"], filter).await
    }

    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T> {
        self.json(self.request(Method::PATCH, path).json(body))
            .await
    }

    pub(crate) async fn patch_seen<T: DeserializeOwned>(
        &self,
        path: &[&str],
        revision: u64,
        body: &impl Serialize,
    ) -> Result<T> {
        let request = self.request(Method::PATCH, path).json(body);
        self.json(request.header(IF_MATCH, format!("\"{revision}\"")))
            .await
    }

    async fn plan(&self, method: Method, path: &[&str], body: &impl Serialize) -> Result<Plan> {
        let request = self.request(method, path).json(body);
        self.json(request.query(&[PLAN_ONLY])).await
    }

    /// The newest events, newest first, at most `limit`.
    pub async fn events(&self, filter: &EventFilter, limit: usize) -> Result<Vec<RecordedEvent>> {
        let mut events = Vec::new();
        let mut cursor = None;
        // Large ones come in several pages.
        while events.len() < limit {
            let page = self.page_of_events(filter, limit - events.len(), cursor);
            let Page { items, next } = page.await?;
            events.extend(items);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(events)
    }

    /// One page of events, newest first: those before `cursor`, the `next` of another page.
    pub async fn page_of_events(
        &self,
        filter: &EventFilter,
        limit: usize,
        cursor: Option<String>,
    ) -> Result<Page<RecordedEvent>> {
        let request = self
            .request(Method::GET, &["events"])
            .query(&stack_and_agent(
                filter.stack.as_ref(),
                filter.agent.as_ref(),
            ))
            .query(&filter.outcome.map(|outcome| [("outcome", outcome)]))
            .query(&[("limit", limit)])
            .query(&cursor.map(|cursor| [("cursor", cursor)]));
        self.json(request).await
    }
}

/// Plans a change instead of making it.
const PLAN_ONLY: (&str, &str) = ("plan", "only");

fn stack_and_agent(
    stack: Option<&Reference>,
    agent: Option<&Reference>,
) -> Vec<(&'static str, String)> {
    let named = |key, value: Option<&Reference>| value.map(|value| (key, value.to_string()));
    named("stack", stack)
        .into_iter()
        .chain(named("agent", agent))
        .collect()
}

/// The query of a request that ends targets. Several kinds stand in one parameter, separated by commas.
fn removal_query(
    policy: Option<OnRemove>,
    allow_delete: &[KeptKind],
) -> Vec<(&'static str, String)> {
    let policy = policy.map(|policy| match policy {
        OnRemove::Delete => "delete",
        OnRemove::Orphan => "orphan",
    });
    let kinds: Vec<String> = allow_delete.iter().map(ToString::to_string).collect();
    let policy = policy.map(|policy| ("policy", policy.to_owned()));
    let kinds = (!kinds.is_empty()).then(|| ("allow_delete", kinds.join(",")));
    policy.into_iter().chain(kinds).collect()
}
