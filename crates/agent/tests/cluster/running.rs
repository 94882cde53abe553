use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_agent::reconcile::Ending;
use brokkr_agent::{Monitor, Settings};
use brokkr_client::{Client, PlainHttp};
use brokkr_core::Epoch;
use brokkr_core::ambient::{Ambient, System};
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::{
    Action, Health, LossCause, OnRemove, Outcome, Sync, TargetRemoval, TargetStack, TargetState,
};
use kube::api::DeleteParams;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bed::{Bed, config_map, yes};
use crate::broker::{Answer, Broker, state};
use crate::kinds::{definition, widget};

/// A whole agent beside a bed.
pub struct Agent {
    pub monitor: Arc<Monitor>,
    task: JoinHandle<Result<(), brokkr_agent::Error>>,
    shutdown: CancellationToken,
}

impl Agent {
    /// An agent that looks for itself again and again.
    fn start(bed: &Bed, broker: &Broker) -> Self {
        Self::comparing(Duration::from_millis(300), &bed.client, bed, broker)
    }

    /// An agent that compares a stack with the cluster this often, and has a client of its own.
    pub fn comparing(resync: Duration, client: &kube::Client, bed: &Bed, broker: &Broker) -> Self {
        Self::with(resync, Arc::new(System), client, bed, broker)
    }

    /// An agent that has a clock of its own.
    pub fn by_clock(clock: Arc<dyn Ambient>, bed: &Bed, broker: &Broker) -> Self {
        Self::with(Duration::from_hours(1), clock, &bed.client, bed, broker)
    }

    fn with(
        resync: Duration,
        ambient: Arc<dyn Ambient>,
        client: &kube::Client,
        bed: &Bed,
        broker: &Broker,
    ) -> Self {
        let settings = Settings {
            namespace: bed.records_namespace().to_owned(),
            lease: Duration::from_secs(3),
            interval: Duration::from_millis(50),
            wait: Duration::ZERO,
            resync,
            ..Settings::default()
        };
        let monitor = settings.monitor.clone();
        let pak = Pak::generate(Role::Agent, &System);
        let to_broker =
            Client::new(&broker.address, pak, PlainHttp::LoopbackOnly).expect("a client");
        let shutdown = CancellationToken::new();
        let run = brokkr_agent::run(
            settings,
            to_broker,
            client.clone(),
            ambient,
            shutdown.clone(),
        );
        Self {
            monitor,
            task: tokio::spawn(run),
            shutdown,
        }
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(11), self.task).await;
        ended
            .expect("in time")
            .expect("no panic")
            .expect("no error");
    }
}

pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Lets the agent poll a number of times.
pub async fn polls(broker: &Broker, count: usize) {
    let from = broker.told().polls;
    until("polls", async || broker.told().polls >= from + count).await;
}

pub fn publish(bed: &mut Bed, broker: &Broker, text: &str) -> TargetStack {
    let entry = bed.entry(text);
    let id = entry.deployment_object;
    broker.told().contents.insert(id, text.to_owned());
    entry
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_stack_comes_stays_and_goes() {
    let mut bed = Bed::new().await;
    let broker = Broker::start().await;
    let epoch = Epoch::generate(&System);
    let entry = publish(&mut bed, &broker, &config_map("a", "1"));
    let wanted = TargetState {
        stacks: vec![entry.clone()],
        ..state(epoch, 1)
    };
    broker.answer(wanted);
    let agent = Agent::start(&bed, &broker);
    until("synced", async || {
        let told = broker.told();
        let status = told.statuses.get(&entry.stack);
        status.is_some_and(|s| {
            s.sync == Sync::Synced && s.applied == Some(1) && s.health == Health::Current
        })
    })
    .await;
    let before = bed.config_maps().get("a").await.expect("a");
    polls(&broker, 10).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(bed.config_maps().get("a").await.expect("a"), before);
    assert_eq!(broker.told().events.len(), 1, "{:?}", broker.told().events);
    // An edit is repaired at the next look, and told.
    bed.config_maps()
        .delete("a", &DeleteParams::default())
        .await
        .expect("deleted");
    until("repaired", async || broker.told().events.len() == 2).await;
    // A state without the stack is no removal.
    broker.answer(state(epoch, 2));
    polls(&broker, 10).await;
    assert_eq!(bed.names().await, ["a"]);
    let removal = bed.removal(OnRemove::Delete, &[]);
    broker.answer(TargetState {
        removals: vec![removal.clone()],
        ..state(epoch, 3)
    });
    until("confirmed", async || !broker.told().confirmed.is_empty()).await;
    assert!(bed.names().await.is_empty());
    let last = broker.told().events.last().cloned().expect("an event");
    assert_eq!(
        (last.action, last.outcome),
        (Action::Remove, Outcome::Succeeded)
    );
    let confirmed = broker.told().confirmed.clone();
    assert_eq!(
        (confirmed[0].stack, confirmed[0].revision),
        (removal.stack, removal.revision)
    );
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn whatever_the_broker_answers_nothing_is_deleted_or_taken_back() {
    let mut bed = Bed::new().await;
    let broker = Broker::start().await;
    let epoch = Epoch::generate(&System);
    let old = publish(&mut bed, &broker, &config_map("a", "old"));
    let new = publish(&mut bed, &broker, &config_map("a", "new"));
    let with = |entry: &TargetStack, epoch, revision| TargetState {
        stacks: vec![entry.clone()],
        ..state(epoch, revision)
    };
    let going = |epoch, revision| TargetState {
        removals: vec![bed.removal(OnRemove::Delete, &[])],
        ..state(epoch, revision)
    };
    broker.answer(with(&new, epoch, 7));
    let mut agent = Agent::start(&bed, &broker);
    until("applied", async || broker.told().events.len() == 1).await;
    let other = Epoch::generate(&System);
    let problem = |status: u16, code: &str| {
        let body = format!(
            r#"{{"type":"x","title":"x","status":{status},"code":"{code}","detail":"no"}}"#
        );
        Answer::Raw(status, "application/problem+json", body)
    };
    let answers = [
        problem(401, "unauthenticated"),
        problem(403, "forbidden"),
        problem(404, "not_found"),
        problem(503, "unavailable"),
        Answer::Raw(200, "text/html", "<html>Sign in</html>".into()),
        Answer::Raw(200, "application/json", "{}".into()),
        Answer::Raw(200, "application/json", "{\"epoch\":".into()),
        Answer::State(state(epoch, 6)),
        Answer::State(with(&old, epoch, 6)),
        Answer::State(going(epoch, 6)),
        Answer::State(going(other, 99)),
        Answer::State(with(&old, other, 99)),
    ];
    for answer in answers {
        broker.told().answer = answer;
        // A restarted agent knows what was accepted, and waits between errors from the beginning.
        agent.stop().await;
        agent = Agent::start(&bed, &broker);
        polls(&broker, 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let a = bed.config_maps().get("a").await.expect("a");
        assert_eq!(a.data.expect("data")["a"], "new");
    }
    // An operator accepted the new history.
    broker.answer(TargetState {
        succeeds: vec![epoch],
        ..with(&old, other, 99)
    });
    until("accepted", async || {
        let a = bed.config_maps().get("a").await.expect("a");
        a.data.expect("data")["a"] == "old"
    })
    .await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_broken_stack_delays_no_other_and_a_failure_is_one_event() {
    let mut bed = Bed::new().await;
    let mut other = bed.neighbour();
    let broker = Broker::start().await;
    let mut wrong = publish(&mut bed, &broker, &config_map("a", "1"));
    wrong.digest = brokkr_core::Digest::of(None, "something else");
    let good = publish(&mut other, &broker, &config_map("b", "1"));
    broker.answer(TargetState {
        stacks: vec![wrong.clone(), good.clone()],
        ..state(Epoch::generate(&System), 1)
    });
    let agent = Agent::start(&bed, &broker);
    until("the other is applied", async || bed.names().await == ["b"]).await;
    until("it failed three times", async || {
        let told = broker.told();
        told.events
            .iter()
            .any(|e| e.stack == wrong.stack && e.count >= 3)
    })
    .await;
    let told = broker.told().events.clone();
    let mut ids: Vec<_> = told
        .iter()
        .filter(|e| e.stack == wrong.stack)
        .map(|e| e.id)
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(broker.told().statuses[&wrong.stack].sync, Sync::Failed);
    assert_eq!(bed.names().await, ["b"]);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_held_removal_is_told_once_and_confirmed_when_it_is_approved() {
    let (mut bed, broker) = (Bed::new().await, Broker::start().await);
    let epoch = Epoch::generate(&System);
    let text: String = (0..6).map(|i| config_map(&format!("c{i}"), "1")).collect();
    let entry = publish(&mut bed, &broker, &text);
    broker.answer(TargetState {
        stacks: vec![entry.clone()],
        ..state(epoch, 1)
    });
    let agent = Agent::start(&bed, &broker);
    until("applied", async || broker.told().events.len() == 1).await;
    let mut removal = bed.removal(OnRemove::Delete, &[]);
    let going = |removal: &TargetRemoval, revision| TargetState {
        removals: vec![removal.clone()],
        ..state(epoch, revision)
    };
    broker.answer(going(&removal, 2));
    let status = async || broker.told().statuses.get(&entry.stack).cloned();
    until("held", async || {
        status().await.is_some_and(|status| status.held.is_some())
    })
    .await;
    let told = status().await.expect("a status");
    let held = told.held.expect("a loss");
    assert_eq!(told.sync, Sync::Held);
    assert_eq!(held.cause, LossCause::Removal(removal.revision));
    assert_eq!((held.objects.len(), held.owned), (6, 6));
    // It is tried again and again, and nothing new is to be told.
    polls(&broker, 30).await;
    let events = broker.told().events.clone();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!((events[1].outcome, events[1].count), (Outcome::Held, 1));
    assert_eq!(bed.names().await.len(), 6);
    assert!(broker.told().confirmed.is_empty());
    removal.approved = Some(yes());
    broker.answer(going(&removal, 3));
    until("confirmed", async || !broker.told().confirmed.is_empty()).await;
    assert!(bed.names().await.is_empty());
    assert_eq!(status().await.and_then(|status| status.held), None);
    agent.stop().await;
}

#[tokio::test]
#[ignore = "needs a cluster: make test"]
async fn what_the_cluster_is_is_told_until_it_is_taken_and_then_no_more() {
    let (bed, broker) = (Bed::new().await, Broker::start().await);
    // In trouble at first, then too old to know the question.
    broker.told().refuses_facts = vec![404, 500];
    let agent = Agent::start(&bed, &broker);
    polls(&broker, 10).await;
    assert!(broker.told().facts.len() < 3, "nobody waits for it");

    until("it is taken", async || broker.told().facts.len() == 3).await;
    polls(&broker, 20).await;

    let told = broker.told().facts.clone();
    assert_eq!(told.len(), 3, "it has not changed since");
    assert!(told[2].kinds.contains("apps/Deployment") && told[2].kubernetes_version.is_some());
    agent.stop().await;
}

/// RELIABILITY F27: a definition that somebody else brings, long after it was wanted.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_kind_that_comes_later_is_found_before_the_next_retry() {
    let (mut bed, broker) = (Bed::new().await, Broker::start().await);
    let group = format!("{}.example.io", bed.namespace);
    let entry = publish(&mut bed, &broker, &widget(&group, "size"));
    broker.answer(TargetState {
        stacks: vec![entry.clone()],
        ..state(Epoch::generate(&System), 1)
    });
    let agent = Agent::start(&bed, &broker);
    // The fifth attempt comes 8 to 16 seconds after the fourth.
    until("four attempts", async || {
        let told = broker.told();
        told.events.iter().any(|event| event.count >= 4)
    })
    .await;
    let events: BTreeSet<_> = broker.told().events.iter().map(|event| event.id).collect();
    assert_eq!(events.len(), 1, "one failure that counts");
    // By another agent's hands, which is how a person's look to this one.
    let mut somebody = Bed::new().await;
    let brought = somebody.apply(&definition(&group, "size")).await;
    assert_eq!(brought.ending, Ending::Done, "{brought:?}");
    let established = Instant::now();
    until("synced", async || {
        let told = broker.told();
        let status = told.statuses.get(&entry.stack);
        status.is_some_and(|status| status.sync == Sync::Synced)
    })
    .await;
    assert!(established.elapsed() < Duration::from_secs(5));
    agent.stop().await;
}
