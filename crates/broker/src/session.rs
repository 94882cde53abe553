//! Which session of its agent a request belongs to.

use brokkr_core::wire::SESSION_HEADER;
use http::HeaderMap;

use crate::error::{Error, Result};

/// The session that a request names; an agent of version 0.1.0 names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session(Option<u64>);

impl Session {
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self> {
        let Some(value) = headers.get(SESSION_HEADER) else {
            return Ok(Self(None));
        };
        let number = value.to_str().ok().and_then(|text| text.parse().ok());
        number.map(|number| Self(Some(number))).ok_or_else(|| {
            Error::Malformed("`Brokkr-Session` is the number of a session".to_owned())
        })
    }

    /// Whether the request names one: who does not answers nothing that it is asked.
    pub(crate) const fn is_named(self) -> bool {
        self.0.is_some()
    }

    /// Whether a later one of the same agent has begun.
    pub(crate) fn is_before(self, latest: u64) -> bool {
        self.0.is_some_and(|session| session < latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Session> {
        let headers = [(SESSION_HEADER.parse().expect("a name"), value.parse())];
        let headers =
            headers.map(|(name, value): (http::HeaderName, _)| (name, value.expect("a value")));
        Session::read(&headers.into_iter().collect())
    }

    #[test]
    fn a_request_belongs_to_the_session_that_it_names() {
        let session = read("7").expect("a session");
        assert!(session.is_before(8) && !session.is_before(7) && !session.is_before(6));
        let none = Session::read(&HeaderMap::new()).expect("no session");
        assert!(!none.is_before(u64::MAX));
        for bad in ["", "-1", "x", "1.5", "99999999999999999999"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
