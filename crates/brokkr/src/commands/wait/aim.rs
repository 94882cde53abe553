use std::str::FromStr;

use brokkr_core::wire::{Health, Sync, TargetStatus};
use clap::ValueEnum;

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Aim {
    pub sequence: u64,
    pub goal: Goal,
    pub share: Share,
}

/// What an agent has to come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Goal {
    /// It has applied the sequence
    Synced,
    /// It has applied the sequence, and it runs well
    #[default]
    Current,
}

/// How many of a stack's agents are enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Share {
    /// Of a hundred.
    Percent(usize),
    /// So many, however many there are.
    Agents(usize),
}

impl Aim {
    /// It runs well at every agent.
    pub fn everywhere(sequence: u64) -> Self {
        Self {
            sequence,
            goal: Goal::default(),
            share: Share::default(),
        }
    }

    /// Whether an agent has the sequence, however well it runs.
    pub fn is_applied_by(&self, status: &TargetStatus) -> bool {
        status.applied == Some(self.sequence) && status.sync == Sync::Synced
    }

    pub fn is_reached_by(&self, status: &TargetStatus) -> bool {
        let is_well = self.goal == Goal::Synced || status.health == Health::Current;
        self.is_applied_by(status) && is_well
    }

    /// What a stack does then, in words.
    pub fn reached(&self) -> String {
        let verb = match self.goal {
            Goal::Synced => "is at",
            Goal::Current => "runs",
        };
        self.told(verb)
    }

    /// What it does not do until then.
    pub fn missed(&self) -> String {
        let verb = match self.goal {
            Goal::Synced => "is not at",
            Goal::Current => "does not run",
        };
        self.told(verb)
    }

    fn told(&self, verb: &str) -> String {
        let place = match self.share {
            Share::Percent(100) => "everywhere".to_owned(),
            Share::Percent(percent) => format!("at {percent}% of its agents"),
            Share::Agents(1) => "at 1 agent".to_owned(),
            Share::Agents(count) => format!("at {count} agents"),
        };
        format!("{verb} sequence {} {place}", self.sequence)
    }
}

impl Share {
    /// How many of so many agents; never none.
    pub fn of(self, agents: usize) -> usize {
        match self {
            Self::Percent(percent) => (agents * percent).div_ceil(100).max(1),
            Self::Agents(count) => count,
        }
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::Percent(100)
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let share = match text.strip_suffix('%') {
            Some(percent) => percent
                .parse()
                .ok()
                .filter(|percent| *percent <= 100)
                .map(Self::Percent),
            None => text.parse().ok().map(Self::Agents),
        };
        share
            .filter(|share| !matches!(share, Self::Percent(0) | Self::Agents(0)))
            .ok_or_else(|| {
                "write a number of agents, such as 20, or a share from 1% to 100%".to_owned()
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_or_of_a_hundred() {
        assert_eq!("95%".parse(), Ok(Share::Percent(95)));
        assert_eq!("20".parse(), Ok(Share::Agents(20)));
        for bad in ["", "0", "0%", "101%", "%", "9.5%", "-1", "all", "5 %"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_part_of_an_agent_is_an_agent() {
        let cases = [
            (95, 100, 95),
            (95, 10, 10),
            (95, 1, 1),
            (1, 3, 1),
            (100, 7, 7),
            (50, 3, 2),
        ];
        for (percent, agents, expected) in cases {
            assert_eq!(
                Share::Percent(percent).of(agents),
                expected,
                "{percent}% of {agents}"
            );
        }
        assert_eq!(Share::Agents(20).of(3), 20);
    }

    #[test]
    fn what_is_waited_for_has_words() {
        let aim = |goal, share| {
            Aim {
                sequence: 7,
                goal,
                share,
            }
            .reached()
        };
        assert_eq!(Aim::everywhere(7).reached(), "runs sequence 7 everywhere");
        assert_eq!(
            Aim::everywhere(7).missed(),
            "does not run sequence 7 everywhere"
        );
        assert_eq!(
            aim(Goal::Synced, Share::Percent(95)),
            "is at sequence 7 at 95% of its agents"
        );
        assert_eq!(
            aim(Goal::Current, Share::Agents(1)),
            "runs sequence 7 at 1 agent"
        );
    }
}
