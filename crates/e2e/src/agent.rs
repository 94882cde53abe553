use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, Result, ensure};
use brokkr_client::Client;
use brokkr_core::id::AgentId;
use brokkr_core::wire::CreateAgent;
use brokkr_core::{Name, Reference};

use crate::{Build, Cluster, PATIENCE, Process, eventually};

/// An agent with its key and its namespace, whose process comes and goes.
pub struct AgentProcess {
    build: Build,
    id: AgentId,
    name: Name,
    key: String,
    key_file: PathBuf,
    broker: String,
    kubeconfig: PathBuf,
    directory: PathBuf,
    config: Option<PathBuf>,
    cache: Option<PathBuf>,
    lease: &'static str,
    max_qps: &'static str,
    log: String,
    process: Option<Process>,
}

/// How an agent asks.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// With requests that wait for a change.
    Waiting,
    /// Five times a second, without waiting.
    Polling,
}

impl AgentProcess {
    /// Registers an agent that will talk to the broker at `address`; nothing runs yet.
    pub async fn register(
        admin: &Client,
        name: &str,
        broker: String,
        kubeconfig: &Path,
        directory: &Path,
    ) -> Result<Self> {
        let name: Name = name.parse()?;
        let created = admin
            .create_agent(&CreateAgent::named(name.clone()))
            .await?;
        let key_file = directory.join(format!("{name}.key"));
        tokio::fs::write(&key_file, &created.pak).await?;
        Ok(Self {
            build: Build::Tested,
            id: created.agent.id,
            lease: "90s",
            max_qps: "3000",
            log: name.to_string(),
            name,
            key: created.pak,
            key_file,
            broker,
            kubeconfig: kubeconfig.to_owned(),
            directory: directory.to_owned(),
            config: None,
            cache: None,
            process: None,
        })
    }

    /// Gives it a configuration, which its process reads at its next start.
    pub fn live_by(&mut self, rules: &str) -> Result<()> {
        let file = self.directory.join(format!("{}.yaml", self.name));
        std::fs::write(&file, rules)?;
        self.config = Some(file);
        Ok(())
    }

    /// Gives it a folder for its cache, which it has from its next start on.
    pub fn keep_cache(&mut self) {
        self.cache = Some(self.directory.join(format!("{}-cache", self.name)));
    }

    /// A second process with the same key, for the same cluster and namespace; nothing of it runs yet.
    #[must_use]
    pub fn copy(&self, log: &str) -> Self {
        Self {
            build: self.build,
            id: self.id,
            name: self.name.clone(),
            key: self.key.clone(),
            key_file: self.key_file.clone(),
            broker: self.broker.clone(),
            kubeconfig: self.kubeconfig.clone(),
            directory: self.directory.clone(),
            config: self.config.clone(),
            cache: self.cache.clone(),
            lease: self.lease,
            max_qps: self.max_qps,
            log: format!("{}-{log}", self.name),
            process: None,
        }
    }

    /// Which build it is, from its next start on.
    pub const fn set_build(&mut self, build: Build) {
        self.build = build;
    }

    /// How long its lease lasts, from its next start on.
    pub const fn set_lease(&mut self, lease: &'static str) {
        self.lease = lease;
    }

    /// How much it may ask of the API server in a second, from its next start on.
    pub const fn set_max_qps(&mut self, max_qps: &'static str) {
        self.max_qps = max_qps;
    }

    /// Waits until its log has these words.
    pub async fn says(&self, words: &str) -> Result<()> {
        let log = self.directory.join(format!("{}.log", self.log));
        eventually("the agent's log", PATIENCE, async || {
            let said = tokio::fs::read_to_string(&log).await?;
            ensure!(said.contains(words), "no `{words}` in {said}");
            Ok(())
        })
        .await
    }

    /// Starts its process.
    pub fn start(&mut self, pace: Pace) -> Result<()> {
        self.run(pace, None)
    }

    /// Starts a process that waits for changes, and dies at a fail point, `name:time`.
    pub fn start_faulty(&mut self, fail_point: &str) -> Result<()> {
        self.run(Pace::Waiting, Some(fail_point))
    }

    fn run(&mut self, pace: Pace, fail_point: Option<&str>) -> Result<()> {
        let (interval, wait) = match pace {
            Pace::Waiting => ("1s", "50s"),
            Pace::Polling => ("200ms", "0s"),
        };
        let key_file = self.key_file.display().to_string();
        let kubeconfig = self.kubeconfig.display().to_string();
        let arguments = [
            ["--broker", self.broker.as_str()],
            ["--key-file", key_file.as_str()],
            ["--kubeconfig", kubeconfig.as_str()],
            ["--namespace", self.namespace()],
            ["--interval", interval],
            ["--wait", wait],
        ];
        let newer: &[[&str; 2]] = match self.build {
            // It does not know them.
            Build::Previous => &[],
            Build::Tested | Build::Faulty => {
                &[["--lease", self.lease], ["--max-qps", self.max_qps]]
            }
        };
        let arguments = arguments.iter().chain(newer).copied();
        let more = [("--config", &self.config), ("--cache-dir", &self.cache)];
        let more = more.map(|(flag, path)| Some((flag, path.as_ref()?.display().to_string())));
        let more = more.iter().flatten();
        let more = more.flat_map(|(flag, path)| [*flag, path.as_str()]);
        let arguments = arguments.flatten().chain(more);
        let arguments: Vec<&str> = ["agent"].into_iter().chain(arguments).collect();
        let (log, directory) = (&self.log, &self.directory);
        self.process = Some(match fail_point {
            None => Process::of(self.build, log, &arguments, directory)?,
            Some(point) => Process::faulty(log, &arguments, directory, point)?,
        });
        Ok(())
    }

    /// `kill -9`; then its lease is taken away, as somebody may who knows that it is dead, and the next one need not wait.
    pub async fn kill(&mut self) -> Result<()> {
        self.crash().await?;
        Cluster::connect().await?.free_lease(self.namespace()).await
    }

    /// `kill -9`, and nobody knows.
    pub async fn crash(&mut self) -> Result<()> {
        self.running()?.kill().await?;
        self.process = None;
        Ok(())
    }

    /// Waits until its process ends by itself.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let status = self.running()?.ended().await?;
        self.process = None;
        Ok(status)
    }

    /// SIGTERM, and its end.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        let status = self.running()?.terminate().await?;
        self.process = None;
        Ok(status)
    }

    /// Fails if its process has ended by itself.
    pub fn is_alive(&mut self) -> Result<()> {
        self.running()?.is_alive()
    }

    /// Its process.
    pub fn running(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the agent is not running")
    }

    /// Its id.
    pub const fn id(&self) -> AgentId {
        self.id
    }

    /// How requests name it.
    pub fn reference(&self) -> Reference {
        Reference::Id(self.id.uuid())
    }

    /// Its key, to ask as this agent.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The namespace in which it keeps its own records.
    pub fn namespace(&self) -> &str {
        self.name.as_str()
    }
}
