//! Labels and annotations: what agents and stacks carry, so that rules can choose by it.
//!
//! Keys and label values have the form that Kubernetes gives them. Annotations hold longer texts.

mod key;
#[cfg(test)]
mod tests;
mod traits;
mod value;

pub use key::Key;
pub(crate) use key::is_dns_subdomain;
pub use traits::{MAX_ENTRIES, Pair, Traits};
pub use value::{AnnotationValue, LabelValue, Value};

/// Chooses: each with a short value or none.
pub type Labels = Traits<LabelValue>;
/// Says more than a label can: each with a text.
pub type Annotations = Traits<AnnotationValue>;

/// Why something is no label or annotation.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidTrait {
    /// The key has a wrong form.
    #[error(
        "`{0}` is not a key: use 1 to 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit, optionally after a DNS name and `/`"
    )]
    Key(String),
    /// The value of a label has a wrong form.
    #[error(
        "`{0}` is not a label value: use up to 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit"
    )]
    LabelValue(String),
    /// The value of an annotation is too long.
    #[error("an annotation value has at most {max} bytes, this one has {0}", max = value::MAX_TEXT)]
    TooLong(usize),
    /// The value of an annotation holds a line end or the like.
    #[error("an annotation value holds no control characters, this one has one at column {0}")]
    ControlCharacter(usize),
    /// One entry of a map is not what it should be.
    #[error("`{key}`: {why}")]
    Entry {
        /// The entry.
        key: Key,
        /// What is wrong with its value.
        why: Box<InvalidTrait>,
    },
    /// A map names a key twice.
    #[error("`{0}` is there twice: say which value it has")]
    Twice(Key),
    /// A map has too many entries.
    #[error("`{0}` is one too many: there may be at most {MAX_ENTRIES}")]
    TooMany(Key),
}

/// The beginning of a text from outside, short enough for a message.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 80;
    text.chars().take(LONGEST).collect()
}
