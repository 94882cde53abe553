use brokkr_core::wire::{Health, Sync, TargetStatus};

use super::aim::Aim;
use crate::commands::advice::filled;
use crate::output::printable;

/// What the states of all agents come to.
#[derive(PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Enough agents have come to it.
    Done,
    /// Enough agents are on their way.
    Going,
    /// Too many agents will not come to it, one of them not before somebody resumes it.
    Paused(String),
    /// Too many agents will not come to it: one failed, or cannot go on.
    InTrouble(String),
    /// Too many agents have it and run it badly.
    Unwell(String),
    /// Somebody published again.
    Superseded(u64),
    /// There is no agent to wait for.
    Nobody,
}

impl Verdict {
    /// Judges the newest states of a stack at its agents.
    pub fn of(statuses: &[TargetStatus], aim: &Aim, stack: &str) -> Self {
        let running = statuses
            .iter()
            .filter(|status| status.sync != Sync::Removing);
        let running: Vec<_> = running.collect();
        if running.is_empty() {
            return Self::Nobody;
        }
        let newest = running.iter().filter_map(|status| status.desired).max();
        if let Some(newer) = newest.filter(|&desired| desired > aim.sequence) {
            return Self::Superseded(newer);
        }
        let needed = aim.share.of(running.len());
        let reached = running.iter().filter(|status| aim.is_reached_by(status));
        if reached.count() >= needed {
            return Self::Done;
        }
        let obstacles = running
            .iter()
            .filter_map(|status| obstacle(status, aim, stack));
        let obstacles: Vec<_> = obstacles.collect();
        if running.len() - obstacles.len() >= needed {
            return Self::Going;
        }
        obstacles.into_iter().next().unwrap_or(Self::Going)
    }
}

/// Why an agent will not come to it by itself, as far as it looks now.
fn obstacle(status: &TargetStatus, aim: &Aim, stack: &str) -> Option<Verdict> {
    if status.paused.is_paused() && !aim.is_applied_by(status) {
        let paused = status.paused.told(stack, &status.agent_name);
        let told = format!("agent {} waits: {paused}", status.agent_name);
        return Some(Verdict::Paused(told));
    }
    if aim.is_reached_by(status) {
        return None;
    }
    trouble(status, stack)
}

fn trouble(status: &TargetStatus, stack: &str) -> Option<Verdict> {
    let (verdict, what): (fn(String) -> Verdict, _) = match (status.sync, status.health) {
        (Sync::Failed, _) => (Verdict::InTrouble, "cannot apply it"),
        (Sync::Held, _) => (Verdict::InTrouble, "holds it"),
        (Sync::Synced, Health::Degraded) => {
            (Verdict::Unwell, "has applied it, but it does not run well")
        }
        _ => return None,
    };
    let reason = status
        .reason
        .as_deref()
        .map(|reason| filled(reason, stack, &status.agent_name))
        .map(|reason| format!(": {}", printable(&reason)));
    Some(verdict(format!(
        "agent {} {what}{}",
        status.agent_name,
        reason.unwrap_or_default()
    )))
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;
    use brokkr_core::id::AgentId;
    use brokkr_core::wire::Paused;

    use super::super::aim::{Goal, Share};
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
        assert_eq!(
            Verdict::of(&[done(), done()], &Aim::everywhere(2), "shop"),
            Verdict::Done
        );
        for other in [
            status(2, 1, Sync::Synced, Health::Current),
            status(2, 2, Sync::Synced, Health::Progressing),
            status(2, 2, Sync::Unknown, Health::Current),
            status(2, 1, Sync::Applying, Health::Degraded),
        ] {
            assert_eq!(
                Verdict::of(&[done(), other], &Aim::everywhere(2), "shop"),
                Verdict::Going
            );
        }
    }

    #[test]
    fn trouble_names_the_agent_and_its_reason() {
        let mut failed = status(2, 1, Sync::Failed, Health::Current);
        failed.reason = Some("it exists: `brokkr stack set STACK --adopt always`".to_owned());
        assert_eq!(
            Verdict::of(&[failed], &Aim::everywhere(2), "shop"),
            Verdict::InTrouble(
                "agent eu-1 cannot apply it: it exists: `brokkr stack set shop --adopt always`"
                    .to_owned()
            )
        );
    }

    #[test]
    fn what_is_being_removed_is_not_waited_for() {
        let removing = || status(2, 2, Sync::Removing, Health::Unknown);
        assert_eq!(
            Verdict::of(&[removing()], &Aim::everywhere(2), "shop"),
            Verdict::Nobody
        );
        let done = status(2, 2, Sync::Synced, Health::Current);
        assert_eq!(
            Verdict::of(&[removing(), done], &Aim::everywhere(2), "shop"),
            Verdict::Done
        );
    }

    #[test]
    fn a_newer_publish_ends_the_wait() {
        let newer = status(3, 2, Sync::Pending, Health::Current);
        assert_eq!(
            Verdict::of(&[newer], &Aim::everywhere(2), "shop"),
            Verdict::Superseded(3)
        );
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
            let verdict = Verdict::of(&[paused(sync)], &Aim::everywhere(2), "shop");
            let Verdict::Paused(told) = verdict else {
                panic!("{verdict:?}");
            };
            assert!(told.contains("brokkr agent resume eu-1"), "{told}");
        }
    }

    #[test]
    fn as_many_as_are_enough_decide() {
        let aim = |goal, share| Aim {
            sequence: 2,
            goal,
            share,
        };
        let two_of_three = aim(Goal::Current, Share::Percent(60));
        let done = || status(2, 2, Sync::Synced, Health::Current);
        let going = || status(2, 1, Sync::Applying, Health::Current);
        let failed = || status(2, 1, Sync::Failed, Health::Current);
        let judged = |statuses: &[TargetStatus], aim| Verdict::of(statuses, &aim, "shop");
        assert_eq!(
            judged(&[done(), failed(), done()], two_of_three),
            Verdict::Done
        );
        assert_eq!(
            judged(&[done(), failed(), going()], two_of_three),
            Verdict::Going
        );
        let verdict = judged(&[failed(), failed(), going()], two_of_three);
        assert!(matches!(verdict, Verdict::InTrouble(_)), "{verdict:?}");
        // One more than there are may come yet.
        let three = aim(Goal::Current, Share::Agents(3));
        assert_eq!(judged(&[done(), done()], three), Verdict::Going);
        // How well it runs matters only where that was asked for.
        let badly = || status(2, 2, Sync::Synced, Health::Degraded);
        let applied = aim(Goal::Synced, Share::default());
        assert_eq!(judged(&[badly(), done()], applied), Verdict::Done);
        let verdict = judged(&[badly(), done()], Aim::everywhere(2));
        assert!(matches!(verdict, Verdict::Unwell(_)), "{verdict:?}");
    }
}
