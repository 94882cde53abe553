use std::str::FromStr;

use brokkr_core::wire::{
    GuardAgents, KeyLimit, PatchGuard, PatchLimits, PatchQuota, PatchRetention, PatchSettings,
    Percent, RetentionDays,
};
use clap::{ArgGroup, Args};

use super::show;
use crate::connection::Connection;
use crate::output::Output;
use crate::terminal::{Confirmation, say};

/// What people write instead of a number of days.
pub const FOREVER: &str = "forever";

/// Change what holds for the whole broker
///
/// What is not named stays as it is. To keep agent events or the audit for a shorter time deletes what is older, which is
/// asked first.
#[derive(Args)]
#[command(group(ArgGroup::new("changes").required(true).multiple(true).args([
    "agent_events_days",
    "audit_days",
    "keys_per_identity",
    "stacks",
    "bytes",
    "publishes_per_minute",
    "guard_agents",
    "guard_agents_percent",
    "paused",
])))]
#[command(after_help = "Example:
  brokkr settings set --agent-events-days 90 --yes
  brokkr settings set --agent-events-days forever --audit-days 400
  brokkr settings set --keys-per-identity 5 --default-stacks 50 --default-publishes-per-minute 60
  brokkr settings set --guard-agents 5 --guard-agents-percent 5
  brokkr settings set --paused true")]
pub struct Set {
    /// How many days agent events are kept after the broker heard of them last, 1 to 3650, or `forever`
    #[arg(long, value_name = "DAYS")]
    agent_events_days: Option<Kept>,

    /// How many days the audit is kept, 1 to 3650, or `forever`
    #[arg(long, value_name = "DAYS")]
    audit_days: Option<Kept>,

    /// How many keys each agent and each generator may have, and all operators together: 2 to 1000
    #[arg(long, value_name = "N")]
    keys_per_identity: Option<KeyLimit>,

    /// How many agents may lose a stack by one change without a plan: 1 to 1000000
    #[arg(long, value_name = "N")]
    guard_agents: Option<GuardAgents>,

    /// Which part of a stack's agents may, if that is more: 0 to 100
    #[arg(long, value_name = "PERCENT")]
    guard_agents_percent: Option<Percent>,

    /// Whether all agents are paused: they change nothing in their clusters, and say what differs
    #[arg(long, value_name = "BOOL")]
    paused: Option<bool>,

    #[command(flatten)]
    quota: DefaultQuota,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// What a generator may have that is created without a quota of its own.
#[derive(Args)]
struct DefaultQuota {
    /// How many stacks a generator may have that is created without a quota of its own
    #[arg(long = "default-stacks", value_name = "N")]
    stacks: Option<u64>,

    /// How many bytes its contents may take, compressed, history included
    #[arg(long = "default-bytes", value_name = "N")]
    bytes: Option<u64>,

    /// How often it may publish in any minute
    #[arg(long = "default-publishes-per-minute", value_name = "N")]
    publishes_per_minute: Option<u64>,
}

/// How long something is kept.
#[derive(Clone, Copy)]
struct Kept(Option<RetentionDays>);

impl FromStr for Kept {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == FOREVER {
            return Ok(Self(None));
        }
        text.parse()
            .map(|days| Self(Some(days)))
            .map_err(|why| format!("{why}, or `{FOREVER}`"))
    }
}

impl Set {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        // What is asked is asked of the settings as they are.
        let seen = client.settings().await?;
        let of = &seen.retention;
        for (what, kept, before) in [
            ("agent events", self.agent_events_days, of.agent_events_days),
            ("the audit", self.audit_days, of.audit_days),
        ] {
            if let Some(Kept(Some(days))) = kept
                && before.is_none_or(|before| days < before)
            {
                self.confirmation.ask(&format!(
                    "Keep {what} for {days} day(s)? What is older is deleted, now and from now on."
                ))?;
            }
        }
        let settings = client.patch_seen_settings(&seen, &self.patch()).await?;
        say("Changed the settings.");
        show(&settings, &self.output)
    }

    fn patch(&self) -> PatchSettings {
        let retention = PatchRetention {
            agent_events_days: self.agent_events_days.map(|Kept(days)| days),
            audit_days: self.audit_days.map(|Kept(days)| days),
        };
        let limits = PatchLimits {
            keys_per_identity: self.keys_per_identity.map(Some),
            default_quota: Some(Some(PatchQuota {
                stacks: self.quota.stacks.map(Some),
                bytes: self.quota.bytes.map(Some),
                publishes_per_minute: self.quota.publishes_per_minute.map(Some),
            })),
        };
        let guard = PatchGuard {
            agents: self.guard_agents.map(Some),
            agents_percent: self.guard_agents_percent.map(Some),
        };
        PatchSettings {
            retention: Some(Some(retention)),
            limits: Some(Some(limits)),
            guard: Some(Some(guard)),
            paused: self.paused.map(Some),
        }
    }
}
