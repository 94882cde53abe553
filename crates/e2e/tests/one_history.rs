//! Brokers that write to one PostgreSQL at once make one history, and all of them tell the same.

use std::cmp::Reverse;

use anyhow::{Result, ensure};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Engine, Failure, Stage, perform, unique};
use futures::future::try_join_all;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn writers_at_two_replicas_make_one_history() -> Result<(), Failure> {
    perform(Engine::Postgres, writing_at_both_replicas).await
}

const PUBLISHES: u64 = 20;
const WRITERS: usize = 8;

async fn writing_at_both_replicas(stage: &Stage) -> Result<()> {
    let [here, there] = [stage.broker("here").await?, stage.broker("there").await?];
    here.new_stack("checkout").await?;
    let replicas = [&here, &there];
    let write = async |writer: usize| {
        let at = replicas[writer % replicas.len()];
        let mut published = Vec::new();
        for _ in 0..PUBLISHES {
            let content = config_map("a", &unique());
            let answer = at.publish("checkout", &content).await?;
            published.push(answer.deployment_object);
        }
        anyhow::Ok(published)
    };
    let mut published = try_join_all((0..WRITERS).map(write)).await?.concat();
    published.sort_by_key(|object| Reverse(object.sequence));

    let total = PUBLISHES * WRITERS as u64;
    let sequences = published.iter().rev().map(|object| object.sequence);
    ensure!(sequences.eq(1..=total), "gaps or duplicates: {published:?}");
    for replica in replicas {
        let history = replica.admin().history(&"checkout".parse()?).await?;
        ensure!(history == published, "{history:?} instead of {published:?}");
    }
    Ok(())
}
