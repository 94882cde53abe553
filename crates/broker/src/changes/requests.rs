//! What agents are asked beside their work, and what they answer. It changes nothing that is desired.

use std::time::Duration;

use anyhow::anyhow;
use brokkr_core::manifest;
use brokkr_core::name::Reference;
use brokkr_core::wire::{
    AgentRequest, Ask, AuditAction, IMPERSONATE, RequestAnswer, RequestKind, RequestTask,
    TargetStack, WhichLogs,
};
use brokkr_core::{AgentId, DeploymentObjectId, KeptKind, RequestId, StackId};
use serde_json::json;

use super::publish;
use crate::error::{Error, Result};
use crate::requests::{KEPT, MOST_BYTES, MOST_KEPT, MOST_OPEN};
use crate::scope::Scope;
use crate::snapshot::Snapshot;
use crate::store::agent_targets::{self, OpenTarget};
use crate::store::agents::{self, AgentRow, named};
use crate::store::changes::Touched;
use crate::store::requests::{self, NewRequest, Packed};
use crate::store::stacks::{self, StackRow};
use crate::writer::{Change, Lane, Mutation, SMALL};

/// Who has asked as much as an agent answers asks again when it has answered some.
const RETRY: Duration = Duration::from_secs(5);
/// So many rows hold the writer for a few milliseconds.
const CHUNK: u32 = 500;

/// Asks an agent something.
pub(crate) struct AskAgent {
    pub(crate) scope: Scope,
    pub(crate) agent: Reference,
    pub(crate) ask: Ask,
    /// The content that it is about.
    pub(crate) content: Option<Snapshot>,
}

impl Mutation for AskAgent {
    type Output = AgentRequest;

    fn weight(&self) -> usize {
        SMALL + self.content.as_ref().map_or(0, Snapshot::weight)
    }

    async fn apply(&self, change: &mut Change) -> Result<AgentRequest> {
        let agent = agents::find(&self.agent, &self.scope, &mut change.tx).await?;
        check_feature(&agent, self.ask.kind().feature())?;
        self.check_load(&agent, change).await?;
        let (stack, task) = self.task(&agent, change).await?;
        let request = NewRequest {
            id: RequestId::generate(&*change.ambient),
            agent: agent.id,
            owner: self.scope.owner(),
            stack,
            kind: self.ask.kind(),
            task: Packed::new(&task)?,
            content: self
                .content
                .as_ref()
                .map(|content| content.compressed.clone()),
            asked_at: change.now,
            expires: change.now + KEPT,
        };
        requests::insert(&request, &mut change.tx).await?;
        change.touch(Touched::Requests(agent.id));
        let after = json!({"request": request.id, "kind": request.kind, "stack": stack});
        change.audit(
            AuditAction::AgentAsk,
            named(&agent),
            None::<&()>,
            Some(&after),
        )?;
        requests::find(request.id, &self.scope, change.now, &mut change.tx).await
    }
}

impl AskAgent {
    /// What the agent is told to do, and the stack that it is about, if it is one.
    async fn task(
        &self,
        agent: &AgentRow,
        change: &mut Change,
    ) -> Result<(Option<StackId>, RequestTask)> {
        match &self.ask {
            Ask::Sync { stack: Some(stack) } => {
                let stack = self.run_stack(agent, stack, change).await?;
                let stacks = vec![stack];
                Ok((Some(stack), RequestTask::Sync { stacks }))
            }
            Ask::Sync { stack: None } => {
                let stacks = agent_targets::stacks_of(agent.id, &self.scope, &mut change.tx);
                let stacks = stacks.await?;
                Ok((None, RequestTask::Sync { stacks }))
            }
            Ask::Plan {
                stack,
                allow_delete,
                ..
            } => {
                let stack = stacks::find(stack, &self.scope, &mut change.tx).await?;
                if stack.stack.service_account().is_some() {
                    check_feature(agent, Some(IMPERSONATE))?;
                }
                let entry = Box::new(self.entry(agent, &stack, allow_delete, change).await?);
                // The content lies beside it.
                let manifests = String::new();
                Ok((Some(stack.stack.id), RequestTask::Plan { entry, manifests }))
            }
            Ask::Describe { stack } => {
                let stack = self.run_stack(agent, stack, change).await?;
                Ok((Some(stack), RequestTask::Describe { stack }))
            }
            Ask::Logs {
                stack,
                all,
                container,
                tail,
                previous,
            } => {
                check_container(container.as_deref())?;
                let stack = self.run_stack(agent, stack, change).await?;
                let which = WhichLogs {
                    all: *all,
                    container: container.clone(),
                    tail: *tail,
                    previous: *previous,
                };
                Ok((Some(stack), RequestTask::Logs { stack, which }))
            }
        }
    }

    /// What the agent would be told of the stack if the content were its head.
    async fn entry(
        &self,
        agent: &AgentRow,
        stack: &StackRow,
        allow_delete: &[KeptKind],
        change: &mut Change,
    ) -> Result<TargetStack> {
        let content = self.content.as_ref();
        let content = content.ok_or_else(|| Error::internal(anyhow!("a plan of nothing")))?;
        let StackRow { stack, .. } = stack;
        let found = stack.head.as_ref().map_or(0, |head| head.sequence);
        let losses =
            publish::losses(stack.id, found, &content.objects, allow_delete, change).await?;
        let open = agent_targets::between(agent.id, stack.id, &mut change.tx).await?;
        let released = match open {
            Some(OpenTarget::Active(_, Some(decided))) => decided.released,
            _ => Vec::new(),
        };
        Ok(TargetStack {
            stack: stack.id,
            name: stack.name.clone(),
            deployment_object: DeploymentObjectId::generate(&*change.ambient),
            sequence: found + 1,
            digest: content.digest,
            size: content.size,
            default_namespace: content.default_namespace.clone(),
            create_namespace: stack.options.create_namespace,
            allow_delete: losses.of_kept_kinds,
            approved_losses: losses.approved,
            released,
            adopt: stack.options.adopt,
            drift: stack.options.drift,
            paused: false,
            ignores_windows: stack.options.ignore_windows,
            service_account: stack.service_account().cloned(),
            requires: Vec::new(),
        })
    }

    /// A stack of the caller's that the agent runs or removes.
    async fn run_stack(
        &self,
        agent: &AgentRow,
        stack: &Reference,
        change: &mut Change,
    ) -> Result<StackId> {
        let stack = stacks::find_ever(stack, &self.scope, &mut change.tx).await?;
        let id = stack.stack.id;
        let open = agent_targets::between(agent.id, id, &mut change.tx).await?;
        if open.is_none() {
            return Err(Error::invalid(
                "/stack",
                format!(
                    "agent {} does not run this stack: `brokkr explain` says why",
                    agent.name
                ),
            ));
        }
        Ok(id)
    }

    /// What nobody answers in time is not asked.
    async fn check_load(&self, agent: &AgentRow, change: &mut Change) -> Result<()> {
        let of_agent = requests::load_of_agent(agent.id, change.now, &mut change.tx).await?;
        let of_owner =
            requests::load_of_owner(self.scope.owner(), change.now, &mut change.tx).await?;
        let what = if of_agent.open >= MOST_OPEN {
            format!("agent {} has {MOST_OPEN} requests to answer", agent.name)
        } else if of_agent.kept >= MOST_KEPT {
            format!(
                "agent {} was asked {MOST_KEPT} times within 15 minutes",
                agent.name
            )
        } else if of_owner.bytes > MOST_BYTES {
            "the contents of your requests that are not answered yet are too large together"
                .to_owned()
        } else {
            return Ok(());
        };
        let retry_after = RETRY;
        Err(Error::TooMany { what, retry_after })
    }
}

/// What is no name of a container is none's, and might be long.
fn check_container(name: Option<&str>) -> Result<()> {
    if name.is_none_or(manifest::is_dns_label) {
        return Ok(());
    }
    Err(Error::invalid(
        "/container",
        "a container's name has at most 63 of a-z, 0-9 and `-`",
    ))
}

/// An agent that would not know what is asked would never answer, or look by its own rights where it should not.
fn check_feature(agent: &AgentRow, feature: Option<&str>) -> Result<()> {
    if feature.is_some_and(|feature| knows(agent, feature)) {
        return Ok(());
    }
    Err(Error::CannotAsk(unanswerable(agent)))
}

/// Answers in the place of an agent what it was asked and its new session does not know. Says which requests these were.
pub(super) async fn refuse_unknown(
    agent: &AgentRow,
    change: &mut Change,
) -> Result<Vec<RequestId>> {
    let mut refused = Vec::new();
    let now = change.now;
    for request in requests::open(agent.id, &mut change.tx).await? {
        if request.expires <= now || answers(agent, request.kind) {
            continue;
        }
        let answer = Packed::new(&RequestAnswer::Failed {
            reason: unanswerable(agent),
        })?;
        requests::answer(request.id, agent.id, &answer, now, &mut change.tx).await?;
        refused.push(request.id);
    }
    if !refused.is_empty() {
        change.touch(Touched::Requests(agent.id));
    }
    Ok(refused)
}

fn answers(agent: &AgentRow, kind: RequestKind) -> bool {
    let feature = kind.feature();
    feature.is_some_and(|feature| knows(agent, feature))
}

fn knows(agent: &AgentRow, feature: &str) -> bool {
    agent.bond.features.iter().any(|known| known == feature)
}

fn unanswerable(agent: &AgentRow) -> String {
    let agent_is = match &agent.bond.version {
        Some(version) => format!("of version {version}, which"),
        None => "one that has opened no session, or of version 0.1.0, and".to_owned(),
    };
    format!(
        "agent {} is {agent_is} does not answer such requests: update it",
        agent.name
    )
}

/// Keeps what an agent answered. A second answer changes nothing.
pub(crate) struct AnswerRequest {
    pub(crate) agent: AgentId,
    pub(crate) request: RequestId,
    pub(crate) answer: Packed,
    /// Whether it says that there is no answer.
    pub(crate) has_failed: bool,
}

impl Mutation for AnswerRequest {
    type Output = ();

    fn weight(&self) -> usize {
        SMALL + self.answer.size()
    }

    async fn apply(&self, change: &mut Change) -> Result<()> {
        let (now, tx) = (change.now, &mut change.tx);
        if !requests::answer(self.request, self.agent, &self.answer, now, tx).await? {
            change.unchanged();
            return Ok(());
        }
        let agent = agents::itself(self.agent, &mut change.tx).await?;
        change.touch(Touched::Requests(agent.id));
        let after = json!({"request": self.request, "failed": self.has_failed});
        change.audit(
            AuditAction::AgentAnswer,
            named(&agent),
            None::<&()>,
            Some(&after),
        )
    }
}

/// Forgets a chunk of the requests that have expired.
pub(crate) struct ForgetRequests;

impl Mutation for ForgetRequests {
    /// Whether there may be more.
    type Output = bool;
    const LANE: Lane = Lane::Ingest;

    async fn apply(&self, change: &mut Change) -> Result<bool> {
        let forgotten = requests::forget(change.now, CHUNK.into(), &mut change.tx).await?;
        Ok(forgotten == u64::from(CHUNK))
    }
}
