//! A broker that is wrong is told from one that is right.

use brokkr_client::{Fault, PlainHttp, Transport};
use brokkr_core::ambient::System;
use brokkr_core::pak::{Pak, Role};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use super::*;

/// Gives the same content, whatever it is asked for.
#[derive(Debug)]
struct Content(&'static str);

impl Transport for Content {
    fn carry(&self, _: reqwest::Request) -> BoxFuture<'_, Result<reqwest::Response, Fault>> {
        let answer = http::Response::new(self.0);
        async move { Ok(answer.into()) }.boxed()
    }
}

const STACK: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const HAS: &str = "the content";

fn state(revision: u64, stacks: &[(u64, &str)]) -> TargetState {
    let stacks: Vec<_> = stacks
        .iter()
        .map(|(sequence, content)| {
            json!({
                "stack": STACK, "name": "simulated", "deployment_object": STACK, "size": 1,
                "sequence": sequence, "digest": Digest::of(None, content), "create_namespace": false,
            })
        })
        .collect();
    let state = json!({
        "epoch": STACK, "revision": revision, "state_token": "t", "succeeds": [],
        "stacks": stacks, "removals": [],
    });
    serde_json::from_value(state).expect("a target state")
}

/// What an agent finds wrong with these states, one after the other.
async fn wrong_with(states: Vec<TargetState>) -> Vec<String> {
    let world = Arc::new(World {
        habits: Habits {
            wait: Duration::ZERO,
            interval: Duration::ZERO,
            apply_time: Duration::ZERO,
            failures: 0.0,
        },
        ledger: Ledger::default(),
        tally: Tally::default(),
        ambient: Box::new(System),
        work: TaskTracker::new(),
        stopping: CancellationToken::new(),
    });
    let published = Digest::of(None, HAS);
    world.ledger.announce(published, Instant::now(), 1, true);
    let key = Pak::generate(Role::Agent, &System);
    let client = Client::new("http://127.0.0.1:1", key, PlainHttp::LoopbackOnly)
        .expect("an address")
        .over(Arc::new(Content(HAS)));
    let stack = STACK.parse().expect("an id");
    let mut agent = Agent::new(&world, client.clone(), client, 7, Some(stack));
    for state in states {
        agent.take(state).await.expect("an answer");
    }
    world.stopping.cancel();
    world.tally.all_wrong().first
}

#[tokio::test]
async fn what_is_right_is_not_called_wrong() {
    let wrong = wrong_with(vec![
        state(1, &[(1, HAS)]),
        state(1, &[(1, HAS)]),
        state(5, &[(3, HAS)]),
    ]);
    assert_eq!(wrong.await, Vec::<String>::new());
}

#[tokio::test]
async fn each_kind_of_wrong_is_found() {
    for (states, told) in [
        (vec![state(1, &[(1, "another")])], "instead of sha256:"),
        (
            vec![state(1, &[(2, HAS)]), state(2, &[(1, HAS)])],
            "had sequence 2 of stack simulated and got 1",
        ),
        (
            vec![state(2, &[(1, HAS)]), state(1, &[(1, HAS)])],
            "was at revision 2 and got 1",
        ),
        (vec![state(1, &[])], "was not told to run"),
    ] {
        let wrong = wrong_with(states).await;
        assert!(
            matches!(&wrong[..], [one] if one.starts_with("agent 7") && one.contains(told)),
            "{told}: {wrong:?}"
        );
    }
}
