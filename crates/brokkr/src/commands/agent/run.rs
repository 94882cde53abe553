use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use brokkr_agent::{Cache, Environment, Settings};
use brokkr_client::Client;
use brokkr_core::ambient::System;
use brokkr_core::pak::Role;
use clap::Args;

use tokio::time::timeout;

use crate::connection::{Trust, given_key, plain_http};
use crate::duration;
use crate::key_file;
use crate::lifecycle::Lifecycle;
use crate::logging::Logging;
use crate::monitoring::Monitoring;

/// How long a start waits for a broker that does not answer.
const LOOK: Duration = Duration::from_secs(5);

/// What an agent needs to run.
#[derive(Args)]
pub struct Run {
    /// The broker's address
    #[arg(long, env = "BROKKR_BROKER", value_name = "URL", required = true)]
    broker: Option<String>,

    /// The agent's key; the variable BROKKR_KEY may hold the key itself. The file is read again when the broker
    /// does not know the key, so that it can be rotated while the agent runs
    #[arg(long, env = "BROKKR_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// Send the key unencrypted, even to another machine
    #[arg(long, env = "BROKKR_PLAIN_HTTP")]
    plain_http: bool,

    #[command(flatten)]
    trust: Trust,

    /// The kubeconfig of the cluster; inside a cluster, the pod's service account is used without it
    #[arg(long, env = "BROKKR_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig [default: its current one]
    #[arg(long, env = "BROKKR_KUBE_CONTEXT", value_name = "NAME")]
    context: Option<String>,

    /// The namespace for the agent's own records; it is made if missing
    #[arg(long, env = "BROKKR_NAMESPACE", value_name = "NAME", default_value_t = Settings::default().namespace)]
    namespace: String,

    /// How long other copies of this agent wait when it ends without a word, until one of them goes on; at least 3s.
    /// A request to the API server may take two thirds of it, and a minute at most
    #[arg(long, env = "BROKKR_LEASE", value_name = "DURATION", default_value = "90s", value_parser = lease)]
    lease: Duration,

    /// How long to rest between polls
    #[arg(long, env = "BROKKR_INTERVAL", value_name = "DURATION", default_value = "10s", value_parser = duration::positive)]
    interval: Duration,

    /// How long the broker may hold a poll until there is something new; 0s asks at the interval only
    #[arg(long, env = "BROKKR_WAIT", value_name = "DURATION", default_value = "50s", value_parser = duration::parse)]
    wait: Duration,

    /// A field manager to whom the agent leaves the fields that it sets on the agent's objects; may be given several
    /// times. What is set through `scale`, as autoscalers do, is left to whoever does
    #[arg(
        long = "yield-to",
        env = "BROKKR_YIELD_TO",
        value_name = "MANAGER",
        value_delimiter = ','
    )]
    yield_to: Vec<String>,

    /// How many requests to the API server may be under way at once; fewer while it refuses them because it is busy
    #[arg(
        long,
        env = "BROKKR_MAX_IN_FLIGHT",
        value_name = "NUMBER",
        default_value_t = Settings::default().max_in_flight,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    max_in_flight: u16,

    /// How many requests a second the API server gets at most
    #[arg(
        long,
        env = "BROKKR_MAX_QPS",
        value_name = "NUMBER",
        default_value_t = Settings::default().max_qps,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    max_qps: u32,

    /// What stacks may have in this cluster: a YAML file with rules, read at the start
    /// (docs/how-to/guard-a-cluster.md); everything if left out
    #[arg(long, env = "BROKKR_AGENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// A folder of this agent's own, made if missing, for what it needs to go on without the broker after a restart: what
    /// it was told last, with the manifests, and the events that it could not tell yet. Left out, all of that ends
    /// with the process
    #[arg(long, env = "BROKKR_CACHE_DIR", value_name = "DIR")]
    cache_dir: Option<PathBuf>,

    #[command(flatten)]
    monitoring: Monitoring,
    #[command(flatten)]
    logging: Logging,
}

impl Run {
    pub async fn run(self) -> anyhow::Result<()> {
        self.logging.start()?;
        let environment = match &self.config {
            Some(file) => Environment::read(file)?,
            None => Environment::default(),
        };
        let cache = match &self.cache_dir {
            Some(folder) => Cache::in_folder(folder)?,
            None => Cache::in_memory(),
        };
        // `clap` asks for it, except where a subcommand is given.
        let broker = self.broker.unwrap_or_default();
        let key = given_key(self.key_file.as_deref())?
            .context("the agent has no key — add --key-file FILE, or set BROKKR_KEY")?;
        let (plain, authorities) = (plain_http(self.plain_http), self.trust.authorities()?);
        let client = Client::trusting(&broker, key, plain, &authorities)?;
        let client = match self.key_file {
            // It is rotated while we run: the file has the new key then.
            Some(file) => client.rereading_key(move || key_file::read(&file).ok()),
            None => client,
        };
        refuse_foreign_role(&client).await?;
        let cluster =
            brokkr_agent::connect(self.kubeconfig.as_deref(), self.context.as_deref()).await?;
        let settings = Settings {
            namespace: self.namespace,
            interval: self.interval,
            wait: self.wait,
            lease: self.lease,
            yield_to: self.yield_to,
            max_in_flight: self.max_in_flight,
            max_qps: self.max_qps,
            environment: Arc::new(environment),
            cache,
            ..Settings::default()
        };
        let mut lifecycle = Lifecycle::new()?;
        let monitor = settings.monitor.clone();
        self.monitoring.start(&mut lifecycle, monitor).await?;
        start(&mut lifecycle, settings, client, cluster);
        lifecycle.run().await
    }
}

/// Works on the cluster from then on.
pub fn start(lifecycle: &mut Lifecycle, settings: Settings, client: Client, cluster: kube::Client) {
    let shutdown = lifecycle.shutdown();
    lifecycle.spawn("agent", async move {
        Ok(brokkr_agent::run(settings, client, cluster, Arc::new(System), shutdown).await?)
    });
}

fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration::parse(text)?;
    if lease < Settings::SHORTEST_LEASE {
        return Err("a lease has at least 3s: it is renewed every ninth part of it".to_owned());
    }
    Ok(lease)
}

/// An admin's key would be refused for ever: better said at once. A broker that is away says
/// nothing about the key, and the agent starts without it.
async fn refuse_foreign_role(client: &Client) -> anyhow::Result<()> {
    match timeout(LOOK, client.me()).await {
        Ok(Ok(me)) if me.role != Role::Agent => bail!(
            "this is the key of {} {} — make one with `brokkr agent create`",
            if me.role == Role::Admin { "an" } else { "a" },
            me.role
        ),
        _ => Ok(()),
    }
}
