use clap::{Args, Subcommand};
use serde::Serialize;

use crate::config::{self, Config};
use crate::output::{Cell, Output, Row};
use crate::terminal::{Confirmation, say};

/// Choose among the brokers that you signed in to
#[derive(Args)]
#[command(after_help = "Example:
  brokkr context use eu")]
pub struct Context {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    List(List),
    Use(Use),
    Delete(Delete),
}

/// Show all contexts
#[derive(Args)]
#[command(after_help = "Example:
  brokkr context list")]
struct List {
    #[command(flatten)]
    output: Output,
}

/// Use this context from now on
#[derive(Args)]
#[command(after_help = "Example:
  brokkr context use eu")]
struct Use {
    /// The context
    name: String,
}

/// Forget a context and its key
#[derive(Args)]
#[command(after_help = "Example:
  brokkr context delete eu")]
struct Delete {
    /// The context
    name: String,
    #[command(flatten)]
    confirmation: Confirmation,
}

/// A context, without its key.
#[derive(Serialize)]
struct Known {
    name: String,
    server: String,
    current: bool,
}

impl Context {
    pub fn run(self) -> anyhow::Result<()> {
        let path = config::path()?;
        let mut config = Config::read(&path)?;
        let done = match self.action {
            Action::List(list) => return list.output.list(&known(&config)),
            Action::Use(chosen) => {
                config.context(Some(&chosen.name))?;
                let done = format!("Context `{}` is in use now.", chosen.name);
                config.current = Some(chosen.name);
                done
            }
            Action::Delete(Delete { name, confirmation }) => {
                config.context(Some(&name))?;
                confirmation.ask(&format!("Forget context `{name}` and its key?"))?;
                config.contexts.remove(&name);
                config.current = config.current.filter(|current| *current != name);
                format!("Forgot context `{name}`.")
            }
        };
        config.write(&path)?;
        say(&done);
        Ok(())
    }
}

fn known(config: &Config) -> Vec<Known> {
    config
        .contexts
        .iter()
        .map(|(name, context)| Known {
            name: name.clone(),
            server: context.server.clone(),
            current: config.current.as_ref() == Some(name),
        })
        .collect()
}

impl Row for Known {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text("NAME", &self.name),
            Cell::text("SERVER", &self.server),
            Cell::text("CURRENT", if self.current { "yes" } else { "" }),
        ]
    }
}
