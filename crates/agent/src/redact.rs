//! Keeps the values of Secrets in the cluster: whatever text of others leaves it goes through here first.
//!
//! Only what is known can be taken out: see `docs/how-to/look-into-a-cluster.md` for what that leaves.

mod forms;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use forms::SHORTEST;

/// What stands in the place of a value.
pub(crate) const MARK: &str = "[redacted]";

/// The field in which Kubernetes has texts of anybody.
const MESSAGE: &str = "message";

/// Knows values, and takes them out of texts.
#[derive(Default)]
pub(crate) struct Redactor {
    /// By how they begin.
    known: HashMap<[u8; SHORTEST], Vec<String>>,
}

impl Redactor {
    pub(crate) fn of(values: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let forms: BTreeSet<_> = values.into_iter().flat_map(|v| forms::of(&v)).collect();
        let mut known: HashMap<_, Vec<_>> = HashMap::new();
        for form in forms {
            if let Some(beginning) = form.as_bytes().first_chunk::<SHORTEST>() {
                known.entry(*beginning).or_default().push(form);
            }
        }
        Self { known }
    }

    /// The text without any value that is known. Values that overlap go together.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut kept = String::new();
        let (mut from, mut until) = (0, 0);
        for at in 0..text.len() {
            let Some(length) = self.longest_at(&text.as_bytes()[at..]) else {
                continue;
            };
            if at > until || until == 0 {
                kept.push_str(&text[from..at]);
                kept.push_str(MARK);
            }
            until = until.max(at + length);
            from = until;
        }
        if until == 0 {
            return Cow::Borrowed(text);
        }
        kept.push_str(&text[from..]);
        Cow::Owned(kept)
    }

    /// Takes values out of the messages in an object, before anybody makes shorter words of them. What else it says are words
    /// of Kubernetes, by which it is judged.
    pub(crate) fn redact_messages(&self, object: &mut Value) {
        match object {
            Value::Array(items) => {
                for item in items {
                    self.redact_messages(item);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    match field {
                        Value::String(text) if name == MESSAGE => {
                            *text = self.redact(text).into_owned();
                        }
                        field => self.redact_messages(field),
                    }
                }
            }
            _ => {}
        }
    }

    fn longest_at(&self, text: &[u8]) -> Option<usize> {
        let known = self.known.get(text.first_chunk::<SHORTEST>()?)?;
        let here = known
            .iter()
            .filter(|form| text.starts_with(form.as_bytes()));
        here.map(String::len).max()
    }
}

/// What a Secret holds, as a manifest or the API server has it.
pub(crate) fn values(secret: &Map<String, Value>) -> Vec<Vec<u8>> {
    let entries = |field| {
        let field = secret.get(field).and_then(Value::as_object);
        field.into_iter().flat_map(Map::values)
    };
    let plain = entries("stringData").map(written);
    plain.chain(entries("data").map(decoded)).collect()
}

fn written(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

/// What is no base64 is no value that the API server would take; it stays in as it is.
fn decoded(value: &Value) -> Vec<u8> {
    let mut text = written(value);
    text.retain(|byte| !byte.is_ascii_whitespace());
    data_encoding::BASE64.decode(&text).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn redacted(values: &[&str], text: &str) -> String {
        let values = values.iter().map(|value| value.as_bytes().to_vec());
        Redactor::of(values).redact(text).into_owned()
    }

    #[test]
    fn values_are_taken_out_wherever_and_however_they_stand() {
        let basic = BASE64.encode(b"admin:hunter-two");
        let cases = [
            (
                "the password is hunter-two!".to_owned(),
                "the password is [redacted]!".to_owned(),
            ),
            ("hunter-twohunter-two".to_owned(), MARK.to_owned()),
            (
                "\u{e9}hunter-two\u{e9}".to_owned(),
                format!("\u{e9}{MARK}\u{e9}"),
            ),
            (
                "hunter-tw, hunter".to_owned(),
                "hunter-tw, hunter".to_owned(),
            ),
            (BASE64.encode(b"hunter-two"), format!("{MARK}==")),
            (
                format!("Authorization: Basic {basic}"),
                format!("Authorization: Basic {}{MARK}==", &basic[..8]),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(redacted(&["hunter-two"], &text), expected);
        }
        // What overlaps goes together.
        assert_eq!(
            redacted(&["abcdefgh", "fghijklm"], "-abcdefghijklm-"),
            "-[redacted]-"
        );
        let url = "postgres://a:p%40ss%2Fword@db/x";
        assert_eq!(
            redacted(&["p@ss/word"], url),
            "postgres://a:[redacted]@db/x"
        );
        let logged = r#"{"error": "bad \"quote\" here"}"#;
        assert_eq!(
            redacted(&["bad \"quote\" here"], logged),
            r#"{"error": "[redacted]"}"#
        );
    }

    #[test]
    fn what_is_short_blanks_nothing() {
        assert_eq!(
            redacted(&["a", "true", "", "5432\n"], "true at 5432"),
            "true at 5432"
        );
    }

    #[test]
    fn of_a_file_each_line_and_each_setting_is_a_value() {
        let key = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\nq83vEjRWeJCrze8=\n-----END KEY-----\n";
        // The beginning is cut off, as the end of a log is.
        assert_eq!(
            redacted(&[key], "AAKCAQEA\nq83vEjRWeJCrze8=\nok"),
            "AAKCAQEA\n[redacted]\nok"
        );
        let settings = "user: shop\npassword: \"hunter-two\"\n";
        assert_eq!(redacted(&[settings], "no hunter-two"), "no [redacted]");
        let docker = json!({"auths": {"r.io": {"username": "robot", "password": "hunter-two"}}});
        assert_eq!(
            redacted(&[&docker.to_string()], "no hunter-two"),
            "no [redacted]"
        );
    }

    #[test]
    fn values_are_those_that_the_api_server_would_keep() {
        let secret = json!({
            "kind": "Secret", "type": "Opaque",
            "stringData": {"a": "plain-text"},
            "data": {"b": "aHVudGVy\nLXR3bw==", "c": "no base64!"},
        });
        let values = values(secret.as_object().expect("an object"));
        let values: Vec<_> = values.iter().map(|v| String::from_utf8_lossy(v)).collect();
        assert_eq!(values, ["plain-text", "hunter-two", "nobase64!"]);
    }

    proptest! {
        /// In no text that is made of them and of anything else.
        #[test]
        fn no_value_leaves(
            values in prop::collection::vec("[a-cé\"/@]{6,12}", 1..5),
            parts in prop::collection::vec(("[a-cé\"/@ ]{0,8}", any::<prop::sample::Index>(), 0..4u8), 0..8),
        ) {
            let said = parts.iter().fold(String::new(), |said, (between, which, how)| {
                let value = which.get(&values);
                let value = match how {
                    0 => value.clone(),
                    1 => BASE64.encode(value.as_bytes()),
                    2 => BASE64.encode(format!("u:{value}").as_bytes()),
                    _ => serde_json::to_string(value).expect("JSON"),
                };
                said + between + &value
            });
            let redactor = Redactor::of(values.iter().map(|value| value.clone().into_bytes()));
            let told = redactor.redact(&said);
            for value in &values {
                let escaped = serde_json::to_string(value).expect("JSON");
                let escaped = escaped.trim_matches('"');
                let encoded = BASE64.encode(value.as_bytes());
                let basic = BASE64.encode(format!("u:{value}").as_bytes());
                let basic = &basic[3..(value.len() + 2) * 8 / 6];
                for form in [value.as_str(), escaped, encoded.trim_end_matches('='), basic] {
                    prop_assert!(!told.contains(form), "{form} in {told} of {said}");
                }
            }
            // Once is enough, and what holds nothing stays as it is.
            prop_assert_eq!(redactor.redact(&told), told.clone());
            let nothing = Redactor::default();
            prop_assert_eq!(nothing.redact(&said), said.as_str());
        }
    }
}
