use brokkr_core::ambient::System;
use brokkr_core::manifest;
use brokkr_core::plan::{Fingerprint, Phase};
use brokkr_core::wire::ObjectResult;
use proptest::prelude::*;

use super::*;
use crate::cluster::Resource;
use crate::validate::{Object, Served};

const GUIDE: &str = include_str!("../../../../docs/how-to/guard-a-cluster.md");
const SCHEMA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/agent-config.schema.json"
);

pub(super) fn rules(text: &str) -> Environment {
    Environment::parse(text).unwrap_or_else(|(place, reason)| panic!("{place:?}: {reason}"))
}

/// A snapshot as it is when the rules see it: every object has the namespace it will lie in.
pub(super) fn snapshot(text: &str) -> Snapshot {
    let manifests = manifest::parse(text, None).expect("manifests");
    let objects = manifests.into_iter().map(|manifest| Object {
        key: manifest.key(None),
        resource: Resource::new("", "v1", "things"),
        phase: Phase::Workloads,
        fingerprint: Fingerprint::of(b""),
        body: manifest.object,
        needs: Vec::new(),
        served: Served::Already,
        ignored: None,
    });
    Snapshot {
        objects: objects.collect(),
        namespace: None,
    }
}

fn refused(environment: &str, text: &str) -> Vec<(String, String)> {
    let outcomes = rules(environment)
        .judge("checkout", &snapshot(text))
        .into_outcomes();
    assert!(outcomes.iter().all(|o| o.result == ObjectResult::Invalid));
    let told = outcomes.into_iter();
    told.map(|o| (o.object.name, o.reason.unwrap_or_default()))
        .collect()
}

fn config_map(name: &str, namespace: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: '{namespace}'}}\n"
    )
}

fn pod(image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a, namespace: shop}}\nspec: {{containers: [{{name: a, image: '{image}'}}]}}\n"
    )
}

#[test]
fn what_is_left_out_allows_everything() {
    for text in [
        "",
        "# nothing\n",
        "{}",
        "namespaces: {}\nkinds: {deny: []}\nrules: []\n",
    ] {
        assert!(rules(text).is_open(), "{text}");
        assert!(refused(text, &pod("nginx")).is_empty(), "{text}");
    }
}

#[test]
fn each_rule_refuses_what_it_is_about() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: kube-public}\n";
    let role =
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: all}\n";
    let allow_shop = "namespaces: {allow: [shop]}";
    for (environment, text, expected) in [
        (allow_shop, config_map("a", "shop"), ""),
        (
            allow_shop,
            config_map("a", "shop2"),
            "rule namespaces: the namespace shop2 is not allowed here, only shop are",
        ),
        (
            allow_shop,
            namespace.to_owned(),
            "rule namespaces: the namespace kube-public is",
        ),
        (allow_shop, role.to_owned(), ""),
        (
            "namespaces: {allow: ['*'], deny: [kube-*]}",
            namespace.to_owned(),
            "rule namespaces: the namespace kube-public is not allowed here",
        ),
        (
            "kinds: {deny: [Namespace]}",
            namespace.to_owned(),
            "rule kinds: the kind Namespace is not",
        ),
        (
            "kinds: {deny: [rbac.authorization.k8s.io/*]}",
            role.to_owned(),
            "rule kinds: the kind rbac.authorization.k8s.io/ClusterRole is not",
        ),
        (
            "kinds: {allow: [Pod]}",
            config_map("a", "shop"),
            "rule kinds: the kind ConfigMap is not allowed here, only Pod are",
        ),
        ("kinds: {allow: [Pod]}", pod("x"), ""),
        (
            "registries: {allow: [registry.example/*]}",
            pod("registry.example/a:1"),
            "",
        ),
        (
            "registries: {allow: [registry.example/*]}",
            pod("registry.example.evil/a:1"),
            "is from registry.example.evil/a, which is not",
        ),
        (
            "registries: {deny: [docker.io/*]}",
            pod("nginx"),
            "rule registries: the image nginx is from docker.io/library/nginx, which is not allowed here",
        ),
        (
            "registries: {allow: [registry.example/*]}",
            config_map("a", "shop"),
            "",
        ),
        (
            "required_labels: [team]",
            pod("x"),
            "rule required_labels: the label team is missing",
        ),
        (
            "rules: [{name: a, expression: 'stack == \"basket\"', message: no}]",
            pod("x"),
            "rule a: no",
        ),
        (
            "rules: [{name: a, expression: 'false', message: no, kinds: [apps/*]}]",
            pod("x"),
            "",
        ),
        (
            "rules: [{name: a, expression: 'object.spec.b', message: no}]",
            pod("x"),
            "rule a: it cannot tell: the object has no field `b`",
        ),
    ] {
        let told = refused(environment, &text);
        if expected.is_empty() {
            assert!(told.is_empty(), "{environment}: {told:?}");
        } else {
            assert_eq!(told.len(), 1, "{environment}: {told:?}");
            assert!(told[0].1.contains(expected), "{environment}: {told:?}");
        }
    }
}

#[test]
fn the_namespace_that_a_stack_wants_made_is_judged_too() {
    let place = ObjectKey {
        group: String::new(),
        kind: "Namespace".into(),
        namespace: None,
        name: "shop".into(),
    };
    let wanting = || Snapshot {
        namespace: Some((place.clone(), Resource::new("", "v1", "namespaces"))),
        ..snapshot(&config_map("a", "other"))
    };
    for (environment, expected) in [
        ("namespaces: {deny: [shop]}", 1),
        ("kinds: {deny: [Namespace]}", 1),
        ("namespaces: {deny: [basket]}\nrequired_labels: []", 0),
    ] {
        let told = rules(environment)
            .judge("checkout", &wanting())
            .into_outcomes();
        assert_eq!(told.len(), expected, "{environment}: {told:?}");
        assert!(told.iter().all(|o| o.object == place));
    }
}

/// No rule but `resources` asks the cluster.
#[derive(Debug, thiserror::Error)]
#[error("there is no cluster")]
struct Nowhere;

#[tokio::test]
async fn a_snapshot_that_is_refused_goes_no_further() {
    let entry = TargetStack {
        stack: brokkr_core::StackId::generate(&System),
        name: "checkout".parse().expect("a name"),
        deployment_object: brokkr_core::DeploymentObjectId::generate(&System),
        sequence: 1,
        digest: brokkr_core::Digest::of(None, ""),
        size: 0,
        default_namespace: None,
        create_namespace: false,
        allow_delete: Vec::new(),
        requires: Vec::new(),
        approved_losses: Vec::new(),
        released: Vec::new(),
        adopt: brokkr_core::wire::Adopt::Never,
        drift: brokkr_core::wire::Drift::Repair,
        paused: false,
        ignores_windows: false,
        service_account: None,
    };
    let nowhere = tower::service_fn(|_: http::Request<kube::client::Body>| {
        std::future::ready(Err::<http::Response<kube::client::Body>, _>(Nowhere))
    });
    let client = kube::Client::new(nowhere, "default");
    let cluster = Cluster::new(client, 4, Arc::new(System));
    for (environment, is_through) in [
        ("", true),
        ("kinds: {deny: [Pod]}", false),
        ("kinds: {deny: [Job]}", true),
        ("impersonate: required", false),
        ("impersonate: optional", true),
    ] {
        let environment = Arc::new(rules(environment));
        let judged = environment
            .allow(&cluster, &entry, snapshot(&pod("a")))
            .await;
        assert_eq!(
            judged.expect("a verdict").is_ok(),
            is_through,
            "{environment:?}"
        );
    }
    let entry = TargetStack {
        service_account: Some("deployers/shop".parse().expect("an account")),
        ..entry
    };
    let environment = Arc::new(rules("impersonate: required"));
    let judged = environment.allow(&cluster, &entry, snapshot(&pod("a")));
    assert!(judged.await.expect("a verdict").is_ok());
}

#[test]
fn everything_is_told_up_to_a_bound() {
    let objects: String = (0..150)
        .map(|i| config_map(&format!("a{i:03}"), "kube-system"))
        .collect();
    let environment = format!(
        "namespaces: {{deny: [kube-*]}}\nrequired_labels: [a, b, c, d]\nrules: [{{name: long, expression: 'false', message: '{}'}}]",
        "x".repeat(2_000)
    );
    let told = refused(&environment, &objects);
    assert_eq!(told.len(), 150);
    for (index, (name, reason)) in told.iter().enumerate() {
        assert_eq!(*name, format!("a{index:03}"));
        assert!(
            reason.contains("rule namespaces") && reason.ends_with("and 1 more"),
            "{reason}"
        );
        assert_eq!(reason.contains("kube-system"), index < 100, "{reason}");
    }
    let long = refused(
        "rules: [{name: long, expression: 'false', message: M}]"
            .replace('M', &"x".repeat(2_000))
            .as_str(),
        &pod("a"),
    );
    assert!(long[0].1.len() < 600, "{long:?}");
}

#[test]
fn what_is_wrong_with_a_configuration_is_said_with_its_place() {
    for (text, place, expected) in [
        (
            "namespace: {allow: [a]}",
            (1, 1),
            "unknown field `namespace`, expected one of namespaces, kinds, registries, required_labels, resources, impersonate, rules",
        ),
        (
            "namespaces:\n  alow: [a]",
            (2, 3),
            "unknown field `alow`, expected one of allow, deny",
        ),
        (
            "namespaces:\n  allow: []",
            (2, 10),
            "an empty list names nothing",
        ),
        (
            "rules:\n- {name: a, expression: 'true', message: x, kinds: []}",
            (2, 52),
            "an empty list names nothing",
        ),
        (
            "namespaces:\n  deny: ['a*b']",
            (2, 10),
            "it may end with one `*`",
        ),
        (
            "kinds:\n  deny:\n    - secrets",
            (3, 7),
            "`secrets` is no kind",
        ),
        (
            "registries: {allow: [nginx]}",
            (1, 22),
            "`nginx/*` for all of a registry",
        ),
        (
            "required_labels:\n- 'a b'",
            (2, 3),
            "write `key`, or `key=value`",
        ),
        (
            "rules:\n- name: a\n  expression: 'object.'\n  message: x",
            (3, 15),
            "the expression cannot be read",
        ),
        (
            "rules:\n- name: a\n  expression: 'foo == 1'\n  message: x",
            (3, 15),
            "nothing is called `foo`",
        ),
        (
            "rules:\n- name: A b\n  expression: 'true'\n  message: x",
            (2, 9),
            "`A b` is not a name",
        ),
        (
            "rules:\n- name: a\n  expression: 'true'",
            (3, 3),
            "missing field `message`",
        ),
        (
            "rules:\n- {name: a, expression: 'true', message: x}\n- {name: a, expression: 'true', message: y}",
            (3, 10),
            "two rules are called a",
        ),
        (
            "rules: [{name: a, expression: 'true', message: x, kind: Pod}]",
            (1, 51),
            "unknown field `kind`, expected one of",
        ),
        (
            "kinds: {deny: [Pod]}\nkinds: {deny: [Job]}",
            (2, 1),
            "kinds",
        ),
        (
            "resources:\n",
            (1, 10),
            "write `resources: {}`, or leave it out",
        ),
        (
            "resources: {headroom: 0}",
            (1, 23),
            "headroom is a factor from 0.001 to 1000",
        ),
        (
            "resources: {headroom: .nan}",
            (1, 23),
            "headroom is a factor",
        ),
        (
            "resources: {room: 1}",
            (1, 13),
            "unknown field `room`, expected one of headroom",
        ),
        ("rules: 7", (1, 8), ""),
        ("\tkinds: x", (1, 9), ""),
    ] {
        let (found, reason) = Environment::parse(text).expect_err(text);
        let is_so = reason.contains(expected) && found == Some(place);
        assert!(is_so, "{text}: {found:?} {reason}");
    }
}

#[test]
fn the_guides_example_does_what_the_guide_says() {
    let blocks: Vec<_> = GUIDE.split("```").skip(1).step_by(2).collect();
    let block = |language: &str, index: usize| {
        let mut of_language = blocks
            .iter()
            .filter_map(|block| block.strip_prefix(language));
        of_language.nth(index).expect("a block").trim()
    };
    let (environment, manifest, said) =
        (block("yaml\n", 0), block("yaml\n", 1), block("text\n", 0));
    assert_eq!(
        refused(environment, manifest),
        [("web".to_owned(), said.to_owned())]
    );
    let fine = manifest
        .replace("kube-system", "team-checkout")
        .replace("{team: checkout}", "{team: checkout, env: prod}")
        .replace("somebody/side", "registry.example/side")
        .replace("20", "10");
    assert!(refused(environment, &fine).is_empty());
    let host = fine.replace("    spec:\n", "    spec:\n      hostNetwork: true\n");
    assert!(
        refused(environment, &host)[0]
            .1
            .contains("network of their node")
    );
    assert!(rules(block("yaml\n", 2)).resources.is_some());
}

#[test]
fn the_committed_schema_is_that_of_the_code() {
    let schema = schemars::schema_for!(Environment);
    let schema = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
    if std::env::var_os("BROKKR_UPDATE").is_some() {
        std::fs::write(SCHEMA, &schema).expect("written");
    }
    let committed = std::fs::read_to_string(SCHEMA).unwrap_or_default();
    assert!(
        committed == schema,
        "docs/reference/agent-config.schema.json is old: run `BROKKR_UPDATE=1 cargo test -p brokkr-agent schema`"
    );
}

proptest! {
    #[test]
    fn what_is_denied_is_never_let_through(name in "[a-z]{1,8}", cut in 0_usize..8, allow in any::<bool>()) {
        let beginning = &name[..cut.min(name.len())];
        let allowed = if allow { ", allow: ['*']" } else { "" };
        let environment = rules(&format!("namespaces: {{deny: ['{beginning}*']{allowed}}}"));
        prop_assert_eq!(environment.judge("a", &snapshot(&config_map("a", &name))).into_outcomes().len(), 1);
    }

    #[test]
    fn only_what_is_allowed_is_let_through(name in "[a-c]{1,3}", other in "[a-c]{1,3}", star in any::<bool>()) {
        let pattern = format!("{other}{}", if star { "*" } else { "" });
        let environment = rules(&format!("namespaces: {{allow: ['{pattern}']}}"));
        let is_allowed = name == other || star && name.starts_with(&other);
        prop_assert_eq!(environment.judge("a", &snapshot(&config_map("a", &name))).into_outcomes().is_empty(), is_allowed);
    }

    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,60}") {
        let _ = Environment::parse(&text);
        let _ = Environment::parse(&format!("rules: [{{name: a, message: b, expression: {text:?}}}]"));
    }
}
