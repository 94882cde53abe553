//! From the `Authorization` header to a [`Caller`], by the fleet index alone.

use brokkr_core::pak::Pak;
use http::header::{AUTHORIZATION, COOKIE as COOKIE_HEADER};
use http::{HeaderMap, HeaderValue};

use crate::Broker;
use crate::error::{Error, Result};
use crate::scope::Caller;

/// What the console's cookie is called.
pub(crate) const COOKIE: &str = "brokkr_session";

/// Who sends a request: by the key in its headers, or without one by the cookie of who signed in.
pub(crate) fn authenticate(broker: &Broker, headers: &HeaderMap) -> Result<Caller> {
    let now = broker.ambient.now();
    let caller = if headers.contains_key(AUTHORIZATION) {
        pak(headers).and_then(|pak| broker.fleet.authenticate(&pak, now))
    } else {
        token(headers).and_then(|token| broker.fleet.signed_in(&token, now))
    };
    caller.ok_or(Error::Unauthenticated)
}

/// What it is called where it came by TLS: browsers let nobody else set such a one, no other host and no other port.
const SECURE_COOKIE: &str = "__Host-brokkr_session";

/// The cookie of who signed in, for so many seconds. Only requests from the broker's own pages bring it, and no script reads it.
pub(crate) fn cookie(token: &str, seconds: i64, is_secure: bool) -> String {
    let (name, place) = if is_secure {
        (SECURE_COOKIE, "Path=/; Secure")
    } else {
        (COOKIE, "Path=/api/v1")
    };
    format!("{name}={token}; Max-Age={seconds}; HttpOnly; SameSite=Strict; {place}")
}

/// The token of the one cookie of its name. What came by TLS counts before what anybody may have set.
fn token(headers: &HeaderMap) -> Option<Pak> {
    let of = |name: &str| {
        let texts = headers.get_all(COOKIE_HEADER).iter();
        let texts = texts.filter_map(|value| value.to_str().ok());
        let cookies = texts.flat_map(|text| text.split(';'));
        let tokens =
            cookies.filter_map(|cookie| cookie.trim().strip_prefix(name)?.strip_prefix('='));
        tokens.collect::<Vec<_>>()
    };
    let secure = of(SECURE_COOKIE);
    let tokens = if secure.is_empty() {
        of(COOKIE)
    } else {
        secure
    };
    let [only] = tokens[..] else {
        return None;
    };
    only.parse().ok()
}

/// The one key that a request carries, as `Bearer <key>` or bare.
fn pak(headers: &HeaderMap) -> Option<Pak> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let only = (values.next(), values.next());
    let (Some(value), None) = only else {
        return None;
    };
    let text = HeaderValue::to_str(value).ok()?;
    let text = match text.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim_start(),
        Some(_) => return None,
        None => text,
    };
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;
    use brokkr_core::pak::Role;

    use super::*;

    #[test]
    fn reads_the_token_of_one_cookie() {
        let of = |values: &[String]| {
            let values = values
                .iter()
                .map(|value| (COOKIE_HEADER, value.parse().expect("a header")));
            token(&values.collect()).map(|token| token.id())
        };
        let key = Pak::generate(Role::Admin, &System);
        let good = format!("brokkr_session={}", key.expose());
        for values in [
            vec![good.clone()],
            vec![format!("a=b; {good};c=d")],
            vec!["a=b".to_owned(), good.clone()],
            vec![format!(
                "brokkr_session=planted; __Host-{good}; brokkr_session=twice"
            )],
        ] {
            assert_eq!(of(&values), Some(key.id()), "{values:?}");
        }
        for values in [
            vec![],
            vec!["brokkr_session".to_owned()],
            vec!["brokkr_session=".to_owned()],
            vec![format!("x{good}")],
            vec![good.replace('=', "_2=")],
            vec![good.clone(), good.clone()],
            vec![format!("{good}; {good}")],
        ] {
            assert_eq!(of(&values), None, "{values:?}");
        }
    }

    #[test]
    fn reads_one_key_or_none() {
        let key = Pak::generate(Role::Agent, &System);
        let headers = |values: &[&str]| -> HeaderMap {
            values
                .iter()
                .map(|value| (AUTHORIZATION, value.parse().expect("a header")))
                .collect()
        };
        let bearer = format!("Bearer {}", key.expose());
        for good in [
            bearer.as_str(),
            key.expose(),
            &bearer.replace("Bearer", "bearer"),
        ] {
            assert_eq!(
                pak(&headers(&[good])).map(|pak| pak.id()),
                Some(key.id()),
                "{good}"
            );
        }
        let basic = bearer.replace("Bearer", "Basic");
        for bad in [
            vec![],
            vec![""],
            vec!["Bearer"],
            vec!["Bearer "],
            vec![&basic],
            vec![&bearer, &bearer],
        ] {
            assert!(pak(&headers(&bad)).is_none(), "{bad:?}");
        }
    }
}
