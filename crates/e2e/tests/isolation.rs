//! A broken stack holds up nobody but itself.

use std::time::Duration;

use anyhow::{Result, ensure};
use brokkr_core::wire::{Action, Outcome, Sync};
use brokkr_e2e::manifests::{config_map, deployment, snapshot};
use brokkr_e2e::{ApiFront, Cluster, PATIENCE, Stage, TestStack, Weather, eventually};
use tokio::time::Instant;

on_both_engines!(
    a_broken_stack_does_not_hold_up_another,
    what_hangs_holds_up_only_itself
);

/// Far below the backoff of a stack that keeps failing.
const AT_ONCE: Duration = Duration::from_secs(10);

async fn a_broken_stack_does_not_hold_up_another(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let [broken, good] = [world.stack("broken").await?, world.stack("good").await?];
    let misspelt = deployment("web", "example.test/web:1")
        .replace("spec:\n  selector", "spec:\n  replcas: 2\n  selector");
    world.cluster.create_namespace(&broken.namespace).await?;
    broken
        .publish(&snapshot([config_map("a", "1"), misspelt]))
        .await?;
    let event = broken.event(Action::Apply, Outcome::Failed).await?;
    ensure!(
        format!("{event:?}").contains("replcas"),
        "the field is named: {event:#?}"
    );
    ensure!(
        world
            .cluster
            .config_maps(&broken.namespace)
            .await?
            .is_empty(),
        "nothing is written of a snapshot that is refused"
    );

    for value in ["1", "2", "3", "4", "5"] {
        let sequence = good.publish(&config_map("a", value)).await?;
        good.becomes(Sync::Synced, Some(sequence), AT_ONCE).await?;
        ensure!(world.cluster.value(&good.namespace, "a").await? == value);
    }
    broken.becomes(Sync::Failed, None, PATIENCE).await?;

    broken
        .roll_out(&snapshot([
            config_map("a", "1"),
            deployment("web", "example.test/web:1"),
        ]))
        .await
}

/// So many objects that one stack alone could keep all of an agent's requests waiting.
const LARGE: usize = 40;
const STACKS: usize = 20;
const HANGING: usize = 4;

async fn what_hangs_holds_up_only_itself(stage: &Stage) -> Result<()> {
    let cluster = Cluster::connect().await?;
    let front = ApiFront::start(&cluster, stage.directory()).await?;
    let world = stage.world_through(front.kubeconfig()).await?;
    let mut stacks = Vec::new();
    for number in 0..STACKS {
        stacks.push(world.stack(&format!("stack-{number}")).await?);
    }
    update(&stacks, "1").await?;
    let usual = update(&stacks, "2").await?;

    for hanging in [1, HANGING] {
        let (hung, others) = stacks.split_at(hanging);
        let namespaces = hung.iter().map(|stack| stack.namespace.clone());
        front.turn(Weather::Silent(namespaces.collect()));
        let value = format!("beside {hanging}");
        let begun = Instant::now();
        for stack in hung {
            stack.publish(&large(&value)).await?;
        }
        eventually("requests hang", PATIENCE, async || {
            let asked = front.asked_since(begun);
            for stack in hung {
                ensure!(
                    asked
                        .iter()
                        .any(|asked| asked.is_dry_run() && asked.is_in(&stack.namespace))
                );
            }
            Ok(())
        })
        .await?;
        let beside = update(others, &value).await?;
        ensure!(
            beside < usual * 2 + AT_ONCE / 2,
            "{beside:?} beside {hanging}, not {usual:?}"
        );
        for stack in hung {
            ensure!(cluster.value(&stack.namespace, "part-0").await? != value);
        }
        front.turn(Weather::Fair);
        for stack in hung {
            stack.roll_out(&large(&value)).await?;
        }
    }
    Ok(())
}

fn large(value: &str) -> String {
    snapshot((0..LARGE).map(|number| config_map(&format!("part-{number}"), value)))
}

/// Publishes to all at once; returns how long it takes until all have it.
async fn update(stacks: &[TestStack], value: &str) -> Result<Duration> {
    let begun = Instant::now();
    let mut sequences = Vec::new();
    for stack in stacks {
        sequences.push(stack.publish(&large(value)).await?);
    }
    for (stack, sequence) in stacks.iter().zip(sequences) {
        stack
            .becomes(Sync::Synced, Some(sequence), PATIENCE)
            .await?;
    }
    Ok(begun.elapsed())
}
