use std::collections::HashSet;
use std::path::Path;

use serde_saphyr::UserMessageFormatter;

use super::Environment;

/// A larger configuration is none.
const MAX_BYTES: usize = 1024 * 1024;

/// The agent's configuration must not be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{file}{place}: {reason}")]
pub struct ConfigurationError {
    file: String,
    /// Line and column, if it is about a place.
    place: String,
    reason: String,
}

impl Environment {
    /// Reads an agent's configuration file.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(file: &Path) -> Result<Self, ConfigurationError> {
        let wrong = |place: Option<(u64, u64)>, reason: String| ConfigurationError {
            file: file.display().to_string(),
            place: place.map_or_else(String::new, |(line, column)| format!(":{line}:{column}")),
            reason,
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| wrong(None, format!("the configuration cannot be read: {error}")))?;
        Self::parse(&text).map_err(|(place, reason)| wrong(place, reason))
    }

    /// Reads a configuration; or says where what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, (Option<(u64, u64)>, String)> {
        if text.len() > MAX_BYTES {
            let reason = format!("the configuration has more than {MAX_BYTES} bytes");
            return Err((None, reason));
        }
        let options = serde_saphyr::options! { with_snippet: false, emit_comments: false };
        let read: Option<Self> =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| {
                let place = error.location().map(|at| (at.line(), at.column()));
                let mut reason = error.render_with_formatter(&UserMessageFormatter);
                // The parser repeats the place at the end of its message; ours stands in front.
                if let Some(at) = reason.rfind(" at line ") {
                    reason.truncate(at);
                }
                (place, reason)
            })?;
        let environment = read.unwrap_or_default();
        let mut names = HashSet::new();
        for rule in &environment.rules {
            if !names.insert(rule.name.value.as_str()) {
                let place = (rule.name.referenced.line(), rule.name.referenced.column());
                let reason = format!(
                    "two rules are called {}: rename one of them",
                    rule.name.value
                );
                return Err((Some(place), reason));
            }
        }
        Ok(environment)
    }
}
