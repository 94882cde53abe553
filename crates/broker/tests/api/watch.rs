//! The live feed: who watches is told what to read again, of their own rows, and misses nothing without noticing.

use std::time::Duration;

use brokkr_client::{Client, Told, Watch, WatchFilter};
use brokkr_core::wire::{About, Code, Health, Hint, PatchAgent, StackStatus, Sync};
use brokkr_core::{AgentId, StackId};
use serde_json::{from_value, json};
use tokio::time::timeout;

use crate::harness::*;

on_both_engines!(
    what_changes_is_told,
    who_comes_back_is_told_what_was_missed,
    who_cannot_be_told_what_was_missed_reads_everything_anew,
    a_generator_is_told_of_its_own,
    who_asks_for_a_stack_or_an_agent_is_told_of_nothing_else,
    a_watch_ends_with_its_key,
    watches_are_bounded,
);

const SOON: Duration = Duration::from_secs(10);

async fn next(watch: &mut Watch) -> Told {
    let told = timeout(SOON, watch.next()).await.expect("something");
    told.expect("the stream goes on")
}

/// Begins to watch, and reads the reset that it begins with.
async fn begin(client: &Client, filter: &WatchFilter) -> Watch {
    let mut watch = client.watch(filter, None).await.expect("a watch");
    assert_eq!(next(&mut watch).await, Told::Reset);
    watch
}

/// All that is told until something is told that ends it.
async fn until(watch: &mut Watch, last: About) -> Vec<Hint> {
    let mut hints = Vec::new();
    loop {
        let told = timeout(SOON, watch.next()).await;
        let told = told.unwrap_or_else(|_| panic!("no {last:?} after {hints:?}"));
        match told.expect("the stream goes on") {
            Told::Hint(hint) => hints.push(hint),
            Told::Reset => panic!("a reset after {hints:?}"),
        }
        if hints.last().is_some_and(|hint| hint.about == last) {
            return hints;
        }
    }
}

fn abouts(hints: &[Hint]) -> Vec<About> {
    hints.iter().map(|hint| hint.about).collect()
}

async fn report(agent: &Client, stack: StackId, reason: &str) {
    let status = StackStatus {
        stack,
        seen: Some(1),
        applied: Some(1),
        sync: Sync::Synced,
        health: Health::Current,
        reason: Some(reason.to_owned()),
        held: None,
    };
    agent.report_status(vec![status]).await.expect("reported");
}

async fn id_of(admin: &Client, stack: &str) -> StackId {
    admin.stack(&name(stack)).await.expect("a stack").id
}

async fn edge(admin: &Client) -> AgentId {
    admin.agent(&name("edge")).await.expect("an agent").id
}

async fn label(admin: &Client, agent: &str, label: &str) {
    let patch: PatchAgent = from_value(json!({"labels": {label: ""}})).expect("a patch");
    admin
        .patch_agent(&name(agent), &patch)
        .await
        .expect("an agent");
}

async fn what_changes_is_told(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    let mut watch = begin(&admin, &WatchFilter::default()).await;
    create_stack(&admin, "shop").await;
    let (edge, shop) = (edge(&admin).await, id_of(&admin, "shop").await);
    until(&mut watch, About::Stack { id: shop }).await;
    target(&admin, "edge", "shop").await;
    let target = About::Target {
        agent: edge,
        stack: shop,
    };
    until(&mut watch, target).await;
    let published = publish(&admin, "shop", config_map("a", "1")).await;
    let hints = until(&mut watch, About::Stack { id: shop }).await;
    assert!(
        hints.iter().all(|hint| hint.version > 1),
        "{hints:?}, {published:?}"
    );
    report(&agent, shop, "well").await;
    let status = About::Status {
        agent: edge,
        stack: shop,
    };
    until(&mut watch, status).await;
    let event = failed_event(shop, "no");
    agent
        .report_events(vec![event.clone()])
        .await
        .expect("told");
    let events = About::Events {
        agent: edge,
        stack: shop,
    };
    until(&mut watch, events).await;
    // Repeated reports change nothing; neither do reports of a stack that the agent never had.
    agent.report_events(vec![event]).await.expect("told");
    create_stack(&admin, "other").await;
    let other = id_of(&admin, "other").await;
    until(&mut watch, About::Stack { id: other }).await;
    report(&agent, other, "mine").await;
    label(&admin, "edge", "prod").await;
    let hints = until(&mut watch, About::Agent { id: edge }).await;
    assert_eq!(abouts(&hints), [About::Agent { id: edge }]);
    broker.stop().await;
}

async fn who_comes_back_is_told_what_was_missed(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    target(&admin, "edge", "shop").await;
    let (edge, shop) = (edge(&admin).await, id_of(&admin, "shop").await);
    let watch = begin(&admin, &WatchFilter::default()).await;
    let cursor = watch.cursor().expect("a cursor").to_owned();
    drop(watch);
    report(&agent, shop, "well").await;
    publish(&admin, "shop", config_map("a", "1")).await;
    let back = admin.watch(&WatchFilter::default(), Some(&cursor)).await;
    let mut back = back.expect("a watch");
    let mut told = Vec::new();
    let wanted = [
        About::Status {
            agent: edge,
            stack: shop,
        },
        About::Stack { id: shop },
    ];
    while !wanted.iter().all(|about| told.contains(about)) {
        match next(&mut back).await {
            Told::Hint(hint) => told.push(hint.about),
            Told::Reset => panic!("a reset after {told:?}"),
        }
    }
    // What was told once is not told again to who says so.
    let cursor = back.cursor().expect("a cursor").to_owned();
    let again = admin.watch(&WatchFilter::default(), Some(&cursor)).await;
    let mut again = again.expect("a watch");
    label(&admin, "edge", "prod").await;
    let hints = until(&mut again, About::Agent { id: edge }).await;
    assert_eq!(abouts(&hints), [About::Agent { id: edge }]);
    broker.stop().await;
}

async fn who_cannot_be_told_what_was_missed_reads_everything_anew(engine: Engine) {
    let database = Database::create(engine).await;
    let broker = database.start().await;
    let admin = broker.client(&database.admin_key());
    let watch = begin(&admin, &WatchFilter::default()).await;
    let cursor = watch.cursor().expect("a cursor").to_owned();
    drop(watch);
    let parts: Vec<_> = cursor.split('.').collect();
    let foreign = format!("{}.{}.{:032x}", parts[0], parts[1], 7);
    let ahead = format!("{}.{}.{}", parts[0], 1_000_000, parts[2]);
    let far = format!("1000000.{}.{}", parts[1], parts[2]);
    for cursor in [foreign, ahead, far] {
        let watch = admin.watch(&WatchFilter::default(), Some(&cursor)).await;
        assert_eq!(
            next(&mut watch.expect("a watch")).await,
            Told::Reset,
            "{cursor}"
        );
    }
    for cursor in [
        "",
        "1",
        "1.2",
        "1.2.3",
        "a.b.c",
        &format!("{cursor}.1"),
        &format!("0{cursor}"),
    ] {
        let refused = admin.watch(&WatchFilter::default(), Some(cursor)).await;
        let code = refused.err().and_then(|error| error.code());
        assert_eq!(code, Some(Code::Invalid), "{cursor}");
    }
    // A broker that was started meanwhile knows nothing of what was before.
    create_stack(&admin, "shop").await;
    broker.stop().await;
    let broker = database.start().await;
    let admin = broker.client(&database.admin_key());
    let late = admin.watch(&WatchFilter::default(), Some(&cursor)).await;
    assert_eq!(next(&mut late.expect("a watch")).await, Told::Reset);
    broker.stop().await;
}

async fn a_generator_is_told_of_its_own(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    let ci = broker.client(&create_generator(&admin, "ci").await);
    let other = broker.client(&create_generator(&admin, "other").await);
    create_stack(&admin, "shop").await;
    create_stack(&ci, "web").await;
    create_stack(&other, "web").await;
    target(&admin, "edge", "shop").await;
    let (edge, shop) = (edge(&admin).await, id_of(&admin, "shop").await);
    let web = id_of(&ci, "web").await;
    let mut watch = begin(&ci, &WatchFilter::default()).await;
    // None of it is the generator's, or of an agent that has something of it.
    publish(&admin, "shop", config_map("a", "1")).await;
    publish(&other, "web", config_map("a", "1")).await;
    report(&agent, shop, "well").await;
    agent
        .report_events(vec![failed_event(shop, "no")])
        .await
        .expect("told");
    label(&admin, "edge", "prod").await;
    create_agent(&admin, "far").await;
    create_generator(&admin, "third").await;
    publish(&ci, "web", config_map("a", "1")).await;
    let mine = About::Stack { id: web };
    assert_eq!(abouts(&until(&mut watch, mine).await), [mine]);
    // From now on the agent concerns it.
    target(&ci, "edge", "web").await;
    let target = About::Target {
        agent: edge,
        stack: web,
    };
    until(&mut watch, target).await;
    report(&agent, shop, "still well").await;
    label(&admin, "edge", "gpu").await;
    let mine = About::Agent { id: edge };
    assert_eq!(abouts(&until(&mut watch, mine).await).last(), Some(&mine));
    report(&agent, web, "well").await;
    let mine = About::Status {
        agent: edge,
        stack: web,
    };
    assert_eq!(abouts(&until(&mut watch, mine).await), [mine]);
    for (stack, agent) in [
        (Some("other:web"), None),
        (Some("shop"), None),
        (None, Some("nowhere")),
    ] {
        let filter = WatchFilter {
            stack: stack.map(name),
            agent: agent.map(name),
        };
        let refused = ci.watch(&filter, None).await.err();
        let code = refused.and_then(|error| error.code());
        assert_eq!(code, Some(Code::NotFound), "{filter:?}");
    }
    broker.stop().await;
}

async fn who_asks_for_a_stack_or_an_agent_is_told_of_nothing_else(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    for stack in ["shop", "web"] {
        create_stack(&admin, stack).await;
        target(&admin, "edge", stack).await;
    }
    create_stack(&admin, "elsewhere").await;
    create_agent(&admin, "far").await;
    let (edge, shop) = (edge(&admin).await, id_of(&admin, "shop").await);
    let web = id_of(&admin, "web").await;
    let of_shop = WatchFilter {
        stack: Some(name("shop")),
        agent: None,
    };
    let of_edge = WatchFilter {
        stack: None,
        agent: Some(name("edge")),
    };
    let mut of_shop = begin(&admin, &of_shop).await;
    let mut of_edge = begin(&admin, &of_edge).await;
    publish(&admin, "elsewhere", config_map("a", "1")).await;
    label(&admin, "far", "prod").await;
    report(&agent, web, "well").await;
    publish(&admin, "web", config_map("a", "1")).await;
    report(&agent, shop, "well").await;
    publish(&admin, "shop", config_map("a", "1")).await;
    label(&admin, "edge", "prod").await;
    let agent = About::Agent { id: edge };
    let status = |stack| About::Status { agent: edge, stack };
    let mut told = abouts(&until(&mut of_shop, agent).await);
    assert_eq!(told.pop(), Some(agent));
    assert!(
        told.contains(&status(shop)) && told.contains(&About::Stack { id: shop }),
        "{told:?}"
    );
    assert!(
        told.iter().all(|about| about.stack() == Some(shop)),
        "{told:?}"
    );
    let told = abouts(&until(&mut of_edge, agent).await);
    for about in [
        status(web),
        status(shop),
        About::Stack { id: shop },
        About::Stack { id: web },
    ] {
        assert!(told.contains(&about), "{about:?} of {told:?}");
    }
    let elsewhere = id_of(&admin, "elsewhere").await;
    assert!(
        !told.iter().any(|about| about.stack() == Some(elsewhere)),
        "{told:?}"
    );
    broker.stop().await;
}

async fn a_watch_ends_with_its_key(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    let pak = create_generator(&admin, "ci").await;
    let ci = broker.client(&pak);
    let mut watch = begin(&ci, &WatchFilter::default()).await;
    admin.revoke_key(pak.id()).await.expect("revoked");
    let end = timeout(SOON, watch.next()).await.expect("an end");
    assert!(end.is_err(), "{end:?}");
    let refused = ci.watch(&WatchFilter::default(), watch.cursor()).await;
    let code = refused.err().and_then(|error| error.code());
    assert_eq!(code, Some(Code::Unauthenticated));
    // It does not keep a broker from stopping either.
    let mut other = begin(&admin, &WatchFilter::default()).await;
    timeout(SOON, broker.stop()).await.expect("it stops");
    assert!(other.next().await.is_err());
}

async fn watches_are_bounded(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    let mut watches = Vec::new();
    let refused = loop {
        match admin.watch(&WatchFilter::default(), None).await {
            Ok(watch) => watches.push(watch),
            Err(error) => break error,
        }
        assert!(watches.len() <= 64, "no bound");
    };
    assert_eq!(refused.code(), Some(Code::TooMany));
    assert_eq!(watches.len(), 64);
    // Other requests of the same key go on, and a place is free again when a watch is over.
    admin.me().await.expect("who it is");
    watches.pop();
    eventually("a place is free", async || {
        admin.watch(&WatchFilter::default(), None).await.is_ok()
    })
    .await;
    broker.stop().await;
}

/// What one replica heard, another tells.
#[tokio::test]
#[ignore = "needs PostgreSQL: make test"]
async fn replicas_tell_of_each_other() {
    let database = Database::create(Engine::Postgres).await;
    let (here, there) = (database.start().await, database.start().await);
    let key = database.admin_key();
    let (admin, far) = (here.client(&key), there.client(&key));
    let agent = here.client(&create_agent(&admin, "edge").await);
    create_stack(&admin, "shop").await;
    target(&admin, "edge", "shop").await;
    let (edge, shop) = (edge(&admin).await, id_of(&admin, "shop").await);
    let published = About::Stack { id: shop };
    eventually("the other one has come as far", async || {
        let state = there.client(&key).stack(&name("shop")).await;
        state.is_ok()
    })
    .await;
    let mut watch = begin(&far, &WatchFilter::default()).await;
    publish(&admin, "shop", config_map("a", "1")).await;
    until(&mut watch, published).await;
    report(&agent, shop, "well").await;
    let status = About::Status {
        agent: edge,
        stack: shop,
    };
    until(&mut watch, status).await;
    // Who goes over to the other replica with the cursor misses nothing, or reads everything anew.
    let cursor = watch.cursor().expect("a cursor").to_owned();
    let over = admin.watch(&WatchFilter::default(), Some(&cursor)).await;
    let mut over = over.expect("a watch");
    label(&admin, "edge", "prod").await;
    let is_of_edge =
        |told| matches!(told, Told::Hint(hint) if hint.about == About::Agent { id: edge });
    while !is_of_edge(next(&mut over).await) {}
    drop((watch, over));
    here.stop().await;
    there.stop().await;
}
