//! Brokkr's vocabulary: what broker, agent and command line all speak of.
//!
//! Nothing in here does I/O. Time and randomness come through [`ambient::Ambient`].

pub mod access;
pub mod ambient;
pub mod backoff;
pub mod bounded;
pub mod cluster_uid;
pub mod digest;
pub mod failpoint;
pub mod id;
pub mod labels;
pub mod manifest;
pub mod mutant;
pub mod name;
pub mod object;
pub mod pak;
pub mod plan;
pub mod readiness;
pub mod service_account;
pub mod targeting;
pub mod window;
pub mod wire;

pub use backoff::Backoff;
pub use bounded::Bounded;
pub use cluster_uid::ClusterUid;
pub use digest::Digest;
pub use id::{
    AgentId, AgentTargetId, DeploymentObjectId, Epoch, EventId, GeneratorId, KeyId, RequestId,
    SignInId, StackId, WindowId,
};
pub use name::{Name, Reference};
pub use object::{KeptKind, ObjectKey};
pub use service_account::ServiceAccount;
