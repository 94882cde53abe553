//! YAML within limits: size, depth, aliases, duplicate keys; errors with line and column.

use serde_json::Value;
use serde_saphyr::options::{DuplicateKeyPolicy, Options};
use serde_saphyr::{NonFiniteFloatPolicy, Spanned, UserMessageFormatter};

use super::node::Node;
use super::{ManifestError, Place};

/// The documents of a text that hold something, each with its place.
pub(super) fn documents(text: &str) -> Result<Vec<(Place, Value)>, ManifestError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents: Vec<Spanned<Node>> = serde_saphyr::from_multiple_with_options(text, options())
        .map_err(|error| refusal(&error))?;
    Ok(documents
        .into_iter()
        .enumerate()
        .map(|(index, spanned)| {
            let place = Place {
                document: index + 1,
                line: spanned.referenced.line(),
            };
            (place, spanned.value.0)
        })
        .filter(|(_, value)| !value.is_null())
        .collect())
}

/// What `kubectl` reads, and bounds on what a text may cost. The largest real snapshots (2 MB of
/// definitions) need a tenth of these nodes; aliases are for people, who write few.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 4_000_000,
            max_nodes: 2_000_000,
            max_depth: 64,
            max_documents: 20_000,
            max_aliases: 2_000,
            max_anchors: 2_000,
            max_recorded_anchor_events: 200_000,
            max_total_scalar_bytes: 32 * 1024 * 1024,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 200_000,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        legacy_octal_numbers: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        emit_comments: false,
    }
}

fn refusal(error: &serde_saphyr::Error) -> ManifestError {
    let location = error.location();
    let mut message = error.render_with_formatter(&UserMessageFormatter);
    // The parser repeats the place at the end of its message; ours stands in front.
    if let Some(at) = message.rfind(" at line ") {
        message.truncate(at);
    }
    ManifestError {
        reason: format!("the YAML cannot be read: {message}"),
        document: None,
        pointer: None,
        line: location.map(|l| l.line()),
        column: location.map(|l| l.column()),
    }
}
