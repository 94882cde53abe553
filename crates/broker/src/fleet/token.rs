use brokkr_core::{AgentId, Epoch};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

/// Proves later on which history an answer came from: the revision, its random id, and a MAC over them, the
/// agent and the epoch, so that no agent can make one up.
pub(super) fn state_token(
    key: &[u8],
    agent: AgentId,
    epoch: Epoch,
    revision: u64,
    lineage: Uuid,
) -> String {
    let mut text = format!("{revision}.{}", lineage.simple());
    // HMAC takes keys of every length.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) {
        mac.update(agent.uuid().as_bytes());
        mac.update(epoch.uuid().as_bytes());
        mac.update(&revision.to_be_bytes());
        mac.update(lineage.as_bytes());
        text.push('.');
        HEXLOWER.encode_append(&mac.finalize().into_bytes(), &mut text);
    }
    text
}
