//! Who changed what is written down with the change, and cannot be changed unseen.

use brokkr_client::Client;
use brokkr_core::wire::{ActorRole, AuditAction, ChainedEntry, PatchAgent};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

mod forgetting;

use crate::harness::*;

on_both_engines!(
    every_change_is_audited_once,
    what_is_edited_is_found,
    entries_never_change,
);

/// A broker with a few changes behind it.
async fn history(engine: Engine) -> (Database, TestBroker, Client, Client) {
    let database = Database::create(engine).await;
    let broker = database.start().await;
    let admin = broker.client(&database.admin_key());
    let agent = broker.client(&create_agent(&admin, "edge").await);
    let ci = broker.client(&create_generator(&admin, "ci").await);
    create_stack(&ci, "shop").await;
    publish(&ci, "shop", config_map("a", "1")).await;
    target(&ci, "edge", "shop").await;
    let patch = json!({"labels": {"env": "prod"}});
    let patch: PatchAgent = serde_json::from_value(patch).expect("a patch");
    admin
        .patch_agent(&name("edge"), &patch)
        .await
        .expect("patched");
    (database, broker, admin, agent)
}

async fn entries(admin: &Client) -> Vec<ChainedEntry> {
    let mut entries = admin.audit(&[]).await.expect("an audit");
    entries.reverse();
    entries
}

async fn every_change_is_audited_once(engine: Engine) {
    let (database, broker, admin, agent) = history(engine).await;
    let seen = entries(&admin).await;
    let actions: Vec<_> = seen.iter().map(|chained| chained.entry.action).collect();
    assert_eq!(
        actions,
        [
            AuditAction::KeyCreate,
            AuditAction::AgentCreate,
            AuditAction::GeneratorCreate,
            AuditAction::StackCreate,
            AuditAction::StackPublish,
            AuditAction::TargetCreate,
            AuditAction::AgentChange,
        ]
    );
    let revisions: Vec<_> = seen.iter().map(|chained| chained.entry.revision).collect();
    assert_eq!(revisions, [1, 2, 3, 4, 5, 6, 7]);
    let roles: Vec<_> = seen
        .iter()
        .map(|chained| chained.entry.actor.role)
        .collect();
    let (host, op, ci) = (ActorRole::Host, ActorRole::Admin, ActorRole::Generator);
    assert_eq!(roles, [host, op, op, ci, ci, ci, op]);
    let actor = &seen[6].entry.actor;
    assert!(
        actor.address.is_some_and(|address| address.is_loopback()) && actor.request_id.is_some()
    );
    let me = admin.me().await.expect("me");
    assert_eq!(seen[6].entry.actor.key, Some(me.key));
    let (before, after) = (&seen[6].entry.before, &seen[6].entry.after);
    assert_eq!(*before, Some(json!({"labels": {}})));
    assert_eq!(*after, Some(json!({"labels": {"env": "prod"}})));
    assert_eq!((seen[5].entry.reached, seen[6].entry.reached), (1, 0));

    // What makes no difference is no change.
    let ci = name("ci:shop");
    assert!(
        try_publish(&admin, "ci:shop", "1")
            .await
            .expect("published")
            .unchanged
    );
    target(&admin, "edge", "ci:shop").await;
    admin
        .patch_stack(&ci, &serde_json::from_value(json!({})).expect("a patch"))
        .await
        .expect("patched");
    agent.confirm_removals(Vec::new()).await.expect("answers");
    admin
        .delete_stack(&name("nothing"), None, &[])
        .await
        .expect_err("missing");
    assert_eq!(entries(&admin).await.len(), 7);

    let of_agent = admin
        .me()
        .await
        .map(|_| seen[1].entry.subject.id)
        .expect("an id");
    let filtered = admin
        .audit(&[("subject", of_agent.to_string())])
        .await
        .expect("entries");
    assert_eq!(filtered.len(), 2);
    let filtered = admin
        .audit(&[("action", "stack_publish".to_owned())])
        .await
        .expect("entries");
    assert_eq!(filtered.len(), 1);
    let text = serde_json::to_string(&seen).expect("text");
    assert!(!text.contains("brokkr_"), "a key is in the audit");

    let verified = brokkr_broker::verify(&database.url)
        .await
        .expect("a whole audit");
    assert_eq!(
        (verified.entries, verified.newest),
        (7, Some((7, seen[6].hash)))
    );
    broker.stop().await;
}

async fn what_is_edited_is_found(engine: Engine) {
    for (edit, found) in [
        (
            "update audit set entry = replace(entry, 'prod', 'test') where revision = 7",
            "revision 7",
        ),
        (
            "update audit set actor_id = null where revision = 5",
            "revision 5",
        ),
        ("delete from audit where revision = 3", "revision 4"),
        ("delete from audit where revision = 7", "revision 7"),
        (
            "update audit set revision = 70 where revision = 7",
            "revision 70",
        ),
        (
            "update audit set hash = (select hash from audit where revision = 2) where revision = 1",
            "revision 1",
        ),
    ] {
        let (database, broker, ..) = history(engine).await;
        broker.stop().await;
        unlock(&database).await;
        run(&database, edit).await.expect("edited");
        let refused = brokkr_broker::verify(&database.url).await.expect_err(edit);
        assert!(refused.to_string().contains(found), "{edit}: {refused}");
    }
}

/// One of a thousand ways to edit an audit, and the revision at which it has to be found.
fn forgery(round: u64, last: u64) -> (String, u64) {
    let revision = 1 + round % last;
    // An entry is longer than any of these places.
    let at = 1 + round * 7 % 200;
    let row = format!("where revision = {revision}");
    let edit = match round / last % 6 {
        0 => format!(
            "update audit set entry = substr(entry, 1, {at} - 1)
                 || case substr(entry, {at}, 1) when 'x' then 'y' else 'x' end
                 || substr(entry, {at} + 1) {row}"
        ),
        1 => format!("update audit set hash = randomblob(32) {row}"),
        2 => format!("update audit set subject_id = randomblob(16) {row}"),
        3 => format!("delete from audit {row}"),
        4 => format!("update audit set entry = '{{}}' {row}"),
        _ => format!("update audit set entry = entry || ' ' {row}"),
    };
    // What is gone is missed by the one behind it.
    let is_missed = edit.starts_with("delete") && revision < last;
    (edit, revision + u64::from(is_missed))
}

#[tokio::test]
async fn a_thousand_edits_are_found_each_at_its_revision() {
    let (database, broker, admin, _) = history(Engine::Sqlite).await;
    for round in 0..20 {
        let patch = json!({"labels": {"round": round.to_string()}});
        let patch: PatchAgent = serde_json::from_value(patch).expect("a patch");
        let patched = admin.patch_agent(&name("edge"), &patch).await;
        patched.expect("patched");
    }
    broker.stop().await;
    let whole = brokkr_broker::verify(&database.url).await.expect("whole");
    unlock(&database).await;
    let mut forger = SqliteConnection::connect(&database.url)
        .await
        .expect("SQLite");
    // A thousand edits need not survive a power loss.
    let prepare = "pragma synchronous = off; create table kept as select * from audit";
    let prepared = sqlx::raw_sql(prepare).execute(&mut forger).await;
    prepared.map(drop).expect("a copy");
    for round in 0..1_000 {
        let (edit, revision) = forgery(round, whole.entries);
        let edited = sqlx::raw_sql(AssertSqlSafe(edit.clone()))
            .execute(&mut forger)
            .await;
        edited.map(drop).expect("edited");
        let refused = brokkr_broker::verify(&database.url).await.expect_err(&edit);
        let found = format!("at revision {revision}:");
        assert!(refused.to_string().contains(&found), "{edit}: {refused}");
        let mend = format!(
            "replace into audit select * from kept where revision between {} and {revision}",
            revision - 1
        );
        let mended = sqlx::raw_sql(AssertSqlSafe(mend))
            .execute(&mut forger)
            .await;
        mended.map(drop).expect("mended");
    }
    let after = brokkr_broker::verify(&database.url).await.expect("whole");
    assert_eq!(after, whole);
}

async fn entries_never_change(engine: Engine) {
    let (database, broker, admin, _) = history(engine).await;
    let before = entries(&admin).await;
    for edit in ["update audit set action = 'x'", "delete from audit"] {
        run(&database, edit)
            .await
            .expect_err("refused by the database");
    }
    assert_eq!(entries(&admin).await, before);
    broker.stop().await;
}

/// Takes away what refuses edits, as somebody would who has the database.
async fn unlock(database: &Database) {
    if database.url.starts_with("sqlite:") {
        run(database, "drop trigger audit_never_changes")
            .await
            .expect("dropped");
        run(database, "drop trigger audit_never_shrinks")
            .await
            .expect("dropped");
    } else {
        run(database, "drop trigger audit_is_append_only on audit")
            .await
            .expect("dropped");
    }
}

async fn run(database: &Database, statement: &str) -> Result<(), sqlx::Error> {
    let (url, statement) = (&database.url, AssertSqlSafe(statement.to_owned()));
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await?;
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .map(drop)
    } else {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .map(drop)
    }
}
