//! Maintenance windows: when an agent may bring something new to its cluster. Whoever asks says what time it is, so that
//! an agent judges by its own clock, whether it reaches the broker or not.

mod schedule;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::{Timestamp, Zoned};

use crate::name::Name;
use crate::wire::{TargetWindow, WindowRule};

pub use schedule::{InvalidSchedule, MAX_CRON, Schedule};

/// The windows of one agent.
#[derive(Debug, Default)]
pub struct Windows(Vec<Window>);

#[derive(Debug)]
struct Window {
    name: Name,
    rule: WindowRule,
    schedule: Result<Schedule, InvalidSchedule>,
}

/// Whether something new may be brought at a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It may; before this moment that does not change.
    Open(Option<Timestamp>),
    /// It may not.
    Held(Held),
}

/// Why something waits, and how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// The window that it waits for: one that begins to allow it, or that ends to deny it.
    pub window: Name,
    /// How long.
    pub until: Until,
}

/// How long something waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Until {
    /// Until this moment, in the window's zone.
    Time(Box<Zoned>),
    /// As far as one can see.
    Further,
    /// This version does not understand when the window is.
    Unreadable(String),
}

/// Windows that begin where others end: so many are looked through for a moment that is open.
const LOOKED_THROUGH: usize = 1_000;

impl Windows {
    /// Reads what a target state says. What cannot be read holds, since it may deny.
    pub fn read(windows: &[TargetWindow]) -> Self {
        let read = |window: &TargetWindow| Window {
            name: window.name.clone(),
            rule: window.rule,
            schedule: Schedule::new(&window.cron, window.minutes, &window.zone),
        };
        Self(windows.iter().map(read).collect())
    }

    /// Whether something new may be brought: inside of no window that denies, and, if any allows, inside of one that does.
    pub fn at(&self, now: Timestamp) -> Standing {
        for window in &self.0 {
            if let Err(why) = &window.schedule {
                return Standing::Held(Held {
                    window: window.name.clone(),
                    until: Until::Unreadable(why.to_string()),
                });
            }
        }
        let Some((mut window, mut until)) = self.closed_at(now) else {
            return Standing::Open(self.next_change(now));
        };
        for _ in 0..LOOKED_THROUGH {
            let Some(time) = until else { break };
            match self.closed_at(time) {
                None => return Standing::Held(window.held(time)),
                Some(next) => (window, until) = next,
            }
        }
        Standing::Held(Held {
            window: window.name.clone(),
            until: Until::Further,
        })
    }

    /// What holds at a moment, and until when it does at least; none of both if nothing holds.
    fn closed_at(&self, moment: Timestamp) -> Option<(&Window, Option<Timestamp>)> {
        let denying = self.with(WindowRule::Deny);
        let ends = denying.filter_map(|(window, schedule)| Some((window, schedule.end(moment)?)));
        if let Some((window, end)) = ends.max_by_key(|(_, end)| *end) {
            return Some((window, Some(end)));
        }
        if self
            .with(WindowRule::Allow)
            .any(|(_, schedule)| schedule.end(moment).is_some())
        {
            return None;
        }
        let allowing = self.with(WindowRule::Allow);
        let starts = allowing.map(|(window, schedule)| (window, schedule.next_start(moment)));
        // One that never begins again comes last.
        starts.min_by_key(|(_, start)| start.unwrap_or(Timestamp::MAX))
    }

    /// The first moment after an open one at which anything begins to deny or ends to allow.
    fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let denied = self.with(WindowRule::Deny);
        let denied = denied.filter_map(|(_, schedule)| schedule.next_start(now));
        let allowed = self.with(WindowRule::Allow);
        let allowed = allowed.filter_map(|(_, schedule)| schedule.end(now));
        denied.chain(allowed).min()
    }

    fn with(&self, rule: WindowRule) -> impl Iterator<Item = (&Window, &Schedule)> {
        let ruling = self.0.iter().filter(move |window| window.rule == rule);
        ruling.filter_map(|window| Some((window, window.schedule.as_ref().ok()?)))
    }
}

impl Window {
    fn held(&self, until: Timestamp) -> Held {
        let until = match &self.schedule {
            Ok(schedule) => Until::Time(Box::new(schedule.there(until))),
            Err(why) => Until::Unreadable(why.to_string()),
        };
        Held {
            window: self.name.clone(),
            until,
        }
    }
}

impl Held {
    /// When to judge anew.
    pub fn until(&self) -> Option<Timestamp> {
        match &self.until {
            Until::Time(time) => Some(time.timestamp()),
            Until::Further | Until::Unreadable(_) => None,
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = &self.window;
        match &self.until {
            Until::Time(time) => write!(f, "held until {} (window {window})", Told(time)),
            Until::Further => write!(
                f,
                "held (window {window}): its windows leave no opening as far as one can see"
            ),
            Until::Unreadable(why) => write!(
                f,
                "held (window {window}): this agent cannot tell when it is ({why}): upgrade the agent, or delete the window"
            ),
        }
    }
}

/// A time as people read it: `2026-12-01 02:00 Europe/Berlin`.
pub struct Told<'a>(pub &'a Zoned);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.0.time_zone().iana_name().unwrap_or("UTC");
        write!(f, "{} {zone}", self.0.strftime("%Y-%m-%d %H:%M"))
    }
}
