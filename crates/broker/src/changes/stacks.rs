use brokkr_core::manifest::is_namespace;
use brokkr_core::name::Reference;
use brokkr_core::wire::{OnRemove, PatchStackOptions, Stack, StackOptions};
use brokkr_core::{KeptKind, Name, StackId};

use super::targets::end;
use crate::error::{Error, Result};
use crate::scope::Scope;
use crate::store::agent_targets::{self, Ending};
use crate::store::changes::Touched;
use crate::store::stacks;
use crate::writer::{Change, Mutation};

/// Creates a stack of the caller's own.
pub(crate) struct CreateStack {
    pub(crate) scope: Scope,
    pub(crate) name: Name,
    pub(crate) options: StackOptions,
}

impl Mutation for CreateStack {
    type Output = Stack;

    async fn apply(&self, change: &mut Change) -> Result<Stack> {
        check(&self.options)?;
        let stack = Stack {
            id: StackId::generate(&*change.ambient),
            name: self.name.clone(),
            generator: self.scope.generator().cloned(),
            options: self.options.clone(),
            head: None,
            created_at: change.now,
        };
        stacks::insert(&stack, self.scope.owner(), change.revision, &mut change.tx).await?;
        change.touch(Touched::Stack(stack.id));
        Ok(stack)
    }
}

/// Changes a stack's options.
pub(crate) struct PatchStack {
    pub(crate) scope: Scope,
    pub(crate) stack: Reference,
    pub(crate) options: PatchStackOptions,
}

impl Mutation for PatchStack {
    type Output = Stack;

    async fn apply(&self, change: &mut Change) -> Result<Stack> {
        let mut stack = stacks::find(&self.stack, &self.scope, &mut change.tx)
            .await?
            .stack;
        stack.options = self.options.clone().applied_to(stack.options);
        check(&stack.options)?;
        stacks::set_options(stack.id, &stack.options, change.revision, &mut change.tx).await?;
        change.touch(Touched::Stack(stack.id));
        Ok(stack)
    }
}

/// Deletes a stack: each of its agents is told to remove it.
pub(crate) struct DeleteStack {
    pub(crate) scope: Scope,
    pub(crate) stack: Reference,
    pub(crate) policy: Option<OnRemove>,
    pub(crate) allow_delete: Vec<KeptKind>,
}

impl Mutation for DeleteStack {
    type Output = ();

    async fn apply(&self, change: &mut Change) -> Result<()> {
        let stack = stacks::find(&self.stack, &self.scope, &mut change.tx)
            .await?
            .stack;
        let ending = Ending {
            policy: self.policy.unwrap_or(stack.options.on_remove),
            allow_delete: self.allow_delete.clone(),
            revision: change.revision,
            now: change.now,
        };
        for (target, agent) in agent_targets::agents_of(stack.id, &mut change.tx).await? {
            end(target, agent, stack.id, &ending, change).await?;
        }
        stacks::delete(stack.id, change.now, change.revision, &mut change.tx).await?;
        change.touch(Touched::Stack(stack.id));
        Ok(())
    }
}

fn check(options: &StackOptions) -> Result<()> {
    let pointer = "/options/default_namespace";
    match &options.default_namespace {
        Some(namespace) if !is_namespace(namespace) => Err(Error::invalid(
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
