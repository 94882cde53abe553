//! What of the audit the settings do not want kept goes, and the rest is still verified.

use brokkr_broker::Verified;
use brokkr_core::wire::{ActorRole, AuditAction};
use jiff::SignedDuration;
use serde_json::json;

use super::{entries, run, unlock};
use crate::harness::*;

on_both_engines!(
    the_audit_is_kept_for_ever_unless_that_is_settled,
    what_is_forgotten_goes_and_the_rest_is_verified,
    what_is_edited_of_the_rest_is_found,
    only_what_is_forgotten_can_go,
);

const ENTRIES: &str = "select count(*) from audit";
const OLDEST: &str = "select min(revision) from audit";

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

async fn stacks(timed: &Timed, begins: &str, count: usize) {
    for number in 0..count {
        create_stack(&timed.admin, &format!("{begins}-{number}")).await;
    }
}

async fn keep(timed: &Timed, days: u32) {
    let patch = json!({"retention": {"audit_days": days}});
    let patch = serde_json::from_value(patch).expect("a patch");
    let settled = timed.admin.patch_settings(&patch).await;
    settled.expect("settings");
}

/// Waits until the entries up to a revision are gone.
async fn gone(timed: &Timed, upto: i64) {
    eventually(&format!("revision {upto} is gone"), async || {
        timed.database.number(OLDEST).await == upto + 1
    })
    .await;
}

async fn verified(database: &Database) -> Verified {
    let verified = brokkr_broker::verify(&database.url).await;
    verified.expect("a whole audit")
}

async fn the_audit_is_kept_for_ever_unless_that_is_settled(engine: Engine) {
    let timed = Timed::set(engine).await;
    stacks(&timed, "old", 3).await;
    timed.clock.pass(days(4_000));
    let timed = timed.restarted().await;
    // A sweep has gone by when what it does last but the audit is done.
    eventually("no change is left that is so old", async || {
        timed.database.number("select count(*) from changes").await == 0
    })
    .await;
    create_stack(&timed.admin, "young").await;
    let seen = entries(&timed.admin).await;
    assert_eq!(seen.len(), 5);
    let verified = verified(&timed.database).await;
    assert_eq!((verified.entries, verified.forgotten), (5, None));
    timed.broker.stop().await;
}

async fn what_is_forgotten_goes_and_the_rest_is_verified(engine: Engine) {
    let timed = Timed::set(engine).await;
    // More than one chunk, behind the first admin's key.
    stacks(&timed, "old", 520).await;
    timed.clock.pass(days(30));
    stacks(&timed, "middle", 3).await;
    timed.clock.pass(days(30));
    stacks(&timed, "young", 2).await;
    keep(&timed, 45).await;
    gone(&timed, 521).await;

    let seen = entries(&timed.admin).await;
    let revisions: Vec<_> = seen.iter().map(|chained| chained.entry.revision).collect();
    assert_eq!(revisions, [522, 523, 524, 525, 526, 527, 528]);
    let forget = &seen[6].entry;
    assert_eq!(
        (forget.action, forget.actor.role, forget.before.as_ref()),
        (AuditAction::AuditForget, ActorRole::Broker, None)
    );
    let upto =
        |side: &Option<serde_json::Value>| side.as_ref().map(|side| side["revision"].clone());
    assert_eq!(upto(&forget.after), Some(json!(521)));
    let whole = verified(&timed.database).await;
    assert_eq!((whole.entries, whole.forgotten), (7, Some(521)));
    assert_eq!(whole.newest, Some((528, seen[6].hash)));

    // The next start moves it on, and a change goes on with the chain.
    timed.clock.pass(days(20));
    let timed = timed.restarted().await;
    gone(&timed, 524).await;
    create_stack(&timed.admin, "last").await;
    let seen = entries(&timed.admin).await;
    let forget = &seen[4].entry;
    assert_eq!(forget.action, AuditAction::AuditForget);
    assert_eq!(
        (upto(&forget.before), upto(&forget.after)),
        (Some(json!(521)), Some(json!(524)))
    );
    let whole = verified(&timed.database).await;
    assert_eq!((whole.entries, whole.forgotten), (6, Some(524)));

    // Within a day nothing is moved twice; who keeps for ever again keeps what is there.
    keep(&timed, 46).await;
    keep(&timed, 45).await;
    let patch = json!({"retention": {"audit_days": null}});
    let patch = serde_json::from_value(patch).expect("a patch");
    timed.admin.patch_settings(&patch).await.expect("settings");
    timed.clock.pass(days(400));
    let timed = timed.restarted().await;
    create_stack(&timed.admin, "much-later").await;
    let forgets = [("action", "audit_forget".to_owned())];
    let forgets = timed.admin.audit(&forgets).await.expect("entries");
    assert_eq!(forgets.len(), 2);
    let whole = verified(&timed.database).await;
    assert_eq!((whole.entries, whole.forgotten), (10, Some(524)));
    timed.broker.stop().await;
}

/// Five entries are forgotten and gone; 6 to 8 are of the days before yesterday, 9 and 10 of today.
async fn shortened(engine: Engine) -> Timed {
    let timed = Timed::set(engine).await;
    stacks(&timed, "old", 4).await;
    timed.clock.pass(days(10));
    stacks(&timed, "young", 3).await;
    keep(&timed, 5).await;
    gone(&timed, 5).await;
    timed
}

async fn what_is_edited_of_the_rest_is_found(engine: Engine) {
    for (edit, found) in [
        ("delete from audit where revision = 6", "revision 7"),
        ("delete from audit where revision = 10", "revision 6"),
        (
            "update audit set entry = replace(entry, 'young', 'other') where revision = 7",
            "revision 7",
        ),
        // Where it begins is said once, in the chain.
        (
            "update audit set entry = replace(entry, '\"revision\":5', '\"revision\":4') where revision = 10",
            "revision 10",
        ),
        (
            "update audit set entry = replace(entry, '\"revision\":5', '\"revision\":70') where revision = 10",
            "revision 10",
        ),
        (
            "update audit set entry = replace(entry, 'sha256:', 'sha256:0') where revision = 10",
            "revision 10",
        ),
        (
            "insert into audit select 5, action, actor_id, subject_id, entry, hash from audit where revision = 6",
            "",
        ),
    ] {
        let Timed {
            database, broker, ..
        } = shortened(engine).await;
        broker.stop().await;
        unlock(&database).await;
        run(&database, edit).await.expect("edited");
        let looked = brokkr_broker::verify(&database.url).await;
        if found.is_empty() {
            // What is before the beginning is no part of the audit, whatever it says.
            assert_eq!(looked.expect(edit).entries, 5);
            continue;
        }
        let refused = looked.expect_err(edit);
        assert!(refused.to_string().contains(found), "{edit}: {refused}");
    }
}

async fn only_what_is_forgotten_can_go(engine: Engine) {
    let timed = shortened(engine).await;
    let before = timed.database.number(ENTRIES).await;
    for edit in [
        "delete from audit",
        "delete from audit where revision = 6",
        "delete from audit where action = 'audit_forget'",
        "update audit set action = 'audit_forget' where revision = 6",
        "update audit set entry = replace(entry, '5', '9') where action = 'audit_forget'",
    ] {
        let refused = run(&timed.database, edit).await;
        refused.expect_err("refused by the database");
    }
    assert_eq!(timed.database.number(ENTRIES).await, before);
    timed.broker.stop().await;
}
