use std::time::Duration;

use brokkr_core::name::{Name, Reference};
use brokkr_core::targeting::{AgentScope, AgentSelection, Selector};
use brokkr_core::wire::{CreateWindow, WindowMinutes, WindowRule};
use clap::{ArgGroup, Args};

use super::Line;
use crate::connection::Connection;
use crate::duration;
use crate::failure::Usage;
use crate::output::Output;
use crate::terminal::say;

/// Create a maintenance window
#[derive(Args)]
#[command(group(ArgGroup::new("covered").required(true).args(["agents", "agent", "all_agents"])))]
#[command(group(ArgGroup::new("rule").required(true).args(["allow", "deny"])))]
#[command(after_help = "Example:
  brokkr window create nightly --agents env=prod --allow --cron '0 2 * * *' --duration 2h --zone Europe/Berlin
  brokkr window create holidays --all-agents --deny --cron '0 0 23 12 *' --duration 10d --zone UTC
  brokkr window create office --agent eu-1 --deny --cron '0 8 * * 1-5' --duration 10h --zone Europe/Berlin")]
pub struct Create {
    /// Its name, which those read whose stacks wait
    name: Name,

    /// Cover the agents with these labels, now and later
    #[arg(long, value_name = "SELECTOR")]
    agents: Option<Selector>,

    /// Cover this agent, by name or id
    #[arg(long, value_name = "AGENT")]
    agent: Option<Reference>,

    /// Cover every agent, now and later
    #[arg(long)]
    all_agents: bool,

    /// Let new things wait outside of the window, and of all others that allow
    #[arg(long)]
    allow: bool,

    /// Let new things wait inside of the window
    #[arg(long)]
    deny: bool,

    /// When it begins: minute, hour, day of month, month, day of week
    #[arg(long, value_name = "CRON")]
    cron: String,

    /// How long it lasts, in whole minutes, at most 31d
    #[arg(long, value_name = "DURATION", value_parser = duration::positive)]
    duration: Duration,

    /// The time zone whose clocks are meant, by its IANA name
    #[arg(long, value_name = "ZONE")]
    zone: String,

    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Create {
    pub async fn run(self) -> anyhow::Result<()> {
        let create = CreateWindow {
            minutes: minutes(self.duration)?,
            scope: self.scope()?,
            agent: self.agent,
            rule: if self.deny {
                WindowRule::Deny
            } else {
                WindowRule::Allow
            },
            name: self.name,
            cron: self.cron,
            zone: self.zone,
        };
        let window = self.connection.client()?.create_window(&create).await?;
        say(&format!("Created window {}.", window.name));
        self.output.one(&Line(&window))
    }

    fn scope(&self) -> Result<Option<AgentScope>, Usage> {
        if self.all_agents {
            return Ok(Some(AgentScope::AllAgents));
        }
        let Some(selector) = self.agents.clone() else {
            return Ok(None);
        };
        AgentSelection::new(Some(selector), None)
            .map(|selection| Some(AgentScope::Selected(selection)))
            .map_err(|why| Usage(why.to_string()))
    }
}

fn minutes(duration: Duration) -> Result<WindowMinutes, Usage> {
    let whole = duration.as_secs() / 60;
    if Duration::from_mins(whole) != duration {
        return Err(Usage("write the duration in whole minutes".to_owned()));
    }
    WindowMinutes::new(whole).map_err(|why| Usage(format!("--duration, in minutes: {why}")))
}
