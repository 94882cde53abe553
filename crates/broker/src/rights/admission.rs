//! What the guard found out, as handlers take it: whose rows, and nothing that the table does not give.

use std::sync::Arc;

use anyhow::anyhow;
use axum::extract::FromRequestParts;
use brokkr_core::AgentId;
use brokkr_core::pak::Role;
use http::request::Parts;
use http::{Extensions, Request};
use uuid::Uuid;

use super::Reach;
use crate::error::{Error, Result};
use crate::memory::BodyRoom;
use crate::scope::{Caller, Identity, Scope};
use crate::session::Session;

/// Who was let through to an operation, and how far.
#[derive(Clone)]
pub(super) struct Admission {
    pub(super) caller: Caller,
    pub(super) reach: Reach,
    pub(super) session: Session,
    pub(super) body: BodyLimit,
}

impl Admission {
    /// The rows of an operator or a generator, as the rights table says.
    fn scope(&self) -> Result<Scope> {
        match (&self.caller.identity, self.reach) {
            (Identity::Admin, Reach::All) => Ok(Scope::All),
            (Identity::Generator(id, name), Reach::Own) => Ok(Scope::Of(*id, name.clone())),
            _ => Err(self.unforeseen()),
        }
    }

    fn agent(&self) -> Result<AgentId> {
        match self.caller.identity {
            Identity::Agent(id) => Ok(id),
            Identity::Admin | Identity::Generator(..) => Err(self.unforeseen()),
        }
    }

    fn keyholder(&self) -> Result<Keyholder> {
        match (&self.caller.identity, self.reach) {
            (Identity::Admin, Reach::All) => Ok(Keyholder::Anybody),
            (Identity::Agent(id), Reach::Own) => Ok(Keyholder::Only(id.uuid())),
            (Identity::Generator(id, _), Reach::Own) => Ok(Keyholder::Only(id.uuid())),
            _ => Err(self.unforeseen()),
        }
    }

    /// The rights table lets a role in that the handler has no rows for: a defect, which opens nothing.
    fn unforeseen(&self) -> Error {
        let (role, reach) = (self.caller.role(), self.reach);
        Error::internal(anyhow!("no rows are foreseen for {role} with {reach:?}"))
    }
}

/// How large the body of a request may be.
#[derive(Clone)]
pub(crate) struct BodyLimit {
    /// In bytes.
    pub(crate) most: usize,
    /// The memory for it, unless it is of a kind that has none.
    pub(crate) room: Option<Arc<BodyRoom>>,
}

/// An agent, about itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Itself(pub(crate) AgentId);

/// An agent, with what its request is answered by.
pub(crate) struct Asking {
    pub(crate) agent: AgentId,
    pub(crate) caller: Caller,
    pub(crate) session: Session,
}

impl Asking {
    pub(crate) fn read(parts: &Parts) -> Result<Self> {
        let admission = admission(&parts.extensions)?;
        Ok(Self {
            agent: admission.agent()?,
            caller: admission.caller.clone(),
            session: admission.session,
        })
    }
}

/// Who reads what was published: the side that publishes, or an agent that runs it.
#[derive(Debug, Clone)]
pub(crate) enum Reader {
    Owner(Scope),
    Runner(AgentId),
}

/// Whose keys the caller may look at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keyholder {
    Anybody,
    /// This agent or generator, which is the caller.
    Only(Uuid),
}

fn admission(extensions: &Extensions) -> Result<&Admission> {
    let admission = extensions.get::<Admission>();
    admission.ok_or_else(|| Error::internal(anyhow!("a route without a guard before it")))
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(admission(&parts.extensions)?.caller.clone())
    }
}

impl<S: Sync> FromRequestParts<S> for Scope {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        admission(&parts.extensions)?.scope()
    }
}

impl<S: Sync> FromRequestParts<S> for Itself {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        admission(&parts.extensions)?.agent().map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(admission(&parts.extensions)?.session)
    }
}

impl BodyLimit {
    pub(crate) fn of<B>(request: &Request<B>) -> Result<Self> {
        Ok(admission(request.extensions())?.body.clone())
    }
}

impl<S: Sync> FromRequestParts<S> for Keyholder {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        admission(&parts.extensions)?.keyholder()
    }
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let admission = admission(&parts.extensions)?;
        match admission.caller.role() {
            Role::Agent => admission.agent().map(Self::Runner),
            Role::Admin | Role::Generator => admission.scope().map(Self::Owner),
        }
    }
}
