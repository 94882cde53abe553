//! Which history a broker continues, and who learns of it.

use std::time::Duration;

use brokkr_client::Poll;
use brokkr_core::Epoch;
use brokkr_core::ambient::System;
use brokkr_core::wire::{AuditAction, Code};

use crate::harness::*;

on_both_engines!(
    an_accepted_history_reaches_every_agent_at_every_replica,
    what_is_no_other_history_is_refused,
);

const LONG: Duration = Duration::from_secs(30);

async fn an_accepted_history_reaches_every_agent_at_every_replica(engine: Engine) {
    let database = Database::create(engine).await;
    let here = database.start().await;
    let admin = here.client(&database.admin_key());
    let key = create_agent(&admin, "edge").await;
    let there = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(database.start().await),
    };
    let agent = there.as_ref().unwrap_or(&here).client(&key);
    let before = state_of(&agent).await;
    assert_eq!(before.succeeds, []);

    let poll = agent.target_state(None, Duration::ZERO, LONG).await;
    let Ok(Poll::Changed { etag, .. }) = poll else {
        panic!("{poll:?}");
    };
    let waiting = tokio::spawn({
        let agent = agent.clone();
        async move { agent.target_state(Some(&etag), LONG, LONG).await }
    });
    let other = Epoch::generate(&System);
    let epochs = admin.accept_epoch(other).await.expect("accepted");
    assert_eq!(epochs.current, before.epoch);
    let Ok(Ok(Poll::Changed { state, .. })) = waiting.await else {
        panic!("the waiting poll did not hear of it");
    };
    assert_eq!((state.epoch, state.succeeds), (before.epoch, vec![other]));

    let again = admin.accept_epoch(other).await.expect("the same");
    assert_eq!(again, epochs);
    assert_eq!(admin.epochs().await.expect("epochs"), epochs);
    let audit = admin.audit(&[]).await.expect("audit");
    let accepts: Vec<_> = audit
        .iter()
        .filter(|line| line.entry.action == AuditAction::EpochAccept)
        .map(|line| (line.entry.subject.id, line.entry.revision))
        .collect();
    let revision = epochs.accepted[0].revision;
    assert_eq!(accepts, [(other.uuid(), revision)]);

    here.stop().await;
    if let Some(there) = there {
        there.stop().await;
    }
    let restarted = database.start().await;
    let state = state_of(&restarted.client(&key)).await;
    assert_eq!(state.succeeds, [other]);
    restarted.stop().await;
}

async fn what_is_no_other_history_is_refused(engine: Engine) {
    let scene = Scene::set(engine).await;
    let own = scene.admin.epochs().await.expect("epochs").current;
    let refused = scene.admin.accept_epoch(own).await;
    assert_eq!(refused.err().and_then(|e| e.code()), Some(Code::Invalid));
    let other = Epoch::generate(&System);
    let refused = scene.agent.accept_epoch(other).await;
    assert_eq!(refused.err().and_then(|e| e.code()), Some(Code::Forbidden));
    let accepted = scene.admin.epochs().await.expect("epochs").accepted;
    assert_eq!(accepted, []);
}
