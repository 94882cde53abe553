//! One binary: broker, agent, and the command line of people and pipelines.

#![expect(
    clippy::doc_markdown,
    reason = "the documentation of commands and flags is the help that a terminal shows"
)]

mod cli;
mod commands;
mod config;
mod connection;
mod duration;
mod failure;
mod key_file;
mod lifecycle;
mod logging;
mod memory;
mod monitoring;
mod open_files;
mod output;
mod signals;
mod snapshot;
mod terminal;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use cli::{Cli, Command};
use tikv_jemallocator::Jemalloc;

/// It keeps little of what was freed and costs less than the system's; `.cargo/config.toml` has its settings.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    failure::exit_code(start(command))
}

fn start(command: Command) -> anyhow::Result<()> {
    // Before anything can open a connection. The only error is that somebody did so already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the process cannot start its threads")?;
    let outcome = runtime.block_on(run(command));
    // What is still running was given its time by `lifecycle`.
    runtime.shutdown_background();
    outcome
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Broker(broker) => broker.run().await,
        Command::Agent(agent) => agent.run().await,
        Command::Dev(dev) => dev.run().await,
        Command::Login(login) => login.run().await,
        Command::Context(context) => context.run(),
        Command::Whoami(whoami) => whoami.run().await,
        Command::Doctor(doctor) => doctor.run().await,
        Command::Generator(generator) => generator.run().await,
        Command::Key(key) => key.run().await,
        Command::RotateKey(rotate) => rotate.run().await,
        Command::Settings(settings) => settings.run().await,
        Command::Window(window) => window.run().await,
        Command::Epochs(epochs) => epochs.run().await,
        Command::Stack(stack) => stack.run().await,
        Command::Explain(explain) => explain.run().await,
        Command::Apply(apply) => apply.run().await,
        Command::Diff(diff) => diff.run().await,
        Command::History(history) => history.run().await,
        Command::Rollback(rollback) => rollback.run().await,
        Command::Status(status) => status.run().await,
        Command::Wait(wait) => wait.run().await,
        Command::Describe(describe) => describe.run().await,
        Command::Logs(logs) => logs.run().await,
        Command::Sync(sync) => sync.run().await,
        Command::Events(events) => events.run().await,
        Command::Removals(removals) => removals.run().await,
        Command::Audit(audit) => audit.run().await,
        Command::Simulate(simulate) => simulate.run().await,
        Command::Completion(completion) => completion.run(),
    }
}
