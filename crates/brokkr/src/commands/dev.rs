use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use brokkr_broker::{Broker, LimitSettings, ListenerSettings};
use brokkr_client::{Client, PlainHttp};
use brokkr_core::ambient::System;
use brokkr_core::name::{Name, Reference};
use brokkr_core::pak::Pak;
use brokkr_core::wire::CreateAgent;
use clap::Args;

use super::{agent, broker};
use crate::key_file::{self, Reserved};
use crate::lifecycle::Lifecycle;
use crate::logging::Logging;
use crate::output;
use crate::terminal::Confirmation;

mod cluster;

use cluster::Cluster;

/// Run broker and agent in one process, for a first look
///
/// The agent works on the cluster of your kubeconfig; if that is not on this machine, you are asked first.
/// What broker and agent know is kept between runs, in --data.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr dev --kubeconfig ./kubeconfig
  brokkr dev --context kind-kind")]
pub struct Dev {
    /// The kubeconfig of the cluster [default: as kubectl]
    #[arg(long, env = "BROKKR_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig [default: its current one]
    #[arg(long, env = "BROKKR_KUBE_CONTEXT", value_name = "NAME")]
    context: Option<String>,

    /// Where database and keys are kept
    #[arg(
        long,
        env = "BROKKR_DATA",
        value_name = "DIR",
        default_value = "brokkr-dev"
    )]
    data: PathBuf,

    /// Where on this machine the broker listens; port 0 takes a free one
    #[arg(
        long,
        env = "BROKKR_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080",
        value_parser = loopback
    )]
    listen: SocketAddr,

    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    logging: Logging,
}

impl Dev {
    pub async fn run(self) -> anyhow::Result<()> {
        let kubeconfig = self.kubeconfig.map_or_else(cluster::usual_kubeconfig, Ok)?;
        let cluster = Cluster::find(&kubeconfig, self.context.as_deref()).await?;
        if !cluster.is_on_this_machine() {
            self.confirmation.ask(&format!(
                "Context {} is not on this machine ({}). Let an agent apply stacks to it?",
                cluster.context, cluster.server
            ))?;
        }
        self.logging.start()?;
        let kube = brokkr_agent::connect(Some(&kubeconfig), Some(&cluster.context)).await?;
        let data = make_folder(&self.data)?;
        let admin_key_file = data.join("admin.key");
        let settings = brokkr_broker::Settings {
            database: format!("sqlite:{}", data.join("brokkr.db").display()),
            admin_key_file: admin_key_file.clone(),
            listener: ListenerSettings::default(),
            limits: LimitSettings::default(),
        };
        let mut lifecycle = Lifecycle::new()?;
        let broker = Broker::open(&settings, Arc::new(System)).await?;
        let address = broker::serve(&mut lifecycle, broker, self.listen)?;
        let server = format!("http://{address}");
        let admin = client(&server, key_file::read(&admin_key_file)?)?;
        let name = cluster.agent_name()?;
        let key = agent_key(&admin, &name, &data).await?;
        let settings = brokkr_agent::Settings::default();
        agent::run::start(&mut lifecycle, settings, client(&server, key)?, kube);
        output::write(&next_steps(&server, &admin_key_file, &name))?;
        lifecycle.run().await
    }
}

/// It speaks no TLS, so it is for this machine alone.
fn loopback(text: &str) -> anyhow::Result<SocketAddr> {
    let address: SocketAddr = text.parse()?;
    anyhow::ensure!(
        address.ip().is_loopback(),
        "other machines could read the keys: give a loopback address, or run `brokkr broker` with --tls-cert"
    );
    Ok(address)
}

fn client(server: &str, key: Pak) -> anyhow::Result<Client> {
    Ok(Client::new(server, key, PlainHttp::LoopbackOnly)?)
}

fn make_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .and_then(|()| folder.canonicalize())
        .with_context(|| format!("the folder {} cannot be made", folder.display()))
}

/// The agent's key from the last run, or a new agent.
///
/// Each context has an agent of its own: a stack that one cluster runs is not applied to another
/// because the kubeconfig points there today.
async fn agent_key(admin: &Client, name: &Name, data: &Path) -> anyhow::Result<Pak> {
    let file = data.join(format!("agent-{name}.key"));
    let reference = Reference::Named {
        owner: None,
        name: name.clone(),
    };
    match admin.agent(&reference).await {
        Ok(_) => key_file::read(&file).with_context(|| {
            format!(
                "agent {name} is registered, but its key is lost — start anew with another --data"
            )
        }),
        Err(error) if error.is_not_found() => {
            let place = Reserved::new(&file)?;
            let create = CreateAgent::named(name.clone());
            let created = admin.create_agent(&create).await?;
            place.write(&created.pak)?;
            Ok(created.pak.parse()?)
        }
        Err(error) => Err(error.into()),
    }
}

fn next_steps(server: &str, admin_key_file: &Path, agent: &Name) -> String {
    let key_file = admin_key_file.display();
    format!(
        "listening on {server}

Broker and agent {agent} are running; Ctrl-C ends both. In another terminal:

  brokkr login --server {server} --key-file '{key_file}' --context dev
  brokkr apply -f MANIFESTS --stack hello --create --namespace hello --create-namespace
  brokkr stack target hello --agent {agent}
  brokkr status hello
"
    )
}
