use brokkr_core::GeneratorId;
use brokkr_core::name::Reference;
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::{AuditAction, CreateGenerator, Generator, PatchGenerator};

use serde_json::{Value, json};
use uuid::Uuid;

use super::keys;
use super::targeting::{mark, settle_stack};
use crate::error::{Error, Result};
use crate::extract::IfMatch;
use crate::idempotency::Repeatable;
use crate::store::changes::Touched;
use crate::store::{agent_targets, generators, settings, stacks};
use crate::writer::{Change, Mutation};

impl Mutation for CreateGenerator {
    type Output = (Generator, Pak);

    async fn apply(&self, change: &mut Change) -> Result<Self::Output> {
        let usual = settings::read(&mut change.tx).await?.limits.default_quota;
        let generator = Generator {
            id: GeneratorId::generate(&*change.ambient),
            name: self.name.clone(),
            revision: change.revision,
            scope: self.scope.clone(),
            quota: self.quota.applied_to(usual, usual),
            service_account: self.service_account.clone(),
            created_at: change.now,
        };
        generators::insert(&generator, &mut change.tx).await?;
        let pak = keys::issue(Role::Generator, generator.id.uuid(), change).await?;
        change.touch(Touched::Generator(generator.id));
        let after = json!({
            "scope": &generator.scope,
            "quota": generator.quota,
            "service_account": &generator.service_account,
            "key": pak.id(),
        });
        change.audit(
            AuditAction::GeneratorCreate,
            named(&generator),
            None::<&()>,
            Some(&after),
        )?;
        Ok((generator, pak))
    }
}

/// Changes what a generator may reach and have, and as whom agents act for it.
pub(crate) struct ChangeGenerator {
    pub(crate) generator: Reference,
    pub(crate) expected: IfMatch,
    pub(crate) patch: PatchGenerator,
}

impl Mutation for ChangeGenerator {
    type Output = Generator;

    async fn apply(&self, change: &mut Change) -> Result<Generator> {
        let mut generator = generators::find(&self.generator, &mut change.tx).await?;
        self.expected.check(generator.revision)?;
        let before = generator.clone();
        let PatchGenerator {
            scope,
            quota,
            service_account,
        } = self.patch.clone();
        if let Some(quota) = quota {
            let usual = settings::read(&mut change.tx).await?.limits.default_quota;
            generator.quota = quota.applied_to(generator.quota, usual);
        }
        generator.scope = scope.unwrap_or(generator.scope);
        generator.service_account = service_account.unwrap_or(generator.service_account);
        if generator == before {
            change.unchanged();
            return Ok(before);
        }
        generator.revision = change.revision;
        generators::update(&generator, &mut change.tx).await?;
        change.touch(Touched::Generator(generator.id));
        let is_another = generator.service_account != before.service_account;
        for stack in stacks::of_owner(generator.id.uuid(), &mut change.tx).await? {
            if is_another {
                stacks::mark_changed(stack.stack.id, change.revision, &mut change.tx).await?;
                change.touch(Touched::Stack(stack.stack.id));
            }
            settle_stack(&stack, change).await?;
        }
        if is_another {
            let owner = generator.id.uuid();
            for (agent, stack) in agent_targets::removals_of_owner(owner, &mut change.tx).await? {
                mark(agent, stack, change).await?;
            }
        }
        let subject = named(&generator);
        change.audit(
            AuditAction::GeneratorChange,
            subject,
            Some(&before),
            Some(&generator),
        )?;
        Ok(generator)
    }
}

/// Deletes a generator that owns nothing.
pub(crate) struct DeleteGenerator {
    pub(crate) generator: Reference,
    pub(crate) expected: IfMatch,
}

impl Mutation for DeleteGenerator {
    type Output = ();

    async fn apply(&self, change: &mut Change) -> Result<()> {
        let generator = generators::find(&self.generator, &mut change.tx).await?;
        self.expected.check(generator.revision)?;
        if stacks::count(generator.id.uuid(), &mut change.tx).await? > 0 {
            return Err(Error::InUse(format!(
                "generator {} still owns stacks: delete them first",
                generator.name
            )));
        }
        keys::revoke_all_of(generator.id.uuid(), change).await?;
        generators::delete(generator.id, change.now, &mut change.tx).await?;
        change.touch(Touched::Generator(generator.id));
        let subject = named(&generator);
        change.audit(
            AuditAction::GeneratorDelete,
            subject,
            Some(&generator),
            None::<&()>,
        )
    }
}

fn named(generator: &Generator) -> (Uuid, Option<String>) {
    (generator.id.uuid(), Some(generator.name.to_string()))
}

/// Its answer shows a key, which is shown once.
impl Repeatable for CreateGenerator {
    const KIND: &'static str = "create generator";

    fn asked(&self) -> Result<Value> {
        Ok(json!(self))
    }

    fn made((generator, _): &Self::Output) -> Option<Uuid> {
        Some(generator.id.uuid())
    }

    async fn again(&self, made: Uuid, _: &mut Change) -> Result<Self::Output> {
        Err(Error::AlreadyDone(made))
    }
}
