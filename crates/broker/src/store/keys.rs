use brokkr_core::pak::{Pak, PakHash, Role};
use brokkr_core::{KeyId, Name};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde::{Deserialize, Serialize};
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::rows::{BringRows as _, in_turn, pieces};
use super::{Tx, Word, forget_before, number, on, sql};
use crate::error::{Error, Result};
use crate::page::Window;
use crate::rotation::{Expiry, Life, Stage, Succession};

/// Every question about keys reads the same columns.
macro_rules! select_keys {
    ($rest:literal) => {
        concat!(
            "select k.id, k.role, k.owner_id, coalesce(a.name, g.name) as owner_name, k.name, k.hash,
                    k.created_at, k.expires_at, k.expires_in, k.stage, k.stage_until, k.predecessor_id,
                    k.predecessor_until, k.last_used_at, k.revoked_at
             from keys k left join agents a on a.id = k.owner_id left join generators g on g.id = k.owner_id ",
            $rest
        )
    };
}

/// A key as the database keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: KeyId,
    pub(crate) role: Role,
    /// The agent or generator that it belongs to; none for an admin.
    pub(crate) owner: Option<Uuid>,
    pub(crate) owner_name: Option<Name>,
    pub(crate) name: Name,
    pub(crate) hash: PakHash,
    pub(crate) created_at: Timestamp,
    pub(crate) life: Life,
    pub(crate) predecessor: Option<KeyId>,
    pub(crate) last_used_at: Option<Timestamp>,
}

/// What there is to say of a new key beside the key.
pub(crate) struct NewKey<'a> {
    pub(crate) role: Role,
    pub(crate) owner: Option<Uuid>,
    pub(crate) name: &'a Name,
    pub(crate) expiry: Expiry,
    pub(crate) stage: Stage,
}

/// Which keys to list; absent fields do not restrict.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) owner: Option<Uuid>,
    pub(crate) role: Option<Role>,
}

/// A [`Stage`] without its times, as the database calls it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StageWord {
    Standing,
    Unused,
    Replaced,
}

/// A [`Stage`] as columns.
struct StageColumns {
    word: StageWord,
    until: Option<Timestamp>,
    predecessor: Option<Uuid>,
    predecessor_until: Option<Timestamp>,
}

impl From<Stage> for StageColumns {
    fn from(stage: Stage) -> Self {
        let (word, until, succession) = match stage {
            Stage::Standing => (StageWord::Standing, None, None),
            Stage::Unused(succession) => {
                (StageWord::Unused, Some(succession.until), Some(succession))
            }
            Stage::Replaced { until } => (StageWord::Replaced, Some(until), None),
        };
        Self {
            word,
            until,
            predecessor: succession.map(|succession| succession.predecessor.uuid()),
            predecessor_until: succession.and_then(|succession| succession.predecessor_until),
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    role: Word<Role>,
    owner_id: Option<Uuid>,
    owner_name: Option<Word<Name>>,
    name: Word<Name>,
    hash: Vec<u8>,
    created_at: jiff_sqlx::Timestamp,
    expires_at: Option<jiff_sqlx::Timestamp>,
    expires_in: Option<i64>,
    stage: Word<StageWord>,
    stage_until: Option<jiff_sqlx::Timestamp>,
    predecessor_id: Option<Uuid>,
    predecessor_until: Option<jiff_sqlx::Timestamp>,
    last_used_at: Option<jiff_sqlx::Timestamp>,
    revoked_at: Option<jiff_sqlx::Timestamp>,
}

impl Row {
    fn expiry(&self) -> Expiry {
        match (
            self.expires_at.map(jiff_sqlx::Timestamp::to_jiff),
            self.expires_in,
        ) {
            (None, _) => Expiry::Never,
            (Some(at), None) => Expiry::On(at),
            (Some(at), Some(seconds)) => Expiry::Within {
                seconds: number(seconds),
                at,
            },
        }
    }

    fn stage(&self) -> Result<Stage> {
        let until = self.stage_until.map(jiff_sqlx::Timestamp::to_jiff);
        Ok(match (self.stage.0, until, self.predecessor_id) {
            (StageWord::Standing, ..) => Stage::Standing,
            (StageWord::Replaced, Some(until), _) => Stage::Replaced { until },
            (StageWord::Unused, Some(until), Some(predecessor)) => Stage::Unused(Succession {
                predecessor: predecessor.into(),
                predecessor_until: self.predecessor_until.map(jiff_sqlx::Timestamp::to_jiff),
                until,
            }),
            _ => return Err(corrupt("a stage without its time")),
        })
    }
}

fn corrupt(what: &'static str) -> Error {
    Error::internal(anyhow::anyhow!("a key has {what}"))
}

impl TryFrom<Row> for Key {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let life = Life {
            expiry: row.expiry(),
            stage: row.stage()?,
            revoked_at: row.revoked_at.map(jiff_sqlx::Timestamp::to_jiff),
        };
        let hash: [u8; 32] = row
            .hash
            .try_into()
            .map_err(|_| corrupt("a hash of a wrong length"))?;
        Ok(Self {
            id: row.id.into(),
            role: row.role.0,
            owner: row.owner_id,
            owner_name: row.owner_name.map(|name| name.0),
            name: row.name.0,
            hash: hash.into(),
            created_at: row.created_at.to_jiff(),
            life,
            predecessor: row.predecessor_id.map(KeyId::from),
            last_used_at: row.last_used_at.map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}

pub(crate) async fn insert(pak: &Pak, key: &NewKey<'_>, now: Timestamp, tx: &mut Tx) -> Result<()> {
    let stage = StageColumns::from(key.stage);
    let expires_in = key.expiry.seconds().map(sql);
    on!(tx, |c| sqlx::query(
        "insert into keys (id, role, owner_id, name, hash, created_at, expires_at, expires_in,
                           stage, stage_until, predecessor_id, predecessor_until)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    )
    .bind(pak.id().uuid())
    .bind(Word(key.role))
    .bind(key.owner)
    .bind(key.name.as_str())
    .bind(pak.hash().as_bytes().as_slice())
    .bind(now.to_sqlx())
    .bind(key.expiry.at().map(ToSqlx::to_sqlx))
    .bind(expires_in)
    .bind(Word(stage.word))
    .bind(stage.until.map(ToSqlx::to_sqlx))
    .bind(stage.predecessor)
    .bind(stage.predecessor_until.map(ToSqlx::to_sqlx))
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Moves a key that has not been ended to another stage. What it replaces stays on record.
pub(crate) async fn set_stage(id: KeyId, stage: Stage, tx: &mut Tx) -> Result<()> {
    let stage = StageColumns::from(stage);
    on!(tx, |c| {
        sqlx::query(
        "update keys set stage = $2, stage_until = $3, predecessor_id = coalesce($4, predecessor_id)
         where id = $1 and revoked_at is null"
    )
    .bind(id.uuid())
    .bind(Word(stage.word))
    .bind(stage.until.map(ToSqlx::to_sqlx))
    .bind(stage.predecessor)
    .execute(c)
    .await
    .map(drop)
    })?;
    Ok(())
}

/// Ends a key.
pub(crate) async fn revoke(id: KeyId, now: Timestamp, tx: &mut Tx) -> Result<()> {
    on!(tx, |c| sqlx::query(
        "update keys set revoked_at = $2 where id = $1 and revoked_at is null"
    )
    .bind(id.uuid())
    .bind(now.to_sqlx())
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

/// Ends all keys of an agent or a generator, and names them.
pub(crate) async fn revoke_all_of(owner: Uuid, now: Timestamp, tx: &mut Tx) -> Result<Vec<KeyId>> {
    let rows: Vec<(Uuid,)> = on!(tx, |c| {
        sqlx::query_as(
        "update keys set revoked_at = $2 where owner_id = $1 and revoked_at is null returning id"
    )
    .bind(owner)
    .bind(now.to_sqlx())
    .fetch_all(c)
    .await
    })?;
    Ok(rows.into_iter().map(|(id,)| id.into()).collect())
}

/// A key, whatever has become of it.
pub(crate) async fn find(id: KeyId, tx: &mut Tx) -> Result<Option<Key>> {
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(select_keys!("where k.id = $1"))
        .bind(id.uuid())
        .fetch_optional(c)
        .await)?;
    row.map(Key::try_from).transpose()
}

/// The keys that nobody has ended, though their time may be over.
pub(crate) async fn list(filter: &Filter, window: Window<Uuid>, tx: &mut Tx) -> Result<Vec<Key>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select_keys!(
        "where k.revoked_at is null and k.id > $1 and ($2 is null or k.owner_id = $2)
           and ($3 is null or k.role = $3)
         order by k.id limit $4"
    ))
    .bind(window.beyond)
    .bind(filter.owner)
    .bind(filter.role.map(Word))
    .bind(window.rows())
    .fetch_all(c)
    .await)?;
    rows.into_iter().map(Key::try_from).collect()
}

/// Every key that nobody has ended.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Key>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select_keys!(
        "where k.revoked_at is null"
    ))
    .fetch_all(c)
    .await)?;
    rows.into_iter().map(Key::try_from).collect()
}

/// The key that was put in the place of this one and was not used yet.
pub(crate) async fn unused_successor(id: KeyId, tx: &mut Tx) -> Result<Option<KeyId>> {
    let row: Option<(Uuid,)> = on!(tx, |c| {
        sqlx::query_as(
        "select id from keys where predecessor_id = $1 and stage = 'unused' and revoked_at is null"
    )
    .bind(id.uuid())
    .fetch_optional(c)
    .await
    })?;
    Ok(row.map(|(id,)| id.into()))
}

/// The keys of an agent or a generator, or without an owner the admins', that nobody has ended.
pub(crate) async fn of(role: Role, owner: Option<Uuid>, tx: &mut Tx) -> Result<Vec<Key>> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select_keys!(
        "where k.role = $1 and ($2 is null or k.owner_id = $2) and k.revoked_at is null"
    ))
    .bind(Word(role))
    .bind(owner)
    .fetch_all(c)
    .await)?;
    rows.into_iter().map(Key::try_from).collect()
}

/// Whether this database ever had an admin's key.
pub(crate) async fn any_admin(tx: &mut Tx) -> Result<bool> {
    let row: Option<(Uuid,)> = on!(tx, |c| sqlx::query_as(
        "select id from keys where role = 'admin' limit 1"
    )
    .fetch_optional(c)
    .await)?;
    Ok(row.is_some())
}

/// Keeps when keys were used last; an older use than is known changes nothing.
pub(crate) async fn record_uses(uses: &[(KeyId, Timestamp)], tx: &mut Tx) -> Result<()> {
    let _: Vec<()> = on!(tx, |c| {
        let statements = pieces(uses).map(|piece| {
            let mut query = QueryBuilder::new("with used (id, at) as (");
            query.bring(piece.iter().map(|(key, at)| (key.uuid(), at.to_sqlx())));
            query.push(
                ") update keys set last_used_at = used.at from used
                 where keys.id = used.id and (last_used_at is null or last_used_at < used.at)",
            );
            query
        });
        in_turn(statements, c).await
    })?;
    Ok(())
}

/// The keys that ended before a time, the first ones to end. A key that was never used needs the one that it was to replace as
/// long as it is there. The newest of the admins' stays: by it the broker knows that it was administered before, and takes no
/// first key any more.
macro_rules! long_ended {
    ($statement:literal) => {
        concat!(
            $statement,
            " in (
                 select k.id from keys k where k.revoked_at < $1
                   and not exists (select 1 from keys u where u.predecessor_id = k.id and u.stage = 'unused')
                   and (k.role <> 'admin' or k.id <> (select id from keys where role = 'admin' order by id desc limit 1))
                 order by k.revoked_at, k.id limit $2
             )"
        )
    };
}

/// Forgets keys that ended before a time: at most so many of them. Answers how many.
pub(crate) async fn forget(before: Timestamp, rows: i64, tx: &mut Tx) -> Result<u64> {
    let successors = long_ended!("update keys set predecessor_id = null where predecessor_id");
    forget_before(before, rows, successors, tx).await?;
    let keys = long_ended!("delete from keys where id");
    forget_before(before, rows, keys, tx).await
}
