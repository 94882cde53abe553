//! One type per noun around a `UUIDv7`, so that ids cannot be mixed up and sort by age.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::{Builder, Uuid};

use crate::ambient::Ambient;

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 36 characters, such as 019fa2b8-02e5-7f43-9a53-0d2e4bb8c1f6")]
pub struct NotAnId;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id of this moment.
            pub fn generate(ambient: &dyn Ambient) -> Self {
                Self(uuid_v7(ambient))
            }

            /// The id as the database keeps it.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self).map_err(|_| NotAnId)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    )+};
}

id! {
    /// An agent: a Brokkr process responsible for one cluster.
    AgentId;
    /// The link between an agent and a stack.
    AgentTargetId;
    /// An immutable snapshot of a stack.
    DeploymentObjectId;
    /// The identity of a database's history.
    Epoch;
    /// An agent event, named by the agent so that repeating a report is harmless.
    EventId;
    /// An external system that owns stacks.
    GeneratorId;
    /// A key of an admin, an agent or a generator.
    KeyId;
    /// A question to an agent.
    RequestId;
    /// That somebody signed in to the console.
    SignInId;
    /// A named collection of Kubernetes objects.
    StackId;
    /// A maintenance window.
    WindowId;
}

fn uuid_v7(ambient: &dyn Ambient) -> Uuid {
    let mut random = [0; 10];
    ambient.fill(&mut random);
    let millis = u64::try_from(ambient.now().as_millisecond()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}
