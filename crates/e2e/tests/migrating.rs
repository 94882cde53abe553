//! A broker brings the tables of an older one up to date. Wherever that ends, they are those of one version, with all rows,
//! and the next start goes on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Database, Disk, PATIENCE, Process, Stage, Table, event, eventually};
use fastrand::Rng;

use self::trap::Trap;
use crate::power_loss::image::{self, Image};

mod trap;

mod on_sqlite {
    test!(tables_are_of_one_version_wherever_the_disk_ends on Sqlite);
}

mod on_postgres {
    test!(#[ignore = "needs PostgreSQL: make test"] tables_are_of_one_version_wherever_a_broker_dies on Postgres);
    test!(#[ignore = "needs PostgreSQL: make test"] brokers_that_start_at_once_take_turns on Postgres);
}

/// On SQLite so many brokers start on what is left.
const STARTS: usize = 25;

/// A database with the first tables that there were, and what has to be so wherever its way to the present ones ends.
struct Then {
    database: Database,
    tables: Vec<Table>,
    rows: Vec<String>,
    /// What the tables are at each version.
    versions: BTreeMap<i64, Vec<String>>,
    key_file: PathBuf,
}

impl Then {
    /// The rows are a broker's own: it writes them into the present tables, and they are copied.
    async fn make(stage: &Stage) -> Result<Self> {
        let mut broker = stage.broker("today").await?;
        let agent = broker.client(&broker.new_agent("edge").await?)?;
        let stack = broker.new_stack("shop").await?.id;
        broker.target("edge", "shop").await?;
        for value in ["a", "b", "c"] {
            broker.publish("shop", &config_map("a", value)).await?;
        }
        agent
            .report_events((0..50).map(|_| event(stack)).collect())
            .await?;
        broker.terminate().await?;

        let engine = stage.database().engine();
        let folder = stage.directory().join("then");
        std::fs::create_dir(&folder)?;
        let database = Database::create(engine, &folder).await?;
        database.migrate_to(1).await?;
        let mut tables = database.tables().await?;
        let rows = stage.database().rows(&tables).await?;
        ensure!(rows.len() > 60, "{} rows", rows.len());
        database.write(&rows).await?;
        // It counts what brokers hear and do beside their history: the next one counts on.
        for table in tables.iter_mut().filter(|table| table.name == "broker") {
            table.columns.retain(|column| column != "ingest");
        }
        let rows = database.rows(&tables).await?;

        let folder = stage.directory().join("versions");
        std::fs::create_dir(&folder)?;
        let steps = Database::create(engine, &folder).await?;
        let (mut versions, last) = (BTreeMap::new(), stage.database().version().await?);
        for version in 1..=last {
            steps.migrate_to(version).await?;
            versions.insert(version, steps.schema().await?);
        }
        ensure!(
            versions[&last] == stage.database().schema().await?,
            "not as a broker makes them"
        );
        let key_file = broker.key_file().to_owned();
        Ok(Self {
            database,
            tables,
            rows,
            versions,
            key_file,
        })
    }

    /// Which version a database is of, wholly, and with all its rows.
    async fn version(&self, database: &Database) -> Result<i64> {
        let version = database.version().await?;
        let (found, wanted) = (database.schema().await?, &self.versions[&version]);
        let (lost, new) = (missing(wanted, &found), missing(&found, wanted));
        ensure!(
            &found == wanted,
            "it is not of version {version}: it lacks {lost:#?} and has {new:#?}"
        );
        let found = database.rows(&self.tables).await?;
        let (lost, new) = (missing(&self.rows, &found), missing(&found, &self.rows));
        ensure!(
            lost.is_empty() && new.is_empty(),
            "version {version} lost {lost:#?} and has {new:#?}"
        );
        Ok(version)
    }

    /// Whether it is as a broker of today wants it.
    async fn is_complete(&self, database: &Database) -> Result<()> {
        let version = self.version(database).await?;
        ensure!(
            self.versions
                .last_key_value()
                .is_some_and(|(last, _)| *last == version),
            "{version}"
        );
        Ok(())
    }
}

/// What one has of another's rows not.
fn missing<'a>(of: &'a [String], from: &[String]) -> Vec<&'a String> {
    of.iter().filter(|row| !from.contains(row)).collect()
}

async fn tables_are_of_one_version_wherever_the_disk_ends(stage: &Stage) -> Result<()> {
    let then = Then::make(stage).await?;
    let mut disk = Disk::below(stage.directory()).await?;
    disk.put("brokkr.db", then.database.file()?)?;
    disk.put("admin.key", &then.key_file)?;
    let mut broker = Broker::start_on(&disk, "recorded", stage.directory()).await?;
    broker.terminate().await?;

    let steps = disk.steps()?;
    let image = Image::empty()?;
    let database = Database::create(stage.database().engine(), image.folder()).await?;
    let (mut platter, mut random) = (disk.platter(), Rng::with_seed(crate::power_loss::seed()?));
    let mut seen = BTreeMap::new();
    for (place, step) in steps.iter().enumerate() {
        platter.take(step)?;
        let what = || format!("after step {place} of {}, to {}", steps.len(), step.name);
        // A process that is killed here leaves the former, a loss of power the latter.
        for left in [platter.now(), platter.after_a_loss(&mut random)] {
            image.becomes(&left)?;
            let version = then.version(&database).await.with_context(what)?;
            database.check_integrity().await.with_context(what)?;
            *seen.entry(version).or_insert(0) += 1;
            if place % (steps.len() / STARTS) == 0 {
                image.becomes(&left)?;
                let mut broker = Broker::start("again", &image.database(), image.folder())
                    .await
                    .with_context(what)?;
                then.is_complete(&database).await.with_context(what)?;
                image::serves(&broker, &[]).await.with_context(what)?;
                broker.kill().await?;
            }
        }
    }
    ensure!(
        seen.keys().eq(then.versions.keys()),
        "it did not end everywhere: {seen:?}"
    );
    println!(
        "{} steps of the disk; ends by version: {seen:?}",
        steps.len()
    );
    Ok(())
}

/// A broker on a database that may have to wait.
fn start(stage: &Stage, name: &str, database: &Database, then: &Then) -> Result<Process> {
    let key_file = then.key_file.display().to_string();
    let arguments = [
        "broker",
        "--listen",
        "127.0.0.1:0",
        "--database",
        database.url(),
        "--admin-key-file",
        &key_file,
    ];
    Process::brokkr(name, &arguments, stage.directory())
}

async fn tables_are_of_one_version_wherever_a_broker_dies(stage: &Stage) -> Result<()> {
    let then = Then::make(stage).await?;
    let whole = then.database.twin(stage.directory()).await?;
    let trap = Trap::set(&whole, 0).await?;
    start(stage, "whole", &whole, &then)?
        .says("listening on ")
        .await?;
    let statements = trap.statements().await?;
    ensure!(statements > 40, "{statements} statements");

    let mut seen = BTreeMap::new();
    // One after the other: to drop a database waits for sessions that are just beginning, and they would wait for us.
    for place in 1..=statements {
        let version = death(stage, &then, place).await?;
        *seen.entry(version).or_insert(0) += 1;
    }
    println!("{statements} statements; deaths by version: {seen:?}");
    Ok(())
}

/// Kills a broker at one of its statements, and starts another one.
async fn death(stage: &Stage, then: &Then, place: i64) -> Result<i64> {
    let what = || format!("killed at statement {place}");
    let database = then.database.twin(stage.directory()).await?;
    let trap = Trap::set(&database, place).await?;
    let mut broker = start(stage, &format!("killed-{place}"), &database, then)?;
    trap.holds(1).await.with_context(what)?;
    broker.kill().await?;
    trap.open().await.with_context(what)?;
    let version = then.version(&database).await.with_context(what)?;
    let name = format!("after-{place}");
    let folder = stage.directory().join(&name);
    std::fs::create_dir(&folder)?;
    std::fs::copy(&then.key_file, folder.join("admin.key"))?;
    let broker = Broker::start(&name, database.url(), &folder)
        .await
        .with_context(what)?;
    then.is_complete(&database).await.with_context(what)?;
    image::serves(&broker, &[]).await.with_context(what)?;
    Ok(version)
}

async fn brokers_that_start_at_once_take_turns(stage: &Stage) -> Result<()> {
    let then = Then::make(stage).await?;
    for dies in [false, true] {
        let database = then.database.twin(stage.directory()).await?;
        let trap = Trap::set(&database, 20).await?;
        let mut first = start(stage, "first", &database, &then)?;
        trap.holds(1).await?;
        let mut second = start(stage, "second", &database, &then)?;
        trap.holds(2).await?;
        if dies {
            first.kill().await?;
            trap.unlock().await?;
        } else {
            trap.unlock().await?;
            first.says("listening on ").await?;
        }
        second.says("listening on ").await?;
        eventually("the tables are complete", PATIENCE, async || {
            then.is_complete(&database).await
        })
        .await?;
    }
    Ok(())
}
