use brokkr_core::pak::Pak;
use brokkr_core::wire::{Code, CreateKey, CreatedKey, KeyOwner, KeyState, RotateKey, RotatedKey};
use jiff::SignedDuration;

use super::{create, opens, pak};
use crate::harness::*;

on_both_engines!(
    a_rotation_ends_the_old_key_or_itself,
    rotating_again_replaces_the_key_that_nobody_used,
    a_rotation_needs_no_body,
);

/// What happens after a rotation, hour by hour.
enum Then {
    Use,
    /// So many hours after the rotation: is the old one good, is the new one?
    At(i64, bool, bool),
}

async fn a_rotation_ends_the_old_key_or_itself(engine: Engine) {
    use Then::{At, Use};
    let table: [(Option<u64>, &[Then]); 5] = [
        (
            None,
            &[At(0, true, true), At(23, true, true), At(24, true, false)],
        ),
        (
            None,
            &[
                At(23, true, true),
                Use,
                At(23, false, true),
                At(90, false, true),
            ],
        ),
        (
            Some(2),
            &[
                At(1, true, true),
                Use,
                At(1, true, true),
                At(2, false, true),
            ],
        ),
        (Some(2), &[At(2, false, true), At(24, false, false)]),
        (
            Some(48),
            &[At(1, true, true), At(24, true, false), At(90, true, false)],
        ),
    ];
    let timed = Timed::set(engine).await;
    for (index, (overlap, steps)) in table.iter().enumerate() {
        let old = create_agent(&timed.admin, &format!("edge-{index}")).await;
        let rotate = RotateKey {
            overlap: overlap.map(|hours| hours * 3_600),
        };
        // Who holds it and an admin may both do it.
        let rotated = if index % 2 == 0 {
            timed.broker.client(&old).rotate_own_key(&rotate).await
        } else {
            timed.admin.rotate_key(old.id(), &rotate).await
        };
        let rotated = rotated.expect("a new key");
        assert_eq!(
            (rotated.old.id, rotated.key.replaces),
            (old.id(), Some(old.id()))
        );
        assert_eq!(rotated.key.name, rotated.old.name);
        let new = pak(&rotated.pak);
        let (mut hour, mut is_used) = (0, false);
        for step in *steps {
            match step {
                Use => {
                    assert!(timed.opens(&new).await, "row {index}");
                    is_used = true;
                    let recorded = async || timed.state(new.id()).await == KeyState::Good;
                    eventually("the first use is recorded", recorded).await;
                }
                At(next, old_is_good, new_is_good) => {
                    timed.clock.pass(SignedDuration::from_hours(next - hour));
                    hour = *next;
                    let what = format!("row {index}, hour {hour}");
                    // A use is in the database a moment before it is in memory.
                    let as_told = async || timed.opens(&old).await == *old_is_good;
                    eventually(&what, as_told).await;
                    if is_used || !new_is_good {
                        assert_eq!(timed.opens(&new).await, *new_is_good, "{what}");
                    } else {
                        assert_eq!(timed.state(new.id()).await, KeyState::Unused, "{what}");
                    }
                }
            }
        }
    }
    timed.broker.stop().await;
}

async fn rotating_again_replaces_the_key_that_nobody_used(engine: Engine) {
    let timed = Timed::set(engine).await;
    let weekly = CreateKey {
        expires_in: Some(7 * 86_400),
        ..create(KeyOwner::Admin, "weekly")
    };
    let CreatedKey {
        key: old,
        pak: text,
    } = timed.admin.create_key(&weekly).await.expect("a key");
    let old_client = timed.broker.client(&pak(&text));
    timed.clock.pass(SignedDuration::from_hours(24));
    let plain = RotateKey::default();
    let lost = old_client.rotate_own_key(&plain).await.expect("a new key");
    // The second time an admin names the key of the first time: the same key is rotated.
    let late = timed
        .admin
        .rotate_key(
            lost.key.id,
            &RotateKey {
                overlap: Some(3_600),
            },
        )
        .await;
    let late = late.expect("a new key");
    assert_eq!((late.old.id, late.old.state), (old.id, KeyState::Replaced));
    let newest = old_client.rotate_own_key(&plain).await.expect("a new key");
    assert_eq!(
        (newest.old.id, newest.old.state),
        (old.id, KeyState::Good),
        "no overlap this time"
    );
    for gone in [&lost, &late] {
        assert_eq!(timed.state(gone.key.id).await, KeyState::Revoked);
        assert!(!timed.opens(&pak(&gone.pak)).await);
    }
    let renewed = newest.key.created_at + SignedDuration::from_hours(7 * 24);
    let unused = newest.key.created_at + SignedDuration::from_hours(24);
    assert_eq!(
        (newest.key.expires_in, newest.key.ends_at),
        (Some(7 * 86_400), Some(unused))
    );
    // To rotate with the new key is to use it; the one after it gets its time, too.
    let new = timed.broker.client(&pak(&newest.pak));
    let next = new.rotate_own_key(&plain).await.expect("a new key");
    assert!(!opens(&old_client).await, "its successor was used");
    assert_eq!(
        timed.admin.key(newest.key.id).await.expect("a key").ends_at,
        Some(renewed)
    );
    assert_eq!(next.old.id, newest.key.id);
    // A key on its way out cannot make one that stays.
    let overlapped = RotateKey {
        overlap: Some(3_600),
    };
    let next = new.rotate_own_key(&overlapped).await.expect("a new key");
    assert!(timed.opens(&pak(&next.pak)).await);
    eventually("the first use is recorded", async || {
        timed.state(next.key.id).await == KeyState::Good
    })
    .await;
    let refusal = new
        .rotate_own_key(&plain)
        .await
        .expect_err("it was rotated");
    assert_eq!(refusal.code(), Some(Code::KeyEnded));
    // The unused one taken back by hand: the old one is as it was.
    let unused = timed
        .admin
        .rotate_key(next.key.id, &overlapped)
        .await
        .expect("a new key");
    assert_eq!(timed.state(next.key.id).await, KeyState::Replaced);
    timed
        .admin
        .revoke_key(unused.key.id)
        .await
        .expect("revoked");
    assert_eq!(timed.state(next.key.id).await, KeyState::Good);
    timed.broker.stop().await;
}

async fn a_rotation_needs_no_body(engine: Engine) {
    let timed = Timed::set(engine).await;
    let old = create_agent(&timed.admin, "edge").await;
    let post = async |path: &str, by: &Pak, body: Option<&'static str>| {
        let url = format!("{}/api/v1{path}", timed.broker.server);
        let request = reqwest::Client::new().post(url).bearer_auth(by.expose());
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body),
            None => request,
        };
        request.send().await.expect("an answer")
    };
    let answer = post("/me/rotate", &old, None).await;
    assert_eq!(answer.status(), 201);
    let made: RotatedKey = answer.json().await.expect("a key");
    assert!(timed.opens(&pak(&made.pak)).await);
    let path = format!("/keys/{}/rotate", made.key.id);
    let admin = timed.database.admin_key();
    assert_eq!(post(&path, &admin, None).await.status(), 201);
    // One that is there is read.
    let bodies = [
        ("", 201),
        ("null", 201),
        ("{}", 201),
        ("{\"overlap\": 60}", 201),
        ("{", 400),
        ("[]", 422),
    ];
    for (index, (body, status)) in bodies.into_iter().enumerate() {
        let key = create_agent(&timed.admin, &format!("edge-{index}")).await;
        let path = format!("/keys/{}/rotate", key.id());
        let answer = post(&path, &admin, Some(body)).await;
        assert_eq!(answer.status(), status, "{body}");
    }
    timed.broker.stop().await;
}
