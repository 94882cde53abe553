use std::collections::BTreeSet;
use std::io::Read as _;

use brokkr_core::Digest;
use brokkr_core::failpoint::Point;
use brokkr_core::mutant::Mutant;
use brokkr_core::plan::Fingerprint;
use brokkr_core::wire::{FEATURES, TargetStack, TargetState};
use serde::{Deserialize, Serialize};

use super::Cache;
use crate::Error;

const STATE: &str = "state-";
const CONTENT: &str = "content-";
/// No content is longer; a damaged one might claim to be.
const LONGEST: u64 = 64 * 1024 * 1024;

/// A target state, as this version understood it: one that has other features must ask again what they mean in it.
#[derive(Serialize, Deserialize)]
struct Kept {
    features: Vec<String>,
    state: TargetState,
}

impl Kept {
    fn features() -> Vec<String> {
        FEATURES.iter().map(ToString::to_string).collect()
    }
}

impl Cache {
    /// Keeps a target state beside the ones that are there, and says by which fingerprint it is found again.
    pub(crate) async fn keep_state(&self, state: &TargetState) -> Result<Fingerprint, Error> {
        let kept = Kept {
            features: Kept::features(),
            state: state.clone(),
        };
        let json = serde_json::to_vec(&kept).map_err(unreadable)?;
        let fingerprint = Fingerprint::of(&json);
        self.write(&state_name(fingerprint), json.into()).await;
        Point::StateKept.reached();
        Ok(fingerprint)
    }

    /// The target state with this fingerprint, if it is here, undamaged, and of a version that understood as much.
    pub(crate) async fn state(&self, fingerprint: Fingerprint) -> Option<TargetState> {
        for name in self.names(STATE).await {
            let Some(json) = self.read(&name).await else {
                continue;
            };
            if Fingerprint::of(&json) != fingerprint && !Mutant::CacheBelieved.is_on() {
                tracing::info!(
                    file = name,
                    "a cached target state is damaged, or not the one that was accepted last: ignored"
                );
                continue;
            }
            match serde_json::from_slice::<Kept>(&json) {
                Ok(kept) if kept.features == Kept::features() => return Some(kept.state),
                _ => tracing::info!(
                    file = name,
                    "the cached target state is of another version of the agent: ignored"
                ),
            }
        }
        None
    }

    /// Lets everything go that is not of this target state.
    pub(crate) async fn keep_only(&self, fingerprint: Fingerprint, state: &TargetState) {
        let contents = state.stacks.iter().map(|entry| content_name(entry.digest));
        let wanted = contents.chain([state_name(fingerprint)]).collect();
        self.sweep(&wanted).await;
    }

    /// Lets every target state and all contents go.
    pub(crate) async fn forget(&self) {
        self.sweep(&BTreeSet::new()).await;
    }

    async fn sweep(&self, wanted: &BTreeSet<String>) {
        for prefix in [STATE, CONTENT] {
            for name in self.names(prefix).await.difference(wanted) {
                self.remove(name).await;
            }
        }
        Point::CacheSwept.reached();
    }

    /// Keeps the content of an entry.
    pub(crate) async fn keep_content(&self, entry: &TargetStack, text: &str) -> Result<(), Error> {
        let compressed = zstd::encode_all(text.as_bytes(), 0).map_err(unreadable)?;
        self.write(&content_name(entry.digest), compressed.into())
            .await;
        Point::ContentKept.reached();
        Ok(())
    }

    /// The content of an entry, if it is here and as its digest says.
    pub(crate) async fn content(&self, entry: &TargetStack) -> Option<String> {
        let name = content_name(entry.digest);
        let compressed = self.read(&name).await?;
        let text = decompressed(&compressed);
        let text = text
            .filter(|text| Digest::of(entry.default_namespace.as_deref(), text) == entry.digest);
        if text.is_none() {
            tracing::warn!(file = name, "a cached content is damaged: ignored");
        }
        text
    }
}

fn decompressed(bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    let decoder = zstd::Decoder::new(bytes).ok()?;
    decoder.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

pub(super) fn state_name(fingerprint: Fingerprint) -> String {
    format!("{STATE}{fingerprint}")
}

pub(super) fn content_name(digest: Digest) -> String {
    format!("{CONTENT}{digest}").replace(':', "-")
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::Unreadable(error.to_string())
}
