use std::time::Duration;

use brokkr_client::{Client, EventFilter};
use brokkr_core::ambient::{Ambient, System};
use brokkr_core::object::KeptKind;
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::{
    CreateStack, KeyState, OnRemove, Publish, PublishOptions, RotateKey, StackOptions, StackStatus,
    StatusReport,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::recording::Values;
use crate::away;
use crate::harness::*;

/// A broker with what the recorded conversations are about: an agent `edge` that runs `shop`, `cart`, `mail`, `docs`
/// and `empty`, and is to remove `old` and `elder`; `foreign` is not for it.
pub(super) struct Stage {
    pub(super) values: Values,
    broker: TestBroker,
    database: Database,
    admin: Client,
    engine: Engine,
    /// As long as it is there, nobody else writes.
    lock: Option<SqliteConnection>,
}

const SHOP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {motto: 'grün – 緑'}\n";
const GONE: &str = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: gone}\n";

/// A target state is in the order of ids, and ids of one millisecond are in none.
async fn next_millisecond() {
    let now = System.now().as_millisecond();
    while System.now().as_millisecond() == now {
        tokio::task::yield_now().await;
    }
}

/// Puts another key in the place of this one, which goes on for a while.
async fn rotate(broker: &TestBroker, key: &Pak) {
    let an_hour = RotateKey {
        overlap: Some(3_600),
    };
    let rotated = broker.client(key).rotate_own_key(&an_hour).await;
    let new = rotated.expect("a key").pak.parse().expect("a key");
    let new = broker.client(&new);
    let id = new.me().await.expect("an agent").key;
    while new.key(id).await.expect("a key").state == KeyState::Unused {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Stage {
    pub(super) async fn set(engine: Engine) -> Self {
        let database = Database::create(engine).await;
        let broker = database.start().await;
        let admin_key = database.admin_key();
        let admin = broker.client(&admin_key);
        let key = create_agent(&admin, "edge").await;
        rotate(&broker, &key).await;
        let mut values = Values::default();
        values.set("key", key.expose());
        values.set("admin", admin_key.expose());
        values.set("unknown", Pak::generate(Role::Agent, &System).expose());
        let mut stage = Self {
            values,
            broker,
            database,
            admin,
            engine,
            lock: None,
        };
        stage.write_shop().await;
        for stack in ["cart", "mail", "docs", "foreign", "old", "elder"] {
            next_millisecond().await;
            create_stack(&stage.admin, stack).await;
            stage.publish(stack, config_map("a", stack), &[]).await;
        }
        create_stack(&stage.admin, "empty").await;
        for stack in ["shop", "cart", "mail", "docs", "empty", "old", "elder"] {
            target(&stage.admin, "edge", stack).await;
        }
        for stack in ["shop", "cart", "mail", "docs", "empty", "old", "elder"] {
            let id = stage.admin.stack(&name(stack)).await.expect("a stack").id;
            stage.values.set(stack, id.to_string());
        }
        let claims = [KeptKind::PersistentVolumeClaim];
        stage.take_away("old", OnRemove::Delete, &claims).await;
        stage.take_away("elder", OnRemove::Orphan, &[]).await;
        stage
    }

    /// Its second version drops a namespace, and says that the namespace may go.
    async fn write_shop(&mut self) {
        let create = CreateStack {
            options: StackOptions {
                default_namespace: Some("shop".to_owned()),
                create_namespace: true,
                ..StackOptions::default()
            },
            ..CreateStack::named("shop".parse().expect("a name"))
        };
        self.admin.create_stack(&create).await.expect("a stack");
        self.publish("shop", format!("{SHOP}{GONE}"), &[]).await;
        self.publish("shop", SHOP.to_owned(), &[KeptKind::Namespace])
            .await;
    }

    async fn publish(&mut self, stack: &str, manifests: String, allow_delete: &[KeptKind]) {
        let options = PublishOptions {
            allow_delete: allow_delete.to_vec(),
            ..PublishOptions::default()
        };
        let publish = Publish { manifests, options };
        let published = self.admin.publish(&name(stack), &publish).await;
        let head = published.expect("a deployment object").deployment_object.id;
        self.values.set(&format!("{stack}.head"), head.to_string());
    }

    async fn take_away(&mut self, stack: &str, policy: OnRemove, allow_delete: &[KeptKind]) {
        let stack_name = name(stack);
        let targets = self.admin.agent_targets(Some(&stack_name), None).await;
        let target = targets.expect("targets")[0].id;
        let ended = self
            .admin
            .delete_agent_target(target, Some(policy), allow_delete);
        ended.await.expect("an ended target");
        let removals = self.admin.removals(Some(&stack_name), None).await;
        let revision = removals.expect("removals")[0]
            .revision
            .expect("of a removal");
        self.values.set(&format!("{stack}.removal"), revision);
    }

    pub(super) fn server(&self) -> &str {
        &self.broker.server
    }

    /// What became of a report, in the report's own form.
    pub(super) async fn what_operators_see(&self, path: &str, report: &Value) -> Value {
        match path {
            "/api/v1/agent/facts" => {
                let agent = self.admin.agent(&name("edge")).await.expect("an agent");
                json!(agent.facts)
            }
            "/api/v1/agent/events" => self.events(report).await,
            "/api/v1/agent/status" => self.status(report).await,
            other => panic!("who sees what {other} reports?"),
        }
    }

    async fn events(&self, report: &Value) -> Value {
        let kept = self.admin.events(&EventFilter::default(), 100).await;
        let kept = kept.expect("events");
        let reported = report["events"].as_array().expect("events").iter();
        let seen = reported.map(|event| {
            let id = event["id"].as_str();
            let seen = kept
                .iter()
                .find(|kept| Some(&*kept.event.id.to_string()) == id);
            json!(seen.map(|kept| &kept.event))
        });
        json!({"events": seen.collect::<Vec<_>>()})
    }

    async fn status(&self, report: &Value) -> Value {
        let report: StatusReport = serde_json::from_value(report.clone()).expect("a report");
        let mut stacks = Vec::new();
        for said in report.stacks {
            let status = self
                .admin
                .stack_status(&name(&said.stack.to_string()))
                .await;
            let status = status.expect("a status").remove(0);
            stacks.push(StackStatus {
                applied: status.applied,
                sync: status.sync,
                health: status.health,
                reason: status.reason,
                // What is not of the newest sequence would read `Pending`.
                ..said
            });
        }
        json!(StatusReport { stacks })
    }

    /// No report can be kept from now on.
    pub(super) async fn take_database_away(&mut self) {
        match self.engine {
            Engine::Sqlite => {
                let mut lock = SqliteConnection::connect(&self.database.url)
                    .await
                    .expect("a connection");
                sqlx::raw_sql(AssertSqlSafe("begin immediate"))
                    .execute(&mut lock)
                    .await
                    .expect("a lock");
                self.lock = Some(lock);
            }
            Engine::Postgres => away::allow(&self.database.url, false).await,
        }
    }

    pub(super) async fn give_database_back(&mut self) {
        match self.lock.take() {
            Some(lock) => lock.close().await.expect("an end"),
            None => away::allow(&self.database.url, true).await,
        }
    }

    pub(super) async fn end(self) {
        self.broker.stop().await;
    }
}
