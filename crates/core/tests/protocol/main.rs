//! What agents and brokers of past versions said is read with the values that it had: see `README.md` beside this.

mod recording;

use brokkr_core::targeting::Facts;
use brokkr_core::wire::{
    ConfirmationReport, Confirmations, EventReport, Problem, StatusReport, TargetState,
};
use recording::{Exchange, Values, from_a_newer_version};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[test]
fn what_was_recorded_is_read_with_its_values() {
    let mut read = 0;
    each_body(|name, body, again| {
        let lost = Values::default().missing(body, &again(body), name);
        assert!(lost.is_empty(), "{lost:#?}");
        read += 1;
    });
    assert!(read >= 14, "{read} bodies");
}

#[test]
fn what_a_newer_version_adds_is_ignored() {
    each_body(|name, body, again| {
        assert_eq!(again(&from_a_newer_version(body)), again(body), "{name}");
    });
}

/// Calls with each JSON body of each recording, and with what reads it and says it again.
fn each_body(mut look: impl FnMut(&str, &Value, fn(&Value) -> Value)) {
    for recording in recording::all() {
        for exchange in &recording.exchanges {
            for side in ["request", "answer"] {
                let body = &exchange.recorded[side]["body"];
                // A body that was refused need not be readable.
                let is_worth_it = side == "answer" || !is_refused(exchange);
                if body.is_object() && is_worth_it {
                    let name = format!("{}/{} {side}", recording.version, exchange.name);
                    look(&name, &recording.values.fill(body), reader(exchange, side));
                }
            }
        }
    }
}

/// As what a body is read today.
fn reader(exchange: &Exchange, side: &str) -> fn(&Value) -> Value {
    let text = |of: &str, what: &str| exchange.recorded[of][what].as_str().unwrap_or_default();
    let path = text("request", "path").split('?').next();
    let path = path.and_then(|path| path.strip_prefix("/api/v1"));
    match (text("request", "method"), path, side) {
        (_, _, "answer") if is_refused(exchange) => again::<Problem>,
        ("GET", Some("/agent/target-state"), "answer") => again::<TargetState>,
        ("POST", Some("/agent/removals"), "request") => again::<ConfirmationReport>,
        ("POST", Some("/agent/removals"), "answer") => again::<Confirmations>,
        ("POST", Some("/agent/events"), "request") => again::<EventReport>,
        ("PUT", Some("/agent/status"), "request") => again::<StatusReport>,
        ("PUT", Some("/agent/facts"), "request") => again::<Facts>,
        other => panic!("{}: nothing reads {other:?}", exchange.name),
    }
}

fn is_refused(exchange: &Exchange) -> bool {
    exchange.recorded["answer"]["status"].as_u64() >= Some(400)
}

fn again<T: Serialize + DeserializeOwned>(body: &Value) -> Value {
    let read: T =
        serde_json::from_value(body.clone()).unwrap_or_else(|error| panic!("{error}: {body:#}"));
    serde_json::to_value(read).expect("what was read can be said")
}
