use brokkr_core::ambient::{Ambient, System};

use super::*;
use Then::{At, Use};

/// What happens to a key and to the one in its place, hour by hour.
enum Then {
    /// The new one is used, and that is recorded.
    Use,
    /// So many hours have passed since the rotation: is the old one good, is the new one?
    At(i64, bool, bool),
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn living(stage: Stage) -> Life {
    Life {
        expiry: Expiry::Never,
        stage,
        revoked_at: None,
    }
}

/// What it is, the overlap in hours, what happens.
const TABLE: [(&str, Option<i64>, &[Then]); 9] = [
    (
        "unused, it is undone",
        None,
        &[
            At(0, true, true),
            At(23, true, true),
            At(24, true, false),
            At(900, true, false),
        ],
    ),
    (
        "the first use ends the old one",
        None,
        &[
            At(23, true, true),
            Use,
            At(23, false, true),
            At(900, false, true),
        ],
    ),
    (
        "an overlap ends it, used",
        Some(2),
        &[
            At(1, true, true),
            Use,
            At(1, true, true),
            At(2, false, true),
            At(900, false, true),
        ],
    ),
    (
        "an overlap ends it, unused",
        Some(2),
        &[
            At(1, true, true),
            At(2, false, true),
            At(23, false, true),
            Use,
            At(24, false, true),
        ],
    ),
    (
        "used after the overlap",
        Some(2),
        &[At(3, false, true), Use, At(3, false, true)],
    ),
    (
        "never used after an overlap, both are over",
        Some(24),
        &[At(23, true, true), At(24, false, false)],
    ),
    (
        "a long overlap is undone, too",
        Some(48),
        &[At(24, true, false), At(48, true, false)],
    ),
    (
        "a long overlap, used",
        Some(48),
        &[
            At(1, true, true),
            Use,
            At(24, true, true),
            At(47, true, true),
            At(48, false, true),
        ],
    ),
    (
        "no overlap at all",
        Some(0),
        &[At(0, false, true), Use, At(1, false, true)],
    ),
];

#[test]
fn a_rotation_ends_the_old_key_or_itself() {
    for (name, overlap, steps) in TABLE {
        let begin = System.now();
        let old = KeyId::generate(&System);
        let rotation = rotate(old, overlap.map(hours), begin);
        let (mut old_life, mut new_life) = (living(rotation.old), living(rotation.new));
        let mut now = begin;
        for step in steps {
            match step {
                At(hour, old_is_good, new_is_good) => {
                    now = begin + hours(*hour);
                    let good = (old_life.is_good(now), new_life.is_good(now));
                    assert_eq!(good, (*old_is_good, *new_is_good), "{name}: hour {hour}");
                }
                Use => {
                    let Stage::Unused(succession) = new_life.stage else {
                        panic!("{name}: it was used before")
                    };
                    assert_eq!(succession.predecessor, old);
                    new_life.stage = Stage::Standing;
                    match succession.predecessor_after_use(now) {
                        Some(stage) => old_life.stage = stage,
                        None => old_life.revoked_at = Some(now),
                    }
                }
            }
        }
    }
}

#[test]
fn an_expiry_is_renewed_only_if_it_was_a_duration() {
    let made = System.now();
    let now = made + hours(5);
    assert_eq!(Expiry::Never.renewed(now), Expiry::Never);
    let fixed = Expiry::On(made + hours(9));
    assert_eq!(fixed.renewed(now), fixed);
    let renewed = Expiry::within(3_600, made).renewed(now);
    assert_eq!(renewed.at(), Some(now + hours(1)));
    assert_eq!(Expiry::within(u64::MAX, now).at(), Some(Timestamp::MAX));
}

#[test]
fn a_key_is_called_what_it_is() {
    let now = System.now();
    let expired = Expiry::On(now);
    let unused = rotate(KeyId::generate(&System), Some(hours(1)), now);
    let life = |expiry, stage, revoked_at| Life {
        expiry,
        stage,
        revoked_at,
    };
    for (life, state) in [
        (life(Expiry::Never, Stage::Standing, None), KeyState::Good),
        (life(Expiry::Never, unused.new, None), KeyState::Unused),
        (life(Expiry::Never, unused.old, None), KeyState::Replaced),
        (life(expired, Stage::Standing, None), KeyState::Expired),
        (
            life(expired, Stage::Standing, Some(now + hours(1))),
            KeyState::Expired,
        ),
        (
            life(expired, Stage::Standing, Some(now - hours(1))),
            KeyState::Revoked,
        ),
        (
            life(Expiry::Never, Stage::Standing, Some(now)),
            KeyState::Revoked,
        ),
    ] {
        assert_eq!(life.state(now), state, "{life:?}");
        let opens = matches!(
            state,
            KeyState::Good | KeyState::Unused | KeyState::Replaced
        );
        assert_eq!(life.is_good(now), opens, "{life:?}");
        assert_eq!(life.stands(now), state == KeyState::Good, "{life:?}");
    }
}

#[test]
fn a_key_and_the_one_in_its_place_count_as_one() {
    let now = System.now();
    let id = || KeyId::generate(&System);
    let standing = (id(), living(Stage::Standing));
    let ended = Life {
        revoked_at: Some(now),
        ..living(Stage::Standing)
    };
    let (old, new) = (id(), id());
    let plain = rotate(old, None, now);
    let short = rotate(old, Some(hours(1)), now);
    let both = |rotation: Rotation| {
        vec![
            (old, living(rotation.old)),
            (new, living(rotation.new)),
            standing,
        ]
    };
    for (name, keys, later, count, leave) in [
        ("two keys", vec![standing, (id(), ended)], 0, 1, 0),
        ("rotated", both(plain), 0, 2, 0),
        ("undone by time", both(plain), 24, 2, 0),
        ("rotated with an overlap", both(short), 0, 2, 1),
        ("the overlap is over", both(short), 1, 2, 0),
        ("both are over", both(short), 24, 1, 0),
        (
            "the old one was ended",
            vec![(old, ended), (new, living(plain.new))],
            0,
            1,
            0,
        ),
    ] {
        let then = now + hours(later);
        assert_eq!(counted(&keys, then), count, "{name}");
        assert_eq!(leaving(&keys, then), leave, "{name}");
    }
}
