//! What of a log leaves the cluster: no value of a Secret, and not more than people read.

use super::super::teller::cut;
use crate::redact::Redactor;

/// Of one line, in bytes.
const LONGEST_LINE: usize = 4 * 1024;

/// The last lines of a log.
pub(super) struct Lines {
    pub lines: Vec<String>,
    /// Whether older ones are left out.
    pub are_cut: bool,
}

/// The lines of a log, as many of the last ones as there is room for in bytes of JSON. Values are taken out before anything is cut:
/// nobody would know what a part of one was of.
pub(super) fn lines(text: &str, room: usize, redactor: &Redactor) -> Lines {
    let redacted = redactor.redact(text);
    let mut left = room;
    let mut lines = Vec::new();
    for line in redacted.lines().rev() {
        let line = cut(line, LONGEST_LINE);
        let Some(rest) = left.checked_sub(bytes(&line)) else {
            break;
        };
        left = rest;
        lines.push(line);
    }
    lines.reverse();
    Lines {
        are_cut: lines.len() < redacted.lines().count(),
        lines,
    }
}

/// A text that was cut anywhere, without the line that was cut: half a value could stand there.
pub(super) fn without_rest(text: &str) -> &str {
    text.rfind('\n').map_or("", |end| &text[..end])
}

/// As it will stand in a list.
fn bytes(line: &str) -> usize {
    serde_json::to_vec(line).map_or(usize::MAX, |json| json.len() + 1)
}
