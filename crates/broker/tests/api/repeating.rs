//! Creates and publishes under an `Idempotency-Key`: repeated, they answer again and make nothing.

use brokkr_core::pak::Pak;
use brokkr_core::wire::Code;
use jiff::SignedDuration;
use serde_json::Value;

use crate::harness::*;

on_both_engines!(
    a_repetition_answers_again_and_makes_nothing,
    a_key_means_one_request_of_one_caller,
    a_key_that_is_a_day_old_is_a_new_one,
);

/// Sends a create or publish under a key; answers status and body.
async fn send(broker: &TestBroker, pak: &Pak, path: &str, key: &str, body: &str) -> (u16, Value) {
    let answer = reqwest::Client::new()
        .post(format!("{}/api/v1{path}", broker.server))
        .bearer_auth(pak.expose())
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(body.to_owned())
        .send()
        .await
        .expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("JSON"))
}

const PUBLISH: &str = r#"{"manifests":"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}"}"#;

async fn a_repetition_answers_again_and_makes_nothing(engine: Engine) {
    let scene = Scene::set(engine).await;
    let (broker, pak) = (&scene.broker, &scene.admin_key);
    for (path, body) in [
        ("/stacks", r#"{"name":"shop"}"#),
        ("/agent-targets", r#"{"agent":"edge","stack":"shop"}"#),
        ("/stacks/shop/deployment-objects", PUBLISH),
    ] {
        let key = format!("first-{}", path.replace('/', "-"));
        let before = scene.admin.audit(&[]).await.expect("an audit").len();
        let first = send(broker, pak, path, &key, body).await;
        assert_eq!(first.0, 201, "{path}: {first:?}");
        assert_eq!(send(broker, pak, path, &key, body).await, first, "{path}");
        let after = scene.admin.audit(&[]).await.expect("an audit").len();
        assert_eq!(after, before + 1, "{path}");
    }
    // The head moved on meanwhile: the repetition still answers with what it made.
    let first = send(
        broker,
        pak,
        "/stacks/shop/deployment-objects",
        "first--stacks-shop-deployment-objects",
        PUBLISH,
    )
    .await;
    publish(&scene.admin, "shop", config_map("b", "1")).await;
    let again = send(
        broker,
        pak,
        "/stacks/shop/deployment-objects",
        "first--stacks-shop-deployment-objects",
        PUBLISH,
    )
    .await;
    assert_eq!(again, first);
    assert_eq!(
        scene
            .admin
            .history(&name("shop"))
            .await
            .expect("a history")
            .len(),
        2
    );
    let back = r#"{"to":1}"#;
    let rolled = send(broker, pak, "/stacks/shop/rollback", "back", back).await;
    assert_eq!(rolled.0, 201);
    assert_eq!(
        send(broker, pak, "/stacks/shop/rollback", "back", back).await,
        rolled
    );

    // What showed a key is not shown again.
    for (path, body) in [
        ("/agents", r#"{"name":"new"}"#),
        ("/generators", r#"{"name":"ci","scope":"all_agents"}"#),
        ("/keys", r#"{"for":"admin","name":"second"}"#),
    ] {
        let (status, made) = send(broker, pak, path, path, body).await;
        assert_eq!(status, 201, "{path}: {made}");
        let (status, problem) = send(broker, pak, path, path, body).await;
        assert_eq!(
            (status, problem["code"].as_str()),
            (409, Some("already_done")),
            "{path}"
        );
        assert!(!problem.to_string().contains("brokkr_"), "{problem}");
    }
    scene.broker.stop().await;
}

async fn a_key_means_one_request_of_one_caller(engine: Engine) {
    let scene = Scene::set(engine).await;
    let broker = &scene.broker;
    let ci = create_generator(&scene.admin, "ci").await;
    let (shop, mail) = (r#"{"name":"shop"}"#, r#"{"name":"mail"}"#);
    let (status, of_admin) = send(broker, &scene.admin_key, "/stacks", "k", shop).await;
    assert_eq!(status, 201);
    let (status, of_ci) = send(broker, &ci, "/stacks", "k", mail).await;
    assert_eq!(status, 201, "another caller's key is another key");
    assert_ne!(of_admin["id"], of_ci["id"]);
    let (status, problem) = send(broker, &ci, "/stacks", "k", shop).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (422, Some("idempotency_mismatch"))
    );
    let (status, problem) =
        send(broker, &ci, "/stacks/mail/deployment-objects", "k", PUBLISH).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (422, Some("idempotency_mismatch"))
    );
    // What was refused is not remembered.
    let (status, _) = send(broker, &ci, "/stacks", "l", mail).await;
    assert_eq!(status, 409);
    let (status, _) = send(broker, &ci, "/stacks", "l", shop).await;
    assert_eq!(status, 201);
    for bad in ["", "a b", &"x".repeat(256), &"x".repeat(10_240)] {
        let (status, problem) = send(broker, &ci, "/stacks", bad, shop).await;
        assert_eq!(status, 400, "{problem}");
        assert_eq!(problem["code"], serde_json::json!(Code::Malformed));
    }
    scene.broker.stop().await;
}

async fn a_key_that_is_a_day_old_is_a_new_one(engine: Engine) {
    let timed = Timed::set(engine).await;
    let pak = timed.database.admin_key();
    let (shop, mail) = (r#"{"name":"shop"}"#, r#"{"name":"mail"}"#);
    let stacks = async |body| send(&timed.broker, &pak, "/stacks", "k", body).await.0;
    assert_eq!(stacks(shop).await, 201);
    timed.clock.pass(SignedDuration::from_hours(23));
    assert_eq!(stacks(mail).await, 422);
    timed.clock.pass(SignedDuration::from_hours(1));
    // Nobody has forgotten it yet.
    assert_eq!(stacks(mail).await, 201);
    assert_eq!(stacks(shop).await, 422);
    timed.broker.stop().await;
}
