//! Texts of others, before a terminal sees them: agents and generators write reasons, messages and names, and a
//! terminal obeys what it is sent.

use std::fmt::Write as _;

/// A text on one line that cannot steer the reader's terminal.
pub fn printable(text: &str) -> String {
    text.replace(steers, " ")
}

/// The same for a text of our own lines.
pub fn printable_lines(text: &str) -> String {
    text.replace(|c| c != '\n' && steers(c), " ")
}

/// JSON that says the same without what steers a terminal: outside of texts there is none of it but the line's end.
pub(super) fn json(data: &str) -> String {
    escaped(data, steers)
}

/// The same for YAML, whose texts stand in double quotes if they hold a control character other than a tab.
pub(super) fn yaml(data: &str) -> String {
    escaped(data, |c| c != '\t' && c.is_control())
}

fn escaped(data: &str, is_in_the_way: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(data.len());
    for c in data.chars() {
        if c != '\n' && is_in_the_way(c) {
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text
}

/// Control characters (also the second set, which some terminals obey), other line ends, and what turns the
/// direction of writing so that a text reads as another.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
