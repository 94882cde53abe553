use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Result, ensure};
use serde::de::DeserializeOwned;
use tokio::process::Command;

use crate::binary::{Process, brokkr, without_our_variables};

/// A person's or a pipeline's command line, with a configuration of its own and nobody at a terminal.
pub struct Cli {
    directory: PathBuf,
    variables: Vec<(&'static str, String)>,
}

/// What a command came to.
#[derive(Debug)]
pub struct Said {
    /// The exit code.
    pub code: Option<i32>,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

impl Cli {
    /// Commands run in this folder and keep their configuration there.
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            variables: Vec::new(),
        }
    }

    /// Where it works.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The same with a variable in the environment.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// Runs a command.
    pub async fn run(&self, arguments: &[&str]) -> Result<Said> {
        let mut command = Command::new(brokkr()?);
        let output = without_our_variables(&mut command)
            .args(arguments)
            .current_dir(&self.directory)
            .env("BROKKR_CONFIG", self.directory.join("config.toml"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        Ok(Said {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// Starts a command that goes on until it is stopped.
    pub fn start(&self, name: &str, arguments: &[&str]) -> Result<Process> {
        let mut command = Command::new(brokkr()?);
        command
            .args(arguments)
            .current_dir(&self.directory)
            .env("BROKKR_CONFIG", self.directory.join("config.toml"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        Process::start(name, &mut command, &self.directory)
    }

    /// Runs a command that must succeed.
    pub async fn does(&self, arguments: &[&str]) -> Result<Said> {
        self.ends(arguments, 0).await
    }

    /// Runs a command that must end with this code.
    pub async fn ends(&self, arguments: &[&str], code: i32) -> Result<Said> {
        let said = self.run(arguments).await?;
        ensure!(
            said.code == Some(code),
            "{arguments:?} ended with another code than {code}: {said:#?}"
        );
        Ok(said)
    }

    /// Runs a command with `-o json` and reads its data.
    pub async fn reads<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        let said = self.does(&[arguments, &["-o", "json"]].concat()).await?;
        Ok(serde_json::from_str(&said.stdout)?)
    }
}
