use brokkr_core::wire::{Code, Publish, PublishOptions, Rollback};
use brokkr_core::{Digest, KeptKind};

use crate::harness::*;

on_both_engines!(
    snapshots_are_numbered_and_kept,
    the_same_content_again_is_unchanged,
    an_unexpected_head_refuses_a_publish,
    a_rollback_is_a_new_snapshot,
    approved_losses_travel_with_the_head,
    a_refused_snapshot_stores_nothing,
);

async fn snapshots_are_numbered_and_kept(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    let mut ids = Vec::new();
    for value in ["1", "2", "3"] {
        ids.push(
            publish(&admin, "shop", config_map("a", value))
                .await
                .deployment_object
                .id,
        );
    }
    let history = admin.history(&name("shop")).await.expect("a history");
    let sequences: Vec<_> = history.iter().map(|object| object.sequence).collect();
    assert_eq!(sequences, [3, 2, 1]);
    for (id, value) in ids.into_iter().zip(["1", "2", "3"]) {
        let text = admin.manifests(id).await.expect("a content");
        assert_eq!(text, config_map("a", value));
        let object = admin.deployment_object(id).await.expect("a snapshot");
        assert_eq!(object.digest, Digest::of(None, &text));
        assert_eq!((object.objects, object.author.as_str()), (1, "admin"));
    }
    broker.stop().await;
}

async fn the_same_content_again_is_unchanged(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    let first = publish(&admin, "shop", config_map("a", "1")).await;
    let again = publish(&admin, "shop", config_map("a", "1")).await;
    assert!(!first.unchanged && again.unchanged);
    assert_eq!(first.deployment_object, again.deployment_object);
    let patch =
        serde_json::from_str(r#"{"options": {"default_namespace": "team"}}"#).expect("a patch");
    admin
        .patch_stack(&name("shop"), &patch)
        .await
        .expect("patched");
    let elsewhere = publish(&admin, "shop", config_map("a", "1")).await;
    assert!(
        !elsewhere.unchanged,
        "for another namespace it is another content"
    );
    broker.stop().await;
}

async fn an_unexpected_head_refuses_a_publish(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    for (expect_sequence, value, refused) in [(0, "1", false), (0, "2", true), (1, "2", false)] {
        let options = PublishOptions {
            expect_sequence: Some(expect_sequence),
            ..Default::default()
        };
        let publish = Publish {
            manifests: config_map("a", value),
            options,
        };
        let outcome = admin.publish(&name("shop"), &publish).await;
        let code = outcome.err().and_then(|error| error.code());
        assert_eq!(code, refused.then_some(Code::SequenceMismatch));
    }
    broker.stop().await;
}

async fn a_rollback_is_a_new_snapshot(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    let first = publish(&admin, "shop", config_map("a", "1"))
        .await
        .deployment_object;
    publish(&admin, "shop", config_map("a", "2")).await;
    let rollback = Rollback {
        to: 1,
        options: PublishOptions::default(),
    };
    let back = admin
        .rollback(&name("shop"), &rollback)
        .await
        .expect("rolled back")
        .deployment_object;
    assert_eq!((back.sequence, back.digest), (3, first.digest));
    assert_eq!(
        admin.manifests(back.id).await.expect("a content"),
        config_map("a", "1")
    );
    broker.stop().await;
}

async fn approved_losses_travel_with_the_head(engine: Engine) {
    let Scene {
        broker,
        admin,
        agent,
        ..
    } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    target(&admin, "edge", "shop").await;
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n";
    publish(
        &admin,
        "shop",
        format!("{namespace}---\n{}", config_map("a", "1")),
    )
    .await;
    let options = PublishOptions {
        allow_delete: vec![KeptKind::Namespace],
        ..Default::default()
    };
    let dropping = Publish {
        manifests: config_map("a", "2"),
        options,
    };
    admin
        .publish(&name("shop"), &dropping)
        .await
        .expect("published");
    publish(&admin, "shop", config_map("a", "3")).await;
    let poll = agent
        .target_state(None, std::time::Duration::ZERO, std::time::Duration::ZERO)
        .await;
    let brokkr_client::Poll::Changed { state, .. } = poll.expect("an answer") else {
        panic!("a state")
    };
    let approved: Vec<_> = state.stacks[0]
        .allow_delete
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        (state.stacks[0].sequence, approved),
        (3, vec!["Namespace team".to_owned()])
    );
    broker.stop().await;
}

async fn a_refused_snapshot_stores_nothing(engine: Engine) {
    let Scene { broker, admin, .. } = Scene::set(engine).await;
    create_stack(&admin, "shop").await;
    let twice = format!("{}---\n{}", config_map("a", "1"), config_map("a", "2"));
    let publish = Publish {
        manifests: twice,
        options: PublishOptions::default(),
    };
    let error = admin
        .publish(&name("shop"), &publish)
        .await
        .expect_err("refused");
    let brokkr_client::Error::Refused(problem) = error else {
        panic!("{error}")
    };
    assert_eq!(problem.code, Code::InvalidManifests);
    assert_eq!(
        (problem.document, problem.pointer.as_deref()),
        (Some(2), Some("/metadata/name"))
    );
    assert!(
        admin
            .history(&name("shop"))
            .await
            .expect("a history")
            .is_empty()
    );
    broker.stop().await;
}
