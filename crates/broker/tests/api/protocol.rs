//! What agents of past versions said is said again to the broker of today: see
//! `crates/core/tests/protocol/README.md`.

#[path = "../../../core/tests/protocol/recording.rs"]
mod recording;
mod stage;

use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::header::CONTENT_ENCODING;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::harness::*;
use recording::{Exchange, Recording, from_a_newer_version};
use stage::Stage;

on_both_engines!(
    every_recorded_answer_is_given,
    what_a_newer_agent_adds_is_ignored,
);

/// One file of a recording.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// For who reads it.
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    given: Circumstance,
    request: Said,
    answer: Heard,
}

#[derive(Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Circumstance {
    #[default]
    Usual,
    DatabaseAway,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    /// So many spaces stand before the body.
    #[serde(default)]
    padding: usize,
    /// So often; the last answer counts.
    #[serde(default = "once")]
    times: usize,
}

fn once() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Heard {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Option<Value>,
}

/// Who speaks.
#[derive(Clone, Copy)]
enum Agent {
    Recorded,
    Newer,
}

async fn every_recorded_answer_is_given(engine: Engine) {
    for recording in recording::all() {
        replay(&recording, Agent::Recorded, engine).await;
    }
}

async fn what_a_newer_agent_adds_is_ignored(engine: Engine) {
    for recording in recording::all() {
        replay(&recording, Agent::Newer, engine).await;
    }
}

async fn replay(recording: &Recording, agent: Agent, engine: Engine) {
    let mut stage = Stage::set(engine).await;
    let http = reqwest::Client::builder().no_proxy().no_zstd();
    let http = http.build().expect("a client");
    let mut failed = Vec::new();
    for exchange in &recording.exchanges {
        let given = Step::read(&exchange.recorded).given;
        if given == Circumstance::DatabaseAway {
            stage.take_database_away().await;
        }
        let missing = stage.hear(exchange, agent, &http).await;
        if !missing.is_empty() {
            failed.push(format!("{}: {missing:#?}", exchange.name));
        }
        if given == Circumstance::DatabaseAway {
            stage.give_database_back().await;
        }
    }
    assert!(
        failed.is_empty(),
        "{}: {}",
        recording.version,
        failed.join("\n")
    );
    let (met, recorded) = (&stage.values.0, &recording.values.0);
    assert!(
        met.keys().eq(recorded.keys()),
        "values.json lacks some of {met:#?}"
    );
    stage.end().await;
}

impl Step {
    fn read(recorded: &Value) -> Self {
        serde_json::from_value(recorded.clone()).expect("an exchange")
    }
}

impl Stage {
    /// Says what was recorded, and tells what of the recorded answer is missing in the one that comes.
    async fn hear(
        &mut self,
        exchange: &Exchange,
        agent: Agent,
        http: &reqwest::Client,
    ) -> Vec<String> {
        // The answer's own placeholders are what it brings.
        let recorded = Step::read(&exchange.recorded).answer;
        let said = Step::read(&self.values.fill(&exchange.recorded)).request;
        let mut given = self.say(&said, agent, http).await;
        for _ in 1..said.times {
            given = self.say(&said, agent, http).await;
        }
        let wanted = json!({"status": recorded.status, "headers": recorded.headers});
        let mut missing = self.values.missing(&wanted, &given, "");
        if let Some(body) = &recorded.body {
            missing.extend(self.values.missing(body, &given["body"], "/body"));
        }
        // An answer without a body says nothing of what was understood.
        if recorded.status == 204 {
            let reported = self.values.fill(&exchange.recorded["request"]["body"]);
            let seen = self.what_operators_see(&said.path, &reported).await;
            missing.extend(self.values.missing(&reported, &seen, "/seen"));
        }
        missing
    }

    async fn say(&self, said: &Said, agent: Agent, http: &reqwest::Client) -> Value {
        let is_protocol = said.path.starts_with("/api/v1/agent/");
        let is_newer = is_protocol && matches!(agent, Agent::Newer);
        let method: Method = said.method.parse().expect("a method");
        let mut request = http.request(method, format!("{}{}", self.server(), said.path));
        for (name, value) in &said.headers {
            request = request.header(name, value);
        }
        if is_newer {
            request = request.query(&[("newer", "1")]).header("brokkr-newer", "1");
        }
        if let Some(body) = &said.body {
            let body = if is_newer {
                from_a_newer_version(body)
            } else {
                body.clone()
            };
            request = request.body(format!("{}{body}", " ".repeat(said.padding)));
        }
        let answer = request.send().await.expect("an answer");
        let headers = answer.headers().iter().map(|(name, value)| {
            let value = value.to_str().expect("a text");
            (name.to_string(), Value::from(value))
        });
        let headers: serde_json::Map<_, _> = headers.collect();
        let status = answer.status().as_u16();
        let is_packed = answer.headers().contains_key(CONTENT_ENCODING);
        let mut body = answer.bytes().await.expect("a body").to_vec();
        if is_packed {
            body = zstd::decode_all(body.as_slice()).expect("zstd");
        }
        let text = String::from_utf8(body).expect("a text");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        json!({"status": status, "headers": headers, "body": body})
    }
}
