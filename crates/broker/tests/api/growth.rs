//! What grows in the database, and what of it is forgotten after a time.

use std::collections::BTreeSet;

use brokkr_core::targeting::{AgentScope, Facts};
use brokkr_core::wire::{
    CreateKey, CreateStack, CreateWindow, KeyOwner, RotateKey, WindowMinutes, WindowRule,
};
use jiff::SignedDuration;
use serde_json::json;
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::harness::*;

on_both_engines!(
    each_table_is_said_to_grow_or_not,
    a_key_that_ended_is_forgotten_after_90_days,
    no_first_admin_key_is_taken_twice,
    a_deleted_window_is_forgotten_after_90_days,
    what_was_repeatable_is_forgotten,
    what_was_held_for_an_agent_goes_with_it,
);

const SETTINGS: &str = include_str!("../../../../docs/reference/settings.md");

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

async fn tables(database: &Database) -> BTreeSet<String> {
    let names: Vec<String> = if database.url.starts_with("sqlite:") {
        let connection = SqliteConnection::connect(&database.url).await;
        let question =
            "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'";
        sqlx::query_scalar(question)
            .fetch_all(&mut connection.expect("SQLite"))
            .await
            .expect("tables")
    } else {
        let connection = PgConnection::connect(&database.url).await;
        let question = "select tablename::text from pg_tables where schemaname = 'public'";
        sqlx::query_scalar(question)
            .fetch_all(&mut connection.expect("PostgreSQL"))
            .await
            .expect("tables")
    };
    let mut names: BTreeSet<_> = names.into_iter().collect();
    assert!(names.remove("_sqlx_migrations"), "{names:?}");
    names
}

/// Whoever adds a table decides how it grows, and says so where operators read it.
async fn each_table_is_said_to_grow_or_not(engine: Engine) {
    let scene = Timed::set(engine).await;
    let (_, section) = SETTINGS
        .split_once("## What grows, and when it is forgotten")
        .expect("the section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut said = Vec::new();
    for row in rows {
        let (cell, rest) = row.split_once(" |").expect("a cell");
        let cells = rest.matches(" |").count();
        assert_eq!(
            cells, 2,
            "what it grows with, and how long it is kept: {row}"
        );
        said.extend(
            cell.split('`')
                .filter(|part| part.starts_with(char::is_alphabetic)),
        );
    }
    let once: BTreeSet<_> = said.iter().map(ToString::to_string).collect();
    assert_eq!(once.len(), said.len(), "{said:?}");
    assert_eq!(once, tables(&scene.database).await);
    scene.broker.stop().await;
}

fn key(of: KeyOwner, name: &str) -> CreateKey {
    CreateKey {
        owner: of,
        name: name.parse().expect("a name"),
        expires_in: None,
        expires_at: None,
    }
}

async fn a_key_that_ended_is_forgotten_after_90_days(engine: Engine) {
    const KEYS: &str = "select count(*) from keys";
    let timed = Timed::set(engine).await;
    create_agent(&timed.admin, "edge").await;
    let edge = || KeyOwner::Agent(name("edge"));
    let old = timed.admin.create_key(&key(edge(), "old")).await;
    let old = old.expect("a key").key.id;
    let rotate = RotateKey { overlap: None };
    let rotated = timed.admin.rotate_key(old, &rotate).await.expect("rotated");
    let new = rotated.pak.parse().expect("a key");
    // Its first use ends the one before.
    state_of(&timed.broker.client(&new)).await;
    eventually("the old key ended", async || {
        let old = timed.admin.key(old).await.expect("a key");
        old.revoked_at.is_some()
    })
    .await;
    let replaces = timed.admin.key(rotated.key.id).await.expect("a key");
    assert_eq!(replaces.replaces, Some(old));
    let left = timed.database.number(KEYS).await;

    timed.clock.pass(days(89));
    let timed = timed.restarted().await;
    swept(&timed).await;
    assert_eq!(timed.database.number(KEYS).await, left);
    timed.clock.pass(days(2));
    let timed = timed.restarted().await;
    eventually("the old key is forgotten", async || {
        timed.database.number(KEYS).await == left - 1
    })
    .await;
    let gone = timed.admin.key(old).await.expect_err("forgotten");
    assert!(gone.is_not_found());
    let kept = timed.admin.key(rotated.key.id).await.expect("a key");
    assert_eq!((kept.replaces, kept.revoked_at), (None, None));
    state_of(&timed.broker.client(&new)).await;
    timed.broker.stop().await;
}

/// Waits until a sweep has gone past what it looks at first.
async fn swept(timed: &Timed) {
    eventually("no change is left that is so old", async || {
        timed.database.number("select count(*) from changes").await == 0
    })
    .await;
}

/// The first start takes the key of a file. That all keys of admins ended, long ago, does not make it a first one.
async fn no_first_admin_key_is_taken_twice(engine: Engine) {
    let timed = Timed::set(engine).await;
    let first = timed.admin.me().await.expect("me").key;
    let short = CreateKey {
        expires_in: Some(3_600),
        ..key(KeyOwner::Admin, "short")
    };
    let short = timed.admin.create_key(&short).await.expect("a key");
    let short = timed.broker.client(&short.pak.parse().expect("a key"));
    short.revoke_key(first).await.expect("ended");
    timed.clock.pass(SignedDuration::from_hours(2));
    let ended = "select count(*) from keys where revoked_at is not null";
    eventually("both have ended", async || {
        timed.database.number(ended).await == 2
    })
    .await;
    timed.clock.pass(days(91));
    let timed = timed.restarted().await;
    eventually("one of them is forgotten", async || {
        timed.database.number(ended).await == 1
    })
    .await;
    let timed = timed.restarted().await;
    timed.admin.me().await.expect_err("its key has ended");
    timed.broker.stop().await;
}

async fn a_deleted_window_is_forgotten_after_90_days(engine: Engine) {
    const WINDOWS: &str = "select count(*) from windows";
    let timed = Timed::set(engine).await;
    let edge = create_agent(&timed.admin, "edge").await;
    for window in ["one", "two", "three"] {
        let create = CreateWindow {
            name: window.parse().expect("a name"),
            agent: None,
            scope: Some(AgentScope::AllAgents),
            rule: WindowRule::Deny,
            cron: "0 2 * * *".to_owned(),
            minutes: WindowMinutes::new(120).expect("minutes"),
            zone: "Europe/Berlin".to_owned(),
        };
        timed.admin.create_window(&create).await.expect("a window");
    }
    for window in ["one", "two"] {
        let deleted = timed.admin.delete_window(&name(window)).await;
        deleted.expect("deleted");
    }
    let before = state_of(&timed.broker.client(&edge)).await.revision;
    timed.clock.pass(days(89));
    let timed = timed.restarted().await;
    swept(&timed).await;
    assert_eq!(timed.database.number(WINDOWS).await, 3);
    timed.clock.pass(days(2));
    let timed = timed.restarted().await;
    eventually("the first one is forgotten", async || {
        timed.database.number(WINDOWS).await == 2
    })
    .await;
    // What an agent is told never goes back.
    let state = state_of(&timed.broker.client(&edge)).await;
    assert_eq!((state.revision, state.agent.windows.len()), (before, 1));
    timed.broker.stop().await;
}

async fn what_was_repeatable_is_forgotten(engine: Engine) {
    const REMEMBERED: &str = "select count(*) from idempotency";
    let timed = Timed::set(engine).await;
    let stack = async |timed: &Timed, stack: &str| {
        let answer = reqwest::Client::new()
            .post(format!("{}/api/v1/stacks", timed.broker.server))
            .bearer_auth(timed.database.admin_key().expose())
            .header("idempotency-key", stack)
            .json(&json!({ "name": stack }))
            .send();
        assert_eq!(answer.await.expect("an answer").status(), 201);
    };
    for number in 0..3 {
        stack(&timed, &format!("old-{number}")).await;
    }
    timed.clock.pass(SignedDuration::from_hours(20));
    stack(&timed, "young").await;
    assert_eq!(timed.database.number(REMEMBERED).await, 4);
    timed.clock.pass(SignedDuration::from_hours(5));
    let timed = timed.restarted().await;
    eventually("only the young one is remembered", async || {
        timed.database.number(REMEMBERED).await == 1
    })
    .await;
    timed.broker.stop().await;
}

async fn what_was_held_for_an_agent_goes_with_it(engine: Engine) {
    const HELD: &str = "select count(*) from held_facts";
    let timed = Timed::set(engine).await;
    let targeting = json!({"rules": [{"every_agent": true, "facts": "kubernetes.version>=1.33"}]});
    let create = CreateStack {
        targeting: serde_json::from_value(targeting).expect("targeting"),
        ..CreateStack::named("shop".parse().expect("a name"))
    };
    timed.admin.create_stack(&create).await.expect("a stack");
    for agent in ["edge", "other"] {
        let agent = create_agent(&timed.admin, agent).await;
        let facts = Facts {
            kubernetes_version: Some("v1.33.1".to_owned()),
            ..Facts::default()
        };
        let told = timed.broker.client(&agent).report_facts(&facts).await;
        told.expect("reported");
    }
    assert_eq!(timed.database.number(HELD).await, 2);
    let url = format!("{}/api/v1/agents/edge?force=true", timed.broker.server);
    let answer = reqwest::Client::new()
        .delete(url)
        .bearer_auth(timed.database.admin_key().expose())
        .send();
    assert_eq!(answer.await.expect("an answer").status(), 204);
    assert_eq!(timed.database.number(HELD).await, 1);
    timed.broker.stop().await;
}
