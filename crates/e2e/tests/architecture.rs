//! Which crate may use which: the directions that keep broker and agent apart.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate of the workspace uses, directly or not, outside of its tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let mut direct = BTreeMap::new();
    let mut names = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        names.insert(
            package["id"].as_str(),
            package["name"].as_str().expect("a name").to_owned(),
        );
    }
    for node in nodes {
        let used = node["deps"]
            .as_array()
            .expect("deps")
            .iter()
            .filter(|dependency| {
                let kinds = dependency["dep_kinds"].as_array().expect("kinds");
                kinds.iter().any(|kind| kind["kind"] != "dev")
            });
        let used: BTreeSet<String> = used
            .map(|used| names[&used["pkg"].as_str()].clone())
            .collect();
        direct.insert(names[&node["id"].as_str()].clone(), used);
    }
    let ours = direct
        .keys()
        .filter(|name| name.starts_with("brokkr"))
        .cloned()
        .collect::<Vec<_>>();
    ours.into_iter()
        .map(|name| (name.clone(), reachable(&name, &direct)))
        .collect()
}

fn reachable(from: &str, direct: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(name) = open.pop() {
        for next in direct.get(&name).into_iter().flatten() {
            if found.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    found
}

fn never_uses(of: &str, banned: &[&str]) {
    let used = &dependencies()[of];
    for banned in banned {
        assert!(!used.contains(*banned), "{of} uses {banned}");
    }
}

#[test]
fn the_broker_never_sees_a_cluster() {
    never_uses(
        "brokkr-broker",
        &[
            "kube",
            "kube-client",
            "k8s-openapi",
            "brokkr-agent",
            "brokkr-client",
        ],
    );
}

#[test]
fn the_agent_never_sees_a_database_or_serves() {
    never_uses("brokkr-agent", &["sqlx", "axum", "brokkr-broker"]);
}

#[test]
fn the_vocabulary_does_no_io() {
    never_uses(
        "brokkr-core",
        &["tokio", "hyper", "reqwest", "sqlx", "kube", "axum"],
    );
    never_uses(
        "brokkr-client",
        &["sqlx", "kube", "axum", "brokkr-broker", "brokkr-agent"],
    );
}

/// Defects and deaths on demand are for the builds of `make mutants` and `scripts/faulty` alone.
#[test]
fn the_binary_can_be_told_to_have_no_defect() {
    let binary = std::fs::read(brokkr_e2e::brokkr().expect("a built binary")).expect("its bytes");
    let text = String::from_utf8_lossy(&binary);
    assert!(
        text.contains("BROKKR_SERVER"),
        "this is not how to look for a name"
    );
    assert!(
        !text.contains("BROKKR_MUTANT"),
        "it was built with the feature `mutants`"
    );
    assert!(
        !text.contains("BROKKR_FAILPOINT") && !text.contains("InventoryWritten"),
        "it can be told to die"
    );
}
