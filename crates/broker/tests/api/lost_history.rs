//! What agents were told finds out that a database lost history.

use std::time::Duration;

use brokkr_client::{Client, Poll};
use brokkr_core::wire::{ActorRole, AuditAction, TargetState};

use crate::harness::*;

on_both_engines!(
    a_restored_database_is_found_out_by_an_agent_that_is_ahead,
    as_many_other_changes_hide_nothing,
    a_history_that_is_replaced_under_a_running_broker_is_found_out,
    a_poll_that_waits_while_the_history_is_replaced_finds_it_out,
    what_is_no_proof_proves_nothing,
    a_replica_that_lags_loses_nothing,
);

const LONG: Duration = Duration::from_secs(30);

/// A poll of an agent that accepted a state before.
fn holding(agent: &Client, accepted: &TargetState) -> Client {
    agent.returning(accepted.epoch, &accepted.state_token)
}

/// Two agents that run a stack; yesterday's backup, and what was published since.
struct Loss {
    database: Database,
    backup: Database,
    keys: [brokkr_core::pak::Pak; 2],
    /// What both agents were told before the backup, and the first one since.
    before: [TargetState; 2],
    since: TargetState,
}

impl Loss {
    async fn happen(engine: Engine) -> Self {
        let database = Database::create(engine).await;
        let broker = database.start().await;
        let admin = broker.client(&database.admin_key());
        let keys = [
            create_agent(&admin, "ahead").await,
            create_agent(&admin, "behind").await,
        ];
        create_stack(&admin, "shop").await;
        target(&admin, "ahead", "shop").await;
        target(&admin, "behind", "shop").await;
        publish(&admin, "shop", config_map("a", "1")).await;
        let before = [
            state_of(&broker.client(&keys[0])).await,
            state_of(&broker.client(&keys[1])).await,
        ];
        broker.stop().await;
        let backup = database.copy().await;
        let broker = database.start().await;
        let admin = broker.client(&database.admin_key());
        publish(&admin, "shop", config_map("a", "2")).await;
        let since = state_of(&holding(&broker.client(&keys[0]), &before[0])).await;
        assert_eq!(since.epoch, before[0].epoch);
        broker.stop().await;
        Self {
            database,
            backup,
            keys,
            before,
            since,
        }
    }
}

async fn a_restored_database_is_found_out_by_an_agent_that_is_ahead(engine: Engine) {
    let loss = Loss::happen(engine).await;
    let broker = loss.backup.start().await;
    let admin = broker.client(&loss.backup.admin_key());
    let [ahead, behind] = loss.keys.each_ref().map(|key| broker.client(key));
    let old = loss.since.epoch;

    let behind = holding(&behind, &loss.before[1]);
    let poll = behind.target_state(None, Duration::ZERO, LONG).await;
    let Ok(Poll::Changed { etag, state }) = poll else {
        panic!("{poll:?}");
    };
    assert_eq!(
        state.epoch, old,
        "who was told nothing since proves nothing"
    );
    let waiting = tokio::spawn({
        let (behind, etag) = (behind.clone(), etag.clone());
        async move { behind.target_state(Some(&etag), LONG, LONG).await }
    });

    let ahead = holding(&ahead, &loss.since);
    let told = state_of(&ahead).await;
    assert_ne!(told.epoch, old);
    assert_eq!(told.succeeds, []);
    assert_eq!(told.stacks.len(), 1);
    let Ok(Ok(Poll::Changed { state, .. })) = waiting.await else {
        panic!("the waiting poll did not hear of it");
    };
    assert_eq!(state.epoch, told.epoch);

    let epochs = admin.epochs().await.expect("epochs");
    assert_eq!((epochs.current, &*epochs.accepted), (told.epoch, &[][..]));
    let [ended] = &*epochs.lost else {
        panic!("{epochs:?}");
    };
    let edge = admin.agent(&name("ahead")).await.expect("the agent");
    assert_eq!((ended.epoch, ended.agent), (old, edge.id));
    assert_eq!(ended.agent_name.as_ref(), Some(&edge.name));
    assert!(ended.told > loss.before[0].revision, "{ended:?}");
    let audit = admin.audit(&[]).await.expect("audit");
    let entry = audit
        .iter()
        .map(|line| &line.entry)
        .find(|entry| entry.action == AuditAction::EpochLose)
        .expect("an entry");
    assert_eq!(entry.revision, ended.revision);
    assert_eq!(entry.actor.role, ActorRole::Agent);

    // The old tokens go on coming until somebody accepts, and may come for ever.
    assert_eq!(state_of(&ahead).await.epoch, told.epoch);
    assert_eq!(state_of(&behind).await.epoch, told.epoch);
    let accepted = admin.accept_epoch(old).await.expect("accepted");
    assert_eq!(accepted.waiting().count(), 0);
    for agent in [&ahead, &behind] {
        let state = state_of(agent).await;
        assert_eq!((state.epoch, state.succeeds), (told.epoch, vec![old]));
    }
    broker.stop().await;
    let broker = loss.backup.start().await;
    let ahead = holding(&broker.client(&loss.keys[0]), &loss.since);
    assert_eq!(state_of(&ahead).await.epoch, told.epoch);
    broker.stop().await;
}

async fn as_many_other_changes_hide_nothing(engine: Engine) {
    let loss = Loss::happen(engine).await;
    let broker = loss.backup.start().await;
    let admin = broker.client(&loss.backup.admin_key());
    for value in ["other", "changes", "than before"] {
        publish(&admin, "shop", config_map("a", value)).await;
    }
    let ahead = holding(&broker.client(&loss.keys[0]), &loss.since);
    let told = state_of(&ahead).await;
    assert!(told.revision >= loss.since.revision);
    assert_ne!(told.epoch, loss.since.epoch);
    broker.stop().await;
}

async fn a_history_that_is_replaced_under_a_running_broker_is_found_out(engine: Engine) {
    let database = Database::create(engine).await;
    let broker = database.start().await;
    let admin = broker.client(&database.admin_key());
    let agent = broker.client(&create_agent(&admin, "edge").await);
    let told = state_of(&agent).await;
    let agent = holding(&agent, &told);
    assert_eq!(state_of(&agent).await.epoch, told.epoch);
    let reads = broker.broker.database_reads();
    assert_eq!(state_of(&agent).await.epoch, told.epoch);
    assert_eq!(
        broker.broker.database_reads(),
        reads,
        "a known token is known"
    );
    replace_newest(&database, engine).await;
    eventually("the loss is found", async || {
        state_of(&agent).await.epoch != told.epoch
    })
    .await;
    broker.stop().await;
}

/// What waited is answered by the other history's next change; the agent must not take it for one of its own.
async fn a_poll_that_waits_while_the_history_is_replaced_finds_it_out(engine: Engine) {
    let database = Database::create(engine).await;
    let broker = database.start().await;
    let admin = broker.client(&database.admin_key());
    let agent = broker.client(&create_agent(&admin, "edge").await);
    create_stack(&admin, "shop").await;
    target(&admin, "edge", "shop").await;
    let poll = agent.target_state(None, Duration::ZERO, LONG).await;
    let Ok(Poll::Changed { etag, state: told }) = poll else {
        panic!("{poll:?}");
    };
    let before = last_seen(&admin).await;
    let waiting = tokio::spawn({
        let agent = holding(&agent, &told);
        async move { agent.target_state(Some(&etag), LONG, LONG).await }
    });
    eventually("the poll waits", async || last_seen(&admin).await > before).await;
    replace_newest(&database, engine).await;
    publish(&admin, "shop", config_map("a", "1")).await;
    let Ok(Ok(Poll::Changed { state, .. })) = waiting.await else {
        panic!("the waiting poll was not answered");
    };
    assert_ne!(state.epoch, told.epoch);
    broker.stop().await;
}

async fn last_seen(admin: &Client) -> Option<jiff::Timestamp> {
    let agent = admin.agent(&name("edge")).await;
    agent.expect("the agent").last_seen
}

/// A standby takes over that has come as far, the last step by another change.
async fn replace_newest(database: &Database, engine: Engine) {
    let other = match engine {
        Engine::Sqlite => {
            "update lineage set id = randomblob(16) where revision = (select max(revision) from lineage) returning revision"
        }
        Engine::Postgres => {
            "update lineage set id = gen_random_uuid() where revision = (select max(revision) from lineage) returning revision"
        }
    };
    database.number(other).await;
}

async fn what_is_no_proof_proves_nothing(engine: Engine) {
    let loss = Loss::happen(engine).await;
    let broker = loss.backup.start().await;
    let [ahead, behind] = loss.keys.each_ref().map(|key| broker.client(key));
    let old = loss.since.epoch;
    let token = &loss.since.state_token;
    let epoch = |state: TargetState| state.epoch;
    // Another agent's token is nobody's proof, and neither is one that was changed.
    assert_eq!(epoch(state_of(&behind.returning(old, token)).await), old);
    let changed = token.replacen(|digit: char| digit.is_ascii_digit(), "7", 1);
    for made_up in ["", "1", "1.2.3", &changed, &token[..token.len() - 1]] {
        if made_up != token {
            assert_eq!(epoch(state_of(&ahead.returning(old, made_up)).await), old);
        }
    }
    let admin = broker.client(&loss.backup.admin_key());
    assert_eq!(admin.epochs().await.expect("epochs").lost, []);
    broker.stop().await;
    // It does prove it to the broker of the whole database that this is the history it has.
    let broker = loss.database.start().await;
    let ahead = broker.client(&loss.keys[0]);
    assert_eq!(epoch(state_of(&holding(&ahead, &loss.since)).await), old);
    broker.stop().await;
}

async fn a_replica_that_lags_loses_nothing(engine: Engine) {
    let database = Database::create(engine).await;
    let here = database.start().await;
    let admin = here.client(&database.admin_key());
    let key = create_agent(&admin, "edge").await;
    create_stack(&admin, "shop").await;
    target(&admin, "edge", "shop").await;
    let there = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(database.start().await),
    };
    let lagging = there.as_ref().unwrap_or(&here).client(&key);
    let epoch = admin.epochs().await.expect("epochs").current;
    for value in 0..30 {
        publish(&admin, "shop", config_map("a", &value.to_string())).await;
        let told = state_of(&here.client(&key)).await;
        let state = state_of(&holding(&lagging, &told)).await;
        assert_eq!(state.epoch, epoch);
    }
    assert_eq!(admin.epochs().await.expect("epochs").lost, []);
    here.stop().await;
    if let Some(there) = there {
        there.stop().await;
    }
}
