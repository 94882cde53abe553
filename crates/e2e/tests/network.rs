//! A bad line delays what happens, and changes nothing of it.

use std::time::Duration;

use anyhow::{Result, ensure};
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{Route, Stage, millis_up_to};

on_both_engines!(a_bad_line_only_delays);

const ROUNDS: usize = 12;

async fn a_bad_line_only_delays(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let stack = world.stack("network").await?;
    let untouched = config_map("untouched", "1");
    stack
        .roll_out(&snapshot([&untouched, &config_map("changing", "0")]))
        .await?;
    let before = world.cluster.versions(&untouched, &stack.namespace).await?;

    let to = world.broker.address();
    let weather = [
        Route::Closed,
        Route::Through(to),
        Route::Slowly(to, Duration::from_millis(100)),
        Route::Through(to),
    ];
    let mut last = 0;
    for round in 1..=ROUNDS {
        world.link.switch(weather[round % weather.len()]);
        last = stack
            .publish(&snapshot([
                &untouched,
                &config_map("changing", &round.to_string()),
            ]))
            .await?;
        // Not a wait for something: each switch cuts the line at another moment of the agent's work.
        tokio::time::sleep(millis_up_to(400)).await;
    }
    world.link.switch(Route::Through(to));

    stack.synced(last).await?;
    world.agent.is_alive()?;
    ensure!(world.cluster.value(&stack.namespace, "changing").await? == ROUNDS.to_string());
    ensure!(world.cluster.versions(&untouched, &stack.namespace).await? == before);
    Ok(())
}
