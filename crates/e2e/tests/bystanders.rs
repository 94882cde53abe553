//! A story that touches what only looks like its objects fails: those that end well prove something.

use anyhow::Result;
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Engine, perform};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

/// Rolls one object out, harms the bystanders of its namespace and of the one aside, and tells how the story ends.
async fn told(harm: impl AsyncFnOnce(Api<ConfigMap>, Api<ConfigMap>) -> Result<()>) -> String {
    let ended = perform(Engine::Sqlite, async |stage| {
        let world = stage.world().await?;
        let stack = world.stack("harm").await?;
        stack.roll_out(&config_map("a", "1")).await?;
        let aside = format!("{}-aside", stack.namespace);
        let [beside, aside] = [&stack.namespace, &aside]
            .map(|namespace| Api::namespaced(world.cluster.client(), namespace));
        harm(beside, aside).await
    });
    ended
        .await
        .map_or_else(|failure| format!("{failure:?}"), |()| "well".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_bystander_that_is_edited_or_gone_is_noticed() {
    assert_eq!(told(async |_, _| Ok(())).await, "well");
    let edited = told(async |beside, _| {
        let edit = Patch::Merge(json!({ "data": { "a": "edited" } }));
        beside
            .patch("bystander-copied", &PatchParams::default(), &edit)
            .await?;
        Ok(())
    });
    let edited = edited.await;
    assert!(edited.contains("bystander-copied was touched"), "{edited}");
    let gone = told(async |_, aside| {
        aside.delete("a", &DeleteParams::default()).await?;
        Ok(())
    });
    let gone = gone.await;
    assert!(gone.contains("-aside/a is gone"), "{gone}");
}
