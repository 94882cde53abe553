use brokkr_core::wire::{StackOptions, TargetStack};
use brokkr_core::{Digest, Name, ObjectKey, ServiceAccount, StackId};
use sqlx::types::Json;
use uuid::Uuid;

use super::{Tx, Word, number, on};
use crate::error::{Error, Result};

/// The fleet index reads the same columns of one stack and of all.
macro_rules! select_entries {
    ($rest:literal) => {
        concat!(
            "select s.id, s.owner_id, s.name, s.options, s.changed_revision, s.head_id, s.head_sequence,
                    d.digest, d.size, d.default_namespace, d.allow_delete, d.approved_losses,
                    g.service_account as generator_account
             from stacks s left join deployment_objects d on d.id = s.head_id
                  left join generators g on g.id = s.owner_id
             where s.deleted_at is null",
            " ",
            $rest
        )
    };
}

/// What the fleet index holds of a stack.
#[derive(Debug, Clone)]
pub(crate) struct StackEntry {
    pub(crate) id: StackId,
    pub(crate) owner: Uuid,
    pub(crate) changed_revision: u64,
    pub(crate) paused: bool,
    /// What agents that run the stack are told; none before the first publish.
    pub(crate) entry: Option<TargetStack>,
}

#[derive(sqlx::FromRow)]
struct IndexColumns {
    id: Uuid,
    owner_id: Uuid,
    name: Word<Name>,
    options: Json<StackOptions>,
    changed_revision: i64,
    head_id: Option<Uuid>,
    head_sequence: i64,
    digest: Option<Vec<u8>>,
    size: Option<i64>,
    default_namespace: Option<String>,
    allow_delete: Option<Json<Vec<ObjectKey>>>,
    approved_losses: Option<Json<Vec<ObjectKey>>>,
    generator_account: Option<Word<ServiceAccount>>,
}

impl TryFrom<IndexColumns> for StackEntry {
    type Error = Error;

    fn try_from(row: IndexColumns) -> Result<Self> {
        let id = row.id.into();
        let options = row.options.0;
        let generator_account = row.generator_account.map(|account| account.0);
        let entry = match (row.head_id, row.digest) {
            (Some(head), Some(digest)) => Some(TargetStack {
                stack: id,
                name: row.name.0,
                deployment_object: head.into(),
                sequence: number(row.head_sequence),
                digest: Digest::try_from(digest).map_err(Error::internal)?,
                size: row.size.map_or(0, number),
                default_namespace: row.default_namespace,
                create_namespace: options.create_namespace,
                allow_delete: row.allow_delete.map_or_else(Vec::new, |keys| keys.0),
                requires: Vec::new(),
                approved_losses: row.approved_losses.map_or_else(Vec::new, |keys| keys.0),
                released: Vec::new(),
                adopt: options.adopt,
                drift: options.drift,
                paused: options.paused,
                ignores_windows: options.ignore_windows,
                service_account: options.service_account.or(generator_account),
            }),
            _ => None,
        };
        Ok(Self {
            id,
            owner: row.owner_id,
            changed_revision: number(row.changed_revision),
            paused: options.paused,
            entry,
        })
    }
}

/// A stack for the fleet index; none if it was deleted.
pub(crate) async fn find(id: StackId, tx: &mut Tx) -> Result<Option<StackEntry>> {
    let row: Option<IndexColumns> = on!(tx, |c| sqlx::query_as(select_entries!("and s.id = $1"))
        .bind(id.uuid())
        .fetch_optional(c)
        .await)?;
    row.map(StackEntry::try_from).transpose()
}

/// Every stack for the fleet index.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<StackEntry>> {
    let rows: Vec<IndexColumns> = on!(tx, |c| sqlx::query_as(select_entries!(""))
        .fetch_all(c)
        .await)?;
    rows.into_iter().map(StackEntry::try_from).collect()
}
