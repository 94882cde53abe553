//! What a loss of power left, and whether all is in it that was acknowledged.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use brokkr_core::id::{DeploymentObjectId, EventId, StackId};
use brokkr_core::wire::{DeploymentObject, RecordedEvent};
use brokkr_core::{Digest, Reference};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Raw, unique};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

use super::writers::{Note, Written};

const MAX_BYTES: usize = 1024 * 1024;

/// A folder with what was left.
pub struct Image {
    folder: TempDir,
    /// Contents that were found to be what their digests say, compressed.
    good: HashMap<Digest, Vec<u8>>,
}

impl Image {
    pub fn empty() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("brokkr-loss.").tempdir()?;
        Ok(Self {
            folder,
            good: HashMap::new(),
        })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn database(&self) -> String {
        format!("sqlite:{}", self.folder().join("brokkr.db").display())
    }

    /// Puts copies of the files of a folder into the place of what is there.
    pub fn copies(&self, folder: &Path) -> Result<()> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            files.insert(name, std::fs::read(entry.path())?);
        }
        self.becomes(&files)
    }

    /// Puts these files into the place of what is there.
    pub fn becomes(&self, files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
        for entry in std::fs::read_dir(self.folder())? {
            std::fs::remove_file(entry?.path())?;
        }
        for (name, content) in files {
            std::fs::write(self.folder().join(name), content)?;
        }
        Ok(())
    }

    /// Proves that the database is whole, and has what is due.
    pub async fn has(&mut self, due: &[&Note]) -> Result<()> {
        let mut database = SqliteConnectOptions::new()
            .filename(self.folder().join("brokkr.db"))
            .create_if_missing(true)
            .synchronous(SqliteSynchronous::Off)
            .connect()
            .await?;
        let verdict: String = sqlx::query_scalar("pragma integrity_check")
            .fetch_one(&mut database)
            .await?;
        ensure!(verdict == "ok", "PRAGMA integrity_check: {verdict}");
        let is_begun: bool = sqlx::query_scalar(
            "select count(*) > 0 from sqlite_schema where name = 'agent_events'",
        )
        .fetch_one(&mut database)
        .await?;
        ensure!(
            is_begun || due.is_empty(),
            "it has no tables, and {} writes were acknowledged",
            due.len()
        );
        if is_begun {
            check_history(&mut database).await?;
            let snapshots = self.snapshots(&mut database).await?;
            let events: Vec<Uuid> = sqlx::query_scalar("select id from agent_events")
                .fetch_all(&mut database)
                .await?;
            has_all(due, &snapshots, events.into_iter().map(EventId::from))?;
        }
        Ok(database.close().await?)
    }

    /// The whole history of each stack.
    async fn snapshots(
        &mut self,
        database: &mut SqliteConnection,
    ) -> Result<HashMap<DeploymentObjectId, Snapshot>> {
        let rows: Vec<Row> = sqlx::query_as(
            "select d.id, d.stack_id, d.sequence, d.digest, c.body from deployment_objects d
             left join contents c on c.owner_id = d.owner_id and c.digest = d.digest
             order by d.sequence",
        )
        .fetch_all(database)
        .await?;
        let mut found = HashMap::new();
        let mut heads: HashMap<StackId, u64> = HashMap::new();
        for (id, stack, sequence, digest, body) in rows {
            let (stack, digest) = (StackId::from(stack), Digest::try_from(digest)?);
            let head = heads.entry(stack).or_default();
            *head += 1;
            ensure!(u64::try_from(sequence)? == *head, "{stack} has no {head}");
            self.is_good(
                digest,
                body.with_context(|| format!("no content {digest}"))?,
            )?;
            found.insert(id.into(), (stack, *head, digest));
        }
        Ok(found)
    }

    fn is_good(&mut self, digest: Digest, body: Vec<u8>) -> Result<()> {
        if self.good.get(&digest) != Some(&body) {
            let text = String::from_utf8(zstd::bulk::decompress(&body, MAX_BYTES)?)?;
            ensure!(
                Digest::of(None, &text) == digest,
                "another content for {digest}"
            );
            self.good.insert(digest, body);
        }
        Ok(())
    }
}

/// Its id, stack, sequence, digest, and its content if that is there.
type Row = (Uuid, Uuid, i64, Vec<u8>, Option<Vec<u8>>);

/// Where a snapshot is, and of what content.
type Snapshot = (StackId, u64, Digest);

fn key(object: &DeploymentObject) -> Snapshot {
    (object.stack, object.sequence, object.digest)
}

/// Every revision has its lineage and its entry in the audit.
async fn check_history(database: &mut SqliteConnection) -> Result<()> {
    let counts: Option<(i64, i64, i64, i64, i64)> = sqlx::query_as(
        "select revision, (select count(*) from lineage), (select coalesce(max(revision), 0) from lineage),
           (select count(*) from audit), (select coalesce(max(revision), 0) from audit) from broker",
    )
    .fetch_optional(database)
    .await?;
    let Some((revision, lineages, last_lineage, entries, last_entry)) = counts else {
        return Ok(());
    };
    let all = [lineages, last_lineage, entries, last_entry];
    ensure!(
        all.iter().all(|count| *count == revision),
        "revision {revision}, but {all:?}"
    );
    Ok(())
}

fn has_all(
    due: &[&Note],
    snapshots: &HashMap<DeploymentObjectId, Snapshot>,
    events: impl Iterator<Item = EventId>,
) -> Result<()> {
    let events: HashSet<_> = events.collect();
    for note in due {
        match &note.what {
            Written::Snapshot(object) => {
                ensure!(
                    snapshots.get(&object.id) == Some(&key(object)),
                    "lost: {object:?}"
                );
            }
            Written::Events(ids) => {
                let lost = ids.iter().filter(|id| !events.contains(id)).count();
                ensure!(lost == 0, "{lost} of {} events are lost", ids.len());
            }
        }
    }
    Ok(())
}

/// Proves that a broker serves what is due, and takes more.
pub async fn serves(broker: &Broker, due: &[&Note]) -> Result<()> {
    let raw = Raw::admin(broker)?;
    let mut snapshots = HashMap::new();
    for stack in broker.admin().stacks().await? {
        let reference = Reference::Id(stack.id.uuid());
        let history = broker.admin().history(&reference).await?;
        for object in &history {
            let text = broker.admin().manifests(object.id).await?;
            ensure!(Digest::of(None, &text) == object.digest, "{object:?}");
        }
        let next = broker
            .publish(&stack.name.to_string(), &config_map("a", &unique()))
            .await?;
        let next = next.deployment_object.sequence;
        ensure!(
            next == history.len() as u64 + 1,
            "the next of {} is {next}",
            history.len()
        );
        snapshots.extend(history.iter().map(|object| (object.id, key(object))));
    }
    let events: Vec<RecordedEvent> = raw.list("/events").await?;
    has_all(
        due,
        &snapshots,
        events.into_iter().map(|recorded| recorded.event.id),
    )
}
