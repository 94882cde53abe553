use kube::api::DynamicObject;
use serde_json::Value;

/// Why a workload does not do its work yet, as the cluster itself reports it; other kinds always do.
pub fn why_not_ready(object: &DynamicObject) -> Option<String> {
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    let kind = object
        .types
        .as_ref()
        .map_or("", |types| types.kind.as_str());
    let wanted = spec["replicas"].as_u64().unwrap_or(1);
    let short = match kind {
        "Deployment" => lacks(
            status,
            &["updatedReplicas", "availableReplicas", "replicas"],
            wanted,
        ),
        "StatefulSet" => lacks(status, &["updatedReplicas", "readyReplicas"], wanted),
        "ReplicaSet" => lacks(status, &["readyReplicas"], wanted),
        "DaemonSet" => {
            let wanted = status["desiredNumberScheduled"]
                .as_u64()
                .unwrap_or(u64::MAX);
            lacks(status, &["updatedNumberScheduled", "numberReady"], wanted)
        }
        "Pod" => condition(status, "Ready"),
        "Job" => condition(status, "Complete"),
        "CustomResourceDefinition" => condition(status, "Established"),
        _ => return None,
    };
    short.or_else(|| behind(object))
}

fn lacks(status: &Value, counters: &[&str], wanted: u64) -> Option<String> {
    let short = |counter: &&&str| status[**counter].as_u64().unwrap_or(0) != wanted;
    let counter = counters.iter().find(short)?;
    Some(format!("{counter} is {} of {wanted}", status[*counter]))
}

fn condition(status: &Value, wanted: &str) -> Option<String> {
    let conditions = status["conditions"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let holds = conditions
        .iter()
        .any(|one| one["type"] == wanted && one["status"] == "True");
    (!holds).then(|| format!("it is not {wanted}"))
}

/// Whether the status speaks of an older spec.
fn behind(object: &DynamicObject) -> Option<String> {
    let generation = object.metadata.generation?;
    let observed = object.data["status"]["observedGeneration"].as_i64()?;
    (observed < generation).then(|| format!("generation {observed} of {generation} was observed"))
}
