//! Quantities as Kubernetes writes them, counted exactly.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Mul, Sub};

use serde_json::Value;

const NANOS: i128 = 1_000_000_000;
const KIBI: i128 = 1_024;
/// What Kubernetes holds at most; what is larger counts as this.
const LARGEST: i128 = i64::MAX as i128 * NANOS;
/// More digits than any quantity that is held exactly.
const DIGITS: usize = 40;

/// An amount of something, in billionths: Kubernetes knows nothing smaller.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Quantity(i128);

impl Quantity {
    pub(super) const ZERO: Self = Self(0);

    pub(super) const fn whole(number: i64) -> Self {
        Self(number as i128 * NANOS)
    }

    /// A quantity in a manifest, where numbers need no quotes.
    pub(super) fn of(value: &Value) -> Result<Self, String> {
        let read = match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        };
        // The value itself is not told: it may stand in the wrong place, and be secret.
        read.ok_or_else(|| "a quantity cannot be read".to_owned())
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('+').unwrap_or(text);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || fraction.contains('.') || digits.len() > DIGITS {
            return None;
        }
        let (base, exponent) = scale(suffix)?;
        let digits = digits.parse::<i128>().ok()?;
        let tens = exponent - i32::try_from(fraction.len()).ok()?;
        let Some(amount) = digits.checked_mul(base) else {
            return Some(Self(LARGEST));
        };
        Some(Self(shifted(amount, tens).min(LARGEST)))
    }

    /// This many thousandths of it.
    pub(super) const fn thousandths(self, number: i128) -> Self {
        Self(self.0.saturating_mul(number) / 1_000)
    }

    /// As amounts of memory are written: in the largest unit of which it is a whole number.
    pub(super) fn as_bytes(self) -> String {
        let bytes = ceiling(self.0, NANOS);
        let units = [("Ti", 4), ("Gi", 3), ("Mi", 2), ("Ki", 1)];
        let fits = |power: u32| bytes != 0 && bytes % KIBI.pow(power) == 0;
        match units.into_iter().find(|(_, power)| fits(*power)) {
            Some((unit, power)) => format!("{}{unit}", bytes / KIBI.pow(power)),
            None => bytes.to_string(),
        }
    }
}

/// By what the part behind the digits multiplies, in billionths: a factor, and a power of ten.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    let binary = |power| Some((KIBI.pow(power), 9));
    let decimal = |power| Some((1, 9 + power));
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (power.abs() < 1_000).then_some((1, 9 + power))
        }
    }
}

/// Times a power of ten, rounded up.
fn shifted(amount: i128, tens: i32) -> i128 {
    let power = 10_i128.checked_pow(tens.unsigned_abs());
    match power {
        Some(power) if tens < 0 => ceiling(amount, power),
        None if tens < 0 => i128::from(amount > 0),
        Some(power) => amount.saturating_mul(power),
        None if amount == 0 => 0,
        None => LARGEST,
    }
}

const fn ceiling(amount: i128, by: i128) -> i128 {
    let whole = amount / by;
    if amount % by > 0 { whole + 1 } else { whole }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milli = ceiling(self.0, NANOS / 1_000);
        if milli % 1_000 == 0 {
            write!(f, "{}", milli / 1_000)
        } else {
            write!(f, "{milli}m")
        }
    }
}

impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Mul<i64> for Quantity {
    type Output = Self;

    fn mul(self, times: i64) -> Self {
        Self(self.0.saturating_mul(times.into()))
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(quantities: I) -> Self {
        quantities.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_exactly() {
        for (text, nanos) in [
            ("0", 0),
            ("1", NANOS),
            ("+1", NANOS),
            ("100m", NANOS / 10),
            ("0.1", NANOS / 10),
            (".5", NANOS / 2),
            ("5.", 5 * NANOS),
            ("1n", 1),
            ("1u", 1_000),
            ("0.1n", 1),
            ("1e-12", 1),
            ("1e3", 1_000 * NANOS),
            ("1E3", 1_000 * NANOS),
            ("1E", 1_000_000_000_000_000_000 * NANOS),
            ("12.5k", 12_500 * NANOS),
            ("128974848", 128_974_848 * NANOS),
            ("129M", 129_000_000 * NANOS),
            ("123Mi", 123 * KIBI * KIBI * NANOS),
            ("1Gi", KIBI.pow(3) * NANOS),
            ("1.5Gi", 3 * KIBI.pow(3) / 2 * NANOS),
            ("1Ti", KIBI.pow(4) * NANOS),
            ("9Ei", LARGEST),
            ("99999999999999999999999Ei", LARGEST),
            ("1e999", LARGEST),
        ] {
            assert_eq!(Quantity::parse(text), Some(Quantity(nanos)), "{text}");
        }
        for text in [
            "", ".", "m", "1 Gi", "1gi", "1K", "1.2.3", "-1", "1e", "1ee3", "1e1000", "0x1", "½",
        ] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
        assert_eq!(Quantity::of(&2.into()), Ok(Quantity::whole(2)));
        assert_eq!(Quantity::of(&0.5.into()), Quantity::of(&"500m".into()));
        assert!(Quantity::of(&true.into()).is_err());
    }

    #[test]
    fn quantities_are_told_as_people_write_them() {
        for (text, number, bytes) in [
            ("64", "64", "64"),
            ("1500m", "1500m", "2"),
            ("2Gi", "2147483648", "2Gi"),
            ("1536Mi", "1610612736", "1536Mi"),
            ("1000k", "1000000", "1000000"),
            ("0", "0", "0"),
        ] {
            let quantity = Quantity::parse(text).expect("a quantity");
            assert_eq!(quantity.to_string(), number, "{text}");
            assert_eq!(quantity.as_bytes(), bytes, "{text}");
        }
    }
}
