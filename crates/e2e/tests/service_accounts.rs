//! A stack that acts as a service account is applied by that one's rights, and goes no further than they do.

use anyhow::{Context as _, Result, ensure};
use brokkr_core::wire::Sync;
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{PATIENCE, Stage, TestStack, eventually};

on_both_engines!(a_stack_does_what_its_account_may_and_no_more);

async fn a_stack_does_what_its_account_may_and_no_more(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    // Roles of the whole cluster share their names with those of other stages.
    let name = world.agent.namespace();
    let stack = world.stack(name).await?;
    stack.roll_out(&config_map("a", "1")).await?;
    let value = async || world.cluster.value(&stack.namespace, "a").await;

    let account = format!("{}/deployer", stack.namespace);
    let set = ["stack", "set", name, "--service-account", &account];
    let said = cli.does(&set).await?;
    ensure!(said.stdout.contains(name), "{said:?}");
    let lacks = format!("the service account {account}, as which this stack acts, may not ");
    fails(&stack, &lacks).await?;
    let shown = cli.does(&["status", name]).await?.stdout;
    let cure = format!("brokkr agent rbac --stack {name}");
    ensure!(shown.contains(&lacks) && shown.contains(&cure), "{shown}");
    ensure!(value().await? == "1");

    let printed = cli.does(&["agent", "rbac", "--stack", name]).await?.stdout;
    let role = format!("name: brokkr:{name}:account");
    ensure!(
        printed.contains("impersonate") && printed.contains(&role),
        "{printed}"
    );
    world.cluster.create(&printed, &stack.namespace).await?;
    cli.does(&["sync", "--stack", name]).await?;
    stack.synced(1).await?;
    let sequence = stack.publish(&config_map("a", "2")).await?;
    stack.synced(sequence).await?;
    ensure!(value().await? == "2");

    let more = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: '{name}-more'}}\nroleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}\nsubjects: [{{kind: ServiceAccount, namespace: '{}', name: deployer}}]\n",
        stack.namespace
    );
    stack
        .publish(&snapshot([config_map("a", "3"), more.clone()]))
        .await?;
    fails(
        &stack,
        "clusterrolebindings.rbac.authorization.k8s.io in the whole cluster",
    )
    .await?;
    ensure!(value().await? == "2");
    ensure!(
        world
            .cluster
            .find(&more, &stack.namespace)
            .await?
            .is_empty()
    );

    // It goes as it came, by the account.
    stack.untarget().await?;
    stack.removal_confirmed().await?;
    let left = world.cluster.config_maps(&stack.namespace).await?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

/// Waits until the stack fails for this reason.
async fn fails(stack: &TestStack, why: &str) -> Result<()> {
    eventually(&format!("it fails: {why}"), PATIENCE, async || {
        let status = stack.status().await?;
        let reason = status.reason.as_deref().context("a reason")?;
        ensure!(
            status.sync == Sync::Failed && reason.contains(why),
            "{status:?}"
        );
        Ok(())
    })
    .await
}
