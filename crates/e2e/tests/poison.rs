//! Stacks that cannot be applied stand among a hundred that can.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use brokkr_client::EventFilter;
use brokkr_core::wire::{Outcome, Publish, PublishOptions, Sync};
use brokkr_e2e::manifests::{config_map, deployment, snapshot};
use brokkr_e2e::{PATIENCE, Stage, TestStack, World, eventually};

on_both_engines!(poison_among_a_hundred_stacks_harms_only_itself);

const GOOD: usize = 95;
const MIB: u64 = 1024 * 1024;

/// Snapshots that no cluster takes, each for another reason, and what is said of it.
fn poisons() -> Vec<(String, &'static str)> {
    let misspelt = deployment("web", "example.test/web:1")
        .replace("spec:\n  selector", "spec:\n  replcas: 2\n  selector");
    let unknown = "apiVersion: example.test/v1\nkind: Unknown\nmetadata: {name: a}\n";
    let elsewhere = config_map("a", "1").replace(
        "metadata:\n",
        "metadata:\n  namespace: there-is-no-such-namespace\n",
    );
    let large = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{a: '{}'}}\n",
        "x".repeat(1_100_000)
    );
    let many =
        snapshot((0..4_999).map(|index| config_map(&format!("a{index}"), "1"))) + "---\n" + unknown;
    vec![
        (misspelt, "replcas"),
        (unknown.to_owned(), "Unknown"),
        (elsewhere, "there-is-no-such-namespace"),
        (large, "Too long"),
        (many, "Unknown"),
    ]
}

async fn poison_among_a_hundred_stacks_harms_only_itself(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let mut good = Vec::new();
    for index in 0..GOOD {
        good.push(world.stack(&format!("good-{index}")).await?);
    }
    update(&good, "1").await?;
    let before = world.agent.running()?.memory()?;

    let mut broken = Vec::new();
    for (index, (text, says)) in poisons().into_iter().enumerate() {
        let stack = world.stack(&format!("broken-{index}")).await?;
        let publish = Publish {
            manifests: text,
            options: PublishOptions::default(),
        };
        let admin = world.broker.admin();
        admin.publish(&stack.reference(), &publish).await?;
        broken.push((stack, says));
    }
    for (stack, says) in &broken {
        stack.becomes(Sync::Failed, None, PATIENCE).await?;
        let reason = stack.status().await?.reason.unwrap_or_default();
        ensure!(reason.contains(says), "{says}: {reason}");
    }
    // While they are tried again and again, all others go on.
    for value in ["2", "3"] {
        update(&good, value).await?;
    }
    for (stack, says) in &broken {
        one_event(&world, stack, says).await?;
    }
    let grown = world.agent.running()?.memory()?.saturating_sub(before);
    ensure!(grown < 40 * MIB, "the agent grew by {} MiB", grown / MIB);
    world.agent.is_alive()
}

async fn update(stacks: &[TestStack], value: &str) -> Result<()> {
    let mut sequences = Vec::new();
    for stack in stacks {
        sequences.push(stack.publish(&config_map("a", value)).await?);
    }
    for (stack, sequence) in stacks.iter().zip(sequences) {
        stack.synced(sequence).await?;
    }
    Ok(())
}

/// However often it fails, it is one event, which counts.
async fn one_event(world: &World, stack: &TestStack, says: &str) -> Result<()> {
    eventually("it failed several times", PATIENCE, async || {
        let filter = EventFilter {
            stack: Some(stack.reference()),
            agent: None,
            ..EventFilter::default()
        };
        let events = world.broker.admin().events(&filter, 50).await?;
        let ids: BTreeSet<_> = events.iter().map(|recorded| recorded.event.id).collect();
        ensure!(ids.len() == 1, "{} events of {says}", ids.len());
        let event = &events[0].event;
        ensure!(
            event.outcome == Outcome::Failed && event.count >= 2,
            "{event:?}"
        );
        Ok(())
    })
    .await
}
