//! A replica that stands still with the database in its hands.

use anyhow::Result;
use brokkr_e2e::{Engine, Failure, Stage, perform};

use super::is_torture;
use super::load::Load;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: make test"]
async fn a_replica_that_stands_still_holds_up_no_other() -> Result<(), Failure> {
    perform(Engine::Postgres, standing_still).await
}

async fn standing_still(stage: &Stage) -> Result<()> {
    let (here, there) = (stage.broker("here").await?, stage.broker("there").await?);
    let mut load = Load::begin(&[&there], 2).await?;
    let theirs = load.stacks().to_vec();
    // The one that stands still is to be in the middle of a transaction, so it has to do.
    let busy = tokio::spawn({
        let admin = here.admin().clone();
        async move {
            loop {
                let name = format!("stack-{}", brokkr_e2e::unique());
                let Ok(name) = name.parse() else { return };
                let create = brokkr_core::wire::CreateStack::named(name);
                // It is refused while it stands still, and nobody asks it then.
                let _ = admin.create_stack(&create).await;
            }
        }
    });
    let rounds = if is_torture() { 20 } else { 4 };
    for _ in 0..rounds {
        load.grows(10).await?;
        here.process().suspend()?;
        load.grows(20).await?;
        here.process().resume()?;
    }
    busy.abort();
    let acknowledged = load.end().await?;
    acknowledged.is_at(&there, &theirs).await?;
    super::cut_off::is(&here, 200, "ok").await?;
    acknowledged.is_at(&here, &theirs).await
}
