use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, Result};
use brokkr_client::{Client, PlainHttp};

use crate::{Build, Process};

/// A broker process that can be killed and started again at the same address.
pub struct Broker {
    build: Build,
    name: String,
    database: String,
    key_file: PathBuf,
    directory: PathBuf,
    process: Process,
    address: SocketAddr,
    admin: Client,
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
        Self::of(Build::Tested, name, database, directory, more).await
    }

    /// The same of one of the builds.
    pub async fn of(
        build: Build,
        name: &str,
        database: &str,
        directory: &Path,
        more: &[&str],
    ) -> Result<Self> {
        let key_file = directory.join("admin.key");
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let arguments = arguments(anywhere, database, &key_file, more);
        let (process, address) = run(build, name, &arguments, directory).await?;
        let key = tokio::fs::read_to_string(&key_file)
            .await
            .context("the admin's key file")?;
        Ok(Self {
            build,
            name: name.to_owned(),
            database: database.to_owned(),
            directory: directory.to_owned(),
            admin: connect(address, &key)?,
            key_file,
            process,
            address,
        })
    }

    /// Starts it again at the address that it had.
    pub async fn start_again(&mut self) -> Result<()> {
        let arguments = arguments(self.address, &self.database, &self.key_file, &[]);
        let started = run(self.build, &self.name, &arguments, &self.directory);
        (self.process, self.address) = started.await?;
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
        &self.key_file
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

fn arguments(listen: SocketAddr, database: &str, key_file: &Path, more: &[&str]) -> Vec<String> {
    let (listen, key_file) = (listen.to_string(), key_file.display().to_string());
    let usual = [
        "broker",
        "--listen",
        &listen,
        "--database",
        database,
        "--admin-key-file",
        &key_file,
    ];
    usual.iter().chain(more).map(ToString::to_string).collect()
}

async fn run(
    build: Build,
    name: &str,
    arguments: &[String],
    directory: &Path,
) -> Result<(Process, SocketAddr)> {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut process = Process::of(build, name, &arguments, directory)?;
    let address = process.says("listening on http://").await?;
    Ok((
        process,
        address.trim().parse().context("the broker's address")?,
    ))
}

fn connect(address: SocketAddr, key: &str) -> Result<Client> {
    let key = key.trim().parse()?;
    Ok(Client::new(
        &format!("http://{address}"),
        key,
        PlainHttp::LoopbackOnly,
    )?)
}
