//! The example application from its file to a working state, untouched while nothing changes, and away again.

use anyhow::{Context, Result, ensure};
use brokkr_core::manifest;
use brokkr_core::wire::{Action, Health, Outcome};
use brokkr_e2e::{PATIENCE, Stage, TestStack, World, eventually, hold, repository, unique};

on_both_engines!(the_example_runs_stays_untouched_and_goes);

const POLLS: u64 = 10;

async fn the_example_runs_stays_untouched_and_goes(stage: &Stage) -> Result<()> {
    let world = stage.polling_world().await?;
    let stack = world.stack("shop").await?;
    let shop = shop()?;
    let sequence = stack.publish(&shop).await?;

    eventually("the shop is ready in the cluster", PATIENCE, async || {
        world.cluster.all_ready(&shop, &stack.namespace).await
    })
    .await?;
    stack.synced(sequence).await?;
    is_healthy(&stack).await?;
    stack.event(Action::Apply, Outcome::Succeeded).await?;

    stays_untouched(&world, &stack, &shop).await?;

    stack.untarget().await?;
    stack.removal_confirmed().await?;
    stack.event(Action::Remove, Outcome::Succeeded).await?;
    only_kept_kinds_stay(&world, &stack, &shop).await
}

/// The example's text, with a group of its own for its definitions, which belong to the whole cluster.
fn shop() -> Result<String> {
    let mut files: Vec<_> = std::fs::read_dir(repository().join("examples/shop"))?
        .map(|file| Ok(file?.path()))
        .collect::<Result<_>>()?;
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    files.sort();
    let texts: Vec<_> = files
        .iter()
        .map(std::fs::read_to_string)
        .collect::<Result<_, _>>()?;
    let text = texts.join("\n---\n");
    let definition = manifest::parse(&text, None)?
        .into_iter()
        .find(|manifest| manifest.kind == "CustomResourceDefinition")
        .context("the example has a definition")?;
    let group = definition.object["spec"]["group"]
        .as_str()
        .context("a group")?;
    Ok(text.replace(group, &format!("{}.{group}", unique())))
}

async fn is_healthy(stack: &TestStack) -> Result<()> {
    eventually("the status says that it runs well", PATIENCE, async || {
        let status = stack.status().await?;
        ensure!(status.health == Health::Current, "{status:?}");
        Ok(())
    })
    .await
}

/// Controllers may still write for a moment after all is ready; from then on nobody does.
async fn stays_untouched(world: &World, stack: &TestStack, shop: &str) -> Result<()> {
    let now = || world.cluster.versions(shop, &stack.namespace);
    let settled = eventually("the cluster settles", PATIENCE, async || {
        let before = now().await?;
        world.polls(3).await?;
        let after = now().await?;
        ensure!(before == after, "still writing: {before:?} {after:?}");
        Ok(after)
    })
    .await?;
    let end = world.link.polls() + POLLS;
    let over = async || {
        let asked = world.link.polls();
        ensure!(asked >= end, "{asked} of {end} polls");
        Ok(())
    };
    hold("all objects are untouched", PATIENCE, over, async || {
        let seen = now().await?;
        ensure!(seen == settled, "{seen:?} instead of {settled:?}");
        Ok(())
    })
    .await
}

async fn only_kept_kinds_stay(world: &World, stack: &TestStack, shop: &str) -> Result<()> {
    eventually(
        "only objects of kept kinds are left",
        PATIENCE,
        async || {
            let left = world.cluster.find(shop, &stack.namespace).await?;
            let wrong: Vec<_> = left
                .keys()
                .filter(|key| key.kept_kind().is_none())
                .collect();
            ensure!(wrong.is_empty(), "{wrong:?}");
            Ok(())
        },
    )
    .await?;
    let left = world.cluster.find(shop, &stack.namespace).await?;
    let wanted = manifest::parse(shop, Some(&stack.namespace))?;
    let wanted = wanted.iter().map(|one| one.key(Some(&stack.namespace)));
    let lost: Vec<_> = wanted
        .filter(|key| key.kept_kind().is_some() && !left.contains_key(key))
        .collect();
    ensure!(lost.is_empty(), "deleted without leave: {lost:?}");
    Ok(())
}
