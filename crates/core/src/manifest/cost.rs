use super::{MAX_DEPTH, MAX_NODES};

/// What a key of a mapping takes in memory until all of the mapping is read, in bytes, here and in the parser: measured for the shortest
/// ones, in the mapping of labels. Nothing else is kept that grows with a text.
const KEY: usize = 384;
/// Behind an alias may stand so many.
const ALIASED: usize = super::yaml::REPLAYED;

/// What it costs at the most to read a text with [`super::keys`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Memory, in bytes, besides the text.
    pub bytes: usize,
    /// How many bytes of the text the document has that costs so much.
    pub document: usize,
}

impl Cost {
    /// Looks at a text without reading it: a few signs tell how many keys there can be.
    pub fn of(text: &str) -> Self {
        let costs = documents(text).map(|document| Self {
            bytes: document.len() + keys(document) * KEY,
            document: document.len(),
        });
        costs.max_by_key(|cost| cost.bytes).unwrap_or_default()
    }
}

fn keys(document: &str) -> usize {
    // The last key of a mapping in braces may have neither.
    let bare = MAX_DEPTH;
    let signs = document
        .bytes()
        .filter(|byte| matches!(byte, b':' | b',' | b'?'));
    let aliased = if document.contains('&') && document.contains('*') {
        ALIASED
    } else {
        0
    };
    // Each has a value.
    (bare + signs.count() + aliased).min(MAX_NODES / 2)
}

/// The pieces of a text that are read one after another. A line that begins with `---` and a space or its end stands in no value (YAML
/// 1.2.2, 9.1.2).
fn documents(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.match_indices("\n---").find(|(at, marker)| {
            let after = text[at + marker.len()..].bytes().next();
            after.is_none_or(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        });
        let (document, after) = match end {
            Some((at, _)) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        rest = after;
        Some(document)
    })
}
