//! YAML within limits: size, depth, aliases, duplicate keys; errors with line and column.

use serde_json::Value;
use serde_saphyr::options::{DuplicateKeyPolicy, Options};
use serde_saphyr::{NonFiniteFloatPolicy, Spanned, UserMessageFormatter};

use super::node::Node;
use super::{MAX_DEPTH, MAX_NODES, ManifestError};

/// Collects the documents of a text, each with the line in which it begins.
pub(super) fn read<C: Default + Extend<(u64, Value)>, const WHOLE: bool>(
    text: &str,
) -> Result<C, ManifestError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let read = serde_saphyr::from_str_multiple_with_options::<Spanned<Node<WHOLE>>, Documents<C>>;
    let read = read(text, options());
    read.map(|Documents(documents)| documents)
        .map_err(|error| refusal(&error))
}

/// What the parser extends with each document.
#[derive(Default)]
struct Documents<C>(C);

impl<C: Extend<(u64, Value)>, const WHOLE: bool> Extend<Spanned<Node<WHOLE>>> for Documents<C> {
    fn extend<D: IntoIterator<Item = Spanned<Node<WHOLE>>>>(&mut self, documents: D) {
        let documents = documents
            .into_iter()
            .map(|document| (document.referenced.line(), document.value.0));
        self.0.extend(documents);
    }
}

/// How many values aliases may stand for together: they are for people, who write few.
pub(super) const REPLAYED: usize = 200_000;

/// What `kubectl` reads, and bounds on what a text may cost.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 2 * MAX_NODES,
            max_nodes: MAX_NODES,
            max_depth: MAX_DEPTH,
            max_documents: 20_000,
            max_aliases: 2_000,
            max_anchors: 2_000,
            max_recorded_anchor_events: 200_000,
            max_recorded_anchor_bytes: 8 * 1024 * 1024,
            max_total_scalar_bytes: 32 * 1024 * 1024,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: REPLAYED,
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
