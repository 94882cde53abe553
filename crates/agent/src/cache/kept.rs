use std::collections::BTreeSet;
use std::io::Read as _;

use brokkr_core::failpoint::Point;
use brokkr_core::mutant::Mutant;
use brokkr_core::plan::Fingerprint;
use brokkr_core::wire::{FEATURES, TargetStack, TargetState};
use brokkr_core::{Digest, StackId};
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

    /// Lets the other target states go, and the contents of stacks that this one does not name.
    pub(crate) async fn keep_only(&self, fingerprint: Fingerprint, state: &TargetState) {
        let wanted = state_name(fingerprint);
        self.sweep(STATE, |name| name == wanted).await;
        let stacks = state.stacks.iter().map(|entry| entry.stack);
        let stacks: BTreeSet<_> = stacks.collect();
        self.sweep(CONTENT, |name| {
            stack_of(name).is_some_and(|stack| stacks.contains(&stack))
        })
        .await;
        Point::CacheSwept.reached();
    }

    /// Lets every target state and all contents go.
    pub(crate) async fn forget(&self) {
        for prefix in [STATE, CONTENT] {
            self.sweep(prefix, |_| false).await;
        }
    }

    /// Lets the contents of a stack go, but for these.
    pub(crate) async fn keep_contents(&self, stack: StackId, wanted: &[Digest]) {
        let wanted: Vec<_> = wanted
            .iter()
            .map(|digest| content_name(stack, *digest))
            .collect();
        self.sweep(&contents_of(stack), |name| wanted.iter().any(|w| w == name))
            .await;
    }

    async fn sweep(&self, prefix: &str, is_wanted: impl Fn(&str) -> bool) {
        for name in self.names(prefix).await {
            if !is_wanted(&name) {
                self.remove(&name).await;
            }
        }
    }

    /// Keeps the content of an entry.
    pub(crate) async fn keep_content(&self, entry: &TargetStack, text: &str) -> Result<(), Error> {
        let compressed = zstd::encode_all(text.as_bytes(), 0).map_err(unreadable)?;
        let name = content_name(entry.stack, entry.digest);
        self.write(&name, compressed.into()).await;
        Point::ContentKept.reached();
        Ok(())
    }

    /// The content of an entry, if it is here and as its digest says.
    pub(crate) async fn content(&self, entry: &TargetStack) -> Option<String> {
        let name = content_name(entry.stack, entry.digest);
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

pub(super) fn content_name(stack: StackId, digest: Digest) -> String {
    format!("{}{digest}", contents_of(stack)).replace(':', "-")
}

fn contents_of(stack: StackId) -> String {
    format!("{CONTENT}{stack}-")
}

fn stack_of(content: &str) -> Option<StackId> {
    let (stack, _) = content.strip_prefix(CONTENT)?.split_once("-sha256-")?;
    stack.parse().ok()
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::Unreadable(error.to_string())
}
