//! How a value may read in what is written by programs that were given it.

use std::fmt::Write as _;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use serde_json::Value;

/// What is shorter, in bytes, is no secret that would stay one, and stands in every other line.
pub(super) const SHORTEST: usize = 6;
/// Nobody writes what is longer, in bytes, as anything else than it is.
const LONGEST_ENCODED: usize = 4 * 1024;

/// The texts in which a value could be read.
pub(super) fn of(value: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    match str::from_utf8(value) {
        Ok(text) => {
            for part in parts(text) {
                let part = part.trim();
                if part.len() <= LONGEST_ENCODED {
                    forms.extend(encoded(part.as_bytes()));
                    forms.push(escaped(part));
                    forms.push(in_url(part));
                }
                forms.push(part.to_owned());
            }
        }
        Err(_) if value.len() <= LONGEST_ENCODED => forms.extend(encoded(value)),
        // Of what is no text only the whole could be told, in the one form that a Secret has it.
        Err(_) => forms.push(BASE64_NOPAD.encode(value)),
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// A value, the texts in it if it is JSON, and its lines if it is a file, whose settings are values too.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![text.to_owned()];
    if let Ok(json @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
        leaves(&json, &mut parts);
    }
    if text.trim().contains('\n') {
        for line in text.lines() {
            parts.push(line.to_owned());
            if let Some((_, setting)) = line.split_once(['=', ':']) {
                let setting = setting.trim().trim_matches(['"', '\'']);
                parts.push(setting.to_owned());
            }
        }
    }
    parts
}

fn leaves(json: &Value, found: &mut Vec<String>) {
    match json {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => {
            for item in items {
                leaves(item, found);
            }
        }
        Value::Object(fields) => {
            for field in fields.values() {
                leaves(field, found);
            }
        }
        _ => {}
    }
}

/// As it reads in base64, also where other bytes stand before it, as in a header of basic authentication.
fn encoded(value: &[u8]) -> Vec<String> {
    let mut forms = vec![BASE64_NOPAD.encode(value), BASE64URL_NOPAD.encode(value)];
    // Of so many bytes before it, the first characters of the encoding tell something.
    for (before, foreign) in [(0, 0), (1, 2), (2, 3)] {
        let bytes = [&[0; 2][..before], value].concat();
        // The last character may tell of what follows.
        let own = bytes.len() * 8 / 6;
        for encoding in [BASE64_NOPAD, BASE64URL_NOPAD] {
            let text = encoding.encode(&bytes);
            forms.extend(text.get(foreign..own).map(str::to_owned));
        }
    }
    forms
}

/// As it reads in JSON, which many programs log.
fn escaped(text: &str) -> String {
    let json = Value::from(text).to_string();
    json[1..json.len() - 1].to_owned()
}

/// As it reads in the address of a database.
fn in_url(text: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}
