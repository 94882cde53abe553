//! What others did to objects that are wanted as they were written: said when it is changed back, or left and said.

use brokkr_core::plan::{Ownership, Verdict, Written};
use futures::FutureExt;

use crate::apply::fingerprint;
use crate::cluster::Cluster;
use crate::plan::{Plan, Step, Trial};

/// So many objects are named where all that drifted are told in one line.
const NAMED: usize = 3;

/// Whether what is done about it is a thing of the past already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// It is as others made it.
    Still,
    /// It is changed back.
    Before,
}

impl Since {
    const fn have(self) -> &'static str {
        match self {
            Self::Still => "has",
            Self::Before => "had",
        }
    }
}

/// Whether an object is not any more as it was written, and would be written the same way again.
pub(crate) fn is_drift(step: &Step<'_>) -> bool {
    let is_written = matches!(step.verdict, Verdict::Create | Verdict::Update(_));
    let Some(Ownership::Owned {
        written: Some(Written { manifest, .. }),
        ..
    }) = &step.ownership
    else {
        return false;
    };
    is_written && *manifest == fingerprint(step.object, step.ceded())
}

/// What somebody did to an object that has drifted.
pub(crate) async fn told(cluster: &Cluster, step: &Step<'_>, since: Since) -> String {
    let have = since.have();
    if step.verdict == Verdict::Create {
        return format!("it {have} been deleted");
    }
    let object = step.object;
    let others = cluster.others(&object.resource, &object.key).await;
    let set: Vec<_> = others
        .unwrap_or_default()
        .iter()
        .filter_map(|other| {
            let paths = other.leave_out(&mut object.body.clone());
            (!paths.is_empty()).then(|| format!("{} {have} set {}", other.to, paths.join(", ")))
        })
        .collect();
    if set.is_empty() {
        // Nobody has in the cluster what was taken away.
        format!("somebody {have} taken something of it away")
    } else {
        set.join("; ")
    }
}

/// Leaves what has drifted as it is.
pub(crate) async fn leave(cluster: &Cluster, plan: &mut Plan<'_>) {
    let mut drifted: Vec<_> = plan.steps_mut().filter(|step| is_drift(step)).collect();
    let looks = drifted.iter_mut().map(|step| {
        async move {
            step.drift = Some(told(cluster, step, Since::Still).await);
            step.verdict = Verdict::Leave;
            step.trial = Trial::Never;
        }
        .boxed()
    });
    cluster.together(looks.collect::<Vec<_>>()).await;
    if plan.steps().all(|step| step.verdict == Verdict::Leave) {
        // Whoever deleted it did so to its objects, too.
        plan.namespace = None;
    }
}

/// What of a plan is left as others made it, and how to change it back; none if nothing is.
pub(crate) fn left(plan: &Plan<'_>) -> Option<String> {
    let drifted = plan
        .steps()
        .filter_map(|step| Some(format!("{}: {}", step.object.key, step.drift.as_ref()?)));
    let mut drifted: Vec<_> = drifted.collect();
    drifted.sort_unstable();
    let more = drifted.len().saturating_sub(NAMED);
    drifted.truncate(NAMED);
    if more > 0 {
        drifted.push(format!("and {more} more"));
    }
    (!drifted.is_empty()).then(|| {
        format!(
            "{} — left as it is, because drift is only reported; to change it back: `brokkr stack set STACK --drift repair`",
            drifted.join("; ")
        )
    })
}
