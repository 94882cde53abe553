use std::sync::Arc;

use brokkr_core::KeyId;
use brokkr_core::pak::Pak;
use brokkr_core::wire::{Code, CreateKey, KeyOwner, KeyState, RotateKey};
use jiff::SignedDuration;
use serde_json::json;

use super::{another, create, pak};
use crate::harness::*;

on_both_engines!(
    nobody_has_more_keys_than_the_settings_allow,
    replaced_keys_are_bounded_too,
);

/// So many keys for anybody.
async fn allow(timed: &Timed, keys: u64) {
    let patch = json!({"limits": {"keys_per_identity": keys}});
    let patch = serde_json::from_value(patch).expect("a patch");
    timed.admin.patch_settings(&patch).await.expect("settled");
}

async fn refused(timed: &Timed, owner: KeyOwner) -> String {
    let create = create(owner, "one-too-many");
    let refusal = timed.admin.create_key(&create).await;
    let refusal = refusal.expect_err("one too many");
    assert_eq!(refusal.code(), Some(Code::QuotaExceeded), "{refusal}");
    refusal.to_string()
}

async fn used(timed: &Timed, key: &Pak) {
    assert!(timed.opens(key).await);
    let recorded = async || timed.state(key.id()).await == KeyState::Good;
    eventually("the first use is recorded", recorded).await;
}

async fn nobody_has_more_keys_than_the_settings_allow(engine: Engine) {
    let timed = Timed::set(engine).await;
    let agent = || KeyOwner::Agent(name("edge"));
    let first = create_agent(&timed.admin, "edge").await;
    create_agent(&timed.admin, "other").await;
    create_generator(&timed.admin, "ci").await;
    allow(&timed, 3).await;
    let (second, _) = another(&timed.admin, "edge").await;
    let short = CreateKey {
        expires_in: Some(60),
        ..create(agent(), "short")
    };
    let short = timed.admin.create_key(&short).await.expect("a third");
    let why = refused(&timed, agent()).await;
    assert!(why.contains("may have 3 keys, and 3"), "{why}");

    // A rotation is possible at the limit, before and after the new key is used.
    let plain = RotateKey::default();
    let rotated = timed.admin.rotate_key(first.id(), &plain).await;
    let rotated = pak(&rotated.expect("rotated").pak);
    refused(&timed, agent()).await;
    used(&timed, &rotated).await;
    assert_eq!(timed.state(first.id()).await, KeyState::Revoked);
    refused(&timed, agent()).await;
    let overlap = RotateKey {
        overlap: Some(3_600),
    };
    let beside = timed.admin.rotate_key(rotated.id(), &overlap).await;
    let beside = pak(&beside.expect("rotated").pak);
    refused(&timed, agent()).await;
    used(&timed, &beside).await;
    refused(&timed, agent()).await;
    // Both keys of it open, one of them counts.
    assert!(timed.opens(&rotated).await);

    // A key that is over counts no more, whether its time was or somebody ended it.
    timed.clock.pass(SignedDuration::from_secs(60));
    let ended = timed.state(short.key.id).await;
    assert_eq!(ended, KeyState::Expired);
    another(&timed.admin, "edge").await;
    refused(&timed, agent()).await;
    timed.admin.revoke_key(second.id).await.expect("revoked");
    another(&timed.admin, "edge").await;
    refused(&timed, agent()).await;

    // Each has its own; the operators have theirs together.
    another(&timed.admin, "other").await;
    let ci = create(KeyOwner::Generator(name("ci")), "spare");
    timed.admin.create_key(&ci).await.expect("a second");
    for spare in ["second", "third"] {
        let create = create(KeyOwner::Admin, spare);
        timed.admin.create_key(&create).await.expect("a key");
    }
    refused(&timed, KeyOwner::Admin).await;
    let rescue = "rescue".parse().expect("a name");
    let clock = Arc::clone(&timed.clock);
    let host = brokkr_broker::make_admin_key(&timed.database.url, rescue, clock).await;
    host.expect("on the host there is always a way in");

    allow(&timed, 4).await;
    another(&timed.admin, "edge").await;
    refused(&timed, agent()).await;
    // Keys beyond a limit that was lowered stay.
    allow(&timed, 2).await;
    assert!(timed.opens(&beside).await);
    refused(&timed, agent()).await;
    timed.broker.stop().await;
}

async fn replaced_keys_are_bounded_too(engine: Engine) {
    let timed = Timed::set(engine).await;
    let mut key = create_agent(&timed.admin, "edge").await;
    allow(&timed, 2).await;
    let overlap = RotateKey {
        overlap: Some(3_600),
    };
    let mut replaced: Vec<KeyId> = Vec::new();
    for _ in 0..2 {
        let rotated = timed.broker.client(&key).rotate_own_key(&overlap).await;
        replaced.push(key.id());
        key = pak(&rotated.expect("rotated").pak);
        used(&timed, &key).await;
    }
    let client = timed.broker.client(&key);
    let refusal = client.rotate_own_key(&overlap).await;
    let refusal = refusal.expect_err("two are on their way out");
    assert_eq!(refusal.code(), Some(Code::QuotaExceeded), "{refusal}");
    assert!(timed.opens(&key).await, "what is refused changes nothing");
    let rotated = client.rotate_own_key(&RotateKey::default()).await;
    key = pak(&rotated.expect("without an overlap it goes on").pak);
    used(&timed, &key).await;
    let at_once = RotateKey { overlap: Some(0) };
    let rotated = timed.broker.client(&key).rotate_own_key(&at_once).await;
    key = pak(&rotated.expect("a lost key ends whatever the limit").pak);
    used(&timed, &key).await;
    timed.admin.revoke_key(replaced[0]).await.expect("revoked");
    let rotated = timed.broker.client(&key).rotate_own_key(&overlap).await;
    rotated.expect("there is room");
    timed.broker.stop().await;
}
