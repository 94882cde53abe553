//! Who is asking, and which rows are theirs.

use std::net::IpAddr;

use brokkr_core::pak::Role;
use brokkr_core::wire::{Actor, ActorRole};
use brokkr_core::{AgentId, GeneratorId, KeyId, Name, SignInId};
use uuid::Uuid;

use crate::listener::RequestId;

/// The authenticated caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) key: KeyId,
    pub(crate) identity: Identity,
    /// That somebody signed in with the key, if the request came with a cookie and not with the key itself.
    pub(crate) sign_in: Option<SignInId>,
    pub(crate) origin: Origin,
}

/// Where a request came from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Origin {
    pub(crate) address: Option<IpAddr>,
    pub(crate) request: Option<RequestId>,
}

/// What a key makes of its bearer.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    Admin,
    Agent(AgentId),
    Generator(GeneratorId, Name),
}

/// Which rows a caller sees. Every query of owned rows takes one.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    /// Every row; a bare name is one of the operators' own.
    All,
    /// The rows of one generator.
    Of(GeneratorId, Name),
}

/// The owner id of the operators' own rows.
const OPERATORS: Uuid = Uuid::nil();

impl Scope {
    /// The owner of what this caller creates.
    pub(crate) const fn owner(&self) -> Uuid {
        match self {
            Self::All => OPERATORS,
            Self::Of(generator, _) => generator.uuid(),
        }
    }

    /// The only owner whose rows are visible; none if all are.
    pub(crate) const fn only(&self) -> Option<Uuid> {
        match self {
            Self::All => None,
            Self::Of(generator, _) => Some(generator.uuid()),
        }
    }

    /// The generator that owns what this caller creates; none if the operators do.
    pub(crate) const fn generator(&self) -> Option<&Name> {
        match self {
            Self::All => None,
            Self::Of(_, name) => Some(name),
        }
    }

    /// The author's name on what this caller publishes.
    pub(crate) fn author(&self) -> String {
        match self {
            Self::All => "admin".to_owned(),
            Self::Of(_, name) => name.to_string(),
        }
    }
}

impl Caller {
    /// Who makes the changes of this caller.
    pub(crate) fn actor(&self) -> Actor {
        let (role, id) = match &self.identity {
            Identity::Admin => (ActorRole::Admin, None),
            Identity::Agent(id) => (ActorRole::Agent, Some(id.uuid())),
            Identity::Generator(id, _) => (ActorRole::Generator, Some(id.uuid())),
        };
        Actor {
            role,
            id,
            key: Some(self.key),
            address: self.origin.address,
            request_id: self.origin.request.map(|id| id.to_string()),
        }
    }

    /// Whose share of what all have it uses: an agent's or a generator's, whatever key it came with, or that of an admin's key.
    pub(crate) const fn owner(&self) -> Uuid {
        match &self.identity {
            Identity::Admin => self.key.uuid(),
            Identity::Agent(id) => id.uuid(),
            Identity::Generator(id, _) => id.uuid(),
        }
    }

    /// What a person calls this caller.
    pub(crate) fn name(&self) -> String {
        match &self.identity {
            Identity::Admin => "admin".to_owned(),
            Identity::Agent(id) => id.to_string(),
            Identity::Generator(_, name) => name.to_string(),
        }
    }

    pub(crate) const fn role(&self) -> Role {
        match self.identity {
            Identity::Admin => Role::Admin,
            Identity::Agent(_) => Role::Agent,
            Identity::Generator(..) => Role::Generator,
        }
    }
}
