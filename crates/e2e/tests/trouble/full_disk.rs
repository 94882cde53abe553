//! The disk of the database is full for a while.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{Code, DeploymentObject};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{
    Broker, Engine, Failure, PATIENCE, Raw, SmallDisk, Stage, event, eventually, perform, unique,
};

use super::cut_off::is;
use super::is_torture;
use super::polling::state;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a user namespace: make test"]
async fn a_full_disk_is_said_and_survived() -> Result<(), Failure> {
    perform(Engine::Sqlite, filling_the_disk).await
}

const MEGABYTES: usize = 16;

async fn filling_the_disk(stage: &Stage) -> Result<()> {
    let disk = SmallDisk::mount(stage.directory(), MEGABYTES).await?;
    let (under, directory) = (disk.under()?, stage.directory());
    let mut broker =
        Broker::start_under(&under, "broker", &disk.database(), directory, &[]).await?;
    let key = broker.new_agent("edge").await?;
    let stack = broker.new_stack("shop").await?.id;
    broker.target("edge", "shop").await?;
    let raw = Raw::admin(&broker)?;
    let mut acknowledged: Vec<DeploymentObject> = Vec::new();
    let rounds = if is_torture() { 50 } else { 4 };
    for round in 0..rounds {
        acknowledged.push(publish(&raw).await?.map_err(anyhow::Error::msg)?);
        let agent = broker.client(&key)?;
        let (_, before) = state(&agent).await?;

        disk.fill()?;
        // The log of the database may have some room left.
        let said = eventually("a publish is refused", PATIENCE, async || {
            match publish(&raw).await? {
                Ok(object) => {
                    acknowledged.push(object);
                    anyhow::bail!("it is taken");
                }
                Err(said) => Ok(said),
            }
        })
        .await?;
        ensure!(said.contains("disk is full"), "{said}");
        let refused = agent.report_events(vec![event(stack)]).await;
        let refused = refused.err().context("an event is taken")?;
        ensure!(refused.code() == Some(Code::Unavailable), "{refused:?}");
        ensure!(refused.retry_after().is_some(), "{refused:?}");

        is(&broker, 200, "ok").await?;
        let (_, after) = state(&agent).await?;
        ensure!(after.epoch == before.epoch, "{after:?}");
        let last = acknowledged.last().context("a publish")?;
        ensure!(after.stacks[0].deployment_object == last.id, "{after:?}");
        ensure!(agent.manifests(last.id).await?.contains("value"));
        ensure!(raw.get("/stacks").await?.status == 200);
        if round % 2 == 1 {
            broker.kill().await?;
        }

        disk.empty()?;
        if round % 2 == 1 {
            broker.start_again().await?;
        }
        let object = eventually("publishes are taken again", PATIENCE, async || {
            publish(&raw).await?.map_err(anyhow::Error::msg)
        })
        .await?;
        acknowledged.push(object);
        broker
            .client(&key)?
            .report_events(vec![event(stack)])
            .await?;
        disk.check_integrity(&broker).await?;
    }
    let mut history = broker.admin().history(&"shop".parse()?).await?;
    history.reverse();
    ensure!(
        history == acknowledged,
        "{history:#?}, not {acknowledged:#?}"
    );
    broker.kill().await
}

/// What came of a publish: a refusal says when to come again.
async fn publish(raw: &Raw) -> Result<Result<DeploymentObject, String>> {
    let content: String = (0..100).map(|_| unique()).collect();
    let path = "/stacks/shop/deployment-objects";
    let content = config_map("a", &content);
    let answer = raw
        .send(reqwest::Method::POST, path, "application/yaml", content)
        .await?;
    if answer.status.is_success() {
        let published: serde_json::Value = serde_json::from_str(&answer.body)?;
        return Ok(Ok(serde_json::from_value(
            published["deployment_object"].clone(),
        )?));
    }
    let problem = answer.refuses(503, Code::Unavailable)?;
    ensure!(problem.retry_after.is_some(), "{problem:?}");
    Ok(Err(problem.detail))
}
