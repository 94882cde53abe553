use std::convert::Infallible;
use std::sync::Arc;

use brokkr_core::ambient::System;
use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::environment::Environment;
use crate::environment::tests::{rules, snapshot};

/// A cluster with a node of 8 CPU, one that is cordoned, a quota, and what `live` says of `web`.
fn cluster(live: Option<Value>, forbidden: &'static str) -> Cluster {
    let service = tower::service_fn(move |request: Request<Body>| {
        let path = request.uri().path();
        let list = |items: Value| (200, json!({"metadata": {}, "items": items}));
        let node = |cordoned: bool| {
            json!({
                "spec": {"unschedulable": cordoned},
                "status": {"allocatable": {"cpu": "8", "memory": "16Gi", "pods": 110}},
            })
        };
        let (status, body) = if path.ends_with(forbidden) {
            (403, json!({"message": "forbidden"}))
        } else if path.ends_with("/nodes") {
            list(json!([node(false), node(true)]))
        } else if path.ends_with("/resourcequotas") {
            list(json!([
                {
                    "metadata": {"name": "compute"},
                    "status": {
                        "hard": {"memory": "4Gi", "limits.cpu": "3", "pods": "6", "secrets": "1"},
                        "used": {"memory": "1Gi", "limits.cpu": "0", "pods": "2", "secrets": "1"},
                    },
                },
                {
                    "metadata": {"name": "some"},
                    "spec": {"scopes": ["BestEffort"]},
                    "status": {"hard": {"pods": "0"}, "used": {"pods": "0"}},
                },
            ]))
        } else {
            match &live {
                Some(live) if path.ends_with("/web") => (200, live.clone()),
                _ => (404, json!({"details": {"name": path.rsplit('/').next()}})),
            }
        };
        let response = Response::builder().status(status);
        let response = response.body(Body::from(body.to_string().into_bytes()));
        std::future::ready(Ok::<_, Infallible>(response.expect("a response")))
    });
    Cluster::new(kube::Client::new(service, "default"), 4, Arc::new(System))
}

fn web(replicas: u32, resources: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: shop}}\nspec:\n  replicas: {replicas}\n  template: {{spec: {{containers: [{{name: a, resources: {{{resources}}}}}]}}}}\n"
    )
}

fn live(replicas: u32, cpu: &str) -> Value {
    let container = json!({"resources": {"requests": {"cpu": cpu}}});
    let template = json!({"spec": {"containers": [container]}});
    json!({"spec": {"replicas": replicas, "template": template}})
}

async fn refused(environment: &str, cluster: &Cluster, text: &str) -> Vec<String> {
    let environment: Environment = rules(environment);
    let snapshot = snapshot(text);
    let mut verdicts = environment.judge("checkout", &snapshot);
    if let Some(resources) = &environment.resources {
        let judged = resources.judge(cluster, &snapshot, &mut verdicts);
        judged.await.expect("a verdict");
    }
    let outcomes = verdicts.into_outcomes().into_iter();
    outcomes.filter_map(|outcome| outcome.reason).collect()
}

#[tokio::test]
async fn only_what_grows_needs_room() {
    for (environment, present, replicas, resources, expected) in [
        ("", None, 4, "requests: {cpu: 16}", ""),
        ("resources: {}", None, 4, "requests: {cpu: 2}", ""),
        (
            "resources: {}",
            None,
            4,
            "requests: {cpu: 16}",
            "rule resources: the stack asks for 64 CPU more, 64 in all, and the nodes have 8",
        ),
        (
            "resources: {headroom: 8}",
            None,
            4,
            "requests: {cpu: 16}",
            "",
        ),
        (
            "resources: {headroom: 0.5}",
            None,
            4,
            "requests: {cpu: 1100m}",
            "asks for 4400m CPU more, 4400m in all, and the nodes have 4",
        ),
        // What the stack runs is its own, even if it is more than there is.
        (
            "resources: {}",
            Some(live(4, "16")),
            4,
            "requests: {cpu: 16}",
            "",
        ),
        (
            "resources: {}",
            Some(live(4, "16")),
            4,
            "requests: {cpu: 15}",
            "",
        ),
        (
            "resources: {}",
            Some(live(4, "1")),
            4,
            "requests: {cpu: 3}",
            "asks for 8 CPU more, 12 in all, and the nodes have 8",
        ),
        (
            "resources: {}",
            None,
            4,
            "requests: {memory: 1Gi}",
            "rule resources: the stack asks for 4Gi of memory more in the namespace shop, whose quota compute has 3Gi left of 4Gi",
        ),
        (
            "resources: {}",
            None,
            4,
            "requests: {cpu: 1}, limits: {cpu: 1}",
            "asks for 4 of limits.cpu more in the namespace shop, whose quota compute has 3 left of 3",
        ),
        (
            "resources: {}",
            None,
            5,
            "",
            "asks for 5 Pods more in the namespace shop, whose quota compute has 4 left of 6",
        ),
        (
            "resources: {}",
            Some(live(2, "1")),
            6,
            "requests: {cpu: 1}",
            "",
        ),
        (
            "resources: {}",
            None,
            1,
            "requests: {cpu: lots}",
            "rule resources: it cannot tell: a quantity cannot be read",
        ),
    ] {
        let told = refused(
            environment,
            &cluster(present, "-"),
            &web(replicas, resources),
        )
        .await;
        let case = format!("{environment} {replicas} {resources}: {told:?}");
        if expected.is_empty() {
            assert!(told.is_empty(), "{case}");
        } else {
            assert!(told.len() == 1 && told[0].ends_with(expected), "{case}");
        }
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_all_others_at_all_that_grows() {
    let other = web(2, "requests: {cpu: 1}").replace("name: web", "name: other");
    let text = format!("{}{other}", web(2, "requests: {cpu: 4}"));
    let environment = "namespaces: {deny: [shop]}\nresources: {}";
    let told = refused(environment, &cluster(Some(live(2, "4")), "-"), &text).await;
    assert!(
        told[0].contains("asks for 2 CPU more, 10 in all"),
        "{told:?}"
    );
    assert!(told[0].contains("rule namespaces"), "{told:?}");
    assert!(!told[1].contains("rule resources"), "{told:?}");
}

#[tokio::test]
async fn what_the_agent_may_not_see_is_not_let_through() {
    let text = web(1, "");
    for (forbidden, expected) in [
        ("/nodes", "it cannot tell: the agent may not list nodes"),
        (
            "/resourcequotas",
            "it cannot tell: the agent may not list the resourcequotas of the namespace shop",
        ),
    ] {
        let told = refused("resources: {}", &cluster(None, forbidden), &text).await;
        assert!(told.len() == 1 && told[0].ends_with(expected), "{told:?}");
    }
    // Who makes no Pods needs no room, and nothing is asked.
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n";
    assert!(
        refused("resources: {}", &cluster(None, "s"), map)
            .await
            .is_empty()
    );
}
