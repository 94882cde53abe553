//! A fleet goes from the newest release to this version, and on, without a stop.

use anyhow::{Context as _, Result, ensure};
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{
    Build, Engine, Failure, Pace, Raw, Route, Stage, TestStack, World, perform, unique,
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL and a cluster: make test"]
async fn two_versions_serve_agents_of_both() -> Result<(), Failure> {
    perform(Engine::Postgres, two_versions).await
}

async fn two_versions(stage: &Stage) -> Result<()> {
    // All of the release before, with a stack that runs.
    let before = stage.previous_broker("before").await?;
    let mut old = stage.world_of(before, None).await?;
    old.agent.set_build(Build::Previous);
    old.agent.start(Pace::Waiting)?;
    let of_old = stack_as_before(&old).await?;
    roll_out("1", &of_old, &old).await?;

    // A broker of this version beside it on the same database, and an agent of its own.
    let after = stage.broker("after").await?;
    let mut new = stage.world_of(after, None).await?;
    new.start_agent()?;
    let of_new = new.stack("new").await?;
    roll_out("1", &of_new, &new).await?;
    roll_out("2", &of_old, &old).await?;

    // Each is told by its broker what the other one accepted.
    roll_out("3", &of_old, &new).await?;
    roll_out("4", &of_new, &old).await?;
    old.link.switch(Route::Through(new.broker.address()));
    roll_out("5", &of_old, &old).await?;
    roll_out("6", &of_old, &new).await?;

    // The broker goes first, then the agent.
    old.broker.terminate().await?;
    old.agent.terminate().await?;
    old.agent.set_build(Build::Tested);
    old.start_agent()?;
    for stack in [of_old.seen_by(new.broker.admin()), of_new] {
        let versions = async |value| {
            let content = content(value);
            new.cluster.versions(&content, &stack.namespace).await
        };
        let before = versions("6").await?;
        stack.roll_out(&content("7")).await?;
        let after = versions("7").await?;
        for (key, version) in &before {
            let now = after.get(key).context("an object is gone")?;
            ensure!(now.uid == version.uid, "{key} was replaced");
        }
        stack.delete().await?;
    }
    Ok(())
}

/// Makes a stack as the release before does it: its broker refuses options that it does not know.
async fn stack_as_before(world: &World) -> Result<TestStack> {
    let namespace = format!("old-{}", unique());
    let options = json!({"default_namespace": namespace, "create_namespace": true});
    let create = json!({"name": "old", "options": options}).to_string();
    let answer = Raw::admin(&world.broker)?.post("/stacks", &create).await?;
    let made: Value = serde_json::from_str(&answer.body)?;
    let id = made["id"].as_str().context("an id")?.parse()?;
    let stack = world.stack_of(id, namespace);
    stack.target().await?;
    Ok(stack)
}

/// Publishes at a world's broker, without a plan, which the release before does not know, and waits until the stack's agent has applied it.
async fn roll_out(value: &str, stack: &TestStack, at: &World) -> Result<()> {
    let name = stack.id.to_string();
    let published = at.broker.publish(&name, &content(value)).await?;
    let stack = stack.seen_by(at.broker.admin());
    stack.synced(published.deployment_object.sequence).await
}

fn content(value: &str) -> String {
    snapshot([config_map("a", value), config_map("b", "always")])
}

on_both_engines!(without a cluster:
    tables_that_are_ahead_are_served,
    tables_of_another_age_are_left_alone,
);

/// What the version before this one meets when it is put back.
async fn tables_that_are_ahead_are_served(stage: &Stage) -> Result<()> {
    let mut broker = stage.broker("broker").await?;
    broker.new_stack("checkout").await?;
    broker.terminate().await?;
    step_ahead(stage).await?;
    broker.start_again().await?;
    broker.publish("checkout", &config_map("a", "1")).await?;
    Ok(())
}

async fn tables_of_another_age_are_left_alone(stage: &Stage) -> Result<()> {
    let mut broker = stage.broker("broker").await?;
    broker.terminate().await?;
    step_ahead(stage).await?;
    let raise = "update schema_floor set migration = 9999";
    stage.database().execute(raise).await?;
    ensure!(broker.start_again().await.is_err(), "it serves them");
    let log = std::fs::read_to_string(stage.directory().join("broker.log"))?;
    ensure!(log.contains("newer version of Brokkr"), "{log}");
    Ok(())
}

async fn step_ahead(stage: &Stage) -> Result<()> {
    let blank = match stage.database().engine() {
        Engine::Sqlite => "x'00'",
        Engine::Postgres => "'\\x00'::bytea",
    };
    let applied = format!(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'of a later version', true, {blank}, 0)"
    );
    stage.database().execute(&applied).await
}
