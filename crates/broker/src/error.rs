//! Every way in which a request can fail: one closed enum, one status and one code each.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use brokkr_core::AgentId;
use brokkr_core::manifest::ManifestError;
use brokkr_core::wire::{Code, Problem};
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use uuid::Uuid;

use crate::listener::RequestId;

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Malformed(String),
    #[error("{reason}")]
    Invalid { pointer: String, reason: String },
    #[error("{0}")]
    Manifests(ManifestError),
    /// One message for every cause, so that an answer tells nothing about keys.
    #[error(
        "a valid key is needed: send it as `Authorization: Bearer <key>`; keys are made by `brokkr agent create`, `brokkr generator create`, and the broker's first start"
    )]
    Unauthenticated,
    /// Only who has its very key learns this.
    #[error(
        "agent {0} was retired: stop its process; what it left in its cluster stays as it is; to run an agent there again, register one with `brokkr agent create`"
    )]
    AgentRetired(AgentId),
    #[error("{0}")]
    Forbidden(String),
    /// What is foreign and what is missing read the same.
    #[error("there is no {0} of this name or id, or it is not yours to see")]
    NotFound(&'static str),
    #[error("nothing is here: see /api/v1/openapi.json for what there is")]
    NoRoute,
    /// With the methods that the path takes.
    #[error("this path does not take this method, but: {}", .0.to_str().unwrap_or_default())]
    MethodNotAllowed(HeaderValue),
    #[error("the name `{0}` is in use: choose another")]
    NameTaken(String),
    #[error(
        "the stack's head has sequence {found}, not {expected}: look at its history, then publish again"
    )]
    SequenceMismatch { expected: u64, found: u64 },
    #[error(
        "it was edited meanwhile: revision {found}, not {expected}; read it again, then decide again"
    )]
    EditedMeanwhile { expected: u64, found: u64 },
    #[error("this Idempotency-Key was used for another request: take a new key for a new request")]
    IdempotencyMismatch,
    /// Its answer showed a secret, which is shown once.
    #[error(
        "this was done before under the same Idempotency-Key and made {0}; its key was shown then and never again: make another with `brokkr key create`"
    )]
    AlreadyDone(Uuid),
    #[error(
        "another stack is called `{0}` by now, and names do not change: delete that one first, or go on with it"
    )]
    NameGone(String),
    #[error("{0}")]
    InUse(String),
    #[error("{0}")]
    PlanRequired(String),
    #[error(
        "the change would not do any more what this plan says: ask for the plan again with `?plan=only`, look at it, and send its digest"
    )]
    PlanChanged,
    #[error("{0}")]
    NothingHeld(String),
    #[error(
        "the loss is not the one of this digest any more, and nothing was decided: look at `GET /removals` again"
    )]
    LossChanged,
    #[error(
        "this is the last good admin key, and without it nobody could administer the broker: make another one first, with `brokkr key create --admin`"
    )]
    LastAdminKey,
    #[error("{0}")]
    KeyEnded(&'static str),
    #[error(
        "this session is over, because a newer one of the same agent has begun: another process acts for it, or did since; whoever goes on takes the agent's lease first, and then opens a session with `POST /agent/session`"
    )]
    SessionSuperseded,
    #[error("{0}")]
    ClusterConflict(String),
    /// Nobody would answer.
    #[error("{0}")]
    CannotAsk(String),
    #[error("{0}")]
    QuotaExceeded(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("the address of the request is longer than {0} bytes")]
    UriTooLong(usize),
    #[error("the headers of the request are larger than {0} bytes")]
    HeadTooLarge(usize),
    #[error("the body came too slowly: repeat the request over a better line")]
    TooSlow,
    #[error("{what}: wait {} s", seconds(*.retry_after))]
    TooMany { what: String, retry_after: Duration },
    #[error("{0}")]
    UnsupportedMediaType(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("{}; repeat the request", trouble(.0))]
    Database(#[source] sqlx::Error),
    /// Nobody knows what of a commit is on the disk. The broker ends.
    #[error(
        "the database's disk failed to keep a change, which may or may not stand: the broker ends; repeat the request when it is back"
    )]
    NotKept(#[source] sqlx::Error),
    #[error("the broker has a defect; its log has the details under this request's id")]
    Internal(#[source] anyhow::Error),
}

impl Error {
    pub(crate) fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self::Internal(cause.into())
    }

    pub(crate) fn invalid(pointer: &str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            pointer: pointer.to_owned(),
            reason: reason.into(),
        }
    }

    /// What it means that a commit failed with it.
    pub(crate) fn of_commit(self) -> Self {
        match self {
            // Nothing was committed.
            Self::Database(error) if is_full_disk(&error) => Self::Database(error),
            Self::Database(error) if code(&error).as_deref() == Some(FAILED_SYNC) => {
                Self::NotKept(error)
            }
            _ => Self::Unavailable(
                "the database broke off while it committed: the change may or may not stand; repeat the request".to_owned(),
            ),
        }
    }

    /// Memory is too old to be served from.
    pub(crate) fn database_lost() -> Self {
        Self::Unavailable(
            "the database has not answered for too long; repeat the request".to_owned(),
        )
    }

    fn status_and_code(&self) -> (StatusCode, Code) {
        match self {
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, Code::Malformed),
            Self::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, Code::Invalid),
            Self::Manifests(_) => (StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidManifests),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, Code::Unauthenticated),
            Self::AgentRetired(_) => (StatusCode::GONE, Code::AgentRetired),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, Code::Forbidden),
            Self::NotFound(_) | Self::NoRoute => (StatusCode::NOT_FOUND, Code::NotFound),
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed),
            Self::NameTaken(_) | Self::NameGone(_) => (StatusCode::CONFLICT, Code::NameTaken),
            Self::SequenceMismatch { .. } => (StatusCode::CONFLICT, Code::SequenceMismatch),
            Self::EditedMeanwhile { .. } => {
                (StatusCode::PRECONDITION_FAILED, Code::EditedMeanwhile)
            }
            Self::IdempotencyMismatch => {
                (StatusCode::UNPROCESSABLE_ENTITY, Code::IdempotencyMismatch)
            }
            Self::AlreadyDone(_) => (StatusCode::CONFLICT, Code::AlreadyDone),
            Self::InUse(_) => (StatusCode::CONFLICT, Code::InUse),
            Self::PlanRequired(_) => (StatusCode::CONFLICT, Code::PlanRequired),
            Self::PlanChanged => (StatusCode::CONFLICT, Code::PlanChanged),
            Self::NothingHeld(_) => (StatusCode::CONFLICT, Code::NothingHeld),
            Self::LossChanged => (StatusCode::CONFLICT, Code::LossChanged),
            Self::SessionSuperseded => (StatusCode::CONFLICT, Code::SessionSuperseded),
            Self::ClusterConflict(_) => (StatusCode::CONFLICT, Code::ClusterConflict),
            Self::CannotAsk(_) => (StatusCode::CONFLICT, Code::CannotAsk),
            Self::QuotaExceeded(_) => (StatusCode::UNPROCESSABLE_ENTITY, Code::QuotaExceeded),
            Self::LastAdminKey => (StatusCode::CONFLICT, Code::LastAdminKey),
            Self::KeyEnded(_) => (StatusCode::CONFLICT, Code::KeyEnded),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge),
            Self::UriTooLong(_) => (StatusCode::URI_TOO_LONG, Code::UriTooLong),
            Self::HeadTooLarge(_) => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                Code::HeadTooLarge,
            ),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, Code::TooSlow),
            Self::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, Code::TooMany),
            Self::UnsupportedMediaType(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Code::UnsupportedMediaType,
            ),
            Self::Unavailable(_) | Self::Database(_) | Self::NotKept(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable)
            }
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
        }
    }

    /// The body of the answer.
    fn problem(&self) -> Problem {
        let (status, code) = self.status_and_code();
        let mut problem = Problem {
            kind: format!("urn:brokkr:problem:{code}"),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            code,
            detail: shortened(&self.to_string()),
            agent: None,
            pointer: None,
            document: None,
            line: None,
            column: None,
            retry_after: None,
            request_id: None,
        };
        match self {
            Self::AgentRetired(agent) => problem.agent = Some(*agent),
            Self::Invalid { pointer, .. } => problem.pointer = Some(shortened(pointer)),
            Self::Manifests(error) => {
                problem.pointer.clone_from(&error.pointer);
                problem.document = error.document;
                problem.line = error.line;
                problem.column = error.column;
            }
            _ => {}
        }
        problem
    }
}

/// What troubles the database, as far as that helps whoever cannot look at it.
fn trouble(error: &sqlx::Error) -> &'static str {
    if is_full_disk(error) {
        return "the database's disk is full, and somebody must make room";
    }
    if code(error).as_deref() == Some(READ_ONLY) {
        return "the database takes no writes, as a standby does";
    }
    "the database cannot be reached or is busy"
}

/// SQLite's `SQLITE_FULL`, and `PostgreSQL`'s `disk_full`.
const FULL_DISK: [&str; 2] = ["13", "53100"];
/// SQLite's `SQLITE_IOERR_FSYNC`. `PostgreSQL` ends by itself.
const FAILED_SYNC: &str = "1034";
/// `PostgreSQL`'s `read_only_sql_transaction`.
const READ_ONLY: &str = "25006";

fn is_full_disk(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| FULL_DISK.contains(&&*code))
}

fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

/// A refusal may repeat what was sent, but not all of it.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 1_000;
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// A unique index, and nothing else, says that a name is taken.
pub(crate) fn name_taken(name: &brokkr_core::Name) -> impl FnOnce(sqlx::Error) -> Error {
    if_not_unique(Error::NameTaken(name.to_string()))
}

/// The same of what is to have its name back.
pub(crate) fn name_gone(name: &brokkr_core::Name) -> impl FnOnce(sqlx::Error) -> Error {
    if_not_unique(Error::NameGone(name.to_string()))
}

fn if_not_unique(refusal: Error) -> impl FnOnce(sqlx::Error) -> Error {
    move |error| match &error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() => refusal,
        _ => Error::from(error),
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            // The text of a row is not what this version wrote: no retry will mend it.
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::internal(error),
            error if is_about_data(&error) => {
                tracing::debug!(%error, "the database does not take a value");
                Self::invalid(
                    "",
                    "a text, number or time in it is one that the database cannot keep",
                )
            }
            error => Self::Database(error),
        }
    }
}

/// Whether a statement failed for what it was to store, which is the fault of one change, and not for the
/// state of the engine, which is the fate of all: SQLSTATE class 22, "data exception".
fn is_about_data(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(cause) = error else {
        return false;
    };
    cause
        .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
        .is_some_and(|error| error.code().starts_with("22"))
}

impl From<ManifestError> for Error {
    fn from(error: ManifestError) -> Self {
        Self::Manifests(error)
    }
}

/// Whole seconds, of which at least one.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + 1
}

/// A refusal on its way to the listener, which knows the request's id and writes the body and the log line.
#[derive(Clone)]
pub(crate) struct Refusal(Arc<Error>);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.status_and_code().0.into_response();
        let headers = response.headers_mut();
        match &self {
            Self::Unauthenticated => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::MethodNotAllowed(allow) => {
                headers.insert(ALLOW, allow.clone());
            }
            _ => {}
        }
        response.extensions_mut().insert(Refusal(Arc::new(self)));
        response
    }
}

impl Refusal {
    /// What went wrong, if it is the broker's own failure and no mistake of the caller.
    pub(crate) fn failure(&self) -> Option<&Error> {
        matches!(*self.0, Error::Database(_) | Error::Internal(_)).then_some(&*self.0)
    }

    /// Writes the body, and when to come again.
    pub(crate) fn write(&self, request: RequestId, response: &mut Response) {
        let mut problem = self.0.problem();
        problem.request_id = Some(request.to_string());
        problem.retry_after = self.retry_after(request);
        let kind = HeaderValue::from_static("application/problem+json");
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, kind);
        if let Some(seconds) = problem.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        // The router has measured the body that was not written yet.
        headers.remove(CONTENT_LENGTH);
        *response.body_mut() = serde_json::to_vec(&problem).unwrap_or_default().into();
    }

    /// Callers that are refused one after another come again in different seconds.
    fn retry_after(&self, request: RequestId) -> Option<u64> {
        match &*self.0 {
            Error::Unavailable(_) | Error::Database(_) => Some(SOON + request.number() % SPREAD),
            Error::TooMany { retry_after, .. } => Some(seconds(*retry_after)),
            _ => None,
        }
    }
}

/// When a request that could not be served is repeated at the soonest, in seconds.
const SOON: u64 = 2;
/// Over how many seconds the repetitions are spread.
const SPREAD: u64 = 8;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn callers_that_are_refused_one_after_another_come_again_at_different_times() {
        let refusal = Refusal(Arc::new(Error::database_lost()));
        let seconds: HashSet<_> = (1..=SPREAD)
            .filter_map(|number| refusal.retry_after(RequestId::of(7, number)))
            .collect();
        assert_eq!(seconds, (SOON..SOON + SPREAD).collect());
    }

    #[test]
    fn what_waiting_does_not_mend_names_no_time() {
        let refusal = Refusal(Arc::new(Error::NoRoute));
        assert_eq!(refusal.retry_after(RequestId::of(7, 1)), None);
    }
}
