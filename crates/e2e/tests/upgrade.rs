//! A fleet goes from the newest release to this version, and on, without a stop.

use anyhow::{Context as _, Result, ensure};
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{Build, Engine, Failure, Pace, Route, Stage, TestStack, World, perform};

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
    let of_old = old.stack("old").await?;
    of_old.roll_out(&content("1")).await?;

    // A broker of this version beside it on the same database, and an agent of its own.
    let after = stage.broker("after").await?;
    let mut new = stage.world_of(after, None).await?;
    new.start_agent()?;
    let of_new = new.stack("new").await?;
    of_new.roll_out(&content("1")).await?;
    of_old.roll_out(&content("2")).await?;

    // Each is told by either what the other one accepted.
    let crosswise = [at(&of_old, &new), at(&of_new, &old)];
    for (stack, value) in crosswise.iter().zip(["3", "4"]) {
        stack.roll_out(&content(value)).await?;
    }
    old.link.switch(Route::Through(new.broker.address()));
    of_old.roll_out(&content("5")).await?;
    at(&of_old, &new).roll_out(&content("6")).await?;

    // The broker goes first, then the agent.
    old.broker.terminate().await?;
    old.agent.terminate().await?;
    old.agent.set_build(Build::Tested);
    old.start_agent()?;
    let stacks = [at(&of_old, &new), of_new];
    for stack in &stacks {
        let before = old
            .cluster
            .versions(&content("6"), &stack.namespace)
            .await?;
        stack.roll_out(&content("7")).await?;
        let after = old
            .cluster
            .versions(&content("7"), &stack.namespace)
            .await?;
        for (key, version) in &before {
            let now = after.get(key).context("an object is gone")?;
            ensure!(now.uid == version.uid, "{key} was replaced");
        }
        stack.delete().await?;
    }
    Ok(())
}

/// A stack as it is seen at another world's broker.
fn at(stack: &TestStack, world: &World) -> TestStack {
    stack.seen_by(world.broker.admin())
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
