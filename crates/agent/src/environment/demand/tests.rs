use serde_json::json;

use super::*;

fn key(kind: &str) -> ObjectKey {
    let group = match kind {
        "Pod" | "PodTemplate" | "ConfigMap" => "",
        "Job" | "CronJob" => "batch",
        _ => "apps",
    };
    ObjectKey {
        group: group.into(),
        kind: kind.into(),
        namespace: Some("shop".into()),
        name: "a".into(),
    }
}

fn asks(cpu: &str) -> Value {
    json!({"resources": {"requests": {"cpu": cpu}}})
}

fn sidecar(cpu: &str) -> Value {
    json!({"restartPolicy": "Always", "resources": {"requests": {"cpu": cpu}}})
}

fn cpu(demand: &Demand) -> String {
    demand.get("requests.cpu").to_string()
}

#[test]
fn a_pod_asks_for_what_it_needs_at_once() {
    for (spec, expected) in [
        (json!({"containers": [{}]}), "0"),
        (json!({"containers": [asks("1"), asks("500m")]}), "1500m"),
        (
            json!({"containers": [asks("1")], "initContainers": [asks("3"), asks("2")]}),
            "3",
        ),
        (
            json!({"containers": [asks("2")], "initContainers": [asks("1"), asks("1")]}),
            "2",
        ),
        (
            json!({"containers": [asks("2")], "initContainers": [sidecar("1")]}),
            "3",
        ),
        // An init container runs beside the sidecars that stand before it.
        (
            json!({"containers": [asks("1")], "initContainers": [sidecar("1"), asks("4")]}),
            "5",
        ),
        (
            json!({"containers": [asks("1")], "initContainers": [asks("4"), sidecar("1")]}),
            "4",
        ),
        (
            json!({"containers": [asks("1")], "overhead": {"cpu": "250m"}}),
            "1250m",
        ),
        (
            json!({"containers": [{"resources": {"limits": {"cpu": 2}}}]}),
            "2",
        ),
        (
            json!({"containers": [{"resources": {"limits": {"cpu": 2}, "requests": {"cpu": 1}}}]}),
            "1",
        ),
        (
            json!({"containers": [asks("1"), asks("1")], "resources": {"requests": {"cpu": "1"}}}),
            "1",
        ),
    ] {
        let demand = of_pod(&spec).expect("a demand");
        assert_eq!(cpu(&demand), expected, "{spec}");
        assert_eq!(demand.get(PODS), Quantity::whole(1), "{spec}");
    }
    let odd = json!({"containers": [asks("much")]});
    assert_eq!(of_pod(&odd), Err("a quantity cannot be read".to_owned()));
}

#[test]
fn limits_are_counted_beside_requests() {
    let spec = json!({
        "containers": [{"resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}}}],
        "overhead": {"memory": "1Gi", "ephemeral-storage": "1Gi"},
    });
    let demand = of_pod(&spec).expect("a demand");
    for (name, expected) in [
        ("requests.cpu", "1"),
        ("limits.cpu", "2"),
        ("requests.memory", "2Gi"),
        ("limits.memory", "2Gi"),
        ("requests.ephemeral-storage", "1Gi"),
        // No container is limited in it.
        ("limits.ephemeral-storage", "0"),
    ] {
        assert_eq!(demand.get(name).as_bytes(), expected, "{name}");
    }
}

#[test]
fn an_object_makes_as_many_pods_as_kubernetes_would() {
    let node = |disk: &str| {
        let node = json!({"metadata": {"labels": {"disk": disk}}});
        serde_json::from_value::<Node>(node).expect("a node")
    };
    let nodes = [node("ssd"), node("ssd"), node("hdd")];
    let pod = json!({"containers": [asks("1")]});
    let with = |more: Value| {
        let mut spec = json!({"template": {"spec": pod.clone()}});
        let more = more.as_object().expect("fields").clone();
        spec.as_object_mut().expect("a map").extend(more);
        spec
    };
    for (kind, spec, expected) in [
        ("Pod", pod.clone(), "1"),
        ("Deployment", with(json!({})), "1"),
        ("Deployment", with(json!({"replicas": 3})), "3"),
        ("StatefulSet", with(json!({"replicas": 0})), "0"),
        ("ReplicaSet", with(json!({"replicas": 2})), "2"),
        ("DaemonSet", with(json!({})), "3"),
        (
            "DaemonSet",
            json!({"template": {"spec": {"containers": [asks("1")], "nodeSelector": {"disk": "ssd"}}}}),
            "2",
        ),
        ("Job", with(json!({})), "1"),
        ("Job", with(json!({"parallelism": 4})), "4"),
        (
            "Job",
            with(json!({"parallelism": 4, "completions": 2})),
            "2",
        ),
        (
            "Job",
            with(json!({"parallelism": 2, "completions": 9})),
            "2",
        ),
        ("Job", with(json!({"suspend": true})), "0"),
        (
            "CronJob",
            json!({"jobTemplate": {"spec": with(json!({"parallelism": 2}))}}),
            "2",
        ),
        (
            "CronJob",
            json!({"suspend": true, "jobTemplate": {"spec": with(json!({}))}}),
            "0",
        ),
        ("ConfigMap", json!({}), "0"),
    ] {
        let body = json!({ "spec": spec });
        let body = body.as_object().expect("a map");
        let demand = of(&key(kind), body, None, &nodes).expect("a demand");
        assert_eq!(cpu(&demand), expected, "{kind} {spec}");
    }
    let template = json!({"template": {"spec": pod}});
    let template = template.as_object().expect("a map");
    let demand = of(&key("PodTemplate"), template, None, &nodes).expect("a demand");
    assert_eq!(cpu(&demand), "0");
    let over = json!({"spec": pod, "status": {"phase": "Succeeded"}});
    let over = over.as_object().expect("a map");
    assert_eq!(
        cpu(&of(&key("Pod"), over, None, &nodes).expect("a demand")),
        "0"
    );
}

#[test]
fn the_number_that_an_autoscaler_set_counts_if_the_manifest_names_none() {
    let wanted = json!({"spec": {"template": {"spec": {"containers": [asks("1")]}}}});
    let live = json!({"spec": {"replicas": 7}});
    let (wanted, live) = (wanted.as_object().expect("a map"), live.as_object());
    let demand = of(&key("Deployment"), wanted, live, &[]).expect("a demand");
    assert_eq!(cpu(&demand), "7");
}
