//! A backup is whole whatever happens beside it, and a restore leaves the old or the new database, wherever it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use brokkr_core::Reference;
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Cli, PATIENCE, Process, Stage, eventually, millis_up_to, unique};
use serde::Deserialize;
use tokio::sync::watch;

use crate::kill_broker::writers::keep_publishing;

mod on_sqlite {
    test!(a_backup_beside_a_busy_broker_is_whole on Sqlite);
    test!(a_killed_restore_leaves_the_old_or_the_new on Sqlite);
    test!(a_killed_backup_leaves_none_and_the_next_is_whole on Sqlite);
    test!(what_is_no_whole_backup_is_not_restored on Sqlite);
}

#[derive(Deserialize)]
struct Backup {
    bytes: u64,
    epoch: String,
    revision: u64,
}

/// A host's own command line: it works in the folder of the database.
fn host(stage: &Stage) -> Cli {
    Cli::new(stage.directory()).with("BROKKR_DATABASE", stage.database().url())
}

/// The revision of a database, whose audit is whole.
async fn revision(host: &Cli, file: &str) -> Result<u64> {
    let database = format!("sqlite:{file}");
    let said = host
        .does(&["broker", "verify-audit", "--database", &database])
        .await?;
    let (_, rest) = said
        .stdout
        .split_once("of revision ")
        .with_context(|| format!("{said:?}"))?;
    Ok(rest.split(' ').next().unwrap_or_default().parse()?)
}

async fn a_backup_beside_a_busy_broker_is_whole(stage: &Stage) -> Result<()> {
    let (mut broker, host) = (stage.broker("broker").await?, host(stage));
    let stack = broker.new_stack("shop").await?.id;
    let (count, mut counted) = watch::channel(0);
    let admin = broker.admin().clone();
    let writers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(keep_publishing(admin.clone(), stack, count.clone())))
        .collect();
    let mut backups = Vec::new();
    for number in 0..5 {
        let published = *counted.borrow_and_update();
        let file = format!("backup-{number}.db");
        let made: Backup = host.reads(&["broker", "backup", "--to", &file]).await?;
        counted
            .wait_for(|count| *count >= published + 20)
            .await
            .context("the writers write on")?;
        backups.push((file, published, made));
    }
    let path = stage.directory().join("backup-0.db");
    let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{mode:o}");
    let twice = host
        .ends(&["broker", "backup", "--to", "backup-0.db"], 1)
        .await?;
    ensure!(twice.stderr.contains("--overwrite"), "{twice:?}");
    host.does(&["broker", "backup", "--to", "backup-0.db", "--overwrite"])
        .await?;
    broker.kill().await?;
    for writer in writers {
        writer.await??;
    }
    ensure!(parts(stage)?.is_empty(), "{:?}", parts(stage)?);

    backups.remove(0);
    for (file, published, made) in backups {
        ensure!(fs::metadata(stage.directory().join(&file))?.len() == made.bytes);
        ensure!(revision(&host, &file).await? == made.revision);
        let folder = stage.directory().join(format!("from-{file}"));
        fs::create_dir(&folder)?;
        fs::copy(broker.key_file(), folder.join("admin.key"))?;
        let url = format!("sqlite:{}", folder.join("brokkr.db").display());
        let said = host
            .does(&["broker", "restore", "--database", &url, "--from", &file])
            .await?;
        ensure!(said.stdout.contains(&made.epoch), "{said:?}");
        let restored = Broker::start("restored", &url, &folder).await?;
        let head = restored
            .admin()
            .stack(&Reference::Id(stack.uuid()))
            .await?
            .head;
        let head = head.map_or(0, |head| head.sequence);
        ensure!(
            head >= published as u64,
            "{published} were acknowledged before the backup, which has {head}"
        );
    }
    Ok(())
}

/// What lies about of unfinished files.
fn parts(stage: &Stage) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(stage.directory())?.flatten();
    Ok(files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "part"))
        .collect())
}

/// Two backups of different revisions, the broker killed, and something of the last change still beside its database.
async fn two_backups(stage: &Stage) -> Result<[(&'static str, u64); 2]> {
    let (mut broker, host) = (stage.broker("broker").await?, host(stage));
    broker.new_stack("shop").await?;
    let mut made = Vec::new();
    for file in ["early.db", "late.db"] {
        for _ in 0..10 {
            // Nothing that a compressor could make small.
            let words: String = (0..5_000).map(|_| unique()).collect();
            broker.publish("shop", &config_map("a", &words)).await?;
        }
        host.does(&["broker", "backup", "--to", file]).await?;
        made.push((file, revision(&host, file).await?));
    }
    broker.publish("shop", &config_map("a", "last")).await?;
    broker.kill().await?;
    ensure!(fs::metadata(stage.directory().join("brokkr.db-wal"))?.len() > 0);
    Ok([made[0], made[1]])
}

const RESTORE: [&str; 4] = ["broker", "restore", "--replace", "--from"];

async fn a_killed_restore_leaves_the_old_or_the_new(stage: &Stage) -> Result<()> {
    let [early, late] = two_backups(stage).await?;
    let host = host(stage);
    let start = Instant::now();
    let said = host.does(&[&RESTORE[..], &[early.0]].concat()).await?;
    let whole = start.elapsed();
    let lost = late.1 + 1 - early.1;
    ensure!(
        said.stderr
            .contains(&format!("it had {lost} change(s) more")),
        "{said:?}"
    );
    let aside = aside(stage)?;
    ensure!(aside.len() == 1, "one whole file: {aside:?}");
    ensure!(revision(&host, &aside[0].display().to_string()).await? == late.1 + 1);

    let (mut olds, mut news) = (0, 0);
    for round in 0..40 {
        let before = revision(&host, "brokkr.db").await?;
        let (from, after) = if before == early.1 { late } else { early };
        let from = stage.directory().join(from).display().to_string();
        let arguments = [
            &RESTORE[..],
            &[from.as_str(), "--database", stage.database().url()],
        ]
        .concat();
        let mut restore = Process::brokkr("restore", &arguments, stage.directory())?;
        tokio::time::sleep(millis_up_to(u64::try_from(whole.as_millis())? * 3 / 2)).await;
        restore.kill().await?;
        match revision(&host, "brokkr.db").await? {
            found if found == before => olds += 1,
            found if found == after => news += 1,
            found => anyhow::bail!("revision {found} after kill {round}"),
        }
        stage.database().check_integrity().await?;
        for file in self::aside(stage)? {
            fs::remove_file(file)?;
        }
    }
    println!("{whole:?}: {olds} kills left the old one, {news} the new one");
    ensure!(
        olds > 0 && news > 0,
        "kills that all come too early or too late prove nothing"
    );
    host.does(&[&RESTORE[..], &[early.0]].concat()).await?;
    ensure!(parts(stage)?.is_empty());
    Ok(())
}

/// What restores put aside.
fn aside(stage: &Stage) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(stage.directory())?.flatten();
    let is_aside = |path: &PathBuf| path.to_string_lossy().contains("brokkr.db.replaced-");
    Ok(files.map(|file| file.path()).filter(is_aside).collect())
}

async fn a_killed_backup_leaves_none_and_the_next_is_whole(stage: &Stage) -> Result<()> {
    let [(_, _), late] = two_backups(stage).await?;
    let host = host(stage);
    let target = stage.directory().join("target.db");
    let arguments = ["broker", "backup", "--to", "target.db"];
    let mut killed = 0;
    while killed < 10 {
        let to = target.display().to_string();
        let database = stage.database().url();
        let all = ["broker", "backup", "--to", &to, "--database", database];
        let mut backup = Process::brokkr("backup", &all, stage.directory())?;
        let part = stage.directory().join("target.db.part");
        eventually("the backup has begun, or is done", PATIENCE, async || {
            ensure!(part.exists() || target.exists());
            Ok(())
        })
        .await?;
        tokio::time::sleep(millis_up_to(20)).await;
        backup.kill().await?;
        if target.exists() {
            ensure!(revision(&host, &to).await? == late.1 + 1);
            fs::remove_file(&target)?;
        }
        killed += 1;
    }
    host.does(&arguments).await?;
    ensure!(parts(stage)?.is_empty());
    ensure!(revision(&host, "target.db").await? == late.1 + 1);
    Ok(())
}

/// Writes a copy of a backup in which something is not as it was.
fn spoiled(stage: &Stage, name: &str, spoil: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
    let mut bytes = fs::read(stage.directory().join("early.db"))?;
    spoil(&mut bytes);
    Ok(fs::write(stage.directory().join(name), bytes)?)
}

async fn behind_its_back(file: &Path, statement: &str) -> Result<()> {
    use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
    let url = format!("sqlite:{}", file.display());
    let mut connection = SqliteConnection::connect(&url).await?;
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await?;
    Ok(connection.close().await?)
}

/// What a later version leaves, which this one can ignore.
const LATER_STEP: &str = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9999, 'later', 1, x'00', 0)";

async fn what_is_no_whole_backup_is_not_restored(stage: &Stage) -> Result<()> {
    let [early, late] = two_backups(stage).await?;
    let host = host(stage);
    let half = fs::metadata(stage.directory().join("early.db"))?.len() / 2;
    spoiled(stage, "half.db", |bytes| {
        bytes.truncate(usize::try_from(half).unwrap_or(0));
    })?;
    spoiled(stage, "flipped.db", |bytes| {
        let page = bytes.len() / 2 / 4096 * 4096;
        bytes[page..page + 64].fill(0xff);
    })?;
    spoiled(stage, "text.db", |bytes| *bytes = b"no database".to_vec())?;
    spoiled(stage, "empty.db", Vec::clear)?;
    let newer = format!("{LATER_STEP}; update schema_floor set migration = 9999");
    for (name, statement) in [
        (
            "edited.db",
            "drop trigger audit_never_changes; update audit set entry = replace(entry, 'shop', 'shed') where revision = 2",
        ),
        ("ahead.db", LATER_STEP),
        ("newer.db", &newer),
        ("other.db", "drop table _sqlx_migrations"),
    ] {
        spoiled(stage, name, |_| ())?;
        behind_its_back(&stage.directory().join(name), statement).await?;
    }
    spoiled(stage, "used.db", |_| ())?;
    fs::write(stage.directory().join("used.db-wal"), "something")?;

    let without = ["broker", "restore", "--from", early.0];
    let said = host.ends(&without, 1).await?;
    ensure!(said.stderr.contains("--replace"), "{said:?}");
    for (name, why) in [
        ("missing.db", "cannot be copied"),
        ("half.db", "damaged"),
        ("flipped.db", "damaged"),
        ("text.db", "no database"),
        ("empty.db", "no database of a broker"),
        ("edited.db", "the audit is broken at revision"),
        ("newer.db", "newer version"),
        ("other.db", "no database of a broker"),
        ("used.db", "brokkr broker backup"),
    ] {
        let said = host.ends(&[&RESTORE[..], &[name]].concat(), 1).await?;
        ensure!(said.stderr.contains(why), "{name}: {said:?}");
        ensure!(revision(&host, "brokkr.db").await? == late.1 + 1, "{name}");
    }
    ensure!(parts(stage)?.is_empty() && aside(stage)?.is_empty());

    let mut broker = stage.broker("broker").await?;
    let said = host.ends(&[&RESTORE[..], &[early.0]].concat(), 1).await?;
    ensure!(said.stderr.contains("stop it first"), "{said:?}");
    broker.publish("shop", &config_map("a", "still")).await?;
    broker.kill().await?;

    // A database that cannot be opened is put aside with all that lies beside it. The backup's tables are ahead.
    for file in ["brokkr.db", "brokkr.db-wal"] {
        fs::write(
            stage.directory().join(file),
            "no database any more".repeat(1_000),
        )?;
    }
    let said = host.does(&[&RESTORE[..], &["ahead.db"]].concat()).await?;
    ensure!(said.stderr.contains("could not be read"), "{said:?}");
    let endings: Vec<_> = aside(stage)?;
    ensure!(
        endings
            .iter()
            .any(|path| path.to_string_lossy().ends_with("-wal")),
        "{endings:?}"
    );
    ensure!(!stage.directory().join("brokkr.db-wal").exists());
    ensure!(revision(&host, "brokkr.db").await? == early.1);
    tokio::time::timeout(Duration::from_secs(30), stage.broker("broker")).await??;
    Ok(())
}
