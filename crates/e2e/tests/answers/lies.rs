//! What may come instead of a broker's answer.

use anyhow::{Context, Result};
use brokkr_core::Digest;
use brokkr_core::wire::{OnRemove, TargetRemoval, TargetStack, TargetState};
use brokkr_e2e::Lie;
use uuid::Uuid;

/// Every answer that is not the broker's own.
pub fn about(truth: &TargetState) -> Result<Vec<Lie>> {
    let mut lies = without_a_state(&serde_json::to_string(truth)?);
    for (name, state) in of_another_state(truth)? {
        let body = serde_json::to_string(&state)?;
        lies.push(Lie {
            name,
            body,
            ..ok("application/json")
        });
    }
    Ok(lies)
}

fn without_a_state(json: &str) -> Vec<Lie> {
    let (half, rest) = json.split_at(json.len() / 2);
    let like_a_state = |name, body: &str, withheld| Lie {
        name,
        body: body.to_owned(),
        withheld,
        ..ok("application/json")
    };
    let plain = |name, status| Lie {
        name,
        status,
        ..ok("text/plain")
    };
    vec![
        like_a_state("an empty body", "", 0),
        like_a_state("an empty object", "{}", 0),
        like_a_state("half of the state", half, 0),
        like_a_state("the state cut off", half, rest.len()),
        like_a_state("nothing of a long body", "", 1_000),
        html(),
        plain("no content", "204 No Content"),
        plain("moved", "302 Found"),
        refusal("no such key", "401 Unauthorized", "unauthenticated"),
        refusal("no right", "403 Forbidden", "forbidden"),
        refusal("no such thing", "404 Not Found", "not_found"),
        refusal("gone", "410 Gone", "agent_retired"),
        refusal("a defect", "500 Internal Server Error", "internal"),
        refusal("trouble", "503 Service Unavailable", "unavailable"),
    ]
}

/// The last one is accepted, so that the truth has to grow before it is heard again.
fn of_another_state(truth: &TargetState) -> Result<Vec<(&'static str, TargetState)>> {
    let stack = truth.stacks.first().context("a targeted stack")?;
    let removal = TargetRemoval {
        stack: stack.stack,
        name: stack.name.clone(),
        policy: OnRemove::Delete,
        allow_delete: Vec::new(),
        revision: truth.revision,
        approved: None,
        service_account: None,
        requires: Vec::new(),
    };
    let unknown = TargetStack {
        deployment_object: Uuid::from_u128(7).into(),
        sequence: stack.sequence + 1,
        digest: Digest::of(None, "something else"),
        ..stack.clone()
    };
    let with = |stacks: Vec<TargetStack>, removals: Vec<TargetRemoval>| TargetState {
        stacks,
        removals,
        ..truth.clone()
    };
    let removed = || with(Vec::new(), vec![removal.clone()]);
    Ok(vec![
        (
            "a removal of an older revision",
            TargetState {
                revision: truth.revision - 1,
                ..removed()
            },
        ),
        (
            "a removal of another epoch",
            TargetState {
                epoch: Uuid::from_u128(7).into(),
                revision: truth.revision + 1,
                ..removed()
            },
        ),
        ("content of another digest", with(vec![unknown], Vec::new())),
        ("no stacks", with(Vec::new(), Vec::new())),
        (
            "no stacks at a newer revision",
            TargetState {
                revision: truth.revision + 1,
                ..with(Vec::new(), Vec::new())
            },
        ),
    ])
}

fn ok(content_type: &'static str) -> Lie {
    Lie {
        name: "nothing",
        status: "200 OK",
        content_type,
        body: String::new(),
        withheld: 0,
    }
}

pub fn html() -> Lie {
    let body = "<!doctype html><title>Please sign in</title>".into();
    Lie {
        name: "a page of HTML",
        body,
        ..ok("text/html")
    }
}

fn refusal(name: &'static str, status: &'static str, code: &str) -> Lie {
    let number = &status[..3];
    let body = format!(
        r#"{{"type":"urn:brokkr:problem:{code}","title":"t","status":{number},"code":"{code}","detail":"d"}}"#
    );
    Lie {
        name,
        status,
        body,
        ..ok("application/problem+json")
    }
}
