use brokkr_core::manifest::is_dns_label;
use brokkr_core::name::Reference;
use brokkr_core::targeting::Targeting;
use brokkr_core::wire::{
    AuditAction, CreateStack, OnRemove, PatchStack, PatchTargeting, Stack, StackOptions,
};
use brokkr_core::{KeptKind, StackId};

use serde_json::{Value, json};
use uuid::Uuid;

use super::quota;
use super::targeting::{end, mark, settle_stack};
use crate::error::{Error, Result};
use crate::extract::IfMatch;
use crate::idempotency::Repeatable;
use crate::scope::Scope;
use crate::store::agent_targets::{self, Ending, OpenTarget};
use crate::store::anchors;
use crate::store::changes::Touched;
use crate::store::held_facts::{self, RuleDigest};
use crate::store::stacks::{self, StackRow};
use crate::writer::{Change, Mutation};

/// Creates a stack of the caller's own.
pub(crate) struct CreateOwnStack {
    pub(crate) scope: Scope,
    pub(crate) create: CreateStack,
}

impl Mutation for CreateOwnStack {
    type Output = Stack;

    async fn apply(&self, change: &mut Change) -> Result<Stack> {
        let create = self.create.clone();
        check(&create.options)?;
        check_rights(&self.scope, &StackOptions::default(), &create.options)?;
        quota::of_stacks(&self.scope, change).await?;
        let stack = Stack {
            id: StackId::generate(&*change.ambient),
            name: create.name,
            revision: change.revision,
            generator: self.scope.generator().cloned(),
            labels: create.labels,
            annotations: create.annotations,
            targeting: create.targeting,
            options: create.options,
            generator_account: None,
            head: None,
            created_at: change.now,
            deleted_at: None,
        };
        stacks::insert(&stack, self.scope.owner(), &mut change.tx).await?;
        change.touch(Touched::Stack(stack.id));
        let row = found_again(stack.id, change).await?;
        settle_stack(&row, change).await?;
        let stack = row.stack;
        change.audit(
            AuditAction::StackCreate,
            named(&stack),
            None::<&()>,
            Some(&stack),
        )?;
        Ok(stack)
    }
}

async fn found_again(id: StackId, change: &mut Change) -> Result<StackRow> {
    stacks::find(&Reference::Id(id.uuid()), &Scope::All, &mut change.tx).await
}

/// Changes a stack, and with its labels and targeting who runs it.
pub(crate) struct ChangeStack {
    pub(crate) scope: Scope,
    pub(crate) stack: Reference,
    pub(crate) expected: IfMatch,
    pub(crate) patch: PatchStack,
}

impl Mutation for ChangeStack {
    type Output = Stack;

    async fn apply(&self, change: &mut Change) -> Result<Stack> {
        let before = stacks::find(&self.stack, &self.scope, &mut change.tx).await?;
        self.expected.check(before.stack.revision)?;
        let mut stack = patched(before.stack.clone(), self.patch.clone())?;
        check(&stack.options)?;
        check_rights(&self.scope, &before.stack.options, &stack.options)?;
        if stack == before.stack {
            change.unchanged();
            return Ok(stack);
        }
        stack.revision = change.revision;
        stacks::update(&stack, &mut change.tx).await?;
        for rule in before.stack.targeting.rules() {
            if !stack.targeting.rules().contains(rule) {
                held_facts::forget_rule(stack.id, RuleDigest::of(rule), &mut change.tx).await?;
            }
        }
        let (now, then) = (&stack.options, &before.stack.options);
        if now.paused != then.paused || now.service_account != then.service_account {
            mark_removals(stack.id, change).await?;
        }
        change.touch(Touched::Stack(stack.id));
        let row = StackRow {
            stack,
            ..before.clone()
        };
        settle_stack(&row, change).await?;
        let (before, after) = (Some(&before.stack), Some(&row.stack));
        change.audit(AuditAction::StackChange, named(&row.stack), before, after)?;
        Ok(row.stack)
    }
}

/// A pause takes the stack's removals out of what agents are told, and its end brings them back; a service account is told
/// with them.
async fn mark_removals(stack: StackId, change: &mut Change) -> Result<()> {
    for open in agent_targets::of_stack(stack, &mut change.tx).await? {
        if let OpenTarget::Removing(removal, _) = open {
            mark(removal.agent, stack, change).await?;
        }
    }
    Ok(())
}

fn patched(stack: Stack, patch: PatchStack) -> Result<Stack> {
    let refused = |pointer: &'static str| move |why: String| Error::invalid(pointer, why);
    let labels = patch.labels.applied_to(stack.labels);
    let annotations = patch.annotations.applied_to(stack.annotations);
    let PatchTargeting { rules, exclude } = patch.targeting;
    let targeting = Targeting::new(
        rules.unwrap_or_else(|| stack.targeting.rules().to_vec()),
        exclude.unwrap_or_else(|| stack.targeting.exclude().to_vec()),
    );
    Ok(Stack {
        labels: labels.map_err(|why| refused("/labels")(why.to_string()))?,
        annotations: annotations.map_err(|why| refused("/annotations")(why.to_string()))?,
        targeting: targeting.map_err(|why| refused("/targeting")(why.to_string()))?,
        options: patch.options.applied_to(stack.options),
        ..stack
    })
}

/// Deletes a stack: each of its agents is told to remove it.
pub(crate) struct DeleteStack {
    pub(crate) scope: Scope,
    pub(crate) stack: Reference,
    pub(crate) expected: IfMatch,
    pub(crate) policy: Option<OnRemove>,
    pub(crate) allow_delete: Vec<KeptKind>,
}

impl Mutation for DeleteStack {
    type Output = ();

    async fn apply(&self, change: &mut Change) -> Result<()> {
        let stack = stacks::find(&self.stack, &self.scope, &mut change.tx)
            .await?
            .stack;
        self.expected.check(stack.revision)?;
        if stack.options.paused {
            return Err(Error::InUse(format!(
                "stack {0} is paused, and nothing of it is removed until it is resumed: `brokkr stack resume {0}`",
                Reference::of(stack.generator.as_ref(), &stack.name)
            )));
        }
        let ending = Ending {
            policy: self.policy.unwrap_or(stack.options.on_remove),
            allow_delete: self.allow_delete.clone(),
            revision: change.revision,
            now: change.now,
        };
        for open in agent_targets::of_stack(stack.id, &mut change.tx).await? {
            if let OpenTarget::Active(target, _) = open {
                end(&target, &ending, change).await?;
            }
        }
        anchors::forget_stack(stack.id, &mut change.tx).await?;
        stacks::delete(stack.id, change.now, change.revision, &mut change.tx).await?;
        change.touch(Touched::Stack(stack.id));
        change.audit(
            AuditAction::StackDelete,
            named(&stack),
            Some(&stack),
            None::<&()>,
        )
    }
}

pub(super) fn named(stack: &Stack) -> (Uuid, Option<String>) {
    let name = match &stack.generator {
        Some(generator) => format!("{generator}:{}", stack.name),
        None => stack.name.to_string(),
    };
    (stack.id.uuid(), Some(name))
}

fn check(options: &StackOptions) -> Result<()> {
    let pointer = "/options/default_namespace";
    match &options.default_namespace {
        Some(namespace) if !is_dns_label(namespace) => Err(Error::invalid(
            pointer,
            "a namespace is 1 to 63 of a-z, 0-9 and `-`, beginning and ending with a letter or digit",
        )),
        None if options.create_namespace => Err(Error::invalid(
            pointer,
            "create_namespace needs a default_namespace: say which namespace to create",
        )),
        _ => Ok(()),
    }
}

/// Windows are the operators': a generator does not take its own stacks out of them, nor put back what they took out. By
/// whose rights its stacks run is theirs, too: else it would choose what it may do.
fn check_rights(scope: &Scope, before: &StackOptions, after: &StackOptions) -> Result<()> {
    let forbidden = |what: &str| Err(Error::Forbidden(what.to_owned()));
    if scope.generator().is_none() {
        Ok(())
    } else if before.ignore_windows != after.ignore_windows {
        forbidden(
            "only an admin decides whether a stack waits for maintenance windows (`ignore_windows`): ask one",
        )
    } else if before.service_account != after.service_account {
        forbidden(
            "only an admin decides as which service account agents act for a stack (`service_account`): leave it out to have that of the generator, or ask one",
        )
    } else {
        Ok(())
    }
}

impl Repeatable for CreateOwnStack {
    const KIND: &'static str = "create stack";

    fn asked(&self) -> Result<Value> {
        Ok(json!(self.create))
    }

    fn made(stack: &Stack) -> Option<Uuid> {
        Some(stack.id.uuid())
    }

    async fn again(&self, made: Uuid, change: &mut Change) -> Result<Stack> {
        let row = stacks::find(&Reference::Id(made), &self.scope, &mut change.tx).await?;
        Ok(row.stack)
    }
}
