//! What was applied and what works are two things, and the status tells both.

use anyhow::{Result, ensure};
use brokkr_core::wire::Health;
use brokkr_e2e::manifests::{deployment, job};
use brokkr_e2e::{PATIENCE, Stage, TestStack, eventually, hold};

on_both_engines!(
    a_workload_that_cannot_start_is_synced_and_not_current,
    what_does_not_start_says_why
);

async fn a_workload_that_cannot_start_is_synced_and_not_current(stage: &Stage) -> Result<()> {
    let world = stage.polling_world().await?;
    let stack = world.stack("health").await?;
    let (works, cannot) = (deployment("web", "works:1"), deployment("web", "broken:1"));
    stack.roll_out(&works).await?;
    is(&stack, |health| health == Health::Current).await?;

    stack.roll_out(&cannot).await?;
    is(&stack, |health| health != Health::Current).await?;
    let end = world.link.polls() + 10;
    let over = async || {
        ensure!(world.link.polls() >= end, "still polling");
        Ok(())
    };
    hold("it does not become current", PATIENCE, over, async || {
        let status = stack.status().await?;
        ensure!(status.health != Health::Current, "{status:?}");
        Ok(())
    })
    .await?;

    stack.roll_out(&works).await?;
    is(&stack, |health| health == Health::Current).await
}

/// What is wrong is said by the pods, and by which one, not by the workload's own "0 of 1 replicas are available".
async fn what_does_not_start_says_why(stage: &Stage) -> Result<()> {
    let world = stage.polling_world().await?;
    let unschedulable = deployment("lost", "works:1").replace(
        "    spec:\n      containers:",
        "    spec:\n      nodeSelector: {disk: none}\n      containers:",
    );
    let broken_init = deployment("init", "works:1").replace(
        "      containers:",
        "      initContainers: [{name: first, image: \"broken:2\"}]\n      containers:",
    );
    let cases = [
        (
            "image",
            deployment("web", "broken:1"),
            Health::Degraded,
            "container main is in ImagePullBackOff: Back-off pulling image \"broken:1\"",
        ),
        (
            "init",
            broken_init,
            Health::Degraded,
            "container first is in ImagePullBackOff",
        ),
        (
            "crash",
            deployment("web", "crashing:1"),
            Health::Degraded,
            "container main is in CrashLoopBackOff: ended with exit code 1",
        ),
        (
            "room",
            unschedulable,
            Health::Degraded,
            "Unschedulable: 0/1 nodes are available",
        ),
        (
            "retried",
            job("work", "failing:1", 6),
            Health::Progressing,
            "ended with exit code 1",
        ),
        (
            "failed",
            job("work", "failing:1", 0),
            Health::Degraded,
            "BackoffLimitExceeded",
        ),
    ];
    for (name, manifest, health, words) in cases {
        let stack = world.stack(name).await?;
        stack.roll_out(&manifest).await?;
        eventually("the status says why", PATIENCE, async || {
            let status = stack.status().await?;
            let reason = status.reason.clone().unwrap_or_default();
            ensure!(
                status.health == health && reason.contains(words),
                "{name}: {status:?}"
            );
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn is(stack: &TestStack, as_wanted: impl Fn(Health) -> bool) -> Result<()> {
    eventually(
        "the status tells the workload's health",
        PATIENCE,
        async || {
            let status = stack.status().await?;
            ensure!(as_wanted(status.health), "{status:?}");
            Ok(())
        },
    )
    .await
}
