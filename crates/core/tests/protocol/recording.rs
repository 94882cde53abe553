//! What was recorded: an exchange a file, with a placeholder such as `{shop}` for what is another in each history.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/tests/protocol");

/// The conversation of one version.
pub struct Recording {
    pub version: String,
    /// What stood for the placeholders when it was recorded.
    pub values: Values,
    /// In the order in which they happened.
    pub exchanges: Vec<Exchange>,
}

/// A request and its answer.
pub struct Exchange {
    pub name: String,
    pub recorded: Value,
}

/// What stands for the placeholders.
#[derive(Clone, Default)]
pub struct Values(pub BTreeMap<String, Value>);

/// All recordings, the oldest first.
pub fn all() -> Vec<Recording> {
    let folders = names(Path::new(FOLDER)).into_iter();
    let recordings: Vec<_> = folders
        .filter(|name| name.starts_with('v'))
        .map(|version| Recording::read(&version))
        .collect();
    assert!(!recordings.is_empty(), "nothing is recorded in {FOLDER}");
    recordings
}

impl Recording {
    fn read(version: &str) -> Self {
        let folder = Path::new(FOLDER).join(version);
        let mut values = Values::default();
        let mut exchanges = Vec::new();
        for name in names(&folder) {
            let text = std::fs::read_to_string(folder.join(&name)).expect("a file");
            let recorded: Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            if name == "values.json" {
                values = Values(serde_json::from_value(recorded).expect("values"));
            } else {
                exchanges.push(Exchange { name, recorded });
            }
        }
        Self {
            version: version.to_owned(),
            values,
            exchanges,
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().expect("a name"))
        .collect();
    names.sort();
    names
}

impl Values {
    pub fn set(&mut self, placeholder: &str, value: impl Into<Value>) {
        self.0.insert(placeholder.to_owned(), value.into());
    }

    /// What was recorded, with the values in it.
    pub fn fill(&self, recorded: &Value) -> Value {
        match recorded {
            Value::String(text) => match placeholder(text) {
                Some(name) => self.0.get(name).unwrap_or(recorded).clone(),
                None => Value::String(self.fill_text(text)),
            },
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(fields) => {
                let filled = fields
                    .iter()
                    .map(|(key, value)| (key.clone(), self.fill(value)));
                Value::Object(filled.collect())
            }
            other => other.clone(),
        }
    }

    fn fill_text(&self, text: &str) -> String {
        let texts = self
            .0
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_str()?)));
        texts.fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), value)
        })
    }

    /// What of the recorded is not in what is given now. More may be given. A placeholder that is met for the
    /// first time takes what is given.
    pub fn missing(&mut self, recorded: &Value, given: &Value, at: &str) -> Vec<String> {
        if let Some(name) = recorded.as_str().and_then(placeholder)
            && !self.0.contains_key(name)
        {
            if given.is_null() {
                return vec![format!("{at}: nothing")];
            }
            self.set(name, given.clone());
        }
        match (recorded, given) {
            (Value::Object(recorded), Value::Object(given)) => {
                let fields = recorded.iter().flat_map(|(key, value)| {
                    let given = given.get(key).unwrap_or(&Value::Null);
                    self.missing(value, given, &format!("{at}/{key}"))
                });
                fields.collect()
            }
            (Value::Array(recorded), Value::Array(given)) if recorded.len() == given.len() => {
                let items = recorded.iter().zip(given).enumerate();
                let items = items.flat_map(|(index, (recorded, given))| {
                    self.missing(recorded, given, &format!("{at}/{index}"))
                });
                items.collect()
            }
            _ => {
                let wanted = self.fill(recorded);
                if wanted == *given {
                    return Vec::new();
                }
                vec![format!("{at}: {given} instead of {wanted}")]
            }
        }
    }
}

fn placeholder(text: &str) -> Option<&str> {
    let name = text.strip_prefix('{')?.strip_suffix('}')?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    is_name.then_some(name)
}

/// As a later version may say it: every object has fields that nobody knows today.
pub fn from_a_newer_version(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(from_a_newer_version).collect(),
        Value::Object(fields) => {
            let known = fields
                .iter()
                .map(|(key, value)| (key.clone(), from_a_newer_version(value)));
            let mut fields: Map<_, _> = known.collect();
            fields.insert("newer_text".to_owned(), "unknown".into());
            fields.insert(
                "newer_object".to_owned(),
                serde_json::json!({"list": [1, null]}),
            );
            Value::Object(fields)
        }
        other => other.clone(),
    }
}
