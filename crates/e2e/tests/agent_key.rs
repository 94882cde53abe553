//! An agent whose key is rotated under it goes on with the new one.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::Code;
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Cli, PATIENCE, Stage, eventually};

on_both_engines!(an_agent_goes_on_with_its_new_key);

async fn an_agent_goes_on_with_its_new_key(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let stack = world.stack("rotated").await?;
    stack.roll_out(&config_map("a", "1")).await?;
    let file = format!("{}.key", world.agent.namespace());

    let (cli, url) = (Cli::new(stage.directory()), world.broker.url());
    cli.does(&["rotate-key", "--key-file", &file, "--server", &url])
        .await?;

    eventually("the old key is dead", PATIENCE, async || {
        let answer = world.broker.client(world.agent.key())?.me().await;
        let code = answer.err().context("it still opens")?.code();
        ensure!(code == Some(Code::Unauthenticated), "{code:?}");
        Ok(())
    })
    .await?;
    stack.roll_out(&config_map("a", "2")).await?;
    world.agent.is_alive()
}
