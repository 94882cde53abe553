use std::sync::Arc;

use axum::extract::State;
use brokkr_core::KeyId;
use brokkr_core::name::Reference;
use brokkr_core::pak::Role;
use brokkr_core::wire::{CreateKey, CreatedKey, Key, Page, RotateKey, RotatedKey};
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::Broker;
use crate::changes::keys::{self as changes, RevokeKey, Rotated, RotatedBy};
use crate::error::{Error, Result};
use crate::extract::{IdempotencyKey, Json, Path, Query};
use crate::idempotency::Once;
use crate::page::PageQuery;
use crate::rights::Keyholder;
use crate::scope::{Caller, Scope};
use crate::store::keys::{self, Filter, Key as Row};
use crate::store::{Tx, agents, generators};

/// Which keys to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KeyQuery {
    /// Of this agent: id or name.
    #[param(value_type = Option<String>)]
    agent: Option<Reference>,
    /// Of this generator: id or name.
    #[param(value_type = Option<String>)]
    generator: Option<Reference>,
    /// Of this role.
    role: Option<Role>,
    /// At most so many rows: 1 to 500, 100 if absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

impl KeyQuery {
    async fn filter(&self, holder: Keyholder, tx: &mut Tx) -> Result<Filter> {
        let owner = match (&self.agent, &self.generator) {
            (Some(_), Some(_)) => {
                let reason = "a key is an agent's or a generator's: leave one of them out";
                return Err(Error::invalid("/generator", reason));
            }
            (Some(agent), None) => {
                let found = agents::find(agent, &Scope::All, tx).await?.id.uuid();
                Some(holder.narrow(found, "agent")?)
            }
            (None, Some(generator)) => {
                let found = generators::find(generator, tx).await?.id.uuid();
                Some(holder.narrow(found, "generator")?)
            }
            (None, None) => holder.only(),
        };
        Ok(Filter {
            owner,
            role: self.role,
        })
    }
}

impl Keyholder {
    const fn only(self) -> Option<Uuid> {
        match self {
            Self::Anybody => None,
            Self::Only(own) => Some(own),
        }
    }

    /// An owner whose keys the caller may look at; another one does not exist for it.
    fn narrow(self, owner: Uuid, kind: &'static str) -> Result<Uuid> {
        match self.only() {
            Some(own) if own != owner => Err(Error::NotFound(kind)),
            _ => Ok(owner),
        }
    }
}

/// Lists keys that nobody has ended, an admin all, everyone else its own. What opens with them is in no answer.
#[utoipa::path(get, path = "/keys", tag = "keys", params(KeyQuery),
    responses((status = 200, body = Page<Key>)))]
pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    holder: Keyholder,
    Query(query): Query<KeyQuery>,
) -> Result<Json<Page<Key>>> {
    let mut page = PageQuery {
        limit: query.limit,
        cursor: query.cursor.clone(),
    }
    .page_by_id()?;
    let mut tx = broker.db.read().await?;
    let filter = query.filter(holder, &mut tx).await?;
    while let Some(window) = page.wanted() {
        let rows = keys::list(&filter, window, &mut tx).await?;
        page.add(rows.into_iter().map(|row| (row.id.uuid(), broker.key(row))));
    }
    Ok(Json(page.page()))
}

/// Makes another key for an admin, an agent or a generator. The answer holds it, and is the only one that does.
#[utoipa::path(post, path = "/keys", tag = "keys", request_body = CreateKey,
    params(IdempotencyKey), responses((status = 201, body = CreatedKey)))]
pub(super) async fn create(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    IdempotencyKey(once): IdempotencyKey,
    Json(create): Json<CreateKey>,
) -> Result<(StatusCode, Json<CreatedKey>)> {
    let once = Once {
        key: once,
        mutation: create,
    };
    let (key, pak) = broker.change(caller.actor(), once).await?;
    let created = CreatedKey {
        key: broker.key(key),
        pak: pak.expose().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Shows a key, whatever has become of it.
#[utoipa::path(get, path = "/keys/{key}", tag = "keys",
    params(("key" = String, Path, description = "Id")), responses((status = 200, body = Key)))]
pub(super) async fn get(
    State(broker): State<Arc<Broker>>,
    holder: Keyholder,
    Path(key): Path<KeyId>,
) -> Result<Json<Key>> {
    let found = keys::find(key, &mut broker.db.read().await?).await?;
    let is_visible = |row: &Row| match holder.only() {
        Some(own) => row.owner == Some(own),
        None => true,
    };
    let row = found.filter(is_visible).ok_or(Error::NotFound("key"))?;
    Ok(Json(broker.key(row)))
}

/// Ends a key at once, here and at every replica. The last good one of an admin stays.
#[utoipa::path(delete, path = "/keys/{key}", tag = "keys",
    params(("key" = String, Path, description = "Id")), responses((status = 204)))]
pub(super) async fn revoke(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    Path(key): Path<KeyId>,
) -> Result<StatusCode> {
    broker.change(caller.actor(), RevokeKey(key)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts a new key in the place of any. The answer holds it, and is the only one that does.
///
/// The old key ends when the new one is used first, or with `overlap` so long after this. If it was rotated
/// before and nobody used the key of that rotation, this one takes that key's place.
#[utoipa::path(post, path = "/keys/{key}/rotate", tag = "keys", request_body = Option<RotateKey>,
    params(("key" = String, Path, description = "Id")), responses((status = 201, body = RotatedKey)))]
pub(super) async fn rotate(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    Path(key): Path<KeyId>,
    rotate: Option<Json<RotateKey>>,
) -> Result<(StatusCode, Json<RotatedKey>)> {
    let RotateKey { overlap } = rotate.map(|Json(rotate)| rotate).unwrap_or_default();
    let rotate = changes::RotateKey {
        key,
        by: RotatedBy::Admin,
        overlap,
    };
    let rotated = broker.change(caller.actor(), rotate).await?;
    Ok((StatusCode::CREATED, Json(broker.rotated(rotated))))
}

impl Broker {
    /// A key with what is known of its use here and in the database.
    fn key(&self, row: Row) -> Key {
        Key {
            id: row.id,
            role: row.role,
            owner: row.owner,
            owner_name: row.owner_name,
            name: row.name,
            state: row.life.state(self.ambient.now()),
            created_at: row.created_at,
            ends_at: row.life.ends_at().filter(|_| row.life.revoked_at.is_none()),
            expires_in: row.life.expiry.seconds(),
            last_used_at: row.last_used_at.max(self.fleet.last_use(row.id)),
            replaces: row.predecessor,
            revoked_at: row.life.revoked_at,
        }
    }

    /// What the holder of a new key is told.
    pub(super) fn rotated(&self, Rotated { pak, new, old }: Rotated) -> RotatedKey {
        RotatedKey {
            key: self.key(new),
            pak: pak.expose().to_owned(),
            old: self.key(old),
        }
    }
}
