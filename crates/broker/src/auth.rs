//! From the `Authorization` header to a [`Caller`], by the fleet index alone.

use brokkr_core::pak::Pak;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::Broker;
use crate::error::{Error, Result};
use crate::scope::Caller;

/// Who sends a request, by the key in its headers.
pub(crate) fn authenticate(broker: &Broker, headers: &HeaderMap) -> Result<Caller> {
    let pak = pak(headers).ok_or(Error::Unauthenticated)?;
    broker
        .fleet
        .authenticate(&pak, broker.ambient.now())
        .ok_or(Error::Unauthenticated)
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
