use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::AgentId;

/// What went wrong, as a stable word for programs. `docs/reference/errors.md` explains each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request cannot be read.
    Malformed,
    /// A field says something that cannot be.
    Invalid,
    /// The manifests are no snapshot.
    InvalidManifests,
    /// No key, or one that is not known.
    Unauthenticated,
    /// The key is of an agent that was retired.
    AgentRetired,
    /// The key's role may not do this.
    Forbidden,
    /// There is no such thing, or not for this key.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The name is in use.
    NameTaken,
    /// The stack's head is not the one that was expected.
    SequenceMismatch,
    /// What is to be edited was edited since `If-Match` saw it.
    EditedMeanwhile,
    /// The `Idempotency-Key` was used for another request.
    IdempotencyMismatch,
    /// It was done before under this `Idempotency-Key`, and its answer held a secret.
    AlreadyDone,
    /// Something else depends on it.
    InUse,
    /// More would be lost than a change may take away without a plan.
    PlanRequired,
    /// The change would no longer do what the plan says.
    PlanChanged,
    /// There is no loss to decide about.
    NothingHeld,
    /// The loss is not the one that was seen.
    LossChanged,
    /// The request belongs to a session that ended when a newer one of the agent began.
    SessionSuperseded,
    /// The agent's sessions are bound to another cluster.
    ClusterConflict,
    /// The agent would not answer: it is silent, or of a version that does not know such requests.
    CannotAsk,
    /// The generator has as much as it may have.
    QuotaExceeded,
    /// Without this key nobody could administer the broker.
    LastAdminKey,
    /// The key has ended, or another one is in its place already.
    KeyEnded,
    /// The body is larger than allowed.
    TooLarge,
    /// The address of the request is too long.
    UriTooLong,
    /// The headers of the request are too large.
    HeadTooLarge,
    /// The body came too slowly.
    TooSlow,
    /// Too much of one key at once, or too many bad keys from one address; repeat after the given time.
    TooMany,
    /// The body is of a kind that is not read here.
    UnsupportedMediaType,
    /// The broker cannot do this at the moment; repeat after the given time.
    Unavailable,
    /// A defect of the broker; the request id finds it in the log.
    Internal,
    /// A code that this version does not know.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The body of every refusal: `application/problem+json` (RFC 9457) with a stable `code`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind of problem: `urn:brokkr:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: Code,
    /// What is wrong with this request, and what to do.
    pub detail: String,
    /// Which agent was retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// JSON Pointer to the cause, in the body or, with `document`, in that document of the manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Which document of the manifests, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    /// Line of the manifests, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Column of that line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// After how many seconds the request is worth repeating, as `Retry-After` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Finds the request in the broker's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}
