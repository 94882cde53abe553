//! Durations as people write them: `10s`, `5m`, `1h30m`, `90d`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Reads a duration.
pub fn parse(text: &str) -> Result<Duration, String> {
    text.parse::<Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "write a duration such as 10s, 5m, 1h or 90d".to_owned())
}

/// Reads a duration that is longer than nothing.
pub fn positive(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        Duration::ZERO => Err("write a duration above 0".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_units() {
        assert_eq!(parse("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("90d"), Ok(Duration::from_hours(90 * 24)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        for wrong in ["", "10", "-5s", "soon"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(positive("0s").is_err() && positive("1s").is_ok());
    }
}
