//! Numbers and versions, compared exactly and as they are written, whatever their length.

use std::cmp::Ordering;
use std::fmt;

/// How one value stands to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Comparison {
    Less,
    AtMost,
    Equal,
    Other,
    AtLeast,
    More,
}

/// By what two texts are compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Scale {
    Number,
    Version,
}

impl Comparison {
    /// Longer signs first, so that none is taken for the beginning of another.
    pub(super) const SIGNS: [(&str, Self); 7] = [
        ("==", Self::Equal),
        ("!=", Self::Other),
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("=", Self::Equal),
        ("<", Self::Less),
        (">", Self::More),
    ];

    pub(super) const fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Equal => ordering.is_eq(),
            Self::Other => ordering.is_ne(),
            Self::AtLeast => ordering.is_ge(),
            Self::More => ordering.is_gt(),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Equal => "=",
            Self::Other => "!=",
            Self::AtLeast => ">=",
            Self::More => ">",
        })
    }
}

impl Scale {
    /// Whether the text can be measured.
    pub(super) fn reads(self, text: &str) -> bool {
        match self {
            Self::Number => Number::read(text).is_some(),
            Self::Version => Version::read(text).is_some(),
        }
    }

    /// None if one of them cannot be measured.
    pub(super) fn compare(self, one: &str, other: &str) -> Option<Ordering> {
        Some(match self {
            Self::Number => Number::read(one)?.compare(&Number::read(other)?),
            Self::Version => Version::read(one)?.compare(&Version::read(other)?),
        })
    }
}

/// `-12.50`: zeros that mean nothing are cut off, so that digits decide.
struct Number<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Number<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        if !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        Some(Self {
            negative: negative && !(whole.is_empty() && fraction.is_empty()),
            whole,
            fraction,
        })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let size =
            || by_value(self.whole, other.whole).then_with(|| self.fraction.cmp(other.fraction));
        match (self.negative, other.negative) {
            (false, false) => size(),
            (true, true) => size().reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

/// `v1.33.2-rc.1+build`: any number of components; what follows `+` says nothing about the order.
struct Version<'a> {
    components: &'a str,
    pre_release: Option<&'a str>,
}

impl<'a> Version<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        let (components, pre_release) = match text.split_once('-') {
            Some((components, pre_release)) => (components, Some(pre_release)),
            None => (text, None),
        };
        let well_formed = components.split('.').all(is_digits)
            && pre_release.is_none_or(is_identifiers)
            && build.is_none_or(is_identifiers);
        well_formed.then_some(Self {
            components,
            pre_release,
        })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let (mut mine, mut theirs) = (self.components.split('.'), other.components.split('.'));
        loop {
            let ordering = match (mine.next(), theirs.next()) {
                (None, None) => break,
                (one, another) => by_value(one.unwrap_or("0"), another.unwrap_or("0")),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        match (self.pre_release, other.pre_release) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(one), Some(another)) => by_precedence(one, another),
        }
    }
}

/// As semantic versioning orders pre-releases.
fn by_precedence(one: &str, other: &str) -> Ordering {
    let (mut mine, mut theirs) = (one.split('.'), other.split('.'));
    loop {
        let ordering = match (mine.next(), theirs.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(one), Some(another)) => match (is_digits(one), is_digits(another)) {
                (true, true) => by_value(one, another),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => one.cmp(another),
            },
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_identifiers(text: &str) -> bool {
    text.split('.').all(|identifier| {
        !identifier.is_empty()
            && identifier
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

/// Digits as a whole number of any length.
fn by_value(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}
