//! A selector edited so that it matches nothing, and a stack deleted by mistake.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use brokkr_core::Reference;
use brokkr_core::targeting::Rule;
use brokkr_core::wire::{
    Action, Code, CreateAgent, Outcome, PatchAgent, PatchStack, PatchTargeting, StackOptions, Sync,
};
use brokkr_e2e::{PATIENCE, Stage, TestStack, World};
use serde_json::json;

use super::{OBJECTS, objects, shows, uids};

on_both_engines!(
    a_fleets_selector_that_matches_nothing_is_refused,
    a_small_fleets_selector_that_matches_nothing_is_held,
    a_stack_deleted_by_mistake_comes_back
);

/// With the real one.
const FLEET: usize = 30;

fn rule(labels: &str) -> Result<Rule> {
    Ok(serde_json::from_value(json!({ "labels": labels }))?)
}

fn reaching(labels: &str) -> Result<PatchStack> {
    Ok(PatchStack {
        targeting: PatchTargeting {
            rules: Some(vec![rule(labels)?]),
            ..PatchTargeting::default()
        },
        ..PatchStack::default()
    })
}

/// A stack for all agents of `prod`, the real one among them.
async fn prod_stack(world: &World) -> Result<TestStack> {
    let labels: PatchAgent = serde_json::from_value(json!({ "labels": { "env": "prod" } }))?;
    let admin = world.broker.admin();
    admin.patch_agent(&world.agent.reference(), &labels).await?;
    let options = StackOptions {
        create_namespace: true,
        ..StackOptions::default()
    };
    let stack = world.untargeted_stack("shop", options).await?;
    admin
        .patch_stack(&stack.reference(), &reaching("env=prod")?)
        .await?;
    Ok(stack)
}

async fn a_fleets_selector_that_matches_nothing_is_refused(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    let admin = world.broker.admin();
    for number in 1..FLEET {
        let create = CreateAgent {
            labels: serde_json::from_value(json!({ "env": "prod" }))?,
            ..CreateAgent::named(format!("far-{number}").parse()?)
        };
        let key = admin.create_agent(&create).await?.pak;
        let far = world.broker.client(&key)?;
        far.target_state(None, Duration::ZERO, Duration::from_secs(1))
            .await?;
    }
    let stack = prod_stack(&world).await?;
    let content = objects(OBJECTS, "1");
    stack.roll_out(&content).await?;
    let before = world.cluster.versions(&content, &stack.namespace).await?;

    for edited in ["env=prd", "env=prod,!env"] {
        let refused = admin
            .patch_stack(&stack.reference(), &reaching(edited)?)
            .await;
        let refused = refused.err().context("taken without a plan")?;
        ensure!(refused.code() == Some(Code::PlanRequired), "{refused:?}");
        ensure!(refused.to_string().contains("30"), "{refused}");
    }
    let deleted = admin.delete_stack(&stack.reference(), None, &[]).await;
    ensure!(deleted.err().and_then(|error| error.code()) == Some(Code::PlanRequired));
    let remove = ["stack", "rule", "remove", "shop", "--labels", "env=prod"];
    let asked = cli.ends(&remove, 2).await?;
    ensure!(
        asked.stderr.contains("This ends 30 agent target(s)") && asked.stderr.contains("--yes"),
        "{asked:?}"
    );
    let dry = cli.does(&[&remove[..], &["--dry-run"]].concat()).await?;
    ensure!(
        dry.stderr.contains("leave 30. Nothing was changed"),
        "{dry:?}"
    );
    let asked = cli.ends(&["stack", "delete", "shop"], 2).await?;
    ensure!(asked.stderr.contains("30 agent(s) have it"), "{asked:?}");

    // The agent has heard of nothing: what comes next is the first thing that it hears.
    let sequence = stack.publish(&objects(OBJECTS + 1, "1")).await?;
    stack.synced(sequence).await?;
    let after = world.cluster.versions(&content, &stack.namespace).await?;
    ensure!(after == before, "{after:?} instead of {before:?}");
    shows(&cli, &["stack", "rule", "list", "shop"], &["env=prod"]).await?;
    shows(
        &cli,
        &["status", "shop"],
        &["Synced", world.agent.namespace()],
    )
    .await
}

async fn a_small_fleets_selector_that_matches_nothing_is_held(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    let admin = world.broker.admin();
    let stack = prod_stack(&world).await?;
    let content = objects(OBJECTS, "1");
    stack.roll_out(&content).await?;
    let before = world.cluster.versions(&content, &stack.namespace).await?;

    admin
        .patch_stack(&stack.reference(), &reaching("env=prd")?)
        .await?;
    let held = stack.event(Action::Remove, Outcome::Held).await?;
    ensure!(held.objects.len() >= OBJECTS, "{held:#?}");
    let share = format!("{OBJECTS} of {OBJECTS} objects");
    shows(&cli, &["removals", "list"], &["shop", "removal", &share]).await?;
    shows(
        &cli,
        &["events", "--stack", "shop", "--limit", "1"],
        &["remove", "held"],
    )
    .await?;
    shows(&cli, &["status", "shop"], &["Held", "would be deleted"]).await?;
    let after = world.cluster.versions(&content, &stack.namespace).await?;
    ensure!(after == before, "{after:?} instead of {before:?}");

    admin
        .patch_stack(&stack.reference(), &reaching("env=prod")?)
        .await?;
    stack.becomes(Sync::Synced, Some(1), PATIENCE).await?;
    ensure!(stack.open_removals().await? == 0);
    let after = world.cluster.versions(&content, &stack.namespace).await?;
    ensure!(after == before, "{after:?} instead of {before:?}");
    stack.roll_out(&objects(OBJECTS, "2")).await
}

async fn a_stack_deleted_by_mistake_comes_back(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    let admin = world.broker.admin();
    let stack = prod_stack(&world).await?;
    let content = objects(OBJECTS, "1");
    stack.roll_out(&content).await?;
    let before = uids(&world, &stack, &content).await?;

    // As a script does that asks for no plan.
    let name: Reference = "shop".parse()?;
    admin.delete_stack(&name, None, &[]).await?;
    stack.event(Action::Remove, Outcome::Held).await?;
    shows(&cli, &["removals", "list"], &["shop", "objects"]).await?;
    shows(&cli, &["stack", "list", "--deleted"], &["shop"]).await?;
    ensure!(uids(&world, &stack, &content).await? == before);

    cli.does(&["stack", "undelete", &stack.id.to_string()])
        .await?;
    stack.becomes(Sync::Synced, Some(1), PATIENCE).await?;
    ensure!(stack.open_removals().await? == 0);
    ensure!(uids(&world, &stack, &content).await? == before);
    shows(&cli, &["status", "shop"], &["Synced", "Current"]).await?;
    stack.roll_out(&objects(OBJECTS, "2")).await
}
