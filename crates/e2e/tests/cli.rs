//! The command line of people and pipelines: what they type, what it does, and how it ends.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{
    Action, DeploymentObject, Health, RecordedEvent, Removal, Sync, TargetStatus,
};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Cli, PATIENCE, Stage, World, eventually, unique};

on_both_engines!(
    a_stack_from_the_first_apply_to_its_end,
    what_cannot_be_done_ends_with_its_code,
    a_pipeline_waits_for_as_many_agents_as_it_says
);

async fn a_stack_from_the_first_apply_to_its_end(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = signed_in(stage, &world).await?;
    let (agent, namespace) = (world.agent.namespace(), format!("cli-{}", unique()));
    let file = stage.directory().join("shop.yaml");

    std::fs::write(&file, config_map("a", "1"))?;
    cli.does(&[
        "apply",
        "-f",
        "shop.yaml",
        "--stack",
        "shop",
        "--create",
        "--namespace",
        &namespace,
        "--create-namespace",
    ])
    .await?;
    cli.does(&["stack", "target", "shop", "--agent", agent])
        .await?;
    std::fs::write(&file, config_map("a", "2"))?;
    cli.does(&[
        "apply",
        "-f",
        "shop.yaml",
        "--stack",
        "shop",
        "-m",
        "second",
        "--wait",
        "--timeout",
        "60s",
    ])
    .await?;

    ensure!(world.cluster.value(&namespace, "a").await? == "2");
    let status: Vec<TargetStatus> = cli.reads(&["status", "shop"]).await?;
    let [at_agent] = status.as_slice() else {
        anyhow::bail!("{status:?}")
    };
    ensure!(
        at_agent.sync == Sync::Synced && at_agent.health == Health::Current,
        "{status:?}"
    );
    ensure!(
        at_agent.applied == Some(2) && at_agent.desired == Some(2),
        "{status:?}"
    );

    cli.does(&["rollback", "shop", "--wait", "--timeout", "60s"])
        .await?;

    ensure!(world.cluster.value(&namespace, "a").await? == "1");
    let history: Vec<DeploymentObject> = cli.reads(&["history", "shop"]).await?;
    ensure!(
        history.iter().map(|one| one.sequence).eq([3, 2, 1]),
        "{history:?}"
    );
    ensure!(
        history[0].digest == history[2].digest,
        "a rollback has the old content"
    );
    ensure!(
        history[1].message.as_deref() == Some("second"),
        "{history:?}"
    );
    let events: Vec<RecordedEvent> = cli.reads(&["events", "--stack", "shop"]).await?;
    ensure!(
        events.first().context("there are events")?.event.sequence == Some(3),
        "{events:#?}"
    );

    for dry in [
        &["stack", "untarget", "shop", "--agent", agent, "--dry-run"][..],
        &["stack", "delete", "shop", "--dry-run"],
    ] {
        let said = cli.does(dry).await?;
        ensure!(
            said.stdout.contains(agent) && said.stderr.contains("leave 1. Nothing was changed."),
            "{said:?}"
        );
    }
    cli.does(&["stack", "delete", "shop", "--yes"]).await?;
    eventually("nothing is left to remove", PATIENCE, async || {
        let open: Vec<Removal> = cli.reads(&["removals", "list"]).await?;
        ensure!(open.is_empty(), "{open:?}");
        Ok(())
    })
    .await?;
    let left = world.cluster.config_maps(&namespace).await?;
    ensure!(left.is_empty(), "{left:?}");
    let events: Vec<RecordedEvent> = cli.reads(&["events", "--stack", "shop"]).await?;
    let last = events.first().context("its events are kept")?;
    ensure!(last.event.action == Action::Remove, "{events:#?}");
    Ok(())
}

async fn what_cannot_be_done_ends_with_its_code(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = signed_in(stage, &world).await?;
    let stack = world.stack("codes").await?;
    stack.roll_out(&config_map("a", "1")).await?;
    std::fs::write(stage.directory().join("bad.yaml"), "kind: [\n")?;
    std::fs::write(
        stage.directory().join("fails.yaml"),
        config_map("a", "1").replace("\ndata:", "\ndatta:"),
    )?;

    let usage = 2;
    cli.ends(&["apply", "-f", "bad.yaml"], usage).await?;
    let delete = cli.ends(&["stack", "delete", "codes"], usage).await?;
    ensure!(delete.stderr.contains("--yes"), "{delete:?}");
    let failure = 1;
    let bad = cli
        .ends(&["apply", "-f", "bad.yaml", "--stack", "codes"], failure)
        .await?;
    ensure!(
        bad.stderr.contains("bad.yaml:1:") && bad.stdout.is_empty(),
        "{bad:?}"
    );
    cli.ends(&["history", "nothing"], failure).await?;
    let history: Vec<DeploymentObject> = cli.reads(&["history", "codes"]).await?;
    ensure!(history.len() == 1, "{history:?}");
    let waiting = [
        "apply",
        "-f",
        "fails.yaml",
        "--stack",
        "codes",
        "--wait",
        "--timeout",
        "60s",
    ];
    let fails = cli.ends(&waiting, failure).await?;
    ensure!(fails.stderr.contains("datta"), "it says why: {fails:?}");
    Ok(())
}

async fn a_pipeline_waits_for_as_many_agents_as_it_says(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    // With an agent named `other`, which never runs.
    let cli = signed_in(stage, &world).await?;
    let stack = world.stack("shop").await?;
    let wait = |args: &[&'static str]| [&["wait", "--stack", "shop"], args].concat();
    let nothing = cli.ends(&wait(&[]), 1).await?;
    ensure!(
        nothing.stderr.contains("nothing was published"),
        "{nothing:?}"
    );

    stack.publish(&config_map("a", "1")).await?;
    let said = cli.does(&wait(&[])).await?;
    ensure!(
        said.stderr
            .contains("Stack shop runs sequence 1 everywhere."),
        "{said:?}"
    );
    cli.does(&["stack", "target", "shop", "--agent", "other"])
        .await?;
    stack.publish(&config_map("a", "2")).await?;
    let late = cli.ends(&wait(&["--timeout", "1s"]), 124).await?;
    ensure!(late.stderr.contains("brokkr status shop"), "{late:?}");
    for share in ["1", "50%"] {
        let said = cli.does(&wait(&["--agents", share])).await?;
        ensure!(said.stderr.contains("runs sequence 2 at"), "{said:?}");
    }
    let old = cli.ends(&wait(&["--sequence", "1"]), 1).await?;
    ensure!(old.stderr.contains("sequence 2 was published"), "{old:?}");
    let never = cli.ends(&wait(&["--sequence", "9"]), 1).await?;
    ensure!(never.stderr.contains("the newest is 2"), "{never:?}");
    cli.ends(&wait(&["--agents", "0"]), 2).await?;

    // What no agent takes is said as soon as it is clear that too few can have it.
    let poison = config_map("a", "1").replace("\ndata:", "\ndatta:");
    stack.publish(&poison).await?;
    cli.ends(&wait(&["--agents", "1", "--timeout", "1s"]), 124)
        .await?;
    let failed = cli.ends(&wait(&["--timeout", "60s"]), 1).await?;
    ensure!(failed.stderr.contains("datta"), "{failed:?}");
    Ok(())
}

async fn signed_in(stage: &Stage, world: &World) -> Result<Cli> {
    let cli = stage.operator(&world.broker).await?;
    cli.does(&["agent", "create", "other", "--key-file", "other.key"])
        .await?;
    for file in ["config.toml", "other.key"] {
        let mode = std::fs::metadata(stage.directory().join(file))?
            .permissions()
            .mode();
        ensure!(
            mode & 0o777 == 0o600,
            "{file} may be read by others: {mode:o}"
        );
    }
    Ok(cli)
}
