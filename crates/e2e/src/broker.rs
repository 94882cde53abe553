use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, Result};
use brokkr_client::{Client, PlainHttp};
use tokio::process::Command;

use crate::{Build, Disk, Process};

/// A broker process that can be killed and started again at the same address.
pub struct Broker {
    start: Start,
    process: Process,
    address: SocketAddr,
    admin: Client,
}

/// What each start of a broker has in common.
struct Start {
    name: String,
    database: String,
    key_file: PathBuf,
    /// Where its logs are.
    directory: PathBuf,
    build: Build,
    /// A program that becomes the broker, with its own arguments.
    under: Vec<String>,
    variables: Vec<(&'static str, PathBuf)>,
}

impl Broker {
    /// Starts a broker on a free port. Brokers of one `directory` share the admin's key.
    pub async fn start(name: &str, database: &str, directory: &Path) -> Result<Self> {
        Self::start_with(name, database, directory, &[]).await
    }

    /// The same, with more on its command line, which is for its first start only.
    pub async fn start_with(
        name: &str,
        database: &str,
        directory: &Path,
        more: &[&str],
    ) -> Result<Self> {
        Start::of(name, database, directory).broker(more).await
    }

    /// The same of the newest release.
    pub async fn start_previous(name: &str, database: &str, directory: &Path) -> Result<Self> {
        let start = Start {
            build: Build::Previous,
            ..Start::of(name, database, directory)
        };
        start.broker(&[]).await
    }

    /// The same by a program that becomes the broker, named with its own arguments: each start is.
    pub async fn start_under(
        under: &[String],
        name: &str,
        database: &str,
        directory: &Path,
        more: &[&str],
    ) -> Result<Self> {
        let start = Start {
            under: under.to_vec(),
            ..Start::of(name, database, directory)
        };
        start.broker(more).await
    }

    /// Starts a broker whose database and key lie on a disk that remembers; its logs are in `directory`.
    pub async fn start_on(disk: &Disk, name: &str, directory: &Path) -> Result<Self> {
        let start = Start {
            key_file: disk.folder().join("admin.key"),
            variables: disk.variables(),
            ..Start::of(name, &disk.database(), directory)
        };
        start.broker(&[]).await
    }

    /// Starts it again at the address that it had.
    pub async fn start_again(&mut self) -> Result<()> {
        (self.process, self.address) = self.start.process(self.address, &[]).await?;
        Ok(())
    }

    /// `kill -9`.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await
    }

    /// SIGTERM, and its end.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.process.terminate().await
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        self.process.ended().await
    }

    /// Its process.
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as `--broker` takes it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The file with the admin's key.
    pub fn key_file(&self) -> &Path {
        &self.start.key_file
    }

    /// An operator's connection.
    pub const fn admin(&self) -> &Client {
        &self.admin
    }

    /// A connection with another key.
    pub fn client(&self, key: &str) -> Result<Client> {
        connect(self.address, key)
    }
}

impl Start {
    fn of(name: &str, database: &str, directory: &Path) -> Self {
        Self {
            name: name.to_owned(),
            database: database.to_owned(),
            key_file: directory.join("admin.key"),
            directory: directory.to_owned(),
            build: Build::Tested,
            under: Vec::new(),
            variables: Vec::new(),
        }
    }

    async fn broker(self, more: &[&str]) -> Result<Broker> {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let (process, address) = self.process(anywhere, more).await?;
        let key = tokio::fs::read_to_string(&self.key_file)
            .await
            .context("the admin's key file")?;
        Ok(Broker {
            admin: connect(address, &key)?,
            start: self,
            process,
            address,
        })
    }

    async fn process(&self, listen: SocketAddr, more: &[&str]) -> Result<(Process, SocketAddr)> {
        let mut command = self.program()?;
        command
            .args(["broker", "--listen", &listen.to_string()])
            .args(["--database", &self.database])
            .arg("--admin-key-file")
            .arg(&self.key_file)
            .args(more)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        let mut process = Process::start(&self.name, &mut command, &self.directory)?;
        let address = process.says("listening on http://").await?;
        Ok((
            process,
            address.trim().parse().context("the broker's address")?,
        ))
    }

    fn program(&self) -> Result<Command> {
        let broker = self.build.path()?;
        let [program, arguments @ ..] = self.under.as_slice() else {
            return Ok(Command::new(broker));
        };
        let mut command = Command::new(program);
        command.args(arguments).arg(broker);
        Ok(command)
    }
}

fn connect(address: SocketAddr, key: &str) -> Result<Client> {
    let key = key.trim().parse()?;
    Ok(Client::new(
        &format!("http://{address}"),
        key,
        PlainHttp::LoopbackOnly,
    )?)
}
