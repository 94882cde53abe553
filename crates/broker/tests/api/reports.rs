//! What agents report is folded before it is written: of a group, and of each report in it.

use std::time::Duration;

use brokkr_client::EventFilter;
use brokkr_core::ObjectKey;
use brokkr_core::wire::{
    AgentEvent, Health, ObjectOutcome, ObjectResult, Outcome, StackStatus, Sync,
};

use tokio_util::sync::CancellationToken;

use crate::harness::*;

on_both_engines!(
    what_one_report_says_twice_counts_once,
    the_last_word_on_a_stack_stands,
    a_long_report_is_kept_whole,
    large_events_come_in_several_pages,
    events_are_found_by_how_they_ended,
    nothing_is_kept_of_a_stack_that_is_another_agents,
    agents_are_heard_however_much_is_published,
);

fn counted(event: &AgentEvent, count: u64) -> AgentEvent {
    AgentEvent {
        count,
        ..event.clone()
    }
}

async fn what_one_report_says_twice_counts_once(engine: Engine) {
    let scene = Scene::running(engine, "shop").await;
    let event = failed_event(scene.stack("shop").await, "no");
    let said = [3, 2].map(|count| counted(&event, count));
    scene
        .agent
        .report_events(said.to_vec())
        .await
        .expect("heard");
    assert_eq!(scene.counts().await, [3]);
    for (count, kept) in [(2, 3), (5, 5)] {
        let again = vec![counted(&event, count)];
        scene.agent.report_events(again).await.expect("heard");
        assert_eq!(scene.counts().await, [kept]);
    }
    scene.broker.stop().await;
}

async fn the_last_word_on_a_stack_stands(engine: Engine) {
    let scene = Scene::running(engine, "shop").await;
    let poll = scene
        .agent
        .target_state(None, Duration::ZERO, Duration::from_mins(1));
    poll.await.expect("a state");
    let stack = scene.stack("shop").await;
    let said = [Sync::Failed, Sync::Applying, Sync::Synced].map(|sync| StackStatus {
        stack,
        seen: Some(1),
        applied: None,
        sync,
        health: Health::Unknown,
        reason: None,
        held: None,
    });
    scene
        .agent
        .report_status(said.to_vec())
        .await
        .expect("heard");
    let kept = scene
        .admin
        .stack_status(&name("shop"))
        .await
        .expect("a status");
    assert_eq!(kept[0].sync, Sync::Synced);
    scene.broker.stop().await;
}

async fn a_long_report_is_kept_whole(engine: Engine) {
    let scene = Scene::running(engine, "shop").await;
    let stack = scene.stack("shop").await;
    let said: Vec<_> = (1..=99)
        .map(|count| counted(&failed_event(stack, "no"), count))
        .collect();
    scene.agent.report_events(said).await.expect("heard");
    let mut kept = scene.counts().await;
    kept.sort_unstable();
    assert_eq!(kept, (1..=99).collect::<Vec<_>>());
    scene.broker.stop().await;
}

async fn large_events_come_in_several_pages(engine: Engine) {
    let scene = Scene::running(engine, "shop").await;
    let stack = scene.stack("shop").await;
    let objects: Vec<_> = (0..2_000)
        .map(|number| created(&number.to_string()))
        .collect();
    for count in 1..=12 {
        let event = AgentEvent {
            objects: objects.clone(),
            ..counted(&failed_event(stack, "no"), count)
        };
        scene.agent.report_events(vec![event]).await.expect("heard");
    }
    assert!(scene.counts().await.into_iter().eq((1..=12).rev()));
    let all = EventFilter::default();
    let first = scene
        .admin
        .page_of_events(&all, 500, None)
        .await
        .expect("a page");
    let bytes = serde_json::to_vec(&first).expect("JSON").len();
    assert!((100_000..1_000_000).contains(&bytes), "{bytes} bytes");
    assert!(first.next.is_some());
    let two = scene.admin.events(&all, 2).await.expect("events");
    assert_eq!(two.len(), 2);
    scene.broker.stop().await;
}

async fn events_are_found_by_how_they_ended(engine: Engine) {
    let scene = Scene::running(engine, "shop").await;
    let stack = scene.stack("shop").await;
    let event = |outcome, reason: &str| AgentEvent {
        outcome,
        ..failed_event(stack, reason)
    };
    let ended = [
        (Outcome::Succeeded, 3),
        (Outcome::Failed, 2),
        (Outcome::Held, 1),
    ];
    for (outcome, count) in ended {
        let events = (0..count).map(|number| event(outcome, &number.to_string()));
        scene
            .agent
            .report_events(events.collect())
            .await
            .expect("heard");
    }
    for (outcome, count) in ended {
        let filter = EventFilter {
            outcome: Some(outcome),
            agent: Some(name("edge")),
            ..EventFilter::default()
        };
        // In pages of one, so that each place is asked for.
        let (mut cursor, mut found) = (None, 0);
        loop {
            let page = scene.admin.page_of_events(&filter, 1, cursor).await;
            let page = page.expect("a page");
            assert!(
                page.items
                    .iter()
                    .all(|found| found.event.outcome == outcome)
            );
            found += page.items.len();
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, count);
    }
    scene.broker.stop().await;
}

fn created(name: &str) -> ObjectOutcome {
    ObjectOutcome {
        object: ObjectKey {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            namespace: Some("shop".to_owned()),
            name: name.to_owned(),
        },
        result: ObjectResult::Created,
        reason: None,
    }
}

async fn nothing_is_kept_of_a_stack_that_is_another_agents(engine: Engine) {
    let scene = Scene::running(engine, "shop").await;
    create_stack(&scene.admin, "bank").await;
    let said = ["shop", "bank", "shop"];
    let mut events = Vec::new();
    for stack in said {
        events.push(failed_event(scene.stack(stack).await, "no"));
    }
    scene.agent.report_events(events).await.expect("heard");
    assert_eq!(scene.counts().await, [1, 1]);
    scene.broker.stop().await;
}

/// Desired state goes before reports, and never lets them wait for more than a group.
async fn agents_are_heard_however_much_is_published(engine: Engine) {
    let scene = Scene::running(engine, "shop").await;
    let event = failed_event(scene.stack("shop").await, "no");
    let heard = CancellationToken::new();
    let publishers: Vec<_> = (0..24)
        .map(|publisher| {
            let (admin, heard) = (scene.admin.clone(), heard.clone());
            tokio::spawn(async move {
                let stack = format!("stack-{publisher}");
                create_stack(&admin, &stack).await;
                let mut published = 0;
                while !heard.is_cancelled() {
                    published += 1;
                    publish(&admin, &stack, config_map("a", &published.to_string())).await;
                }
                published
            })
        })
        .collect();
    for count in 1..=20 {
        let report = scene.agent.report_events(vec![counted(&event, count)]);
        let report = tokio::time::timeout(Duration::from_secs(10), report).await;
        report.expect("in time").expect("heard");
    }
    heard.cancel();
    for publisher in publishers {
        assert!(publisher.await.expect("a publisher") > 0);
    }
    assert_eq!(scene.counts().await, [20]);
    scene.broker.stop().await;
}

impl Scene {
    /// The counts of all events, newest first.
    async fn counts(&self) -> Vec<u64> {
        let events = self.admin.events(&EventFilter::default(), 500).await;
        let events = events.expect("events").into_iter();
        events.map(|event| event.event.count).collect()
    }
}
