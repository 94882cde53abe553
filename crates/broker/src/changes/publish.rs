use brokkr_core::name::Reference;
use brokkr_core::wire::{AuditAction, DeploymentObject, PublishOptions, Published};
use brokkr_core::{DeploymentObjectId, Digest, KeptKind, ObjectKey, StackId};

use serde_json::{Value, json};
use uuid::Uuid;

use super::losses::forget_what_is_back;
use super::quota;
use super::stacks::named;
use crate::error::{Error, Result};
use crate::idempotency::Repeatable;
use crate::scope::Scope;
use crate::snapshot::{Losses, Snapshot, dropped};
use crate::store::changes::Touched;
use crate::store::deployment_objects::{self, DeploymentObjectRow};
use crate::store::stacks::{self, Decisions, StackRow};
use crate::store::{agent_targets, contents};
use crate::writer::{Change, Mutation, SMALL};

/// Publishes a snapshot as the stack's new head.
pub(crate) struct PublishSnapshot {
    pub(crate) scope: Scope,
    pub(crate) stack: Reference,
    pub(crate) snapshot: Snapshot,
    pub(crate) options: PublishOptions,
}

/// What became of a publish.
pub(crate) enum PublishOutcome {
    Published(Published),
    /// The stack's default namespace changed since the snapshot was read for it: read it again.
    NamespaceChanged,
}

impl Mutation for PublishSnapshot {
    type Output = PublishOutcome;

    fn weight(&self) -> usize {
        SMALL + self.snapshot.weight()
    }

    async fn apply(&self, change: &mut Change) -> Result<PublishOutcome> {
        let stack = stacks::find(&self.stack, &self.scope, &mut change.tx).await?;
        let snapshot = &self.snapshot;
        if stack.stack.options.default_namespace != snapshot.default_namespace {
            change.unchanged();
            return Ok(PublishOutcome::NamespaceChanged);
        }
        let added = contents::insert(
            stack.owner,
            &snapshot.digest,
            &snapshot.compressed,
            &snapshot.objects,
            &mut change.tx,
        )
        .await?;
        let content = Content {
            digest: snapshot.digest,
            size: snapshot.size,
            added,
            objects: &snapshot.objects,
            default_namespace: snapshot.default_namespace.clone(),
        };
        let publish = AuditAction::StackPublish;
        advance(&stack, content, &self.options, &self.scope, publish, change)
            .await
            .map(PublishOutcome::Published)
    }
}

/// Publishes an older snapshot's content again.
pub(crate) struct RollBack {
    pub(crate) scope: Scope,
    pub(crate) stack: Reference,
    pub(crate) to: u64,
    pub(crate) options: PublishOptions,
}

impl Mutation for RollBack {
    type Output = Published;

    async fn apply(&self, change: &mut Change) -> Result<Published> {
        let stack = stacks::find(&self.stack, &self.scope, &mut change.tx).await?;
        let (older, objects) =
            deployment_objects::with_objects(stack.stack.id, self.to, &mut change.tx).await?;
        let content = Content {
            digest: older.object.digest,
            size: older.object.size,
            added: 0,
            objects: &objects,
            default_namespace: older.object.default_namespace,
        };
        let mut options = self.options.clone();
        options
            .message
            .get_or_insert_with(|| format!("rollback to {}", self.to));
        let rollback = AuditAction::StackRollback;
        advance(&stack, content, &options, &self.scope, rollback, change).await
    }
}

/// A content that lies in the store.
struct Content<'a> {
    digest: Digest,
    size: u64,
    /// How many bytes it added to the store.
    added: u64,
    objects: &'a [ObjectKey],
    default_namespace: Option<String>,
}

/// Makes a content the stack's head, unless it is already.
async fn advance(
    stack: &StackRow,
    content: Content<'_>,
    options: &PublishOptions,
    scope: &Scope,
    action: AuditAction,
    change: &mut Change,
) -> Result<Published> {
    let StackRow { stack, owner, .. } = stack;
    let found = stack.head.as_ref().map_or(0, |head| head.sequence);
    if let Some(expected) = options.expect_sequence
        && expected != found
    {
        return Err(Error::SequenceMismatch { expected, found });
    }
    let head = match found {
        0 => None,
        sequence => {
            Some(deployment_objects::with_objects(stack.id, sequence, &mut change.tx).await?)
        }
    };
    let losses = match head {
        None => Losses::default(),
        Some((head, _)) if head.object.digest == content.digest => {
            change.unchanged();
            return Ok(Published {
                deployment_object: head.object,
                unchanged: true,
            });
        }
        Some((head, before)) => {
            let carried = Losses {
                of_kept_kinds: head.allow_delete,
                approved: head.approved_losses,
            };
            let dropped = dropped(&before, content.objects);
            if change.is_planned || change.approval.is_some() {
                let agents = agent_targets::count(stack.id, &mut change.tx).await?;
                change.planning.drops(stack.id, &dropped, agents);
                change.planning.deletes(&options.allow_delete);
            }
            let is_approved = change.approval.is_some();
            carried.after(
                &dropped,
                content.objects,
                &options.allow_delete,
                is_approved,
            )
        }
    };
    quota::of_publish(*owner, scope, content.added, change).await?;
    let row = DeploymentObjectRow {
        object: DeploymentObject {
            id: DeploymentObjectId::generate(&*change.ambient),
            stack: stack.id,
            sequence: found + 1,
            digest: content.digest,
            size: content.size,
            objects: u32::try_from(content.objects.len()).unwrap_or(u32::MAX),
            default_namespace: content.default_namespace,
            author: scope.author(),
            message: options.message.clone(),
            created_at: change.now,
        },
        owner: *owner,
        allow_delete: losses.of_kept_kinds,
        approved_losses: losses.approved,
    };
    deployment_objects::insert(&row, &mut change.tx).await?;
    let decisions = stacks::set_head(
        stack.id,
        row.object.id,
        row.object.sequence,
        change.revision,
        &mut change.tx,
    )
    .await?;
    change.touch(Touched::Stack(stack.id));
    if decisions == Decisions::Some {
        forget_what_is_back(stack.id, content.objects, change).await?;
    }
    change.audit(action, named(stack), None::<&()>, Some(&row.object))?;
    Ok(Published {
        deployment_object: row.object,
        unchanged: false,
    })
}

impl Repeatable for PublishSnapshot {
    const KIND: &'static str = "publish";

    fn asked(&self) -> Result<Value> {
        let content = (self.snapshot.digest, &self.snapshot.default_namespace);
        Ok(json!([self.stack, content, self.options]))
    }

    fn made(outcome: &PublishOutcome) -> Option<Uuid> {
        match outcome {
            PublishOutcome::Published(published) => made(published),
            PublishOutcome::NamespaceChanged => None,
        }
    }

    async fn again(&self, made: Uuid, change: &mut Change) -> Result<PublishOutcome> {
        let published = published(made, &self.scope, change).await?;
        Ok(PublishOutcome::Published(published))
    }
}

impl Repeatable for RollBack {
    const KIND: &'static str = "roll back";

    fn asked(&self) -> Result<Value> {
        Ok(json!([self.stack, self.to, self.options]))
    }

    fn made(output: &Published) -> Option<Uuid> {
        made(output)
    }

    async fn again(&self, made: Uuid, change: &mut Change) -> Result<Published> {
        published(made, &self.scope, change).await
    }
}

fn made(published: &Published) -> Option<Uuid> {
    let id = published.deployment_object.id.uuid();
    (!published.unchanged).then_some(id)
}

async fn published(id: Uuid, scope: &Scope, change: &mut Change) -> Result<Published> {
    let row = deployment_objects::find(id.into(), scope, &mut change.tx).await?;
    Ok(Published {
        deployment_object: row.object,
        unchanged: false,
    })
}

/// The losses that a content would carry as a stack's next head, if nobody agreed to those that it makes itself.
pub(super) async fn losses(
    stack: StackId,
    sequence: u64,
    objects: &[ObjectKey],
    allow_delete: &[KeptKind],
    change: &mut Change,
) -> Result<Losses> {
    if sequence == 0 {
        return Ok(Losses::default());
    }
    let (head, before) = deployment_objects::with_objects(stack, sequence, &mut change.tx).await?;
    let carried = Losses {
        of_kept_kinds: head.allow_delete,
        approved: head.approved_losses,
    };
    let dropped = dropped(&before, objects);
    Ok(carried.after(&dropped, objects, allow_delete, false))
}
