use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::bounded::Bounded;
use crate::id::WindowId;
use crate::name::{Name, Reference};
use crate::targeting::AgentScope;

/// What an entry of a target state requires that waits for windows: an agent that does not know windows holds it.
pub const WINDOWS: &str = "windows";

/// How long a window lasts, in minutes: at most 31 days.
pub type WindowMinutes = Bounded<1, 44_640>;

/// What a maintenance window does with what is new.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowRule {
    /// It may be brought inside of the window; outside of all such windows of an agent it waits.
    Allow,
    /// It waits inside of the window.
    Deny,
}

/// A maintenance window, as an agent is told of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TargetWindow {
    /// Its name.
    pub name: Name,
    /// What it does.
    pub rule: WindowRule,
    /// When it begins: minute, hour, day of month, month, day of week.
    pub cron: String,
    /// How long it lasts.
    pub minutes: u32,
    /// The IANA name of the zone whose clocks are meant.
    pub zone: String,
}

/// A maintenance window.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Window {
    /// Its id.
    pub id: WindowId,
    /// Its name, unique among windows.
    pub name: Name,
    /// The revision that created it, which finds the audit entry.
    pub revision: u64,
    /// The one agent that it covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Name>,
    /// The agents that it covers, now and later; absent if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<AgentScope>,
    /// What it does.
    pub rule: WindowRule,
    /// When it begins: minute, hour, day of month, month, day of week.
    pub cron: String,
    /// How long it lasts.
    pub minutes: WindowMinutes,
    /// The IANA name of the zone whose clocks are meant.
    pub zone: String,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Window {
    /// What its agents are told.
    pub fn told(self) -> TargetWindow {
        TargetWindow {
            name: self.name,
            rule: self.rule,
            cron: self.cron,
            minutes: self.minutes.get(),
            zone: self.zone,
        }
    }
}

/// Creates a maintenance window, of one agent or of all that a scope reaches.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWindow {
    /// Its name.
    pub name: Name,
    /// The one agent that it covers, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<Reference>,
    /// The agents that it covers, now and later. Either this or `agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<AgentScope>,
    /// What it does.
    pub rule: WindowRule,
    /// When it begins: minute, hour, day of month, month, day of week.
    #[schema(max_length = 100, examples("0 2 * * *"))]
    pub cron: String,
    /// How long it lasts.
    pub minutes: WindowMinutes,
    /// The IANA name of the zone whose clocks are meant.
    #[schema(examples("Europe/Berlin"))]
    pub zone: String,
}
