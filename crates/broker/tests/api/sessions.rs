use std::time::Duration;

use brokkr_client::{Client, Poll};
use brokkr_core::wire::{AuditAction, Code, OpenSession, OpenedSession};

use crate::harness::*;

on_both_engines!(
    a_newer_session_ends_the_older_one,
    a_waiting_poll_ends_with_its_session,
    a_session_is_told_from_a_later_one_without_the_database,
    the_first_session_binds_the_agent_to_its_cluster,
    a_rebound_agent_takes_the_next_cluster,
    what_an_agent_says_of_itself_is_bounded,
);

const INTERVAL: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(45);

fn of(cluster: &str) -> OpenSession {
    OpenSession {
        cluster: cluster.parse().expect("a UID"),
        version: "1.2.3".to_owned(),
        features: vec!["new".to_owned()],
    }
}

async fn open(agent: &Client, cluster: &str) -> OpenedSession {
    agent.open_session(&of(cluster)).await.expect("a session")
}

async fn poll(agent: &Client) -> Result<(), Option<Code>> {
    let poll = agent.target_state(None, Duration::ZERO, INTERVAL).await;
    poll.map(drop).map_err(|error| error.code())
}

/// Every request of the older one, whatever it is; those without a session are served as before.
async fn a_newer_session_ends_the_older_one(engine: Engine) {
    let scene = Scene::set(engine).await;
    let agent = &scene.agent;
    let first = open(agent, "one").await;
    assert_eq!(poll(&agent.in_session(first)).await, Ok(()));
    let second = open(agent, "one").await;
    assert!(second.session > first.session, "{second:?} after {first:?}");

    let old = agent.in_session(first);
    let superseded = Some(Code::SessionSuperseded);
    assert_eq!(poll(&old).await, Err(superseded));
    let error = old.me().await.expect_err("an older session");
    assert_eq!(error.code(), superseded);
    let error = old
        .report_status(Vec::new())
        .await
        .expect_err("an older session");
    assert_eq!(error.code(), superseded);
    assert_eq!(poll(&agent.in_session(second)).await, Ok(()));
    assert_eq!(poll(agent).await, Ok(()));
    // A replica that has not heard of it yet serves a newer one.
    let newer = OpenedSession {
        session: second.session + 1,
    };
    assert_eq!(poll(&agent.in_session(newer)).await, Ok(()));

    let other = scene
        .broker
        .client(&create_agent(&scene.admin, "other").await);
    let others = open(&other, "two").await;
    assert_eq!(poll(&other.in_session(others)).await, Ok(()));
    assert_eq!(poll(&agent.in_session(second)).await, Ok(()));
    scene.broker.stop().await;
}

/// Here, and on PostgreSQL at another replica.
async fn a_waiting_poll_ends_with_its_session(engine: Engine) {
    let database = Database::create(engine).await;
    let here = database.start().await;
    let admin = here.client(&database.admin_key());
    let key = create_agent(&admin, "edge").await;
    let there = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(database.start().await),
    };
    for waiting_at in [Some(&here), there.as_ref()].into_iter().flatten() {
        let session = open(&here.client(&key), "one").await;
        let agent = waiting_at.client(&key).in_session(session);
        let first = agent.target_state(None, Duration::ZERO, INTERVAL).await;
        let Ok(Poll::Changed { etag, .. }) = first else {
            panic!("a first poll has an answer: {first:?}");
        };
        let waiting =
            tokio::spawn(async move { agent.target_state(Some(&etag), LONG, INTERVAL).await });
        // It waits: nothing else has ended it.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!waiting.is_finished());
        open(&here.client(&key), "one").await;
        let ended = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        let ended = ended.expect("at once").expect("a poll");
        let code = ended.expect_err("its session is over").code();
        assert_eq!(code, Some(Code::SessionSuperseded));
    }
    if let Some(there) = there {
        there.stop().await;
    }
    here.stop().await;
}

async fn a_session_is_told_from_a_later_one_without_the_database(engine: Engine) {
    let scene = Scene::set(engine).await;
    let first = open(&scene.agent, "one").await;
    let old = scene.agent.in_session(first);
    open(&scene.agent, "one").await;
    let before = scene.broker.broker.database_reads();
    for _ in 0..20 {
        assert_eq!(poll(&old).await, Err(Some(Code::SessionSuperseded)));
    }
    assert_eq!(scene.broker.broker.database_reads(), before);
    scene.broker.stop().await;
}

async fn the_first_session_binds_the_agent_to_its_cluster(engine: Engine) {
    let scene = Scene::set(engine).await;
    let (admin, agent) = (&scene.admin, &scene.agent);
    let session = agent.in_session(open(agent, "one").await);
    for _ in 0..3 {
        for cluster in ["two", "three"] {
            let error = agent.open_session(&of(cluster)).await.expect_err(cluster);
            assert_eq!(error.code(), Some(Code::ClusterConflict));
            let words = error.to_string();
            for part in [cluster, "one", "brokkr agent rebind edge", "agent create"] {
                assert!(words.contains(part), "{words}");
            }
        }
    }
    // The first one goes on undisturbed.
    assert_eq!(poll(&session).await, Ok(()));
    let seen = admin.agent(&name("edge")).await.expect("an agent");
    assert_eq!(seen.cluster, Some("one".parse().expect("a UID")));
    assert_eq!(seen.version.as_deref(), Some("1.2.3"));
    let refused = ["two", "three"].map(|uid| uid.parse().expect("a UID"));
    assert_eq!(seen.refused_clusters, refused);
    // A copied key asks for ever, and is told of once.
    let conflicts = audited(admin, AuditAction::AgentConflict).await;
    assert_eq!(conflicts, 2);
    assert_eq!(audited(admin, AuditAction::AgentSession).await, 1);

    open(agent, "one").await;
    assert_eq!(poll(&session).await, Err(Some(Code::SessionSuperseded)));
    scene.broker.stop().await;
}

async fn a_rebound_agent_takes_the_next_cluster(engine: Engine) {
    let scene = Scene::set(engine).await;
    let (admin, agent) = (&scene.admin, &scene.agent);
    let edge = name("edge");
    // Nothing is bound yet: nothing to do.
    admin.rebind_agent(&edge).await.expect("an agent");
    assert_eq!(audited(admin, AuditAction::AgentRebind).await, 0);

    let old = agent.in_session(open(agent, "one").await);
    assert!(agent.open_session(&of("two")).await.is_err());
    let rebound = admin.rebind_agent(&edge).await.expect("an agent");
    assert_eq!((rebound.cluster, rebound.refused_clusters), (None, vec![]));
    assert_eq!(poll(&old).await, Err(Some(Code::SessionSuperseded)));
    admin.rebind_agent(&edge).await.expect("an agent");
    assert_eq!(audited(admin, AuditAction::AgentRebind).await, 1);

    let new = agent.in_session(open(agent, "two").await);
    assert_eq!(poll(&new).await, Ok(()));
    let error = agent
        .open_session(&of("one"))
        .await
        .expect_err("the old one");
    assert_eq!(error.code(), Some(Code::ClusterConflict));

    let error = agent.rebind_agent(&edge).await.expect_err("no operator");
    assert_eq!(error.code(), Some(Code::Forbidden));
    let error = admin.open_session(&of("one")).await.expect_err("no agent");
    assert_eq!(error.code(), Some(Code::Forbidden));
    let error = admin
        .rebind_agent(&name("nobody"))
        .await
        .expect_err("nobody");
    assert_eq!(error.code(), Some(Code::NotFound));
    scene.broker.stop().await;
}

async fn what_an_agent_says_of_itself_is_bounded(engine: Engine) {
    let scene = Scene::set(engine).await;
    let bad = [
        OpenSession {
            version: "v".repeat(65),
            ..of("one")
        },
        OpenSession {
            version: "a\0b".to_owned(),
            ..of("one")
        },
        OpenSession {
            features: vec![String::new(); 101],
            ..of("one")
        },
    ];
    for open in bad {
        let error = scene.agent.open_session(&open).await.expect_err("too much");
        assert_eq!(error.code(), Some(Code::Invalid), "{open:?}");
    }
    let seen = scene.admin.agent(&name("edge")).await.expect("an agent");
    assert_eq!(seen.cluster, None);
    scene.broker.stop().await;
}

async fn audited(admin: &Client, action: AuditAction) -> usize {
    let entries = admin.audit(&[]).await.expect("an audit");
    let entries = entries
        .iter()
        .filter(|chained| chained.entry.action == action);
    entries.count()
}
