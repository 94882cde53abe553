//! What an agent finds out about its cluster brings stacks to it.

use anyhow::{Context, Result, ensure};
use brokkr_core::Reference;
use brokkr_core::wire::{PatchAgent, PatchStack};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{PATIENCE, Stage, World, eventually, unique};
use serde_json::json;

on_both_engines!(
    a_cluster_that_is_new_enough_gets_the_stack,
    a_kind_that_appears_is_told_at_once
);

/// Labels the story's agent, and makes an untargeted stack with one rule.
async fn stack_with_rule(world: &World, name: &str, facts: &str) -> Result<(Reference, String)> {
    let admin = world.broker.admin();
    let label: PatchAgent = serde_json::from_value(json!({ "labels": { "env": "prod" } }))?;
    admin.patch_agent(&world.agent.reference(), &label).await?;
    let namespace = format!("{name}-{}", unique());
    let create = serde_json::from_value(json!({
        "name": name, "options": { "default_namespace": namespace, "create_namespace": true },
    }))?;
    let stack = Reference::Id(admin.create_stack(&create).await?.id.uuid());
    world
        .broker
        .publish(&stack.to_string(), &config_map("a", "1"))
        .await?;
    let rule: PatchStack = serde_json::from_value(
        json!({ "targeting": { "rules": [{ "labels": "env=prod", "facts": facts }] } }),
    )?;
    admin.patch_stack(&stack, &rule).await?;
    Ok((stack, namespace))
}

async fn arrives(world: &World, namespace: &str) -> Result<()> {
    eventually("the stack arrives", PATIENCE, async || {
        let value = world.cluster.value(namespace, "a").await?;
        ensure!(value == "1", "{value}");
        Ok(())
    })
    .await
}

async fn a_cluster_that_is_new_enough_gets_the_stack(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let admin = world.broker.admin();
    let version = world
        .cluster
        .client()
        .apiserver_version()
        .await?
        .git_version;
    // A cluster that was built from source without a stamp is `v0.0.0-master+$Format:%H$`, which is no version.
    let has_version = !version.contains('$');
    let kinds = "kinds has apps/Deployment";
    let facts = if has_version {
        format!("kubernetes.version >= 1.20, {kinds}")
    } else {
        kinds.to_owned()
    };
    let (stack, namespace) = stack_with_rule(&world, "modern", &facts).await?;
    let (future, _) = stack_with_rule(&world, "future", "kubernetes.version >= 99").await?;

    arrives(&world, &namespace).await?;

    let agent = admin.agent(&world.agent.reference()).await?;
    let facts = agent.facts.context("the agent has reported")?;
    ensure!(
        facts.kubernetes_version == Some(version.clone()),
        "{facts:?}"
    );
    for kind in [
        "Pod",
        "apps/Deployment",
        "apiextensions.k8s.io/CustomResourceDefinition",
    ] {
        ensure!(facts.kinds.contains(kind), "{kind} is missing: {facts:?}");
    }

    let cli = stage.operator(&world.broker).await?;
    let explain = async |stack: &Reference| {
        let (agent, stack) = (world.agent.reference().to_string(), stack.to_string());
        let said = cli
            .does(&["explain", "--agent", &agent, "--stack", &stack])
            .await?;
        // How wide a column is depends on what else is in it.
        let words = said.stdout.split_whitespace().collect::<Vec<_>>();
        Ok::<_, anyhow::Error>(words.join(" "))
    };
    let text = explain(&stack).await?;
    ensure!(
        text.contains("runs stack modern: a rule matches it"),
        "{text}"
    );
    ensure!(text.contains(&format!("✓ facts {kinds} ")), "{text}");
    ensure!(text.contains("kinds, this one too"), "{text}");
    let told = format!("✓ facts kubernetes.version>=1.20 {version}");
    ensure!(!has_version || text.contains(&told), "{text}");
    let text = explain(&future).await?;
    ensure!(text.contains("does not run stack future: "), "{text}");
    let told = format!("✗ facts kubernetes.version>=99 {version}");
    ensure!(text.contains(&told), "{text}");
    Ok(())
}

async fn a_kind_that_appears_is_told_at_once(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let group = format!("{}.example", unique());
    let (_, namespace) =
        stack_with_rule(&world, "users", &format!("kinds has {group}/Widget")).await?;
    let definitions = world.stack("definitions").await?;
    let agent = world.agent.reference();
    eventually("the agent has reported", PATIENCE, async || {
        let agent = world.broker.admin().agent(&agent).await?;
        agent.facts.context("nothing yet")
    })
    .await?;
    ensure!(
        world.cluster.value(&namespace, "a").await.is_err(),
        "the kind is not there yet"
    );

    definitions.roll_out(&widgets(&group)).await?;

    let arrived = arrives(&world, &namespace).await;
    // It is the cluster's, so other stories would see it.
    world.cluster.delete(&widgets(&group), &namespace).await?;
    arrived
}

fn widgets(group: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.{group}
spec:
  group: {group}
  names: {{kind: Widget, plural: widgets}}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {{type: object}}
"
    )
}
