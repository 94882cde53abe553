//! Durations as people write them: `10s`, `5m`, `1h30m`.

use std::time::Duration;

use jiff::SignedDuration;

/// Reads a duration.
pub fn parse(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "write a duration such as 10s, 5m or 1h".to_owned())
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
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        for wrong in ["", "10", "-5s", "soon"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(positive("0s").is_err() && positive("1s").is_ok());
    }
}
