//! What the agent keeps of its own in the cluster, read as a person with `kubectl` would.

use std::collections::BTreeMap;
use std::io::Read as _;

use brokkr_core::StackId;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::Value;

use super::api::Api;
use super::object::Place;

/// The namespace of the agent's records.
pub const RECORDS: &str = "brokkr-system";

/// What the agent accepted lies there.
pub const RECORD: &str = "brokkr-agent";
/// Before the stack's id in the name of its inventory.
pub const INVENTORY: &str = "brokkr-inventory-";
/// What stands in the place of a UID that is not known yet.
pub const PENDING: &str = "pending";

/// The stacks that have an inventory, also such that the broker knows no more.
pub fn recorded(api: &Api) -> impl Iterator<Item = StackId> {
    let names = api
        .objects
        .keys()
        .map(|place| place.name.strip_prefix(INVENTORY));
    names.filter_map(|id| id?.parse().ok())
}

/// The UIDs of a stack's inventory; of pending ones, a word.
pub fn inventory(api: &Api, stack: StackId) -> BTreeMap<Place, String> {
    let head = Place {
        api_version: "v1".to_owned(),
        plural: "configmaps".to_owned(),
        namespace: Some(RECORDS.to_owned()),
        name: format!("{INVENTORY}{stack}"),
    };
    let Some(object) = api.objects.get(&head) else {
        return BTreeMap::new();
    };
    let head: ConfigMap =
        serde_json::from_value(object.render(&head, "ConfigMap")).expect("a ConfigMap");
    let data = head
        .binary_data
        .unwrap_or_default()
        .remove("inventory")
        .expect("a small inventory");
    let mut json = Vec::new();
    zstd::Decoder::new(&*data.0)
        .expect("zstd")
        .read_to_end(&mut json)
        .expect("zstd");
    let document: Value = serde_json::from_slice(&json).expect("JSON");
    let lines = document["objects"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    lines
        .iter()
        .map(|line| {
            let place = Place {
                api_version: text(&line["resource"]["api_version"]).unwrap_or_default(),
                plural: text(&line["resource"]["plural"]).unwrap_or_default(),
                namespace: text(&line["namespace"]),
                name: text(&line["name"]).unwrap_or_default(),
            };
            let uid = text(&line["ownership"]["owned"]["uid"]);
            (place, uid.unwrap_or_else(|| PENDING.to_owned()))
        })
        .collect()
}
