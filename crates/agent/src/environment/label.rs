use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// A label that every object must have.
#[derive(Debug)]
pub(super) struct RequiredLabel {
    key: String,
    /// Any value if there is none.
    value: Option<String>,
}

impl RequiredLabel {
    /// Why an object does not have it; none if it does.
    pub(super) fn refusal(&self, body: &Map<String, Value>) -> Option<String> {
        let labels = body.get("metadata").and_then(|m| m.get("labels"));
        let has = labels.and_then(|labels| labels.get(&self.key));
        match (has.and_then(Value::as_str), &self.value) {
            (None, _) => Some(format!("the label {self} is missing")),
            (Some(has), Some(value)) if has != value => {
                Some(format!("the label {} is not {value}", self.key))
            }
            _ => None,
        }
    }
}

impl FromStr for RequiredLabel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (text, None),
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if key.is_empty()
            || !key.chars().all(is_plain)
            || !value.unwrap_or("").chars().all(is_plain)
        {
            return Err(format!("`{text}` is no label: write `key`, or `key=value`"));
        }
        Ok(Self {
            key: key.to_owned(),
            value: value.map(str::to_owned),
        })
    }
}

impl fmt::Display for RequiredLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        match &self.value {
            Some(value) => write!(f, "={value}"),
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for RequiredLabel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_label_is_there_with_any_value_or_with_one() {
        let labelled = |labels: Value| {
            let body = json!({"metadata": {"labels": labels}});
            body.as_object().cloned().unwrap_or_default()
        };
        for (label, labels, expected) in [
            ("team", json!({"team": "a"}), None),
            ("team", json!({"team": ""}), None),
            ("team", json!({}), Some("the label team is missing")),
            ("team", Value::Null, Some("the label team is missing")),
            ("env=prod", json!({"env": "prod"}), None),
            (
                "env=prod",
                json!({"env": "test"}),
                Some("the label env is not prod"),
            ),
            ("env=prod", json!({}), Some("the label env=prod is missing")),
            ("env=", json!({"env": "x"}), Some("the label env is not ")),
        ] {
            let label: RequiredLabel = label.parse().expect("a label");
            assert_eq!(label.refusal(&labelled(labels)).as_deref(), expected);
        }
        for odd in ["", "=a", "a b", "a=b=c", "a=b c"] {
            assert!(odd.parse::<RequiredLabel>().is_err(), "{odd}");
        }
    }
}
