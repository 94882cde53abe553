//! Target state is a function of the history of accepted changes: random histories run through the broker
//! and through a naive model, and every agent's answer is compared after every step.

mod expected;
mod keys;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use brokkr_client::{Client, Poll};
use brokkr_core::ambient::{Ambient, System};
use brokkr_core::pak::Pak;
use brokkr_core::targeting::Facts;
use brokkr_core::wire::{
    Action, AgentEvent, Code, Confirmation, CreateAgentTarget, CreateStack, Health, Outcome,
    StackStatus, Sync, TargetState,
};
use brokkr_core::{EventId, StackId};
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::harness::*;
use expected::Expected;
use keys::Keys;
use step::*;

struct World {
    database: Database,
    replicas: Vec<TestBroker>,
    admin: Pak,
    generator: Pak,
    /// The key that each agent polls with.
    agents: Vec<Pak>,
    keys: Vec<Keys>,
    /// What may be so: after two steps that met, either may have been the first.
    expected: Vec<Expected>,
    /// The last answer that each agent had: tag and revision.
    seen: Vec<(String, TargetState)>,
}

impl World {
    async fn new(engine: Engine, replicas: usize) -> Self {
        let database = Database::create(engine).await;
        let mut started = vec![database.start().await];
        for _ in 1..replicas {
            started.push(database.start().await);
        }
        let admin = database.admin_key();
        let generator = create_generator(&started[0].client(&admin), "ci").await;
        let mut agents = Vec::new();
        for agent in AGENTS {
            agents.push(create_agent(&started[0].client(&admin), agent).await);
        }
        Self {
            database,
            replicas: started,
            admin,
            generator,
            keys: agents.iter().cloned().map(Keys::of).collect(),
            agents,
            expected: vec![Expected::default()],
            seen: Vec::new(),
        }
    }

    /// Steps go to the replicas in turn.
    fn client(&self, turn: usize) -> Client {
        self.replicas[turn % self.replicas.len()].client(&self.admin)
    }

    async fn take(&mut self, turn: usize, step: &Step) {
        match step {
            Step::Create(stack) => self.create(turn, *stack).await,
            Step::Publish(stack, value) => self.publish(turn, *stack, *value).await,
            Step::Confirm(agent) => self.confirm(turn, *agent).await,
            Step::Complain(agent) => self.complain(turn, *agent).await,
            Step::Restart(replica) => self.restart(*replica).await,
            Step::Gap => self.gap().await,
            Step::Key(agent, step) => {
                let client = self.client(turn);
                let here = &self.replicas[turn % self.replicas.len()];
                let keys = &mut self.keys[*agent];
                keys.take(*step, &client, here, AGENTS[*agent]).await;
                keys.check(&self.replicas).await;
                self.agents[*agent] = keys.in_use();
            }
            Step::Both(one, other) => {
                tokio::join!(self.change(turn, one), self.change(turn + 1, other));
                let before = std::mem::take(&mut self.expected);
                for (first, second) in [(one, other), (other, one)] {
                    for mut expected in before.clone() {
                        expected.take(first);
                        expected.take(second);
                        self.expected.push(expected);
                    }
                }
            }
            step => {
                self.change(turn, step).await;
                for expected in &mut self.expected {
                    expected.take(step);
                }
            }
        }
    }

    fn has(&self, stack: usize) -> bool {
        self.expected[0].stacks.contains_key(&stack)
    }

    async fn create(&mut self, turn: usize, stack: usize) {
        let replica = &self.replicas[turn % self.replicas.len()];
        let key = if stack < FIRST_OF_GENERATOR {
            &self.admin
        } else {
            &self.generator
        };
        let own = STACKS[stack].trim_start_matches("ci:");
        let create = CreateStack::named(own.parse().expect("a name"));
        let created = replica.client(key).create_stack(&create).await;
        assert_eq!(created.is_err(), self.has(stack));
        if let Ok(created) = created {
            for expected in &mut self.expected {
                expected.create(stack, created.id);
            }
        }
    }

    async fn publish(&mut self, turn: usize, stack: usize, value: u8) {
        let client = self.client(turn);
        if !self.has(stack) {
            return;
        }
        let published = publish(&client, STACKS[stack], config_map("a", &value.to_string())).await;
        for expected in &mut self.expected {
            let row = expected.stacks.get_mut(&stack).expect("a stack");
            assert_eq!(published.unchanged, row.content == Some(value));
            row.sequence += u64::from(!published.unchanged);
            row.content = Some(value);
            assert_eq!(published.deployment_object.sequence, row.sequence);
        }
    }

    /// Sends a step of targeting.
    async fn change(&self, turn: usize, step: &Step) {
        let client = self.client(turn);
        match *step {
            Step::Target(agent, stack) if self.has(stack) => {
                let create = CreateAgentTarget {
                    agent: name(AGENTS[agent]),
                    stack: name(STACKS[stack]),
                };
                let outcome = client.create_agent_target(&create).await;
                assert!(
                    self.expected
                        .iter()
                        .any(|expected| expected.is_barred(agent, stack) == outcome.is_err()),
                    "{outcome:?}"
                );
            }
            Step::Untarget(agent, stack) if self.has(stack) => {
                let (stack, agent) = (name(STACKS[stack]), name(AGENTS[agent]));
                let found = client.agent_targets(Some(&stack), Some(&agent)).await;
                for target in found.expect("targets") {
                    let outcome = client.delete_agent_target(target.id, None, &[]).await;
                    let ruled = !target.direct;
                    assert_eq!(
                        outcome.err().and_then(|error| error.code()),
                        ruled.then_some(Code::InUse)
                    );
                }
            }
            Step::Delete(stack) if self.has(stack) => {
                let deleted = client.delete_stack(&name(STACKS[stack]), None, &[]).await;
                deleted.expect("deleted");
            }
            Step::Undelete(stack) => {
                let there = self.expected[0].stacks.get(&stack);
                if there.is_some() {
                    let deleted = client.delete_stack(&name(STACKS[stack]), None, &[]).await;
                    deleted.expect("deleted");
                }
                let gone = self.expected[0].deleted.get(&stack).map(|(row, _)| row);
                if let Some(row) = there.or(gone) {
                    client.undelete_stack(row.id).await.expect("back");
                }
            }
            Step::Agent(agent, traits) => {
                let patch = serde_json::from_value(traits.patch()).expect("a patch");
                client
                    .patch_agent(&name(AGENTS[agent]), &patch)
                    .await
                    .expect("patched");
            }
            Step::Facts(agent, version) => {
                let facts = Facts {
                    kubernetes_version: Some(format!("v1.{version}.0")),
                    ..Facts::default()
                };
                let replica = &self.replicas[turn % self.replicas.len()];
                let agent = replica.client(&self.agents[agent]);
                agent.report_facts(&facts).await.expect("reported");
            }
            Step::Stack(stack, traits) if self.has(stack) => {
                let patch = serde_json::from_value(traits.patch()).expect("a patch");
                client
                    .patch_stack(&name(STACKS[stack]), &patch)
                    .await
                    .expect("patched");
            }
            Step::Targeting(stack, rules, exclude) if self.has(stack) => {
                let targeting = json!({"rules": chosen(&RULES, rules), "exclude": chosen(&EXCLUSIONS, exclude)});
                let patch = serde_json::from_value(json!({"targeting": targeting}));
                let patched = client
                    .patch_stack(&name(STACKS[stack]), &patch.expect("a patch"))
                    .await;
                patched.expect("patched");
            }
            Step::Scope(scope) => {
                let scope: serde_json::Value =
                    serde_json::from_str(SCOPES[scope].json).expect("JSON");
                let patch = serde_json::from_value(json!({"scope": scope})).expect("a patch");
                client
                    .patch_generator(&name("ci"), &patch)
                    .await
                    .expect("patched");
            }
            _ => {}
        }
    }

    async fn confirm(&mut self, turn: usize, agent: usize) {
        let Some((_, state)) = self.seen.get(agent) else {
            return;
        };
        let replica = &self.replicas[turn % self.replicas.len()];
        let told = state.removals.iter();
        let mut removals: Vec<_> = told
            .map(|removal| Confirmation {
                stack: removal.stack,
                revision: removal.revision,
            })
            .collect();
        // Of something that runs: it must change nothing.
        removals.extend(state.stacks.iter().map(|stack| Confirmation {
            stack: stack.stack,
            revision: 1,
        }));
        replica
            .client(&self.agents[agent])
            .confirm_removals(removals)
            .await
            .expect("answers");
        for expected in &mut self.expected {
            expected.take(&Step::Confirm(agent));
        }
    }

    async fn complain(&self, turn: usize, agent: usize) {
        let Some((_, state)) = self.seen.get(agent) else {
            return;
        };
        let client = self.replicas[turn % self.replicas.len()].client(&self.agents[agent]);
        let told = state.stacks.iter().map(|entry| StackStatus {
            stack: entry.stack,
            seen: Some(entry.sequence),
            applied: None,
            sync: Sync::Failed,
            health: Health::Degraded,
            reason: Some("a complaint".to_owned()),
            held: None,
        });
        client.report_status(told.collect()).await.expect("heard");
        let told = state.stacks.iter().map(|entry| AgentEvent {
            id: EventId::generate(&System),
            stack: entry.stack,
            deployment_object: Some(entry.deployment_object),
            sequence: Some(entry.sequence),
            action: Action::Apply,
            outcome: Outcome::Failed,
            reason: Some("a complaint".to_owned()),
            objects: Vec::new(),
            count: 1,
            first: System.now(),
            last: System.now(),
        });
        client.report_events(told.collect()).await.expect("heard");
    }

    async fn restart(&mut self, replica: usize) {
        let replica = replica % self.replicas.len();
        self.replicas.remove(replica).stop().await;
        self.replicas.insert(replica, self.database.start().await);
    }

    async fn gap(&mut self) {
        let skip = "update broker set revision = revision + 1";
        let url = &self.database.url;
        if url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(url).await.expect("SQLite");
            sqlx::query(skip)
                .execute(&mut connection)
                .await
                .expect("a gap");
        } else {
            let mut connection = PgConnection::connect(url).await.expect("PostgreSQL");
            sqlx::query(skip)
                .execute(&mut connection)
                .await
                .expect("a gap");
        }
    }

    /// Every agent at every replica is told what the model says: at once by the one that took the step, and
    /// by the others when they have caught up. Until then they may answer with an older state, or not know
    /// a new key.
    async fn compare(&mut self, turn: usize, step: &Step) {
        let met = matches!(step, Step::Both(..));
        let count = self.replicas.len();
        for offset in 0..count {
            let replica = &self.replicas[(turn + offset) % count];
            let clients: Vec<_> = self.agents.iter().map(|key| replica.client(key)).collect();
            let patience = Duration::from_secs(if offset == 0 && !met { 0 } else { 5 });
            for (agent, client) in clients.into_iter().enumerate() {
                let deadline = Instant::now() + patience;
                loop {
                    let told = client
                        .target_state(None, Duration::ZERO, Duration::ZERO)
                        .await;
                    match told {
                        Ok(Poll::Changed { etag, state }) if self.is_expected(agent, &state) => {
                            self.check_against_last(agent, etag, *state);
                            break;
                        }
                        told => assert!(
                            Instant::now() < deadline,
                            "after {step:?} agent {agent} is told {told:?}, not {:?}",
                            self.expected
                                .iter()
                                .map(|one| one.told(agent))
                                .collect::<Vec<_>>()
                        ),
                    }
                }
            }
        }
        // What was told says which of two that met was the first.
        for (agent, (_, state)) in self.seen.iter().enumerate() {
            self.expected
                .retain(|expected| expected.told(agent) == told(state));
        }
        assert!(
            !self.expected.is_empty(),
            "the agents are told of different histories"
        );
    }

    fn is_expected(&self, agent: usize, state: &TargetState) -> bool {
        let last = self.seen.get(agent).map_or(0, |(_, last)| last.revision);
        let told = told(state);
        state.revision >= last
            && self
                .expected
                .iter()
                .any(|expected| expected.told(agent) == told)
    }

    /// Revisions never fall, and the tag changes exactly when what is told does.
    fn check_against_last(&mut self, agent: usize, etag: String, state: TargetState) {
        if let Some((last_etag, last)) = self.seen.get(agent) {
            assert!(
                state.revision >= last.revision,
                "agent {agent}: {state:?} after {last:?}"
            );
            let is_same = (&state.stacks, &state.removals) == (&last.stacks, &last.removals);
            assert_eq!(
                *last_etag == etag,
                is_same,
                "agent {agent}: {state:?} after {last:?}"
            );
            self.seen[agent] = (etag, state);
        } else {
            self.seen.push((etag, state));
        }
    }
}

/// What an agent is told: stacks with their sequences, and removals.
fn told(state: &TargetState) -> (BTreeMap<StackId, u64>, BTreeSet<StackId>) {
    let stacks = state.stacks.iter();
    let removals = state.removals.iter();
    (
        stacks.map(|stack| (stack.stack, stack.sequence)).collect(),
        removals.map(|removal| removal.stack).collect(),
    )
}

fn histories_agree(engine: Engine, replicas: usize, cases: u32) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = Config {
        cases,
        max_shrink_iters: 100,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&proptest::collection::vec(step(), 1..40), |steps| {
        runtime.block_on(async {
            let mut world = World::new(engine, replicas).await;
            for (turn, step) in steps.iter().enumerate() {
                world.take(turn, step).await;
                world.compare(turn, step).await;
            }
            for replica in world.replicas {
                replica.stop().await;
            }
            // Whoever wrote, and whatever was refused or undone between: it is one chain.
            let audit = brokkr_broker::verify(&world.database.url).await;
            audit.expect("a whole audit");
        });
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn histories_agree_on_sqlite() {
    histories_agree(Engine::Sqlite, 1, 24);
}

#[test]
#[ignore = "needs PostgreSQL: make test"]
fn histories_agree_on_postgres() {
    histories_agree(Engine::Postgres, 1, 12);
}

#[test]
#[ignore = "needs PostgreSQL: make test"]
fn histories_agree_on_two_replicas() {
    histories_agree(Engine::Postgres, 2, 12);
}
