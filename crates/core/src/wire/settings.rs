use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::agents::{PatchQuota, Quota};
use super::patch::present;
use crate::bounded::Bounded;

/// How many days something can be kept.
pub type RetentionDays = Bounded<1, 3_650>;
/// How many keys an agent, a generator or the operators can have. One would leave nobody a second key to change to.
pub type KeyLimit = Bounded<2, 1_000>;
/// How many agents.
pub type GuardAgents = Bounded<1, 1_000_000>;
/// A part of a hundred.
pub type Percent = Bounded<0, 100>;

/// What operators have settled for the whole broker.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// The revision that last edited them, 0 if none did: what `If-Match` takes, and what finds the audit entry.
    pub revision: u64,
    /// How long what is kept.
    pub retention: Retention,
    /// How much anybody may have.
    pub limits: Limits,
    /// How much one change may take away without a plan.
    #[serde(default)]
    pub guard: Guard,
    /// Whether all agents only look, and change nothing in their clusters.
    #[serde(default)]
    pub paused: bool,
}

/// How long what is kept.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Retention {
    /// How many days agent events are kept after the broker heard of them last; `null`, the default, is for ever.
    pub agent_events_days: Option<RetentionDays>,
    /// How many days the audit is kept, whole ones of UTC; `null`, the default, is for ever.
    pub audit_days: Option<RetentionDays>,
}

/// How much anybody may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Limits {
    /// How many keys each agent and each generator may have, and all operators together.
    #[schema(default = 20)]
    pub keys_per_identity: KeyLimit,
    /// The quota of a generator that is created without one. Those that are there keep theirs.
    pub default_quota: Quota,
}

impl Limits {
    const KEYS: KeyLimit = match KeyLimit::new(20) {
        Ok(keys) => keys,
        Err(_) => panic!("the default lies within the bounds"),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            keys_per_identity: Self::KEYS,
            default_quota: Quota::default(),
        }
    }
}

/// How much one change may take away without a plan: the greater of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Guard {
    /// How many agents may lose a stack.
    #[schema(default = 10)]
    pub agents: GuardAgents,
    /// Which part of a stack's agents may lose it.
    #[schema(default = 10)]
    pub agents_percent: Percent,
}

impl Guard {
    const AGENTS: GuardAgents = match GuardAgents::new(10) {
        Ok(agents) => agents,
        Err(_) => panic!("the default lies within the bounds"),
    };
    const PERCENT: Percent = match Percent::new(10) {
        Ok(percent) => percent,
        Err(_) => panic!("the default lies within the bounds"),
    };

    /// Whether so many of a stack's agents may lose it at once.
    pub const fn permits(self, left: u64, of: u64) -> bool {
        left <= self.agents.get() as u64
            || left.saturating_mul(100) <= of.saturating_mul(self.agents_percent.get() as u64)
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            agents: Self::AGENTS,
            agents_percent: Self::PERCENT,
        }
    }
}

/// Changes the broker's settings: JSON Merge Patch (RFC 7396). `null` goes back to the default.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PatchSettings {
    /// How long what is kept.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PatchRetention>)]
    pub retention: Option<Option<PatchRetention>>,
    /// How much anybody may have.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PatchLimits>)]
    pub limits: Option<Option<PatchLimits>>,
    /// How much one change may take away without a plan.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PatchGuard>)]
    pub guard: Option<Option<PatchGuard>>,
    /// Whether all agents are paused.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bool>)]
    pub paused: Option<Option<bool>>,
}

/// How long what is kept from now on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PatchRetention {
    /// How many days agent events are kept; `null` is for ever.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<RetentionDays>)]
    pub agent_events_days: Option<Option<RetentionDays>>,
    /// How many days the audit is kept; `null` is for ever.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<RetentionDays>)]
    pub audit_days: Option<Option<RetentionDays>>,
}

/// How much anybody may have from now on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PatchLimits {
    /// How many keys each agent and each generator may have, and all operators together.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<KeyLimit>)]
    pub keys_per_identity: Option<Option<KeyLimit>>,
    /// The quota of a generator that is created without one.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PatchQuota>)]
    pub default_quota: Option<Option<PatchQuota>>,
}

/// How much one change may take away without a plan from now on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PatchGuard {
    /// How many agents may lose a stack.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GuardAgents>)]
    pub agents: Option<Option<GuardAgents>>,
    /// Which part of a stack's agents may lose it.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Percent>)]
    pub agents_percent: Option<Option<Percent>>,
}

impl PatchSettings {
    /// The settings after this patch.
    pub fn applied_to(self, settings: Settings) -> Settings {
        let Settings {
            revision,
            retention,
            limits,
            guard,
            paused,
        } = settings;
        Settings {
            revision,
            retention: self.retention.map_or(retention, |patch| {
                patch.map_or_else(Retention::default, |patch| patch.applied_to(retention))
            }),
            limits: self.limits.map_or(limits, |patch| {
                patch.map_or_else(Limits::default, |patch| patch.applied_to(limits))
            }),
            guard: self.guard.map_or(guard, |patch| {
                patch.map_or_else(Guard::default, |patch| patch.applied_to(guard))
            }),
            paused: self.paused.map_or(paused, Option::unwrap_or_default),
        }
    }
}

impl PatchRetention {
    fn applied_to(self, retention: Retention) -> Retention {
        Retention {
            agent_events_days: self
                .agent_events_days
                .unwrap_or(retention.agent_events_days),
            audit_days: self.audit_days.unwrap_or(retention.audit_days),
        }
    }
}

impl PatchGuard {
    fn applied_to(self, guard: Guard) -> Guard {
        let usual = Guard::default();
        Guard {
            agents: self
                .agents
                .map_or(guard.agents, |agents| agents.unwrap_or(usual.agents)),
            agents_percent: self.agents_percent.map_or(guard.agents_percent, |percent| {
                percent.unwrap_or(usual.agents_percent)
            }),
        }
    }
}

impl PatchLimits {
    fn applied_to(self, limits: Limits) -> Limits {
        let usual = Limits::default();
        let (quota, default) = (limits.default_quota, usual.default_quota);
        Limits {
            keys_per_identity: self
                .keys_per_identity
                .map_or(limits.keys_per_identity, |keys| {
                    keys.unwrap_or(usual.keys_per_identity)
                }),
            default_quota: self.default_quota.map_or(quota, |patch| {
                patch.map_or(default, |patch| patch.applied_to(quota, default))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn after(patch: Value, settings: Settings) -> Settings {
        let patch: PatchSettings = serde_json::from_value(patch).unwrap();
        patch.applied_to(settings)
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_goes_back_to_the_default() {
        let all = json!({
            "retention": {"agent_events_days": 90, "audit_days": 400},
            "limits": {"keys_per_identity": 5, "default_quota": {"stacks": 7, "bytes": 8}},
        });
        let set = after(all, Settings::default());
        assert_eq!(set.retention.agent_events_days, RetentionDays::new(90).ok());
        assert_eq!(set.retention.audit_days, RetentionDays::new(400).ok());
        let Limits {
            keys_per_identity,
            default_quota,
        } = set.limits;
        assert_eq!(keys_per_identity.get(), 5);
        assert_eq!((default_quota.stacks, default_quota.bytes), (7, 8));
        let usual = Quota::default();
        assert_eq!(
            default_quota.publishes_per_minute,
            usual.publishes_per_minute
        );

        assert_eq!(after(json!({}), set), set);
        let audit_days = set.retention.audit_days;
        let forever = after(json!({"retention": {"agent_events_days": null}}), set);
        let audit_only = Retention {
            audit_days,
            ..Retention::default()
        };
        assert_eq!(
            (forever.retention, &forever.limits),
            (audit_only, &set.limits)
        );
        let forever = after(json!({"retention": {"audit_days": null}}), forever);
        assert_eq!(forever.retention, Retention::default());
        let part =
            json!({"limits": {"default_quota": {"stacks": null}, "keys_per_identity": null}});
        let part = after(part, set).limits;
        assert_eq!(part.keys_per_identity, Limits::default().keys_per_identity);
        assert_eq!(
            (part.default_quota.stacks, part.default_quota.bytes),
            (usual.stacks, 8)
        );
        let quota = after(json!({"limits": {"default_quota": null}}), set).limits;
        assert_eq!(
            (quota.keys_per_identity.get(), quota.default_quota),
            (5, usual)
        );
        let groups = after(json!({"limits": null, "retention": null}), set);
        assert_eq!(groups, Settings::default());
    }

    #[test]
    fn the_guard_lets_pass_the_greater_of_both() {
        let guard = Guard::default();
        for (left, of, permits) in [
            (0, 0, true),
            (10, 10, true),
            (11, 11, false),
            (11, 100, false),
            (11, 110, true),
            (12, 119, false),
            (1_000, 10_000, true),
            (1_001, 10_000, false),
        ] {
            assert_eq!(guard.permits(left, of), permits, "{left} of {of}");
        }
        let patch = json!({"guard": {"agents": 1, "agents_percent": 0}});
        let narrow = after(patch, Settings::default());
        assert!(narrow.guard.permits(1, 1_000) && !narrow.guard.permits(2, 1_000));
        let part = after(json!({"guard": {"agents": null}}), narrow).guard;
        assert_eq!((part.agents.get(), part.agents_percent.get()), (10, 0));
        assert_eq!(after(json!({"guard": null}), narrow), Settings::default());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for wrong in [
            json!({"retention": {"agent_events_days": 0}}),
            json!({"retention": {"agent_events_days": 3_651}}),
            json!({"retention": {"audit_days": 0}}),
            json!({"limits": {"keys_per_identity": 1}}),
            json!({"limits": {"keys_per_identity": 1_001}}),
            json!({"limits": {"default_quota": {"stacks": -1}}}),
            json!({"limits": {"colour": 1}}),
            json!({"guard": {"agents": 0}}),
            json!({"guard": {"agents_percent": 101}}),
            json!({"revision": 1}),
        ] {
            let read: Result<PatchSettings, _> = serde_json::from_value(wrong.clone());
            assert!(read.is_err(), "{wrong}");
        }
    }
}
