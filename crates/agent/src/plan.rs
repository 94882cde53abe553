//! Looks at the cluster and decides what happens to each object of a snapshot; the rules are
//! [`brokkr_core::plan`]'s.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use brokkr_core::ObjectKey;
use brokkr_core::plan::{Cession, Judge, Live, Ownership, Phase, Verdict};
use brokkr_core::wire::ObjectOutcome;

use crate::Error;
use crate::apply;
use crate::cluster::{Absence, Cluster, Sight};
use crate::inventory::Inventory;
use crate::outcome;
use crate::validate::{Object, Served, Snapshot};

/// What an attempt is going to do.
pub(crate) struct Plan<'a> {
    /// By phase; inside one, what its neighbours need comes first.
    pub groups: BTreeMap<(Phase, Wave), Vec<Step<'a>>>,
    /// The default namespace, if it is to be made first.
    pub namespace: Option<&'a str>,
}

/// One object's part.
pub(crate) struct Step<'a> {
    pub object: &'a Object,
    pub verdict: Verdict,
    /// What the inventory says of it before the plan is entered there: what stood in the way of this plan's own writes was
    /// not made by them.
    pub ownership: Option<Ownership>,
    /// The object as it was seen.
    pub live: Option<Live>,
    pub trial: Trial,
    /// What others did to it, if it is left so.
    pub drift: Option<String>,
}

/// Whether an object needs a neighbour of its own phase.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Wave {
    First,
    Second,
}

/// When the cluster can judge an object by a dry run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trial {
    /// It would not be written.
    Never,
    /// Before anything is written.
    AtOnce,
    /// When what it needs is there.
    BeforeItsGroup,
}

/// How old the knowledge of kinds may be that is used to find what was applied earlier.
const KINDS_AGE: Duration = Duration::from_mins(10);

pub(crate) async fn make<'a>(
    cluster: &Cluster,
    judge: Judge<'_>,
    snapshot: &'a Snapshot,
    inventory: &Inventory,
) -> Result<Plan<'a>, Error> {
    let kinds = cluster.kinds(KINDS_AGE).await?;
    // An object of a kind that is not served yet in this version may exist in another.
    let objects = snapshot.objects.iter().filter_map(|object| {
        let is_there = object.served == Served::Already
            || !kinds
                .versions(&object.key.group, &object.key.kind)
                .is_empty()
            || inventory.get(&object.key).is_some();
        is_there.then(|| {
            (
                object.key.clone(),
                kinds.current(&object.key, &object.resource),
            )
        })
    });
    let mut sight = cluster.see(objects, Absence::Listed).await?;
    let namespace = missing_namespace(cluster, snapshot, &sight).await?;
    let verdicts: Vec<Verdict> = snapshot
        .objects
        .iter()
        .map(|object| {
            let ownership = inventory.get(&object.key);
            let live = sight.of(&object.key);
            let ceded = live.map_or(&[][..], |live| &live.ceded);
            judge.wanted(apply::fingerprint(object, ceded), ownership, live)
        })
        .collect();
    let mut unmet: HashSet<&ObjectKey> = namespace.into_iter().collect();
    unmet.extend(
        snapshot
            .objects
            .iter()
            .zip(&verdicts)
            .filter(|(object, verdict)| is_yet_to_be(object, verdict))
            .map(|(object, _)| &object.key),
    );
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (object, verdict) in snapshot.objects.iter().zip(verdicts) {
        let step = Step {
            trial: trial(object, &verdict, &unmet),
            ownership: inventory.get(&object.key).cloned(),
            live: sight.take(&object.key),
            drift: None,
            object,
            verdict,
        };
        groups
            .entry((object.phase, wave(object, &unmet)))
            .or_default()
            .push(step);
    }
    Ok(Plan {
        groups,
        namespace: namespace.map(|key| key.name.as_str()),
    })
}

/// The default namespace, if it is to be made and is not there. Where something was seen, it is.
async fn missing_namespace<'a>(
    cluster: &Cluster,
    snapshot: &'a Snapshot,
    sight: &Sight,
) -> Result<Option<&'a ObjectKey>, Error> {
    let Some((key, resource)) = &snapshot.namespace else {
        return Ok(None);
    };
    if sight.is_anything_in(&key.name) {
        return Ok(None);
    }
    let asked = [(key.clone(), resource.clone())];
    let seen = cluster.see(asked, Absence::Listed).await?;
    Ok(seen.of(key).is_none().then_some(key))
}

/// Whether others cannot be judged before this object is written: it does not exist, or it defines
/// what they may look like.
fn is_yet_to_be(object: &Object, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Create => true,
        Verdict::Update(_) | Verdict::Adopt(_) => object.phase == Phase::Definitions,
        _ => false,
    }
}

fn trial(object: &Object, verdict: &Verdict, unmet: &HashSet<&ObjectKey>) -> Trial {
    let is_written = matches!(
        verdict,
        Verdict::Create | Verdict::Update(_) | Verdict::Adopt(_)
    );
    if !is_written {
        Trial::Never
    } else if object.served == Served::ByDefinition
        || object.needs.iter().any(|need| unmet.contains(need))
    {
        Trial::BeforeItsGroup
    } else {
        Trial::AtOnce
    }
}

fn wave(object: &Object, unmet: &HashSet<&ObjectKey>) -> Wave {
    let needs_a_neighbour = object
        .needs
        .iter()
        .any(|need| unmet.contains(need) && Phase::of(need) == object.phase);
    if needs_a_neighbour {
        Wave::Second
    } else {
        Wave::First
    }
}

impl Step<'_> {
    /// What is left to others of the object.
    pub(crate) fn ceded(&self) -> &[Cession] {
        self.live.as_ref().map_or(&[], |live| &live.ceded)
    }

    /// Whether it was last written as it is wanted.
    pub(crate) fn was_written_so(&self) -> bool {
        let manifest = apply::fingerprint(self.object, self.ceded());
        matches!(&self.ownership, Some(Ownership::Owned { written: Some(written), .. }) if written.manifest == manifest)
    }

    /// Whether it only undoes what others did.
    fn is_repair(&self) -> bool {
        let was_deleted = matches!(
            (&self.verdict, &self.ownership),
            (Verdict::Create, Some(Ownership::Owned { .. }))
        );
        was_deleted || self.was_written_so()
    }

    /// Whether the inventory covers an object that is created, whatever UID it gets.
    pub(crate) fn is_entered_as_pending(&self) -> bool {
        let is_made = matches!(self.verdict, Verdict::Create | Verdict::Remake(_));
        is_made || matches!(self.ownership, Some(Ownership::Pending))
    }
}

impl<'a> Plan<'a> {
    /// Leaves out all but what undoes what others did.
    pub(crate) fn only_repair(&mut self) {
        for steps in self.groups.values_mut() {
            steps.retain(Step::is_repair);
        }
    }

    /// Has what is as it should be tried and written, too, which changes nothing of it. What has drifted is left as it is.
    pub(crate) fn write_all(&mut self) {
        for step in self.steps_mut() {
            if let (Verdict::Leave, None, Some(live)) = (&step.verdict, &step.drift, &step.live) {
                step.verdict = Verdict::Update(live.incarnation.clone());
                step.trial = Trial::AtOnce;
            }
        }
    }

    /// Lets objects be deleted and created anew that cannot be changed.
    pub(crate) fn remake(&mut self, keys: &[ObjectKey]) {
        for step in self
            .steps_mut()
            .filter(|step| keys.contains(&step.object.key))
        {
            if let Verdict::Update(incarnation) = &step.verdict {
                step.verdict = Verdict::Remake(incarnation.clone());
            }
        }
    }

    pub(crate) fn steps_mut(&mut self) -> impl Iterator<Item = &mut Step<'a>> {
        self.groups.values_mut().flatten()
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step<'a>> {
        self.groups.values().flatten()
    }

    /// Whether kinds are defined anew, or were and are not served yet.
    pub(crate) fn defines(&self) -> bool {
        let is_written = |step: &Step<'_>| step.trial != Trial::Never;
        let is_definition = |step: &Step<'_>| step.object.phase == Phase::Definitions;
        self.steps()
            .any(|step| is_definition(step) && is_written(step))
            || !self.defined().is_empty()
    }

    /// The objects of kinds that only the plan's own definitions make known.
    pub(crate) fn defined(&self) -> Vec<&'a Object> {
        self.steps()
            .map(|step| step.object)
            .filter(|object| object.served == Served::ByDefinition)
            .collect()
    }

    /// The objects that forbid to begin: somebody else has them.
    pub(crate) fn conflicts(&self) -> Vec<ObjectOutcome> {
        self.steps()
            .filter_map(|step| match &step.verdict {
                Verdict::Conflict { managers, claim } => {
                    Some(outcome::conflict(&step.object.key, managers, claim))
                }
                _ => None,
            })
            .collect()
    }

    /// An object that must be gone before it can be made again, and why it is not.
    pub(crate) fn awaits(&self) -> Option<String> {
        self.steps().find_map(|step| match &step.verdict {
            Verdict::Await { finalizers } => Some(format!(
                "waiting for {}: {}",
                step.object.key,
                outcome::being_deleted(finalizers)
            )),
            _ => None,
        })
    }
}
