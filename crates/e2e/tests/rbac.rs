//! The roles that an agent's account needs for a stack are printed as an API server takes them.

use anyhow::{Result, ensure};
use brokkr_e2e::Stage;
use brokkr_e2e::manifests::{config_map, deployment, snapshot};

on_both_engines!(printed_roles_are_taken_by_an_api_server);

async fn printed_roles_are_taken_by_an_api_server(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    // Roles of the whole cluster share their names with those of other stages.
    let name = world.agent.namespace();
    let stack = world.stack(name).await?;
    let print = [
        "agent",
        "rbac",
        "--stack",
        name,
        "--account",
        "deployers/shop",
    ];
    let said = cli.ends(&print, 1).await?;
    ensure!(said.stderr.contains("has no version yet"), "{said:?}");
    let two = snapshot([config_map("a", "1"), deployment("web", "works:1")]);
    stack.roll_out(&two).await?;
    let printed = cli.does(&print).await?.stdout;
    let role = format!("name: brokkr:{name}");
    ensure!(
        printed.contains(&role) && printed.contains("namespace: deployers"),
        "{printed}"
    );
    ensure!(!printed.contains("pods/log"), "{printed}");
    let more = [&print[..], &["--requests", "describe,logs"]].concat();
    let printed = cli.does(&more).await?.stdout;
    ensure!(
        printed.contains("- pods/log") && printed.contains("- events"),
        "{printed}"
    );
    world.cluster.create(&printed, &stack.namespace).await
}
