use brokkr_core::wire::{Code, Publish, PublishOptions};

use crate::harness::*;

on_both_engines!(
    a_message_that_no_database_keeps_is_refused,
    a_value_that_the_database_refuses_costs_only_its_own_change,
);

async fn a_message_that_no_database_keeps_is_refused(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    let options = PublishOptions {
        message: Some("a\0b".to_owned()),
        ..PublishOptions::default()
    };
    let publish = Publish {
        manifests: config_map("a", "1"),
        options,
    };
    let refused = admin
        .publish(&name("shop"), &publish)
        .await
        .expect_err("a NUL");
    assert_eq!(refused.code(), Some(Code::Invalid));
    assert!(
        admin
            .history(&name("shop"))
            .await
            .expect("a history")
            .is_empty()
    );
    broker.stop().await;
}

/// Reports of one moment share a transaction. PostgreSQL takes no NUL; whether the engine takes a value or
/// refuses it, the broker goes on, and what stood beside it is kept.
async fn a_value_that_the_database_refuses_costs_only_its_own_change(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    target(&admin, "edge", "shop").await;
    let stack = admin.stack(&name("shop")).await.expect("a stack").id;
    let reports = (0..40).map(|number| {
        let reason = if number % 2 == 0 { "plain" } else { "with \0" };
        let (agent, event) = (agent.clone(), failed_event(stack, reason));
        tokio::spawn(async move { (number, agent.report_events(vec![event]).await) })
    });
    for report in reports.collect::<Vec<_>>() {
        let (number, outcome) = report.await.expect("a report");
        let code = outcome.err().and_then(|error| error.code());
        let is_refused = matches!(engine, Engine::Postgres) && number % 2 == 1;
        assert_eq!(code, is_refused.then_some(Code::Invalid), "report {number}");
    }
    let kept = admin
        .events(&brokkr_client::EventFilter::default(), 100)
        .await
        .expect("events");
    let plain = kept
        .iter()
        .filter(|kept| kept.event.reason.as_deref() == Some("plain"));
    assert_eq!(plain.count(), 20);
    broker.stop().await;
}
