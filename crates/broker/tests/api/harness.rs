//! A broker on a free port with a database of its own, and clients for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use brokkr_broker::{Broker, LimitSettings, ListenerSettings, Settings};
use brokkr_client::{Client, PlainHttp, Poll};
use brokkr_core::ambient::{Ambient, System};
use brokkr_core::labels::{Labels, Pair};
use brokkr_core::name::Reference;
use brokkr_core::pak::Pak;
use brokkr_core::targeting::{AgentScope, AgentSelection};
use brokkr_core::wire::{
    Action, AgentEvent, CreateAgent, CreateAgentTarget, CreateGenerator, CreateStack, FEATURES,
    OpenSession, Outcome, Publish, PublishOptions, Published, TargetState,
};
use brokkr_core::{EventId, StackId};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Where the truth lies.
#[derive(Clone, Copy, Debug)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A database of the test's own.
pub struct Database {
    pub url: String,
    folder: Arc<TempDir>,
}

/// A broker that can be stopped and started again on the same database.
pub struct TestBroker {
    pub broker: Arc<Broker>,
    pub server: String,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
    /// The broker's files lie in it.
    _folder: Arc<TempDir>,
}

/// A clock that a test moves on.
#[derive(Default)]
pub struct Clock(AtomicI64);

impl Clock {
    pub fn pass(&self, time: SignedDuration) {
        self.0.fetch_add(time.as_secs(), Ordering::Relaxed);
    }
}

impl Ambient for Clock {
    fn now(&self) -> Timestamp {
        System.now() + SignedDuration::from_secs(self.0.load(Ordering::Relaxed))
    }

    fn fill(&self, bytes: &mut [u8]) {
        System.fill(bytes);
    }
}

/// What most tests begin with: a broker, its admin, and an agent that is called `edge`.
pub struct Scene {
    pub broker: TestBroker,
    pub admin: Client,
    pub admin_key: Pak,
    pub agent: Client,
}

impl Scene {
    pub async fn set(engine: Engine) -> Self {
        let database = Database::create(engine).await;
        let broker = database.start().await;
        let admin_key = database.admin_key();
        let admin = broker.client(&admin_key);
        let agent = broker.client(&create_agent(&admin, "edge").await);
        Self {
            broker,
            admin,
            admin_key,
            agent,
        }
    }

    /// The same with a stack that the agent runs, and one publish of it.
    pub async fn running(engine: Engine, stack: &str) -> Self {
        let scene = Self::set(engine).await;
        create_stack(&scene.admin, stack).await;
        target(&scene.admin, "edge", stack).await;
        publish(&scene.admin, stack, config_map("a", "1")).await;
        scene
    }

    /// The id of a stack.
    pub async fn stack(&self, stack: &str) -> StackId {
        self.admin.stack(&name(stack)).await.expect("a stack").id
    }
}

/// A broker whose clock a test moves.
pub struct Timed {
    pub clock: Arc<Clock>,
    pub database: Database,
    pub broker: TestBroker,
    pub admin: Client,
}

impl Timed {
    pub async fn set(engine: Engine) -> Self {
        let database = Database::create(engine).await;
        let clock = Arc::new(Clock::default());
        let broker = database
            .start_with(Arc::clone(&clock) as Arc<dyn Ambient>)
            .await;
        let admin = broker.client(&database.admin_key());
        Self {
            clock,
            database,
            broker,
            admin,
        }
    }

    /// The same after its broker was stopped and started again.
    pub async fn restarted(self) -> Self {
        let Self {
            clock,
            database,
            broker,
            ..
        } = self;
        broker.stop().await;
        let broker = database
            .start_with(Arc::clone(&clock) as Arc<dyn Ambient>)
            .await;
        let admin = broker.client(&database.admin_key());
        Self {
            clock,
            database,
            broker,
            admin,
        }
    }
}

impl Database {
    /// A new one. `PostgreSQL` is the one that `make test` starts.
    pub async fn create(engine: Engine) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let url = match engine {
            Engine::Sqlite => format!("sqlite:{}", folder.path().join("broker.db").display()),
            Engine::Postgres => create_postgres("").await,
        };
        Self { url, folder }
    }

    /// A copy, while no broker runs: what a backup has.
    pub async fn copy(&self) -> Self {
        let url = match self.url.strip_prefix("sqlite:") {
            Some(file) => {
                let copy = format!("{file}.{}", random_name());
                std::fs::copy(file, &copy).expect("a copy");
                format!("sqlite:{copy}")
            }
            None => create_postgres(&format!("template {}", postgres_name(&self.url))).await,
        };
        Self {
            url,
            folder: Arc::clone(&self.folder),
        }
    }

    /// Starts a broker on it.
    pub async fn start(&self) -> TestBroker {
        self.start_with(Arc::new(System)).await
    }

    /// Starts a broker with a clock of the test's own.
    pub async fn start_with(&self, ambient: Arc<dyn Ambient>) -> TestBroker {
        let settings = Settings {
            database: self.url.clone(),
            admin_key_file: self.folder.path().join("admin.key"),
            listener: ListenerSettings::default(),
            limits: LimitSettings {
                trusted_proxies: vec!["127.0.0.1/32".parse().expect("a network")],
                ..LimitSettings::default()
            },
        };
        let broker = Broker::open(&settings, ambient)
            .await
            .expect("the broker starts");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let server = format!("http://{}", listener.local_addr().expect("an address"));
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn({
            let (broker, shutdown) = (Arc::clone(&broker), shutdown.clone());
            async move {
                broker
                    .serve(listener, shutdown)
                    .await
                    .expect("the broker ends well");
            }
        });
        TestBroker {
            broker,
            server,
            shutdown,
            serving,
            _folder: Arc::clone(&self.folder),
        }
    }

    /// A number that the database has.
    pub async fn number(&self, question: &'static str) -> i64 {
        let (number,): (i64,) = if self.url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(&self.url).await.expect("SQLite");
            sqlx::query_as(question)
                .fetch_one(&mut connection)
                .await
                .expect("a number")
        } else {
            let connection = PgConnection::connect(&self.url).await;
            let mut connection = connection.expect("PostgreSQL");
            sqlx::query_as(question)
                .fetch_one(&mut connection)
                .await
                .expect("a number")
        };
        number
    }

    /// Where its files lie, if it has any, and the admin's key.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The admin's key, which the first start wrote.
    pub fn admin_key(&self) -> Pak {
        let text =
            std::fs::read_to_string(self.folder.path().join("admin.key")).expect("the admin key");
        text.trim().parse().expect("a key")
    }
}

fn random_name() -> String {
    let mut name = [0; 8];
    System.fill(&mut name);
    format!("test_{:016x}", u64::from_be_bytes(name))
}

/// The name of a database, by its URL.
pub fn postgres_name(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or_default();
    path.rsplit('/').next().expect("a database")
}

async fn create_postgres(how: &str) -> String {
    let server = std::env::var("BROKKR_TEST_POSTGRES")
        .expect("BROKKR_TEST_POSTGRES names a PostgreSQL server: run `make test`");
    let name = random_name();
    let mut connection = PgConnection::connect(&server)
        .await
        .expect("PostgreSQL answers");
    let create = sqlx::AssertSqlSafe(format!("create database {name} {how}"));
    sqlx::raw_sql(create)
        .execute(&mut connection)
        .await
        .expect("a database of its own");
    let (start, query) = server.split_once('?').unwrap_or((&server, ""));
    let (start, _) = start.rsplit_once('/').expect("a URL with a database");
    format!("{start}/{name}?{query}")
}

impl TestBroker {
    pub fn client(&self, pak: &Pak) -> Client {
        Client::new(&self.server, pak.clone(), PlainHttp::LoopbackOnly).expect("a client")
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.expect("the broker ends well");
    }
}

pub fn name(text: &str) -> Reference {
    text.parse().expect("a name")
}

pub fn config_map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: '{value}'}}\n"
    )
}

/// How long what must happen may take.
const LONG: Duration = Duration::from_secs(40);

/// Waits until something is so.
pub async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Registers an agent.
pub async fn create_agent(admin: &Client, agent: &str) -> Pak {
    let create = CreateAgent::named(agent.parse().expect("a name"));
    admin
        .create_agent(&create)
        .await
        .expect("an agent")
        .pak
        .parse()
        .expect("a key")
}

/// Registers an agent with labels, as a selector writes them.
pub async fn labelled_agent(admin: &Client, agent: &str, labels: &str) -> Pak {
    let create = CreateAgent {
        labels: labels_of(labels),
        ..CreateAgent::named(agent.parse().expect("a name"))
    };
    let created = admin.create_agent(&create).await.expect("an agent");
    created.pak.parse().expect("a key")
}

/// `a=1,b` as labels.
pub fn labels_of(text: &str) -> Labels {
    let mut labels = Labels::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let Pair { key, value } = pair.parse().expect("a label");
        labels.insert(key, value).expect("a few labels");
    }
    labels
}

/// Registers a generator whose stacks may reach the agents that a selector matches.
pub async fn scoped_generator(admin: &Client, generator: &str, selector: &str) -> Pak {
    let selection = AgentSelection::new(Some(selector.parse().expect("a selector")), None);
    let create = CreateGenerator::new(
        generator.parse().expect("a name"),
        AgentScope::Selected(selection.expect("a scope")),
    );
    let created = admin.create_generator(&create).await.expect("a generator");
    created.pak.parse().expect("a key")
}

/// Registers a generator whose stacks may reach every agent.
pub async fn create_generator(admin: &Client, generator: &str) -> Pak {
    let create = CreateGenerator::new(generator.parse().expect("a name"), AgentScope::AllAgents);
    let created = admin.create_generator(&create).await.expect("a generator");
    created.pak.parse().expect("a key")
}

pub async fn create_stack(client: &Client, stack: &str) {
    let create = CreateStack::named(stack.parse().expect("a name"));
    client.create_stack(&create).await.expect("a stack");
}

pub async fn target(client: &Client, agent: &str, stack: &str) {
    let create = CreateAgentTarget {
        agent: name(agent),
        stack: name(stack),
    };
    client.create_agent_target(&create).await.expect("a target");
}

/// Opens a session of an agent of this version, which polls in it: it could be asked something.
pub async fn be_there(agent: &Client) -> Client {
    let open = OpenSession {
        cluster: "one".parse().expect("a UID"),
        version: "1.2.3".to_owned(),
        features: FEATURES.iter().map(ToString::to_string).collect(),
    };
    let agent = agent.in_session(agent.open_session(&open).await.expect("a session"));
    state_of(&agent).await;
    agent
}

/// What an agent is told.
pub async fn state_of(agent: &Client) -> TargetState {
    match agent
        .target_state(None, Duration::ZERO, Duration::ZERO)
        .await
        .expect("a state")
    {
        Poll::Changed { state, .. } => *state,
        Poll::Unchanged => panic!("a first poll has an answer"),
    }
}

pub async fn try_publish(
    client: &Client,
    stack: &str,
    value: &str,
) -> brokkr_client::Result<Published> {
    let publish = Publish {
        manifests: config_map("a", value),
        options: PublishOptions::default(),
    };
    client.publish(&name(stack), &publish).await
}

pub async fn publish(client: &Client, stack: &str, manifests: String) -> Published {
    let publish = Publish {
        manifests,
        options: PublishOptions::default(),
    };
    client
        .publish(&name(stack), &publish)
        .await
        .expect("a deployment object")
}

/// Runs a test on both engines; the one on `PostgreSQL` needs the server that `make test` starts.
macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {$(
            #[tokio::test]
            async fn $test() {
                super::$test($crate::harness::Engine::Sqlite).await;
            }
        )+}
        mod postgres {$(
            #[tokio::test]
            #[ignore = "needs PostgreSQL: make test"]
            async fn $test() {
                super::$test($crate::harness::Engine::Postgres).await;
            }
        )+}
    };
}
pub(crate) use on_both_engines;

/// What an agent tells of an attempt that failed.
pub fn failed_event(stack: StackId, reason: &str) -> AgentEvent {
    AgentEvent {
        id: EventId::generate(&System),
        stack,
        deployment_object: None,
        sequence: None,
        action: Action::Apply,
        outcome: Outcome::Failed,
        reason: Some(reason.to_owned()),
        objects: Vec::new(),
        count: 1,
        first: Timestamp::UNIX_EPOCH,
        last: Timestamp::UNIX_EPOCH,
    }
}
