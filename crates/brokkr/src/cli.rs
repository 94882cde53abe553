//! The command tree. Each command's flags and examples stand in its own file under `commands`.

use clap::{Parser, Subcommand};

use crate::commands::{
    agent, apply, audit, broker, completion, context, describe, dev, diff, doctor, epochs, events,
    explain, generator, history, key, login, logs, removals, rollback, rotate_key, settings,
    simulate, stack, status, sync, wait, whoami, window,
};

/// Distributes Kubernetes objects to many clusters.
///
/// A broker records what should run where; one agent per cluster fetches its target state, applies
/// it, and reports what happened.
#[derive(Parser)]
#[command(name = "brokkr", version, arg_required_else_help = true)]
#[command(after_help = "Example:
  brokkr dev                    a broker and an agent, for a first look
  brokkr apply -f ./manifests --stack checkout --create --wait")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    Broker(broker::Broker),
    Agent(Box<agent::Agent>),
    Dev(dev::Dev),
    Login(login::Login),
    Context(context::Context),
    Whoami(whoami::Whoami),
    Doctor(doctor::Doctor),
    Generator(generator::Generator),
    Key(key::Key),
    RotateKey(rotate_key::RotateKey),
    Settings(settings::Settings),
    Window(window::Window),
    Epochs(epochs::Epochs),
    Stack(stack::Stack),
    Explain(explain::Explain),
    Apply(apply::Apply),
    Diff(diff::Diff),
    History(history::History),
    Rollback(rollback::Rollback),
    Status(status::Status),
    Wait(wait::Wait),
    Describe(describe::Describe),
    Logs(logs::Logs),
    Sync(sync::Sync),
    Events(events::Events),
    Removals(removals::Removals),
    Audit(audit::Audit),
    Simulate(simulate::Simulate),
    Completion(completion::Completion),
}

#[cfg(test)]
mod tests;
