use brokkr_core::wire::{self, RetentionDays};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::connection::Connection;
use crate::output::{Cell, Output, Row};

mod set;

/// Show or change what holds for the whole broker: how long events and the audit are kept, how much anybody may have, how much
/// one change may take away, and whether all agents are paused
///
/// Without a subcommand it shows the settings; `-o wide` has their defaults too.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Example:
  brokkr settings
  brokkr settings -o json
  brokkr settings set --agent-events-days 90")]
pub struct Settings {
    #[command(subcommand)]
    change: Option<Change>,

    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Subcommand)]
enum Change {
    Set(set::Set),
}

impl Settings {
    pub async fn run(self) -> anyhow::Result<()> {
        match self.change {
            Some(Change::Set(set)) => set.run().await,
            None => show(&self.connection.client()?.settings().await?, &self.output),
        }
    }
}

/// Shows settings; for programs, as the API has them.
fn show(settings: &wire::Settings, output: &Output) -> anyhow::Result<()> {
    output.rows(&rows(settings), settings)
}

/// One of the settings, as people read it.
#[derive(Serialize)]
struct Setting {
    name: &'static str,
    value: String,
    default: String,
}

fn rows(settings: &wire::Settings) -> Vec<Setting> {
    let usual = wire::Settings::default();
    let setting = |name, value: fn(&wire::Settings) -> String| Setting {
        name,
        value: value(settings),
        default: value(&usual),
    };
    vec![
        setting("retention.agent_events_days", |of| {
            kept(of.retention.agent_events_days)
        }),
        setting("retention.audit_days", |of| kept(of.retention.audit_days)),
        setting("limits.keys_per_identity", |of| {
            of.limits.keys_per_identity.to_string()
        }),
        setting("limits.default_quota.stacks", |of| {
            of.limits.default_quota.stacks.to_string()
        }),
        setting("limits.default_quota.bytes", |of| {
            of.limits.default_quota.bytes.to_string()
        }),
        setting("limits.default_quota.publishes_per_minute", |of| {
            of.limits.default_quota.publishes_per_minute.to_string()
        }),
        setting("guard.agents", |of| of.guard.agents.to_string()),
        setting("guard.agents_percent", |of| {
            of.guard.agents_percent.to_string()
        }),
        setting("paused", |of| of.paused.to_string()),
    ]
}

fn kept(days: Option<RetentionDays>) -> String {
    days.map_or_else(|| set::FOREVER.to_owned(), |days| days.to_string())
}

impl Row for Setting {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text("SETTING", self.name),
            Cell::text("VALUE", &self.value),
            Cell::text("DEFAULT", &self.default).wide(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::wire::{PatchSettings, Settings};
    use serde_json::json;

    use super::*;

    #[test]
    fn every_setting_is_a_line() {
        let patch: PatchSettings = serde_json::from_value(json!({
            "retention": {"agent_events_days": 90},
            "limits": {"default_quota": {"stacks": 5}},
        }))
        .unwrap();
        let settings = patch.applied_to(Settings::default());
        let lines: Vec<_> = rows(&settings)
            .into_iter()
            .map(|row| format!("{} {} ({})", row.name, row.value, row.default))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        retention.agent_events_days 90 (forever)
        retention.audit_days forever (forever)
        limits.keys_per_identity 20 (20)
        limits.default_quota.stacks 5 (1000)
        limits.default_quota.bytes 10737418240 (10737418240)
        limits.default_quota.publishes_per_minute 600 (600)
        guard.agents 10 (10)
        guard.agents_percent 10 (10)
        paused false (false)
        ");
    }
}
