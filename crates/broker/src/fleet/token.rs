use brokkr_core::AgentId;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use sha2::Sha256;

use crate::store::epochs::Place;

/// Proves later on which history an answer came from: a place, and a MAC over it and the agent, so that no agent can
/// make one up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StateToken {
    pub(crate) place: Place,
    mac: [u8; 32],
}

impl StateToken {
    pub(super) fn new(key: &[u8], agent: AgentId, place: Place) -> Self {
        let mut mac = [0; 32];
        if let Some(keyed) = keyed(key, agent, place) {
            mac = keyed.finalize().into_bytes().into();
        }
        Self { place, mac }
    }

    /// Whether a broker with this key gave it to this agent.
    pub(super) fn is_authentic(&self, key: &[u8], agent: AgentId) -> bool {
        keyed(key, agent, self.place).is_some_and(|keyed| keyed.verify_slice(&self.mac).is_ok())
    }

    /// As a target state carries it, beside its epoch.
    pub(super) fn text(&self) -> String {
        let Place {
            revision, lineage, ..
        } = self.place;
        let mac = HEXLOWER.encode(&self.mac);
        format!("{revision}.{}.{mac}", lineage.simple())
    }

    /// As a poll returns it, after its epoch; nothing if it is none.
    pub(crate) fn read(header: &HeaderValue) -> Option<Self> {
        let mut parts = header.to_str().ok()?.split('.');
        let place = Place {
            epoch: parts.next()?.parse().ok()?,
            revision: parts.next()?.parse().ok()?,
            lineage: parts.next()?.parse().ok()?,
        };
        let hex = parts.next()?.as_bytes();
        let mut mac = [0; 32];
        let is_token = hex.len() == 64 && HEXLOWER.decode_mut(hex, &mut mac) == Ok(32);
        (is_token && parts.next().is_none()).then_some(Self { place, mac })
    }
}

/// None never happens: HMAC takes keys of every length.
fn keyed(key: &[u8], agent: AgentId, place: Place) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(agent.uuid().as_bytes());
    mac.update(place.epoch.uuid().as_bytes());
    mac.update(&place.revision.to_be_bytes());
    mac.update(place.lineage.as_bytes());
    Some(mac)
}

#[cfg(test)]
mod tests {
    use brokkr_core::Epoch;
    use brokkr_core::ambient::System;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_is_good_for_its_agent_and_place_only() {
        let [agent, other] = [0; 2].map(|_| AgentId::generate(&System));
        let place = Place {
            epoch: Epoch::generate(&System),
            revision: 7,
            lineage: Uuid::from_u128(8),
        };
        let token = StateToken::new(b"key", agent, place);
        let text = format!("{}.{}", place.epoch, token.text());
        let read = |text: &str| StateToken::read(&HeaderValue::try_from(text).expect("a header"));
        assert_eq!(read(&text), Some(token));
        assert!(token.is_authentic(b"key", agent));
        assert!(!token.is_authentic(b"key", other));
        assert!(!token.is_authentic(b"another", agent));
        let moved = Place {
            revision: 8,
            ..place
        };
        let forged = StateToken {
            place: moved,
            ..token
        };
        assert!(!forged.is_authentic(b"key", agent));
        for cut in 0..text.len() {
            assert_eq!(read(&text[..cut]), None, "{cut}");
        }
        assert_eq!(read(&format!("{text}0")), None);
        assert_eq!(read(&format!("{text}.")), None);
    }
}
