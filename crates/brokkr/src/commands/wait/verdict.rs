use brokkr_core::wire::{Health, Sync, TargetStatus};

use crate::commands::advice::filled;
use crate::output::printable;

/// What the states of all agents come to.
#[derive(PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every agent runs it, and it runs well.
    Done,
    /// Some agent is on its way.
    Going,
    /// Some agent will not begin before somebody resumes it.
    Paused(String),
    /// Some agent failed, or cannot go on, or runs it badly.
    InTrouble(String),
    /// Somebody published again.
    Superseded(u64),
    /// There is no agent to wait for.
    Nobody,
}

impl Verdict {
    /// Judges the newest states of a stack at its agents.
    pub fn of(statuses: &[TargetStatus], sequence: u64, stack: &str) -> Self {
        let mut running = statuses
            .iter()
            .filter(|status| status.sync != Sync::Removing)
            .peekable();
        if running.peek().is_none() {
            return Self::Nobody;
        }
        let mut verdict = Self::Done;
        for status in running {
            if let Some(newer) = status.desired.filter(|&desired| desired > sequence) {
                return Self::Superseded(newer);
            }
            let has_it = status.applied == Some(sequence) && status.sync == Sync::Synced;
            if status.paused.is_paused() && !has_it {
                let paused = status.paused.told(stack, &status.agent_name);
                return Self::Paused(format!("agent {} waits: {paused}", status.agent_name));
            }
            if let Some(trouble) = trouble(status, stack) {
                return Self::InTrouble(trouble);
            }
            let is_done = status.applied == Some(sequence)
                && status.sync == Sync::Synced
                && status.health == Health::Current;
            if !is_done {
                verdict = Self::Going;
            }
        }
        verdict
    }
}

fn trouble(status: &TargetStatus, stack: &str) -> Option<String> {
    let what = match (status.sync, status.health) {
        (Sync::Failed, _) => "cannot apply it",
        (Sync::Held, _) => "holds it until somebody decides",
        (Sync::Synced, Health::Degraded) => "has applied it, but it does not run well",
        _ => return None,
    };
    let reason = status
        .reason
        .as_deref()
        .map(|reason| filled(reason, stack, &status.agent_name))
        .map(|reason| format!(": {}", printable(&reason)));
    Some(format!(
        "agent {} {what}{}",
        status.agent_name,
        reason.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;
    use brokkr_core::id::AgentId;
    use brokkr_core::wire::Paused;

    use super::*;

    fn status(desired: u64, applied: u64, sync: Sync, health: Health) -> TargetStatus {
        TargetStatus {
            agent: AgentId::generate(&System),
            agent_name: "eu-1".parse().unwrap(),
            desired: Some(desired),
            applied: Some(applied),
            sync,
            health,
            ineligible: false,
            paused: Paused::default(),
            reason: Some("because".to_owned()),
            held: None,
            observed_at: None,
        }
    }

    #[test]
    fn done_is_when_every_agent_has_it_and_it_runs_well() {
        let done = || status(2, 2, Sync::Synced, Health::Current);
        assert_eq!(Verdict::of(&[done(), done()], 2, "shop"), Verdict::Done);
        for other in [
            status(2, 1, Sync::Synced, Health::Current),
            status(2, 2, Sync::Synced, Health::Progressing),
            status(2, 2, Sync::Unknown, Health::Current),
            status(2, 1, Sync::Applying, Health::Degraded),
        ] {
            assert_eq!(Verdict::of(&[done(), other], 2, "shop"), Verdict::Going);
        }
    }

    #[test]
    fn trouble_names_the_agent_and_its_reason() {
        let mut failed = status(2, 1, Sync::Failed, Health::Current);
        failed.reason = Some("it exists: `brokkr stack set STACK --adopt always`".to_owned());
        assert_eq!(
            Verdict::of(&[failed], 2, "shop"),
            Verdict::InTrouble(
                "agent eu-1 cannot apply it: it exists: `brokkr stack set shop --adopt always`"
                    .to_owned()
            )
        );
    }

    #[test]
    fn what_is_being_removed_is_not_waited_for() {
        let removing = || status(2, 2, Sync::Removing, Health::Unknown);
        assert_eq!(Verdict::of(&[removing()], 2, "shop"), Verdict::Nobody);
        let done = status(2, 2, Sync::Synced, Health::Current);
        assert_eq!(Verdict::of(&[removing(), done], 2, "shop"), Verdict::Done);
    }

    #[test]
    fn a_newer_publish_ends_the_wait() {
        let newer = status(3, 2, Sync::Pending, Health::Current);
        assert_eq!(Verdict::of(&[newer], 2, "shop"), Verdict::Superseded(3));
    }

    #[test]
    fn a_pause_ends_the_wait_and_says_how_to_go_on() {
        let paused = |sync| TargetStatus {
            paused: Paused {
                agent: true,
                ..Paused::default()
            },
            ..status(2, 1, sync, Health::Current)
        };
        for sync in [Sync::Held, Sync::Pending, Sync::Unknown] {
            let verdict = Verdict::of(&[paused(sync)], 2, "shop");
            let Verdict::Paused(told) = verdict else {
                panic!("{verdict:?}");
            };
            assert!(told.contains("brokkr agent resume eu-1"), "{told}");
        }
    }
}
