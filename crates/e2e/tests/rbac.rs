//! The roles that an agent's account needs for a stack are printed as an API server takes them.

use anyhow::{Result, ensure};
use brokkr_e2e::Stage;
use brokkr_e2e::manifests::{config_map, snapshot};

on_both_engines!(printed_roles_are_taken_by_an_api_server);

async fn printed_roles_are_taken_by_an_api_server(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    let stack = world.stack("shop").await?;
    let print = [
        "agent",
        "rbac",
        "--stack",
        "shop",
        "--account",
        "deployers/shop",
    ];
    let said = cli.ends(&print, 1).await?;
    ensure!(said.stderr.contains("has no version yet"), "{said:?}");
    stack
        .roll_out(&snapshot([config_map("a", "1"), config_map("b", "1")]))
        .await?;
    let printed = cli.does(&print).await?.stdout;
    ensure!(
        printed.contains("name: brokkr:shop") && printed.contains("deployers"),
        "{printed}"
    );
    world.cluster.create(&printed, &stack.namespace).await
}
