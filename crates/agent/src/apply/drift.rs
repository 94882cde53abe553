//! Says what others did to an object that is written back.

use brokkr_core::plan::{Ownership, Verdict, Written};

use super::fingerprint;
use crate::cluster::{Cluster, Write};
use crate::plan::Step;

/// What somebody did to an object since it was written the same way; none if it is written for another reason.
pub(super) async fn told(cluster: &Cluster, step: &Step<'_>, write: Write) -> Option<String> {
    let Some(Ownership::Owned {
        written: Some(Written { manifest, .. }),
        ..
    }) = &step.ownership
    else {
        return None;
    };
    if write == Write::DryRun || *manifest != fingerprint(step.object, step.ceded()) {
        return None;
    }
    match &step.verdict {
        Verdict::Create => Some("it had been deleted".to_owned()),
        Verdict::Update(_) => Some(changed(cluster, step).await),
        _ => None,
    }
}

/// Who set what of ours, as far as the cluster tells: nobody has what was taken away.
async fn changed(cluster: &Cluster, step: &Step<'_>) -> String {
    let object = step.object;
    let others = cluster.others(&object.resource, &object.key).await;
    let set: Vec<_> = others
        .unwrap_or_default()
        .iter()
        .filter_map(|other| {
            let paths = other.leave_out(&mut object.body.clone());
            (!paths.is_empty()).then(|| format!("{} had set {}", other.to, paths.join(", ")))
        })
        .collect();
    if set.is_empty() {
        "somebody had taken something of it away".to_owned()
    } else {
        set.join("; ")
    }
}
