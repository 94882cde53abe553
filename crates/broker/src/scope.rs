//! Who is asking, and which rows are theirs.

use brokkr_core::{AgentId, GeneratorId, KeyId, Name};
use uuid::Uuid;

use crate::error::{Error, Result};

/// The authenticated caller. No handler can be written without one.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) key: KeyId,
    pub(crate) identity: Identity,
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
    /// The scope of an operator or a generator; an agent has no business here.
    pub(crate) fn scope(&self) -> Result<Scope> {
        match &self.identity {
            Identity::Admin => Ok(Scope::All),
            Identity::Generator(id, name) => Ok(Scope::Of(*id, name.clone())),
            Identity::Agent(_) => Err(Error::Forbidden(
                "an agent's key cannot do this: use an admin's or a generator's".to_owned(),
            )),
        }
    }

    /// Refuses everybody but admins.
    pub(crate) fn admin(&self) -> Result<()> {
        match &self.identity {
            Identity::Admin => Ok(()),
            Identity::Agent(_) | Identity::Generator(..) => Err(Error::Forbidden(
                "only an admin's key can do this".to_owned(),
            )),
        }
    }

    /// Refuses everybody but agents.
    pub(crate) fn agent(&self) -> Result<AgentId> {
        match &self.identity {
            Identity::Agent(id) => Ok(*id),
            Identity::Admin | Identity::Generator(..) => Err(Error::Forbidden(
                "only an agent's key can do this".to_owned(),
            )),
        }
    }
}
