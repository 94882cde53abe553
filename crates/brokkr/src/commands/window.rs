use brokkr_core::ambient::{Ambient as _, System};
use brokkr_core::name::Reference;
use brokkr_core::window::{Schedule, Told};
use brokkr_core::wire;
use brokkr_core::wire::WindowRule;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::connection::Connection;
use crate::output::{Cell, Output, Row};
use crate::terminal::{Confirmation, say};

mod create;

/// Say when agents may bring something new to their clusters
///
/// What is new waits inside of every window that denies, and, at an agent that any window allows, outside of all that do.
/// What runs is kept as it is meanwhile. Agents judge by their own clocks, also while they do not reach the broker.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr window create nightly --agents env=prod --allow --cron '0 2 * * *' --duration 2h --zone Europe/Berlin
  brokkr window list")]
pub struct Window {
    #[command(subcommand)]
    registry: Registry,
}

#[derive(Subcommand)]
enum Registry {
    Create(create::Create),
    List(List),
    Delete(Delete),
}

/// Show all maintenance windows, and when each is next
#[derive(Args)]
#[command(after_help = "Example:
  brokkr window list")]
struct List {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// Delete a maintenance window: what waits for it alone is brought at once
#[derive(Args)]
#[command(after_help = "Example:
  brokkr window delete nightly")]
struct Delete {
    /// Its name or id
    window: Reference,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

impl Window {
    pub async fn run(self) -> anyhow::Result<()> {
        match self.registry {
            Registry::Create(create) => create.run().await,
            Registry::List(list) => list.run().await,
            Registry::Delete(delete) => delete.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let windows = self.connection.client()?.windows().await?;
        let lines: Vec<_> = windows.iter().map(Line).collect();
        self.output.list(&lines)
    }
}

impl Delete {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        self.confirmation.ask(&format!(
            "Delete window {}? What waits for it alone is brought at once.",
            self.window
        ))?;
        client.delete_window(&self.window).await?;
        say(&format!("Deleted window {}.", self.window));
        Ok(())
    }
}

/// A window as people read it: with when it is next, by the clock of this machine.
#[derive(Serialize)]
#[serde(transparent)]
struct Line<'a>(&'a wire::Window);

impl Row for Line<'_> {
    fn name(&self) -> String {
        self.0.name.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let window = self.0;
        let rule = match window.rule {
            WindowRule::Allow => "allow",
            WindowRule::Deny => "deny",
        };
        let agents = match (&window.agent, &window.scope) {
            (Some(agent), _) => format!("agent {agent}"),
            (None, Some(scope)) => scope.to_string(),
            (None, None) => String::new(),
        };
        vec![
            Cell::text("NAME", &window.name),
            Cell::text("RULE", rule),
            Cell::text("AGENTS", agents),
            Cell::text("CRON", &window.cron),
            Cell::text("MINUTES", window.minutes),
            Cell::text("NEXT", next(window)),
            Cell::time("CREATED", window.created_at).wide(),
            Cell::text("ID", window.id).wide(),
        ]
    }
}

fn next(window: &wire::Window) -> String {
    let now = System.now();
    let schedule = match Schedule::new(&window.cron, window.minutes.get(), &window.zone) {
        Ok(schedule) => schedule,
        Err(why) => return why.to_string(),
    };
    if let Some(end) = schedule.end(now) {
        return format!("now, until {}", Told(&schedule.there(end)));
    }
    let next = schedule.next_start(now);
    next.map_or_else(
        || "never again".to_owned(),
        |start| Told(&schedule.there(start)).to_string(),
    )
}
