use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use tempfile::TempDir;

use crate::agent::Pace;
use crate::leaks;
use crate::{
    AgentProcess, Broker, Bystanders, Cli, Cluster, Database, Engine, Proxy, Route, World, unique,
};

/// What one story has to itself.
pub struct Stage {
    database: Database,
    directory: TempDir,
    bystanders: Arc<Bystanders>,
}

impl Stage {
    /// Sets the stage for one story on one engine.
    pub async fn set(engine: Engine) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("brokkr-story.").tempdir()?;
        // The answer to a second installation is the first one's provider: the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            database: Database::create(engine, directory.path()).await?,
            directory,
            bystanders: Arc::default(),
        })
    }

    /// The story's database.
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// Where the story's files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts a broker on the story's database.
    pub async fn broker(&self, name: &str) -> Result<Broker> {
        Broker::start(name, self.database.url(), self.directory()).await
    }

    /// Starts a broker of the newest release on the story's database.
    pub async fn previous_broker(&self, name: &str) -> Result<Broker> {
        Broker::start_previous(name, self.database.url(), self.directory()).await
    }

    /// Starts a broker with more on its command line.
    pub async fn broker_with(&self, name: &str, more: &[&str]) -> Result<Broker> {
        Broker::start_with(name, self.database.url(), self.directory(), more).await
    }

    /// Somebody at a command line who has signed in as the admin.
    pub async fn operator(&self, broker: &Broker) -> Result<Cli> {
        let cli = Cli::new(self.directory());
        let key_file = broker.key_file().display().to_string();
        cli.does(&["login", "--server", &broker.url(), "--key-file", &key_file])
            .await?;
        Ok(cli)
    }

    /// Starts a broker, and an agent that waits for changes.
    pub async fn world(&self) -> Result<World> {
        self.world_at_pace(Pace::Waiting).await
    }

    /// Starts a broker, and an agent that asks five times a second.
    pub async fn polling_world(&self) -> Result<World> {
        self.world_at_pace(Pace::Polling).await
    }

    /// Starts a broker, and an agent that reaches its cluster through a kubeconfig of the story's own.
    pub async fn world_through(&self, kubeconfig: &Path) -> Result<World> {
        self.world_with(Pace::Waiting, Some(kubeconfig)).await
    }

    async fn world_at_pace(&self, pace: Pace) -> Result<World> {
        self.world_with(pace, None).await
    }

    async fn world_with(&self, pace: Pace, kubeconfig: Option<&Path>) -> Result<World> {
        let mut world = self.world_at_rest(kubeconfig).await?;
        world.agent.start(pace)?;
        Ok(world)
    }

    /// Starts a broker; no process of the agent runs yet.
    pub async fn world_at_rest(&self, kubeconfig: Option<&Path>) -> Result<World> {
        let broker = self.broker("broker").await?;
        self.world_of(broker, kubeconfig).await
    }

    /// Registers an agent at a broker, on the test cluster; no process of it runs yet.
    pub async fn world_of(&self, broker: Broker, kubeconfig: Option<&Path>) -> Result<World> {
        let cluster = Cluster::connect().await?;
        let link = Proxy::start(Route::Through(broker.address())).await?;
        let name = format!("agent-{}", unique());
        let kubeconfig = kubeconfig.unwrap_or_else(|| cluster.kubeconfig());
        let agent = AgentProcess::register(
            broker.admin(),
            &name,
            link.url(),
            kubeconfig,
            self.directory(),
        )
        .await?;
        Ok(World {
            agent,
            link,
            broker,
            cluster,
            bystanders: self.bystanders.clone(),
        })
    }

    /// Shows what the story's processes logged last.
    fn show_logs(&self) {
        for file in std::fs::read_dir(self.directory())
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = file.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let log = std::fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<_> = log.lines().collect();
                let tail = lines[lines.len().saturating_sub(60)..].join("\n");
                eprintln!("── the end of {} ──\n{tail}", path.display());
            }
        }
    }
}

/// Why a story failed; a backtrace through the runtime would only hide it.
pub struct Failure(anyhow::Error);

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

/// Tells one story; if it fails, shows what its processes logged. No story may leave a key where none belongs, nor touch
/// what only looks like its objects.
pub async fn perform(
    engine: Engine,
    story: impl AsyncFnOnce(&Stage) -> Result<()>,
) -> Result<(), Failure> {
    let stage = Stage::set(engine).await?;
    let outcome = story(&stage).await;
    if outcome.is_err() {
        stage.show_logs();
    }
    outcome?;
    stage.bystanders.are_unchanged().await?;
    leaks::search(stage.directory(), &stage.database).await?;
    Ok(())
}
