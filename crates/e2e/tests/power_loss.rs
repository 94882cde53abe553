//! The power fails at any moment: what the broker acknowledged before is on the disk, whole, and the next start goes on.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use brokkr_core::ambient::{Ambient, System};
use brokkr_e2e::{Act, Broker, Cli, Disk, Stage, Step};
use fastrand::Rng;

use self::image::Image;
use self::writers::{Note, Written, write_on};

pub mod image;
pub mod writers;

mod on_sqlite {
    test!(what_was_acknowledged_outlives_the_power on Sqlite);
    test!(a_key_outlives_the_power on Sqlite);
}

/// After so many of the losses a broker starts on what is left.
const STARTS: usize = 10;

async fn what_was_acknowledged_outlives_the_power(stage: &Stage) -> Result<()> {
    let losses = if std::env::var_os("BROKKR_TORTURE").is_some() {
        10_000
    } else {
        500
    };
    let disk = Arc::new(Disk::below(stage.directory()).await?);
    let notes = write_on(&disk, stage.directory()).await?;
    let steps = disk.steps()?;
    is_worth_a_loss(&steps, &notes)?;

    let mut random = Rng::with_seed(seed()?);
    let mut moments: Vec<_> = (2..losses).map(|_| random.usize(..steps.len())).collect();
    moments.extend([0, steps.len() - 1]);
    moments.sort_unstable();
    let mut moments = moments.into_iter().enumerate().peekable();

    let (mut platter, mut image) = (disk.platter(), Image::empty()?);
    for (place, step) in steps.iter().enumerate() {
        platter.take(step)?;
        while let Some((number, _)) = moments.next_if(|(_, moment)| *moment == place) {
            let left = platter.after_a_loss(&mut random);
            let due: Vec<_> = notes
                .iter()
                .filter(|note| note.moment <= step.end)
                .collect();
            let what = || format!("the power was lost after step {place} of {}", steps.len());
            image.becomes(&left)?;
            image.has(&due).await.with_context(what)?;
            if number % (losses / STARTS) == 0 {
                image.becomes(&left)?;
                let mut broker = Broker::start("after-a-loss", &image.database(), image.folder())
                    .await
                    .with_context(what)?;
                image::serves(&broker, &due).await.with_context(what)?;
                broker.kill().await?;
            }
        }
    }
    println!(
        "{losses} losses, {} acknowledged writes, {} steps of the disk",
        notes.len(),
        steps.len()
    );
    Ok(())
}

/// What was recorded must have all that can go wrong: a database that was brought up to date from the write-ahead log under
/// the writers, and a log that went away and came again.
fn is_worth_a_loss(steps: &[Step], notes: &[Note]) -> Result<()> {
    let first = notes
        .iter()
        .map(|note| note.moment)
        .min()
        .context("no note")?;
    let under_writers = steps.iter().filter(|step| step.end > first);
    let is_of_database =
        |step: &&Step| step.name == "brokkr.db" && matches!(step.act, Act::Wrote(..));
    let removals = |step: &&Step| step.name == "brokkr.db-wal" && matches!(step.act, Act::Removed);
    ensure!(under_writers.filter(is_of_database).count() > 100);
    ensure!(steps.iter().filter(removals).count() == 2);
    let kinds: BTreeSet<_> = notes
        .iter()
        .map(|note| matches!(note.what, Written::Events(_)))
        .collect();
    ensure!(kinds.len() == 2);
    Ok(())
}

/// A key is shown once: what a command has kept of it, no loss takes.
async fn a_key_outlives_the_power(stage: &Stage) -> Result<()> {
    let disk = Disk::below(stage.directory()).await?;
    let broker = stage.broker("broker").await?;
    let mut cli = Cli::new(disk.folder());
    for (name, value) in disk.variables() {
        cli = cli.with(name, &value.display().to_string());
    }
    let admin = broker.key_file().display().to_string();
    let edge = disk.folder().join("edge.key").display().to_string();
    let url = broker.url();
    let login = ["login", "--server", &url, "--key-file", &admin];
    let create = ["agent", "create", "edge", "--key-file", &edge];
    let mut random = Rng::with_seed(seed()?);
    for (command, files) in [
        (&login[..], ["config.toml", ""]),
        (&create, ["edge.key", ""]),
        // The next run of the command finds what waits beside the old key.
        (
            &["rotate-key", "--key-file", &edge],
            ["edge.key", "edge.key.new"],
        ),
        (&["rotate-key"], ["config.toml", ""]),
    ] {
        cli.does(command).await?;
        let mut platter = disk.platter();
        for step in disk.steps()? {
            platter.take(&step)?;
        }
        let kept = Some(platter.now().remove(files[0]).context("no file")?);
        for _ in 0..100 {
            let left = platter.after_a_loss(&mut random);
            let is_there = files.iter().any(|file| left.get(*file) == kept.as_ref());
            let left: Vec<_> = left.keys().collect();
            ensure!(is_there, "the power was lost after {command:?}: {left:?}");
        }
    }
    Ok(())
}

pub fn seed() -> Result<u64> {
    let seed = if let Ok(seed) = std::env::var("BROKKR_SEED") {
        seed.parse()?
    } else {
        let mut bytes = [0; 2];
        System.fill(&mut bytes);
        u16::from_le_bytes(bytes).into()
    };
    println!("BROKKR_SEED={seed}");
    Ok(seed)
}
