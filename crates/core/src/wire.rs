//! What travels between broker, agent and command line, as JSON with `snake_case` fields.
//!
//! Requests of people and pipelines refuse unknown fields; the agent's protocol ignores them in both
//! directions, so that brokers and agents of different versions understand each other.

mod agents;
mod audit;
mod deployment_objects;
mod description;
mod epochs;
mod events;
mod explain;
mod fleet;
mod keys;
mod live_plan;
mod logs;
mod page;
mod patch;
mod pause;
mod problem;
mod requests;
mod retire;
mod sessions;
mod settings;
mod stacks;
mod target_state;
mod targets;
mod watch;
mod windows;

pub use agents::{
    Agent, CreateAgent, CreateGenerator, CreatedAgent, CreatedGenerator, Generator, Me, PatchAgent,
    PatchGenerator, PatchQuota, Quota, SignedIn,
};
pub use audit::{Actor, ActorRole, AuditAction, AuditEntry, ChainedEntry, Subject};
pub use deployment_objects::{DeploymentObject, Publish, PublishOptions, Published, Rollback};
pub use description::{
    ContainerState, DescribedContainer, DescribedObject, DescribedPod, Description, KubernetesEvent,
};
pub use epochs::{AcceptedEpoch, Epochs, LostEpoch};
pub use events::{
    Action, AgentEvent, EventReport, ObjectOutcome, ObjectResult, Outcome, RecordedEvent,
};
pub use explain::{
    Effect, ExplainedExclusion, ExplainedRule, ExplainedScope, Explanation, Plan, PlannedTarget,
};
pub use fleet::{Glance, StackAtAgent, StackCounts};
pub use keys::{CreateKey, CreatedKey, Key, KeyOwner, KeyState, RotateKey, RotatedKey};
pub use live_plan::{LivePlan, PlannedAction, PlannedField, PlannedObject};
pub use logs::{ContainerLog, LOG_LINES, LogLines, StackLogs, WhichLogs};
pub use page::Page;
pub use patch::PatchTraits;
pub use pause::{PAUSE, Paused, TargetAgent};
pub use problem::{Code, Problem};
pub use requests::{AgentRequest, Ask, RequestAnswer, RequestKind, RequestTask, TargetRequest};
pub use retire::Workloads;
pub use sessions::{OpenSession, OpenedSession};
pub use settings::{
    Guard, GuardAgents, KeyLimit, Limits, PatchGuard, PatchLimits, PatchRetention, PatchSettings,
    Percent, Retention, RetentionDays, Settings,
};
pub use stacks::{
    Adopt, CreateStack, DRIFT_REPORT, Drift, IMPERSONATE, OnRemove, PatchStack, PatchStackOptions,
    PatchTargeting, Stack, StackHead, StackOptions,
};
pub use target_state::{
    Approval, Confirmation, ConfirmationAnswer, ConfirmationReport, ConfirmationResult,
    Confirmations, TargetRemoval, TargetStack, TargetState,
};
pub use targets::{
    AgentTarget, CreateAgentTarget, Health, Held, HeldLoss, LossCause, Removal, StackStatus,
    StatusReport, Sync, TargetStatus,
};
pub use watch::{About, Hint};
pub use windows::{CreateWindow, TargetWindow, WINDOWS, Window, WindowMinutes, WindowRule};

/// Response header: how far the answering replica's view is, as a revision.
pub const REVISION_HEADER: &str = "brokkr-revision";
/// Response header of a poll that is answered from memory because the database does not answer: for how many seconds it has not.
pub const STALE_HEADER: &str = "brokkr-stale";
/// Response header: names the request in the broker's log, as `request_id` of a refusal does.
pub const REQUEST_ID_HEADER: &str = "brokkr-request-id";
/// Request header: the digest of the plan that a change was agreed to by.
pub const PLAN_HEADER: &str = "brokkr-plan";
/// Request header of changes that the console asks for, whatever it says: no other site can have it sent along.
pub const CONSOLE_HEADER: &str = "brokkr-console";
/// Request header of a poll: the epoch and the token of the state that the agent accepted last, as `EPOCH.TOKEN`.
pub const STATE_HEADER: &str = "brokkr-state";
/// Request header: the session that a request of an agent belongs to.
pub const SESSION_HEADER: &str = "brokkr-session";
/// Request header of a poll: the ids of the requests that the agent has in hand, separated by commas. They do not end
/// its wait.
pub const REQUESTS_HEADER: &str = "brokkr-requests";
/// How many requests an agent has in hand at the most.
pub const MAX_REQUESTS: usize = 16;
/// The longest time that a poll may wait, in seconds.
pub const MAX_WAIT_SECONDS: u64 = 50;
/// What this version understands in target state entries (`requires`), and which requests it answers.
pub const FEATURES: &[&str] = &[
    PAUSE,
    DRIFT_REPORT,
    WINDOWS,
    IMPERSONATE,
    "requests/sync",
    "requests/plan",
    "requests/describe",
    "requests/logs",
];
