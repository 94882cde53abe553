mod facts;
mod grammar;
mod measures;
mod model;
mod rules;
mod semantics;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

/// Reads what the test knows to be right.
fn read<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("it is right")
}

fn refusal<T: DeserializeOwned>(json: Value) -> String {
    match serde_json::from_value::<T>(json) {
        Ok(_) => "it was taken".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    read(
        pairs
            .iter()
            .copied()
            .map(|(k, v)| (k.to_owned(), json!(v)))
            .collect(),
    )
}

fn annotations(pairs: &[(&str, &str)]) -> Annotations {
    read(
        pairs
            .iter()
            .copied()
            .map(|(k, v)| (k.to_owned(), json!(v)))
            .collect(),
    )
}
