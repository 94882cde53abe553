use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use brokkr_broker::Settings;
use brokkr_core::ambient::System;
use clap::{Args, Subcommand};
use tokio::net::{TcpListener, TcpSocket};

mod limits;
mod listen;

use database::Database;
use limits::Limits;
use listen::Listen;

use crate::lifecycle::Lifecycle;
use crate::logging::Logging;
use crate::monitoring::Monitoring;
use crate::output;

mod admin_key;
mod backup;
mod database;
mod restore;
mod verify_audit;

/// How many connections may wait to be accepted, as after a restart, when a whole fleet comes at once; the system holds
/// it to its own bound (`net.core.somaxconn`).
const BACKLOG: u32 = 65_535;

/// Run the broker: the source of truth
///
/// Its first start makes an admin's key and writes it into a file that only its owner may read.
/// When it serves, it says so in one line on stdout. It ends with code 78 when the given key file holds no key to
/// begin with: none at all, one of another role, or one that looks made up.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Example:
  brokkr broker --database sqlite:brokkr.db
  brokkr broker --listen 0.0.0.0:8443 --tls-cert tls.crt --tls-key tls.key --database postgres://brokkr@db.example/brokkr")]
pub struct Broker {
    #[command(subcommand)]
    host: Option<Host>,

    #[command(flatten)]
    database: Database,

    /// Where the first start with an empty database writes the admin's key, or finds one that you made
    #[arg(
        long,
        env = "BROKKR_ADMIN_KEY_FILE",
        value_name = "FILE",
        default_value = "brokkr-admin.key"
    )]
    admin_key_file: PathBuf,

    #[command(flatten)]
    listen: Listen,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    monitoring: Monitoring,
    #[command(flatten)]
    logging: Logging,
}

#[derive(Subcommand)]
enum Host {
    AdminKey(admin_key::AdminKey),
    Backup(backup::Backup),
    Restore(restore::Restore),
    VerifyAudit(verify_audit::VerifyAudit),
}

impl Broker {
    pub async fn run(self) -> anyhow::Result<()> {
        match self.host {
            Some(Host::AdminKey(admin_key)) => return admin_key.run().await,
            Some(Host::Backup(backup)) => return backup.run().await,
            Some(Host::Restore(restore)) => return restore.run().await,
            Some(Host::VerifyAudit(verify_audit)) => return verify_audit.run().await,
            None => {}
        }
        let listener = self.listen.settings()?;
        let with_tls = listener.tls.is_some();
        self.logging.start()?;
        let mut lifecycle = Lifecycle::new()?;
        let settings = Settings {
            database: self.database.url,
            admin_key_file: self.admin_key_file,
            listener,
            limits: self.limits.settings(with_tls),
        };
        let broker = brokkr_broker::Broker::open(&settings, Arc::new(System)).await?;
        let watched = Arc::clone(&broker);
        self.monitoring.start(&mut lifecycle, watched).await?;
        let address = serve(&mut lifecycle, broker, self.listen.address)?;
        let scheme = self.listen.scheme();
        output::write(&format!("listening on {scheme}://{address}\n"))?;
        lifecycle.run().await
    }
}

/// Opens the port, and serves from then on.
pub fn serve(
    lifecycle: &mut Lifecycle,
    broker: Arc<brokkr_broker::Broker>,
    listen: SocketAddr,
) -> anyhow::Result<SocketAddr> {
    let listener = listening(listen).with_context(|| format!("{listen} cannot be listened on"))?;
    let address = listener.local_addr()?;
    let shutdown = lifecycle.shutdown();
    lifecycle.spawn("broker", async move {
        Ok(broker.serve(listener, shutdown).await?)
    });
    Ok(address)
}

/// An open port with room for a fleet that comes all at once.
fn listening(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Who was killed comes again on the same port, while connections of before still linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
