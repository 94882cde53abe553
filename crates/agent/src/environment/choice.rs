use serde::{Deserialize, Deserializer};

use super::pattern::{Pattern, Written};

/// What is allowed and what is not. What is denied stays denied if it is allowed, too.
///
/// A pattern is the whole text, or the beginning of it and then `*`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Choice", bound = ""))]
#[serde(deny_unknown_fields, default, bound(deserialize = "K: Written"))]
pub(super) struct Choice<K> {
    /// Only these; all if left out.
    #[serde(deserialize_with = "some")]
    #[cfg_attr(test, schemars(with = "Vec<String>", length(min = 1)))]
    allow: Option<Vec<Pattern<K>>>,
    /// None of these.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    deny: Vec<Pattern<K>>,
}

impl<K> Default for Choice<K> {
    fn default() -> Self {
        Self {
            allow: None,
            deny: Vec::new(),
        }
    }
}

impl<K: Written> Choice<K> {
    pub(super) const fn is_open(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }

    /// Why a text is not allowed, in words that follow it; none if it is.
    pub(super) fn refusal(&self, text: &str) -> Option<String> {
        let finds = |patterns: &[Pattern<K>]| patterns.iter().any(|pattern| pattern.matches(text));
        if finds(&self.deny) {
            return Some("is not allowed here".to_owned());
        }
        let allowed = self.allow.as_deref().filter(|allowed| !finds(allowed))?;
        let allowed: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        Some(format!(
            "is not allowed here, only {} are",
            allowed.join(", ")
        ))
    }
}

/// A list without an entry would name nothing, which is more likely forgotten than meant.
pub(super) fn some<'de, D: Deserializer<'de>, K: Written>(
    deserializer: D,
) -> Result<Option<Vec<Pattern<K>>>, D::Error> {
    let patterns = Vec::deserialize(deserializer)?;
    if patterns.is_empty() {
        let reason = "an empty list names nothing: leave it out to name everything";
        return Err(serde::de::Error::custom(reason));
    }
    Ok(Some(patterns))
}
