use std::sync::Arc;
use std::time::Duration;

use brokkr_broker::Broker;
use brokkr_client::{Client, Poll};
use brokkr_core::ambient::System;
use brokkr_core::pak::{Pak, Role};
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use crate::harness::*;

on_both_engines!(
    figures_follow_what_happens,
    nobodys_names_are_in_the_figures
);

const INTERVAL: Duration = Duration::from_secs(10);

fn page(broker: &Arc<Broker>) -> String {
    let mut registry = Registry::default();
    broker.register(&mut registry);
    let mut page = String::new();
    text::encode(&mut page, &registry).expect("a page");
    page
}

fn figure(broker: &Arc<Broker>, sample: &str) -> u64 {
    let sample = format!("brokkr_broker_{sample} ");
    let page = page(broker);
    let line = page.lines().find_map(|line| line.strip_prefix(&sample));
    line.unwrap_or_else(|| panic!("no {sample} in {page}"))
        .parse()
        .expect("a number")
}

async fn poll(agent: &Client, etag: Option<&str>, wait: Duration) -> Option<String> {
    match agent.target_state(etag, wait, INTERVAL).await {
        Ok(Poll::Changed { etag, .. }) => Some(etag),
        Ok(Poll::Unchanged) => None,
        Err(error) => panic!("{error}"),
    }
}

async fn figures_follow_what_happens(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    let is = |sample: &str| figure(&broker.broker, sample);
    let polls = |status: &str| {
        is(&format!(
            "requests_total{{operation=\"GET /agent/target-state\",status=\"{status}\"}}"
        ))
    };
    create_stack(&admin, "shop").await;
    target(&admin, "edge", "shop").await;
    let etag = poll(&agent, None, Duration::ZERO).await.expect("a state");
    for _ in 0..7 {
        assert_eq!(poll(&agent, Some(&etag), Duration::ZERO).await, None);
    }
    assert_eq!((polls("2xx"), polls("304"), polls("4xx")), (1, 7, 0));
    assert_eq!(is("polls_waiting"), 0);
    let waiting = tokio::spawn({
        let (agent, etag) = (agent.clone(), etag.clone());
        async move { poll(&agent, Some(&etag), Duration::from_secs(30)).await }
    });
    eventually("a poll waits", async || is("polls_waiting") == 1).await;
    let before = is("revision");
    publish(&admin, "shop", config_map("a", "1")).await;
    assert!(waiting.await.expect("no panic").is_some());
    assert_eq!((is("polls_waiting"), is("revision")), (0, before + 1));
    let stranger = broker.client(&Pak::generate(Role::Agent, &System));
    assert!(
        stranger
            .target_state(None, Duration::ZERO, INTERVAL)
            .await
            .is_err()
    );
    assert_eq!((polls("2xx"), polls("4xx")), (2, 1));
    assert_eq!(is("database_up"), 1);
    assert_eq!(is("memory_taken_bytes{part=\"waiting_changes\"}"), 0);
    assert!(is("memory_room_bytes{part=\"waiting_changes\"}") > 0);
    assert_eq!(is("database_reads_total"), broker.broker.database_reads());
    broker.stop().await;
}

async fn nobodys_names_are_in_the_figures(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    create_stack(&admin, "shop-of-somebody").await;
    publish(&admin, "shop-of-somebody", config_map("a", "1")).await;
    let lines = page(&broker.broker).lines().count();
    let unknown = format!("{}/api/v1/somewhere?shop-of-somebody", broker.server);
    reqwest::get(unknown).await.expect("an answer");
    let page = page(&broker.broker);
    assert!(
        !page.contains("somebody") && !page.contains("somewhere"),
        "{page}"
    );
    assert_eq!(page.lines().count(), lines, "no line is new");
    broker.stop().await;
}
