//! What of a plan leaves the cluster: no value of a secret, and not more than people read.

use brokkr_core::ObjectKey;
use brokkr_core::plan::{Difference, all_differences};
use brokkr_core::wire::{LivePlan, PlannedField, PlannedObject};
use serde_json::Value;

use super::super::teller::cut;
use crate::outcome::is_secret;

/// What `kubectl apply` keeps there is the whole object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const MOST_OBJECTS: usize = 500;
const MOST_FIELDS: usize = 100;
/// Of all values of a plan together, in bytes of JSON.
const MOST_VALUES: usize = 256 * 1024;
/// Of one value, in bytes of JSON.
const LONGEST_VALUE: usize = 1_000;
const LONGEST_REASON: usize = 1_000;

/// The fields that differ, and how many more do.
pub(super) fn fields(key: &ObjectKey, before: &Value, after: &Value) -> (Vec<PlannedField>, u64) {
    let found = all_differences(&without_copy(before), &without_copy(after));
    let more = found.len().saturating_sub(MOST_FIELDS);
    let fields = found.into_iter().take(MOST_FIELDS);
    let fields = fields.map(|difference| field(key, difference));
    (fields.collect(), more as u64)
}

fn field(key: &ObjectKey, difference: Difference) -> PlannedField {
    let Difference {
        path,
        before,
        after,
    } = difference;
    let hidden = is_secret(key);
    let shown = |value: Value| (!hidden && !value.is_null()).then(|| shortened(value));
    PlannedField {
        path,
        before: shown(before),
        after: shown(after),
        hidden,
    }
}

fn without_copy(object: &Value) -> Value {
    let mut object = object.clone();
    let annotations = object.pointer_mut("/metadata/annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    object
}

fn shortened(value: Value) -> Value {
    let text = match &value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.len() <= LONGEST_VALUE {
        return value;
    }
    cut(&text, LONGEST_VALUE).into()
}

/// A plan of these objects, in their order, as far as it may go.
pub(super) fn bounded(mut objects: Vec<PlannedObject>, unchanged: u64) -> LivePlan {
    objects.sort_by(|a, b| a.object.cmp(&b.object));
    let more = objects.len().saturating_sub(MOST_OBJECTS) as u64;
    objects.truncate(MOST_OBJECTS);
    let mut room = MOST_VALUES;
    for object in &mut objects {
        object.reason = object
            .reason
            .take()
            .map(|reason| cut(&reason, LONGEST_REASON));
        let bytes = object.fields.iter().map(bytes).sum::<usize>();
        if bytes > room {
            object.more_fields += object.fields.len() as u64;
            object.fields.clear();
        } else {
            room -= bytes;
        }
    }
    LivePlan {
        objects,
        more,
        unchanged,
    }
}

fn bytes(field: &PlannedField) -> usize {
    let value = |value: &Option<Value>| value.as_ref().map_or(0, |v| v.to_string().len());
    field.path.len() + value(&field.before) + value(&field.after)
}

#[cfg(test)]
mod tests {
    use brokkr_core::wire::PlannedAction;
    use serde_json::json;

    use super::super::plain;
    use super::*;

    fn key(kind: &str, name: &str) -> ObjectKey {
        ObjectKey {
            group: String::new(),
            kind: kind.into(),
            namespace: Some("shop".into()),
            name: name.into(),
        }
    }

    #[test]
    fn values_of_secrets_stay_and_so_does_the_copy_that_kubectl_keeps() {
        let object = |value: &str| {
            json!({
                "metadata": {"annotations": {LAST_APPLIED: format!("{{\"a\": \"{value}\"}}"), "note": value}},
                "data": {"password": value},
            })
        };
        let (before, after) = (object("hunter1"), object("hunter2"));
        let (secret, more) = fields(&key("Secret", "a"), &before, &after);
        let text = serde_json::to_string(&secret).expect("JSON");
        assert!(!text.contains("hunter") && more == 0, "{text}");
        let paths: Vec<_> = secret.iter().map(|field| field.path.as_str()).collect();
        assert_eq!(paths, ["data.password", "metadata.annotations.note"]);
        assert!(secret.iter().all(|field| field.hidden));
        let (open, _) = fields(&key("ConfigMap", "a"), &before, &after);
        assert_eq!(open[0].after, Some("hunter2".into()));
        assert_eq!(open.len(), 2);
    }

    #[test]
    fn a_plan_is_bounded_and_says_what_is_left_out() {
        let many: Value = (0..150).map(|n| (format!("f{n}"), n)).collect();
        let long = json!({"data": {"a": "é".repeat(5_000)}});
        let (shown, more) = fields(&key("A", "a"), &json!({}), &many);
        assert_eq!((shown.len(), more), (MOST_FIELDS, 50));
        let (shown, _) = fields(&key("A", "a"), &json!({"data": {}}), &long);
        let after = shown[0]
            .after
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or_default();
        assert!(
            after.len() < LONGEST_VALUE + 10 && after.ends_with('…'),
            "{after}"
        );
        let objects: Vec<_> = (0..MOST_OBJECTS + 20)
            .map(|n| PlannedObject {
                fields: shown.clone(),
                ..plain(&key("A", &format!("{n:04}")), PlannedAction::Change)
            })
            .collect();
        let plan = bounded(objects, 3);
        assert_eq!(
            (plan.objects.len(), plan.more, plan.unchanged),
            (MOST_OBJECTS, 20, 3)
        );
        assert!(serde_json::to_string(&plan).expect("JSON").len() < 512 * 1024);
        assert!(
            plan.objects[0].more_fields == 0 && plan.objects[MOST_OBJECTS - 1].more_fields == 1
        );
    }
}
