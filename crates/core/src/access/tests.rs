use super::*;
use crate::manifest;

fn least(text: &str, creates_namespace: bool) -> Access {
    let manifests = manifest::parse(text, Some("shop")).expect("manifests");
    Access::least(&manifests, Some("shop"), creates_namespace)
}

/// The rules as lines: `PLACE GROUP/RESOURCE [NAMES] VERBS`.
fn lines(access: &Access) -> Vec<String> {
    let line = |place: &Option<String>, rule: &Rule| {
        let place = place.as_deref().unwrap_or("*");
        let ([group], [resource]) = (&rule.api_groups, &rule.resources);
        let (names, verbs) = (rule.resource_names.join(","), rule.verbs.join(","));
        format!("{place} {group}/{resource} [{names}] {verbs}")
    };
    let rules = access.rules.iter();
    rules
        .flat_map(|(place, rules)| rules.iter().map(move |rule| line(place, rule)))
        .collect()
}

#[test]
fn objects_are_written_by_name_and_found_by_kind() {
    let access = least(
        "
{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: other}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: net}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: team, namespace: shop}}
",
        true,
    );
    assert!(access.guessed.is_empty());
    let expected = [
        "* /namespaces [shop] get",
        "* /namespaces [] create",
        "* /namespaces [team] get,patch",
        "* /namespaces [] list,watch,create",
        "other /configmaps [c] get,patch,delete",
        "other /configmaps [] list,watch,create",
        "shop /pods [] list",
        "shop apps/replicasets [] list",
        "shop /configmaps [a,b] get,patch,delete",
        "shop /configmaps [] list,watch,create",
        "shop /persistentvolumeclaims [data] get,patch",
        "shop /persistentvolumeclaims [] list,watch,create",
        "shop apps/deployments [web] get,patch,delete",
        "shop apps/deployments [] list,watch,create",
        "shop networking.k8s.io/networkpolicies [net] get,patch,delete",
        "shop networking.k8s.io/networkpolicies [] list,watch,create",
    ];
    assert_eq!(lines(&access), expected);
}

#[test]
fn rights_are_given_away_only_of_the_roles_that_are_named() {
    let access = least(
        "
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: reader}, rules: []}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
",
        false,
    );
    let expected = [
        "shop rbac.authorization.k8s.io/roles [reader] escalate",
        "shop rbac.authorization.k8s.io/clusterroles [view] bind",
        "shop rbac.authorization.k8s.io/rolebindings [readers] get,patch,delete",
        "shop rbac.authorization.k8s.io/rolebindings [] list,watch,create",
        "shop rbac.authorization.k8s.io/roles [reader] get,patch,delete",
        "shop rbac.authorization.k8s.io/roles [] list,watch,create",
    ];
    assert_eq!(lines(&access), expected);
}

#[test]
fn what_a_definition_says_is_known_and_the_rest_of_custom_kinds_is_guessed() {
    let access = least(
        "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: mice.zoo.example}
spec: {group: zoo.example, scope: Cluster, names: {kind: Mouse, plural: mice}}
---
{apiVersion: zoo.example/v1, kind: Mouse, metadata: {name: m}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: g}}
",
        false,
    );
    let lines = lines(&access);
    assert!(
        lines.contains(&"* zoo.example/mice [m] get,patch,delete".to_owned()),
        "{lines:?}"
    );
    let guessed = "shop gateway.networking.k8s.io/gateways [g] get,patch,delete".to_owned();
    assert!(lines.contains(&guessed), "{lines:?}");
    let kinds: Vec<_> = access.guessed.iter().collect();
    assert_eq!(kinds, ["Gateway (gateway.networking.k8s.io/v1)"]);
}

#[test]
fn an_agent_that_acts_as_an_account_keeps_that_and_what_it_follows() {
    let access = least(
        "
{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: team}}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: once}}
",
        false,
    );
    let account = "deployers/shop".parse().expect("an account");
    let Shares { agent, account } = access.shared_with(&account);
    let expected = [
        "* /namespaces [] list,watch",
        "deployers /serviceaccounts [shop] impersonate",
        "shop /configmaps [] list,watch",
        "shop batch/jobs [] list,watch",
    ];
    assert_eq!(lines(&agent), expected);
    let expected = [
        "* /namespaces [team] get,patch",
        "* /namespaces [] list,create",
        "shop /pods [] list",
        "shop /configmaps [a] get,patch,delete",
        "shop /configmaps [] list,create",
        "shop batch/jobs [once] get,patch,delete",
        "shop batch/jobs [] list,create",
    ];
    assert_eq!(lines(&account), expected);
}

#[test]
fn what_is_asked_about_pods_takes_rights_only_where_there_are_some() {
    let text = "
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}
---
{apiVersion: v1, kind: Pod, metadata: {name: lone, namespace: other}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: quiet}}
";
    let manifests = manifest::parse(text, Some("shop")).expect("manifests");
    let before = lines(&least(text, false));
    let answering = |kind| {
        let access = least(text, false).answering(kind, &manifests, Some("shop"));
        let mut lines = lines(&access);
        lines.retain(|line| !before.contains(line));
        lines
    };
    assert_eq!(
        answering(RequestKind::Describe),
        ["other /events [] list", "shop /events [] list"]
    );
    assert_eq!(
        answering(RequestKind::Logs),
        ["other /pods/log [] get", "shop /pods/log [] get"]
    );
    assert!(answering(RequestKind::Plan).is_empty());
    assert_eq!(
        Rule::replica_sets().to_string(),
        r#"{apiGroups: ["apps"], resources: [replicasets], verbs: [list]}"#
    );
}
