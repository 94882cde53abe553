//! A broker that says what a test puts into its mouth, also what no real one would.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use brokkr_core::ambient::System;
use brokkr_core::targeting::Facts;
use brokkr_core::wire::{
    AgentEvent, Confirmation, ConfirmationReport, EventReport, StackStatus, StatusReport,
    TargetAgent, TargetState,
};
use brokkr_core::{DeploymentObjectId, Epoch, StackId};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone)]
pub struct Broker {
    pub address: String,
    told: Arc<Mutex<Told>>,
}

/// What the broker says and was told.
pub struct Told {
    pub answer: Answer,
    pub contents: HashMap<DeploymentObjectId, String>,
    pub polls: usize,
    pub events: Vec<AgentEvent>,
    pub statuses: HashMap<StackId, StackStatus>,
    pub confirmed: Vec<Confirmation>,
    pub facts: Vec<Facts>,
    /// With which statuses it refuses facts, the first one last.
    pub refuses_facts: Vec<u16>,
}

/// The answer to a poll.
#[derive(Clone)]
pub enum Answer {
    State(TargetState),
    /// Status, kind of content, body.
    Raw(u16, &'static str, String),
}

pub fn state(epoch: Epoch, revision: u64) -> TargetState {
    TargetState {
        epoch,
        revision,
        state_token: format!("token-{revision}"),
        succeeds: Vec::new(),
        agent: TargetAgent::default(),
        stacks: Vec::new(),
        removals: Vec::new(),
        conditional_removals: Vec::new(),
        requests: Vec::new(),
    }
}

impl Broker {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let told = Told {
            answer: Answer::State(state(Epoch::generate(&System), 0)),
            contents: HashMap::new(),
            polls: 0,
            events: Vec::new(),
            statuses: HashMap::new(),
            confirmed: Vec::new(),
            facts: Vec::new(),
            refuses_facts: Vec::new(),
        };
        let broker = Self {
            address: format!("http://{address}"),
            told: Arc::new(Mutex::new(told)),
        };
        let served = broker.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let broker = served.clone();
                tokio::spawn(async move { broker.serve(stream).await });
            }
        });
        broker
    }

    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().expect("no test panicked with it")
    }

    pub fn answer(&self, state: TargetState) {
        self.told().answer = Answer::State(state);
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        let (head, body) = loop {
            match stream.read(&mut buffer).await {
                Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
                _ => return,
            }
            let text = String::from_utf8_lossy(&request);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = header(head, "content-length").map_or(0, |l| l.parse().expect("a length"));
            if body.len() >= length {
                break (head.to_owned(), body.to_owned());
            }
        };
        let (status, kind, etag, body) = self.reply(&head, &body);
        let length = body.len();
        let reply = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\netag: \"{etag}\"\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        let _ = stream.write_all(reply.as_bytes()).await;
    }

    fn reply(&self, head: &str, body: &str) -> (u16, &'static str, String, String) {
        let mut told = self.told();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let ok = |body: String| (200, "application/json", String::new(), body);
        if path.contains("/agent/target-state") {
            told.polls += 1;
            return match told.answer.clone() {
                Answer::State(state) => {
                    let body = serde_json::to_string(&state).expect("JSON");
                    let etag = format!(
                        "{:x}",
                        body.len() * 31 + body.bytes().map(usize::from).sum::<usize>()
                    );
                    let known = header(head, "if-none-match").unwrap_or_default();
                    let status = if known == format!("\"{etag}\"") {
                        304
                    } else {
                        200
                    };
                    let body = if status == 304 { String::new() } else { body };
                    (status, "application/json", etag, body)
                }
                Answer::Raw(status, kind, body) => (status, kind, "raw".to_owned(), body),
            };
        }
        if path.contains("/agent/facts") {
            told.facts.push(serde_json::from_str(body).expect("facts"));
            let Some(status) = told.refuses_facts.pop() else {
                return (204, "application/json", String::new(), String::new());
            };
            let problem = json!({
                "type": "urn:brokkr:problem:not_found", "title": "", "status": status,
                "code": if status == 404 { "not_found" } else { "internal" }, "detail": "no",
            });
            let body = problem.to_string();
            return (status, "application/problem+json", String::new(), body);
        }
        if path.contains("/agent/session") {
            // As a broker of version 0.1.0 answers.
            let problem = json!({
                "type": "urn:brokkr:problem:not_found", "title": "", "status": 404,
                "code": "not_found", "detail": "no",
            });
            let body = problem.to_string();
            return (404, "application/problem+json", String::new(), body);
        }
        if path.contains("/agent/events") {
            let report: EventReport = serde_json::from_str(body).expect("events");
            told.events.extend(report.events);
        } else if path.contains("/agent/status") {
            let report: StatusReport = serde_json::from_str(body).expect("statuses");
            told.statuses
                .extend(report.stacks.into_iter().map(|s| (s.stack, s)));
        } else if path.contains("/agent/removals") {
            let report: ConfirmationReport = serde_json::from_str(body).expect("confirmations");
            told.confirmed.extend(report.removals.clone());
            let answers = report.removals.iter().map(|removal| {
                json!({"stack": removal.stack, "revision": removal.revision, "result": "closed"})
            });
            let answers: Vec<_> = answers.collect();
            return ok(json!({"removals": answers}).to_string());
        } else if let Some(id) = path.split('/').rev().nth(1) {
            let content = id
                .parse()
                .ok()
                .and_then(|id| told.contents.get(&id).cloned());
            return content.map_or((500, "text/html", String::new(), "<html>".to_owned()), ok);
        }
        (204, "application/json", String::new(), String::new())
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}
