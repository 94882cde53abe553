use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use brokkr_core::ambient::System;
use brokkr_core::wire::{Adopt, TargetAgent};
use brokkr_core::{DeploymentObjectId, Epoch, StackId};
use tempfile::TempDir;

use super::*;
use crate::cache::kept::{content_name, state_name};

use brokkr_core::Digest;
use brokkr_core::wire::{TargetStack, TargetState};

const TEXT: &str =
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: password\nstringData:\n  a: hunter2\n";

fn entry(text: &str) -> TargetStack {
    TargetStack {
        stack: StackId::generate(&System),
        name: "shop".parse().expect("a name"),
        deployment_object: DeploymentObjectId::generate(&System),
        sequence: 1,
        digest: Digest::of(Some("shop"), text),
        size: text.len() as u64,
        default_namespace: Some("shop".to_owned()),
        create_namespace: false,
        allow_delete: Vec::new(),
        requires: Vec::new(),
        approved_losses: Vec::new(),
        released: Vec::new(),
        adopt: Adopt::Never,
        drift: brokkr_core::wire::Drift::Repair,
        paused: false,
        ignores_windows: false,
        service_account: None,
    }
}

fn state(revision: u64, stacks: Vec<TargetStack>) -> TargetState {
    TargetState {
        epoch: Epoch::generate(&System),
        revision,
        state_token: format!("token-{revision}"),
        succeeds: Vec::new(),
        agent: TargetAgent::default(),
        stacks,
        removals: Vec::new(),
        conditional_removals: Vec::new(),
        requests: Vec::new(),
    }
}

fn folder() -> (TempDir, Cache) {
    let place = tempfile::tempdir().expect("a folder");
    let cache = Cache::in_folder(&place.path().join("cache")).expect("a cache");
    (place, cache)
}

/// The cache as the next process finds it.
fn again(place: &TempDir) -> Cache {
    Cache::in_folder(&place.path().join("cache")).expect("a cache")
}

#[tokio::test]
async fn what_was_kept_is_found_by_the_next_process() {
    let (place, cache) = folder();
    let (entry, other) = (entry(TEXT), entry("{}"));
    let state = state(7, vec![entry.clone()]);
    let kept = cache.keep_state(&state).await.expect("JSON");
    cache.keep_content(&entry, TEXT).await.expect("zstd");
    let cache = again(&place);
    assert_eq!(cache.state(kept).await, Some(state));
    assert_eq!(cache.content(&entry).await.as_deref(), Some(TEXT));
    assert_eq!(cache.content(&other).await, None);
}

#[tokio::test]
async fn nobody_else_reads_it() {
    let (place, cache) = folder();
    cache.keep_content(&entry(TEXT), TEXT).await.expect("zstd");
    let mode = |path: &Path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    let folder = place.path().join("cache");
    assert_eq!(mode(&folder), 0o700);
    for file in fs::read_dir(&folder).expect("a folder") {
        assert_eq!(mode(&file.expect("a file").path()), 0o600);
    }
    assert!(!format!("{cache:?}").contains("hunter2"));
}

/// Whatever byte of a file is another one, and wherever it ends, it is not believed.
#[tokio::test]
async fn what_is_damaged_anywhere_is_ignored() {
    let (place, cache) = folder();
    let entry = entry(TEXT);
    let state = state(7, vec![entry.clone()]);
    let kept = cache.keep_state(&state).await.expect("JSON");
    cache.keep_content(&entry, TEXT).await.expect("zstd");
    for name in [state_name(kept), content_name(entry.stack, entry.digest)] {
        let file = place.path().join("cache").join(&name);
        let whole = fs::read(&file).expect("a file");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            for damaged in [&damaged[..], &whole[..at]] {
                fs::write(&file, damaged).expect("a file");
                // A frame may say the same in two ways; what it says is what counts.
                let found = cache.content(&entry).await;
                assert!(found.is_none_or(|text| text == TEXT), "{name}, byte {at}");
                let found = cache.state(kept).await;
                assert!(found.is_none() || name != state_name(kept), "byte {at}");
            }
        }
        fs::write(&file, &whole).expect("a file");
    }
    assert_eq!(cache.state(kept).await, Some(state));
    assert_eq!(cache.content(&entry).await.as_deref(), Some(TEXT));
}

#[tokio::test]
async fn only_the_state_that_is_asked_for_is_found() {
    let (_place, cache) = folder();
    let [older, newer] = [state(7, Vec::new()), state(8, Vec::new())];
    let first = cache.keep_state(&older).await.expect("JSON");
    let second = cache.keep_state(&newer).await.expect("JSON");
    assert_eq!(cache.state(first).await, Some(older));
    assert_eq!(cache.state(second).await.as_ref(), Some(&newer));
    cache.keep_only(second, &newer).await;
    assert_eq!(cache.state(first).await, None);
    assert_eq!(cache.state(second).await, Some(newer));
}

#[tokio::test]
async fn a_version_that_understands_more_asks_again() {
    let (_place, cache) = folder();
    let json = serde_json::json!({ "features": ["time-travel"], "state": state(7, Vec::new()) });
    let json = serde_json::to_vec(&json).expect("JSON");
    let fingerprint = brokkr_core::plan::Fingerprint::of(&json);
    cache.write(&state_name(fingerprint), json.into()).await;
    assert_eq!(cache.state(fingerprint).await, None);
}

#[tokio::test]
async fn what_is_not_named_any_more_is_let_go() {
    let (place, cache) = folder();
    let [stays, goes] = [entry(TEXT), entry("{}")];
    for (entry, text) in [(&stays, TEXT), (&goes, "{}")] {
        cache.keep_content(entry, text).await.expect("zstd");
    }
    fs::write(place.path().join("cache/content-1.part"), "cut").expect("a file");
    let state = state(8, vec![stays.clone()]);
    let kept = cache.keep_state(&state).await.expect("JSON");
    cache.keep_only(kept, &state).await;
    assert_eq!(cache.content(&goes).await, None);
    assert!(cache.content(&stays).await.is_some());
    assert_eq!(cache.names("").await.len(), 2);
    cache.forget().await;
    assert!(cache.names("").await.is_empty());
}

/// What runs is kept while a newer version waits.
#[tokio::test]
async fn of_a_stack_only_what_is_asked_for_is_kept() {
    let (_place, cache) = folder();
    let beside = entry(TEXT);
    let texts = ["1", "2", "3"];
    let versions = texts.map(|text| TargetStack {
        stack: beside.stack,
        ..entry(text)
    });
    let other = entry("1");
    for (version, text) in versions.iter().zip(texts).chain([(&other, "1")]) {
        cache.keep_content(version, text).await.expect("zstd");
    }
    let state = state(8, vec![versions[2].clone(), other.clone()]);
    let kept = cache.keep_state(&state).await.expect("JSON");
    cache.keep_only(kept, &state).await;
    let wanted = [versions[0].digest, versions[2].digest];
    cache.keep_contents(beside.stack, &wanted).await;
    let mut found = Vec::new();
    for version in versions.iter().chain([&other]) {
        found.push(cache.content(version).await.is_some());
    }
    assert_eq!(found, [true, false, true, true]);
}

#[tokio::test]
async fn a_folder_of_somebody_else_is_left_alone() {
    let (place, cache) = folder();
    let cache = cache.owned_by("cluster-1/brokkr-system").await;
    let kept = cache.keep_state(&state(7, Vec::new())).await.expect("JSON");
    let foreign = again(&place).owned_by("cluster-2/brokkr-system").await;
    assert_eq!(foreign.state(kept).await, None);
    foreign.forget().await;
    let cache = again(&place).owned_by("cluster-1/brokkr-system").await;
    assert!(cache.state(kept).await.is_some());
}

#[tokio::test]
async fn what_the_folder_does_not_take_is_kept_in_memory() {
    let (place, cache) = folder();
    let folder = place.path().join("cache");
    fs::remove_dir(&folder).expect("it is empty");
    fs::write(&folder, "no folder").expect("a file");
    let entry = entry(TEXT);
    cache.keep_content(&entry, TEXT).await.expect("zstd");
    assert_eq!(cache.content(&entry).await.as_deref(), Some(TEXT));
    let refused = Cache::in_folder(&folder).expect_err("no cache");
    assert!(refused.to_string().contains("--cache-dir"), "{refused}");
}
