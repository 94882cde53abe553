//! Target state is a function of the history of accepted changes: random histories run through the broker
//! and through a model of thirty lines, and every agent's answer is compared after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use brokkr_client::{Client, Poll};
use brokkr_core::ambient::{Ambient, System};
use brokkr_core::pak::Pak;
use brokkr_core::wire::{
    Action, AgentEvent, Confirmation, Health, Outcome, StackStatus, Sync, TargetState,
};
use brokkr_core::{EventId, StackId};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::harness::*;

const AGENTS: [&str; 3] = ["north", "south", "west"];
const STACKS: [&str; 4] = ["shop", "mail", "blog", "wiki"];

/// A step of a history. Numbers name agents, stacks and replicas.
#[derive(Debug, Clone)]
enum Step {
    Create(usize),
    Publish(usize, u8),
    Target(usize, usize),
    Untarget(usize, usize),
    Delete(usize),
    /// The agent confirms every removal that it is told of, and one that it is not.
    Confirm(usize),
    /// The agent says that everything of it failed; nothing that is desired may change.
    Complain(usize),
    Restart(usize),
    /// A revision of which no change is known: the index must be read anew.
    Gap,
}

fn step() -> impl Strategy<Value = Step> {
    let (agent, stack) = (0..AGENTS.len(), 0..STACKS.len());
    prop_oneof![
        3 => stack.clone().prop_map(Step::Create),
        5 => (stack.clone(), 0..3_u8).prop_map(|(stack, value)| Step::Publish(stack, value)),
        6 => (agent.clone(), stack.clone()).prop_map(|(agent, stack)| Step::Target(agent, stack)),
        3 => (agent.clone(), stack.clone()).prop_map(|(agent, stack)| Step::Untarget(agent, stack)),
        1 => stack.prop_map(Step::Delete),
        3 => agent.clone().prop_map(Step::Confirm),
        2 => agent.prop_map(Step::Complain),
        1 => (0..2_usize).prop_map(Step::Restart),
        1 => Just(Step::Gap),
    ]
}

/// What should run where, without a database, an index or a revision.
#[derive(Default)]
struct Model {
    /// Living stacks with their sequence and content; 0 before the first publish.
    stacks: BTreeMap<usize, (StackId, u64, Option<u8>)>,
    running: BTreeSet<(usize, usize)>,
    removing: BTreeSet<(usize, StackId)>,
}

impl Model {
    fn untarget(&mut self, agent: usize, stack: usize) {
        if let Some((id, ..)) = self.stacks.get(&stack)
            && self.running.remove(&(agent, stack))
        {
            self.removing.insert((agent, *id));
        }
    }

    /// What an agent should be told: stacks with their sequences, and removals.
    fn told(&self, agent: usize) -> (BTreeMap<StackId, u64>, BTreeSet<StackId>) {
        let runs = self.running.iter().filter(|(runs, _)| *runs == agent);
        let stacks = runs.filter_map(|(_, stack)| self.stacks.get(stack));
        let stacks = stacks.filter(|(_, sequence, _)| *sequence > 0);
        let removals = self
            .removing
            .iter()
            .filter(|(removes, _)| *removes == agent);
        (
            stacks.map(|(id, sequence, _)| (*id, *sequence)).collect(),
            removals.map(|(_, id)| *id).collect(),
        )
    }
}

struct World {
    database: Database,
    replicas: Vec<TestBroker>,
    admin: Pak,
    agents: Vec<Pak>,
    model: Model,
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
        let mut agents = Vec::new();
        for agent in AGENTS {
            agents.push(create_agent(&started[0].client(&admin), agent).await);
        }
        Self {
            database,
            replicas: started,
            admin,
            agents,
            model: Model::default(),
            seen: Vec::new(),
        }
    }

    /// Steps go to the replicas in turn.
    fn client(&self, turn: usize) -> Client {
        self.replicas[turn % self.replicas.len()].client(&self.admin)
    }

    async fn take(&mut self, turn: usize, step: &Step) {
        let client = self.client(turn);
        match *step {
            Step::Create(stack) => {
                let create = serde_json::from_value(serde_json::json!({"name": STACKS[stack]}));
                let created = client.create_stack(&create.expect("a request")).await;
                assert_eq!(created.is_err(), self.model.stacks.contains_key(&stack));
                if let Ok(created) = created {
                    self.model.stacks.insert(stack, (created.id, 0, None));
                }
            }
            Step::Publish(stack, value) => {
                let Some((_, sequence, content)) = self.model.stacks.get_mut(&stack) else {
                    return;
                };
                let published =
                    publish(&client, STACKS[stack], config_map("a", &value.to_string())).await;
                assert_eq!(published.unchanged, *content == Some(value));
                *sequence += u64::from(!published.unchanged);
                *content = Some(value);
                assert_eq!(published.deployment_object.sequence, *sequence);
            }
            Step::Target(agent, stack) => {
                let Some((id, ..)) = self.model.stacks.get(&stack) else {
                    return;
                };
                target(&client, AGENTS[agent], STACKS[stack]).await;
                self.model.removing.remove(&(agent, *id));
                self.model.running.insert((agent, stack));
            }
            Step::Untarget(agent, stack) => {
                if !self.model.stacks.contains_key(&stack) {
                    return;
                }
                let (stack_name, agent_name) = (name(STACKS[stack]), name(AGENTS[agent]));
                let found = client
                    .agent_targets(Some(&stack_name), Some(&agent_name))
                    .await;
                for target in found.expect("targets") {
                    client
                        .delete_agent_target(target.id, None, &[])
                        .await
                        .expect("untargeted");
                }
                self.model.untarget(agent, stack);
            }
            Step::Delete(stack) => {
                if !self.model.stacks.contains_key(&stack) {
                    return;
                }
                client
                    .delete_stack(&name(STACKS[stack]), None, &[])
                    .await
                    .expect("deleted");
                (0..AGENTS.len()).for_each(|agent| self.model.untarget(agent, stack));
                self.model.stacks.remove(&stack);
            }
            Step::Confirm(agent) => self.confirm(turn, agent).await,
            Step::Complain(agent) => self.complain(turn, agent).await,
            Step::Restart(replica) => self.restart(replica).await,
            Step::Gap => self.gap().await,
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
        self.model.removing.retain(|(removes, _)| *removes != agent);
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
    async fn compare(&mut self, turn: usize) {
        let count = self.replicas.len();
        for offset in 0..count {
            let replica = &self.replicas[(turn + offset) % count];
            let clients: Vec<_> = self.agents.iter().map(|key| replica.client(key)).collect();
            let patience = Duration::from_secs(if offset == 0 { 0 } else { 5 });
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
                            "agent {agent} is told {told:?}, not {:?}",
                            self.model.told(agent)
                        ),
                    }
                }
            }
        }
    }

    fn is_expected(&self, agent: usize, state: &TargetState) -> bool {
        let stacks = state
            .stacks
            .iter()
            .map(|stack| (stack.stack, stack.sequence))
            .collect();
        let removals = state.removals.iter().map(|removal| removal.stack).collect();
        let last = self.seen.get(agent).map_or(0, |(_, last)| last.revision);
        (stacks, removals) == self.model.told(agent) && state.revision >= last
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

fn histories_agree(engine: Engine, replicas: usize, cases: u32) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = Config {
        cases,
        max_shrink_iters: 30,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&proptest::collection::vec(step(), 1..40), |steps| {
        runtime.block_on(async {
            let mut world = World::new(engine, replicas).await;
            for (turn, step) in steps.iter().enumerate() {
                world.take(turn, step).await;
                world.compare(turn).await;
            }
            for replica in world.replicas {
                replica.stop().await;
            }
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
