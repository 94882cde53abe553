//! What a change would do, looked at before it is made: a plan is the change itself, undone, and whoever agreed to
//! one repeats the change with the plan's digest.

use std::collections::HashMap;

use brokkr_core::mutant::Mutant;
use brokkr_core::name::Reference;
use brokkr_core::wire::{Approval, Effect, Plan, PlannedTarget};
use brokkr_core::{Digest, KeptKind, ObjectKey, StackId};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::changes::guard;
use crate::error::{Error, Result};
use crate::idempotency::Repeatable;
use crate::writer::{Change, Mutation};

/// How many changes a plan names; it counts all.
const NAMED: usize = 1_000;
/// How many agents a refusal names.
const FIRST: usize = 3;

/// What a change does, while it does it.
#[derive(Default)]
pub(crate) struct Planning {
    /// How many agent targets it has begun and ended.
    pub(crate) reached: u64,
    pub(crate) left: u64,
    changes: Vec<PlannedTarget>,
    dropped: Vec<ObjectKey>,
    agents: u64,
    allow_delete: Vec<KeptKind>,
    /// The stacks that agents lost.
    pub(crate) lost: HashMap<StackId, Lost>,
    /// Each thing that the plan says, in no order.
    said: Vec<String>,
}

/// The agents that lost a stack.
pub(crate) struct Lost {
    pub(crate) stack: Reference,
    pub(crate) agents: u64,
    pub(crate) first: Vec<String>,
}

impl Planning {
    /// Notes what happens to an agent target. What ends comes before what begins: it is what people must see.
    pub(crate) fn note(&mut self, planned: PlannedTarget) {
        let stack = Reference::of(planned.generator.as_ref(), &planned.stack_name);
        let place = match planned.effect {
            // By name: what a change creates has another id each time that it is planned.
            Effect::Reach => {
                self.reached += 1;
                self.said
                    .push(format!("reach {} {stack}", planned.agent_name));
                self.changes.len()
            }
            Effect::Leave => {
                self.left += 1;
                let (agent, id, policy) = (planned.agent, planned.stack, planned.policy);
                self.said.push(format!("leave {agent} {id} {policy:?}"));
                let lost = self.lost.entry(id).or_insert_with(|| Lost {
                    stack,
                    agents: 0,
                    first: Vec::new(),
                });
                lost.agents += 1;
                if lost.first.len() < FIRST {
                    lost.first.push(planned.agent_name.to_string());
                }
                let ended = |change: &PlannedTarget| change.effect == Effect::Leave;
                self.changes.partition_point(ended)
            }
        };
        self.changes.insert(place, planned);
        self.changes.truncate(NAMED);
    }

    /// Notes what a new snapshot of a stack drops, and how many agents run the stack.
    pub(crate) fn drops(&mut self, stack: StackId, dropped: &[ObjectKey], agents: u64) {
        self.said.push(format!("{agents} agents run {stack}"));
        let texts = dropped.iter().map(|key| format!("drop {key:?}"));
        self.said.extend(texts);
        self.dropped = dropped.to_vec();
        self.agents = agents;
    }

    /// Notes which kept kinds are deleted too.
    pub(crate) fn deletes(&mut self, kinds: &[KeptKind]) {
        for kind in kinds {
            if !self.allow_delete.contains(kind) {
                self.allow_delete.push(*kind);
                self.said.push(format!("delete {kind}"));
            }
        }
        self.allow_delete.sort();
    }

    /// The plan of all that was noted.
    pub(crate) fn finish(mut self) -> Plan {
        Plan {
            digest: self.digest(),
            reached: self.reached,
            left: self.left,
            changes: self.changes,
            dropped: self.dropped,
            agents: self.agents,
            allow_delete: self.allow_delete,
        }
    }

    /// Over all that was said, in an order of its own: rows come in any.
    fn digest(&mut self) -> Digest {
        self.said.sort_unstable();
        let mut hash = Sha256::new();
        for line in &self.said {
            hash.update(line.as_bytes());
            hash.update(b"\n");
        }
        Digest::from(<[u8; 32]>::from(hash.finalize()))
    }
}

/// A change that is made only to see what it would do.
pub(crate) struct Planned<M>(pub(crate) M);

impl<M: Mutation> Mutation for Planned<M> {
    type Output = (M::Output, Plan);
    const KEPT: bool = false;

    fn weight(&self) -> usize {
        self.0.weight()
    }

    async fn apply(&self, change: &mut Change) -> Result<Self::Output> {
        change.is_planned = true;
        let output = self.0.apply(change).await?;
        Ok((output, std::mem::take(&mut change.planning).finish()))
    }
}

/// A change that may take something away. What somebody agreed to is made if it is still the same, and counts as
/// approved; anything else, if the guard lets it pass.
pub(crate) struct Careful<M> {
    /// Who asks for it.
    pub(crate) by: String,
    /// The digest of the plan that was agreed to.
    pub(crate) plan: Option<Digest>,
    pub(crate) mutation: M,
}

impl<M: Mutation> Mutation for Careful<M> {
    type Output = M::Output;

    fn weight(&self) -> usize {
        self.mutation.weight()
    }

    async fn apply(&self, change: &mut Change) -> Result<M::Output> {
        if change.is_planned {
            return self.mutation.apply(change).await;
        }
        change.approval = self.plan.map(|plan| Approval {
            by: self.by.clone(),
            at: change.now,
            plan: Some(plan),
        });
        let output = self.mutation.apply(change).await?;
        match self.plan {
            Some(plan) => {
                if plan != change.planning.digest() && !Mutant::PlanUnchecked.is_on() {
                    return Err(Error::PlanChanged);
                }
            }
            None => guard::check(change).await?,
        }
        Ok(output)
    }
}

impl<M: Repeatable> Repeatable for Careful<M> {
    const KIND: &'static str = M::KIND;

    fn asked(&self) -> Result<Value> {
        self.mutation.asked()
    }

    fn made(output: &Self::Output) -> Option<Uuid> {
        M::made(output)
    }

    async fn again(&self, made: Uuid, change: &mut Change) -> Result<Self::Output> {
        self.mutation.again(made, change).await
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::wire::OnRemove;
    use brokkr_core::{AgentId, Name};

    use super::*;
    use crate::idempotency::Once;

    fn target(agent: u128, effect: Effect, policy: Option<OnRemove>) -> PlannedTarget {
        let name = |text: String| text.parse::<Name>().expect("a name");
        PlannedTarget {
            agent: AgentId::from(Uuid::from_u128(agent)),
            agent_name: name(format!("agent-{agent}")),
            stack: StackId::from(Uuid::from_u128(7)),
            stack_name: name("shop".to_owned()),
            generator: None,
            effect,
            policy,
        }
    }

    fn plan(targets: impl Iterator<Item = PlannedTarget>) -> Plan {
        let mut planning = Planning::default();
        targets.for_each(|target| planning.note(target));
        planning.finish()
    }

    /// A change that brings much.
    struct Heavy;

    impl Heavy {
        const BYTES: usize = 12_345_678;
    }

    impl Mutation for Heavy {
        type Output = ();

        fn weight(&self) -> usize {
            Self::BYTES
        }

        async fn apply(&self, _: &mut Change) -> Result<()> {
            Ok(())
        }
    }

    impl Repeatable for Heavy {
        const KIND: &'static str = "heavy";

        fn asked(&self) -> Result<Value> {
            Ok(Value::Null)
        }

        fn made((): &()) -> Option<Uuid> {
            None
        }

        async fn again(&self, _: Uuid, _: &mut Change) -> Result<()> {
            Ok(())
        }
    }

    /// Queues are bounded by what waits in them.
    #[test]
    fn a_change_weighs_what_it_brings_however_it_is_made() {
        let careful = || Careful {
            by: "somebody".to_owned(),
            plan: None,
            mutation: Heavy,
        };
        let once = Once {
            key: None,
            mutation: careful(),
        };
        let weights = [
            Planned(Heavy).weight(),
            careful().weight(),
            Planned(careful()).weight(),
            once.weight(),
        ];
        assert_eq!(weights, [Heavy::BYTES; 4]);
    }

    #[test]
    fn a_digest_covers_all_that_is_said_in_any_order() {
        let leave = |agent| target(agent, Effect::Leave, Some(OnRemove::Delete));
        let all = plan((0..1_500).map(leave));
        assert_eq!((all.changes.len(), all.left), (1_000, 1_500));
        assert_eq!(plan((0..1_500).rev().map(leave)).digest, all.digest);
        // One that is only counted is another one.
        let other = (0..1_499).map(leave).chain([leave(9_999)]);
        assert_ne!(plan(other).digest, all.digest);
        let orphan = (0..1_499).map(leave);
        let orphan = orphan.chain([target(1_499, Effect::Leave, Some(OnRemove::Orphan))]);
        assert_ne!(plan(orphan).digest, all.digest);
        let reach = plan((0..1_500).map(|agent| target(agent, Effect::Reach, None)));
        assert_ne!(reach.digest, all.digest);
    }

    #[test]
    fn a_digest_covers_what_is_dropped_where_and_which_kinds_go() {
        let key = |name: &str| ObjectKey {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            namespace: None,
            name: name.to_owned(),
        };
        let (shop, mail) = (
            StackId::from(Uuid::from_u128(7)),
            StackId::from(Uuid::from_u128(8)),
        );
        let drops = |stack, names: &[&str], agents, kinds: &[KeptKind]| {
            let mut planning = Planning::default();
            let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
            planning.drops(stack, &keys, agents);
            planning.deletes(kinds);
            planning.finish().digest
        };
        let digests = [
            drops(shop, &["a", "b"], 1, &[]),
            drops(shop, &["a"], 1, &[]),
            drops(shop, &["a", "b"], 2, &[]),
            drops(mail, &["a", "b"], 1, &[]),
            drops(shop, &["a", "b"], 1, &[KeptKind::Namespace]),
        ];
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[at + 1..].contains(digest), "{at}");
        }
        assert_eq!(digests[0], drops(shop, &["b", "a"], 1, &[]));
    }
}
