use std::collections::HashMap;
use std::time::Duration;

use brokkr_core::ObjectKey;
use brokkr_core::ambient::Ambient;
use tokio::time::Instant;

use brokkr_core::Backoff;

/// Who edits one object edits the next one, too.
const GATHER: Duration = Duration::from_millis(100);
/// After the first repair of an object, which comes at once.
const FIRST_REST: Duration = Duration::from_secs(1);
/// An object that was left alone for so long is not fought over any more.
const PEACE: Duration = Duration::from_mins(10);

/// When what others changed is changed back: at once, but ever later for an object that is changed again and again, since
/// two who do not agree would keep the API server busy for ever.
pub(super) struct Repairs {
    longest: Duration,
    fought_over: HashMap<ObjectKey, Fight>,
}

struct Fight {
    backoff: Backoff,
    /// The last repair that was agreed on.
    due: Instant,
    /// The next one is not before.
    rests_until: Instant,
}

impl Repairs {
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            longest,
            fought_over: HashMap::new(),
        }
    }

    /// When an object that was just seen to have drifted is to be repaired.
    pub(super) fn due(&mut self, key: ObjectKey, now: Instant, ambient: &dyn Ambient) -> Instant {
        self.fought_over
            .retain(|_, fight| now < fight.rests_until.max(fight.due) + PEACE);
        let fight = self.fought_over.entry(key).or_insert_with(|| Fight {
            backoff: Backoff::new(FIRST_REST, self.longest),
            due: now,
            rests_until: now,
        });
        if fight.due <= now {
            fight.due = (now + GATHER).max(fight.rests_until);
            fight.rests_until = fight.due + fight.backoff.next(ambient);
        }
        fight.due
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;

    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey {
            group: String::new(),
            kind: "ConfigMap".into(),
            namespace: None,
            name: name.into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fight_gets_slower_and_is_forgotten() {
        let longest = Duration::from_mins(5);
        let mut repairs = Repairs::new(longest);
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..20 {
            let due = repairs.due(key("a"), now, &System);
            assert_eq!(due, repairs.due(key("a"), now, &System), "one repair");
            waits.push(due - now);
            now = due + Duration::from_millis(1);
            let other = key(&format!("b-{}", waits.len()));
            assert_eq!(repairs.due(other, now, &System), now + GATHER);
        }
        assert_eq!(waits[0], GATHER);
        assert!(waits[1] >= Duration::from_millis(900), "{waits:?}");
        assert!(
            waits[19] >= longest / 3 && waits[19] <= longest,
            "{waits:?}"
        );
        now += longest + PEACE + Duration::from_secs(1);
        assert_eq!(repairs.due(key("a"), now, &System), now + GATHER);
        assert_eq!(repairs.fought_over.len(), 1);
    }
}
