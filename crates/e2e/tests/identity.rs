//! One process at a time acts for an agent, in one cluster, whoever starts another or takes its key along.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{AuditAction, Code, OpenSession};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Pace, Stage};

on_both_engines!(
    a_second_copy_waits_until_the_first_one_ends,
    a_crashed_copy_is_followed_when_its_lease_is_over,
    a_copy_that_was_suspended_writes_nothing_when_it_goes_on,
    a_key_is_refused_for_another_cluster,
);

/// A rolling update: the second copy does nothing while the first one lives, and goes on at once when it has ended.
async fn a_second_copy_waits_until_the_first_one_ends(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let stack = world.stack("rolled").await?;
    stack.roll_out(&config_map("a", "1")).await?;
    let holder = world.cluster.holder(world.agent.namespace()).await?;

    let mut second = world.agent.copy("second");
    second.start(Pace::Waiting)?;
    second.says("another process acts for this agent").await?;
    stack.roll_out(&config_map("a", "2")).await?;
    ensure!(world.cluster.holder(world.agent.namespace()).await? == holder);

    // Its lease has a minute and a half to go: it was given up.
    world.stop_agent().await?;
    stack.roll_out(&config_map("a", "3")).await?;
    ensure!(world.cluster.holder(world.agent.namespace()).await? != holder);
    second.is_alive()
}

async fn a_crashed_copy_is_followed_when_its_lease_is_over(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let stack = world.stack("crashed").await?;
    stack.roll_out(&config_map("a", "1")).await?;
    world.agent.kill().await?;
    world.agent.set_lease("6s");
    world.start_agent()?;
    stack.roll_out(&config_map("a", "2")).await?;

    let mut second = world.agent.copy("second");
    second.start(Pace::Waiting)?;
    second.says("another process acts for this agent").await?;
    world.agent.crash().await?;
    stack.roll_out(&config_map("a", "3")).await?;
    second.is_alive()
}

/// It wakes with a plan of before, while another copy has gone on; what it planned is nothing any more.
async fn a_copy_that_was_suspended_writes_nothing_when_it_goes_on(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let stack = world.stack("suspended").await?;
    world.agent.kill().await?;
    world.agent.set_lease("6s");
    world.start_agent()?;
    stack.roll_out(&config_map("a", "1")).await?;

    let mut second = world.agent.copy("second");
    second.start(Pace::Waiting)?;
    second.says("another process acts for this agent").await?;
    world.agent.running()?.suspend()?;
    stack.publish(&config_map("a", "2")).await?;
    let last = stack.publish(&config_map("a", "3")).await?;
    stack.synced(last).await?;
    let holder = world.cluster.holder(world.agent.namespace()).await?;
    let before = world
        .cluster
        .versions(&config_map("a", "3"), &stack.namespace)
        .await?;

    world.agent.running()?.resume()?;
    world
        .agent
        .says("nothing is written until it is taken again")
        .await?;
    world
        .agent
        .says("another process acts for this agent")
        .await?;
    let after = world
        .cluster
        .versions(&config_map("a", "3"), &stack.namespace)
        .await?;
    ensure!(after == before, "the copy that was suspended wrote");
    ensure!(world.cluster.holder(world.agent.namespace()).await? == holder);

    let status = second.terminate().await?;
    ensure!(status.success(), "{status}");
    stack.roll_out(&config_map("a", "4")).await?;
    world.agent.is_alive()
}

/// Another cluster, played by hand, does not disturb the first one; a rebound agent is its.
async fn a_key_is_refused_for_another_cluster(stage: &Stage) -> Result<()> {
    let mut world = stage.world().await?;
    let stack = world.stack("bound").await?;
    stack.roll_out(&config_map("a", "1")).await?;
    let admin = world.broker.admin().clone();
    let copied = world.broker.client(world.agent.key())?;
    let elsewhere = OpenSession {
        cluster: "another-cluster".parse()?,
        version: "1.0.0".to_owned(),
        features: Vec::new(),
    };
    for _ in 0..3 {
        let refused = copied.open_session(&elsewhere).await;
        let code = refused.err().context("two clusters have one agent")?.code();
        ensure!(code == Some(Code::ClusterConflict), "{code:?}");
    }
    stack.roll_out(&config_map("a", "2")).await?;
    let audit = admin.audit(&[]).await?;
    let conflicts = audit.iter().filter(|chained| {
        let entry = &chained.entry;
        entry.action == AuditAction::AgentConflict && entry.subject.id == world.agent.id().uuid()
    });
    ensure!(conflicts.count() == 1);
    let cli = stage.operator(&world.broker).await?;
    let agents = cli.does(&["agent", "list"]).await?.stdout;
    ensure!(agents.contains("1 other cluster(s) refused"), "{agents}");
    let name = world.agent.reference().to_string();
    let way_on = cli.does(&["agent", "get", &name]).await?.stderr;
    ensure!(way_on.contains("another-cluster"), "{way_on}");
    ensure!(way_on.contains("brokkr agent rebind"), "{way_on}");

    // The agent holds its session: who rebinds it means its end.
    world.stop_agent().await?;
    admin.rebind_agent(&world.agent.reference()).await?;
    copied.open_session(&elsewhere).await?;
    world.start_agent()?;
    world.agent.says("nothing is done in this cluster").await?;
    let last = stack.publish(&config_map("a", "3")).await?;
    world.agent.says("brokkr agent rebind").await?;
    ensure!(world.cluster.value(&stack.namespace, "a").await? == "2");

    admin.rebind_agent(&world.agent.reference()).await?;
    stack.synced(last).await?;
    world.agent.is_alive()
}
