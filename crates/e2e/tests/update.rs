//! An update changes what it says, and nothing besides.

use anyhow::{Result, ensure};
use brokkr_e2e::Stage;
use brokkr_e2e::manifests::{config_map, snapshot};

on_both_engines!(
    an_update_changes_only_what_changed,
    the_same_content_again_changes_nothing
);

async fn an_update_changes_only_what_changed(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let stack = world.stack("update").await?;
    let [first, last] = [config_map("first", "1"), config_map("last", "1")];
    let old = snapshot([&first, &config_map("middle", "old"), &last]);
    stack.roll_out(&old).await?;
    let before = world.cluster.versions(&old, &stack.namespace).await?;

    let new = snapshot([&first, &config_map("middle", "new"), &last]);
    stack.roll_out(&new).await?;

    ensure!(world.cluster.value(&stack.namespace, "middle").await? == "new");
    for (key, version) in world.cluster.versions(&new, &stack.namespace).await? {
        let old = &before[&key];
        ensure!(version.uid == old.uid, "{key} was replaced");
        let is_written = version.resource_version != old.resource_version;
        ensure!(
            is_written == (key.name == "middle"),
            "{key}: written: {is_written}"
        );
    }
    Ok(())
}

async fn the_same_content_again_changes_nothing(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let stack = world.stack("again").await?;
    let content = snapshot([config_map("a", "1"), config_map("b", "1")]);
    stack.roll_out(&content).await?;
    let before = world.cluster.versions(&content, &stack.namespace).await?;

    ensure!(
        stack.publish(&content).await? == 1,
        "the head's content is no new deployment object"
    );
    stack
        .roll_out(&format!("# Another text of the same objects.\n{content}"))
        .await?;

    ensure!(stack.status().await?.applied == Some(2));
    ensure!(world.cluster.versions(&content, &stack.namespace).await? == before);
    Ok(())
}
