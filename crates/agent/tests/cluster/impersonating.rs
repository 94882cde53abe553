//! A stack that acts as a service account can do what that one may, and nothing else; the agent's records stay the agent's.

use std::sync::Arc;
use std::time::Duration;

use brokkr_agent::Environment;
use brokkr_agent::reconcile::{Attempt, Ending};
use brokkr_core::access::{Access, Rule};
use brokkr_core::wire::{
    Health, LOG_LINES, ObjectResult, OnRemove, PlannedAction, RequestKind, TargetRemoval,
    TargetStack, WhichLogs,
};
use brokkr_core::{ServiceAccount, manifest};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::bed::{Bed, config_map, key, reason_of, results, yes};

/// A request for a certificate. The server writes into one who made it.
const REQUEST: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIRk1HNENBUUF3RERFS01BZ0dBMVVFQXd3QllUQlpNQk1HQnlxR1NNNDlBZ0VHQ0NxR1NNNDlBd0VIQTBJQQpCQWlFMkpYS3V4Q3VGRXFTNW5IdzlxL241T3V5U2VLR0hPNG1PNVZPYTdWdmpCM1lZSngrd0hlMW9ZelJiU0hrClZrMzRLaXZGLzdvUEs3eE12WGs1WFlTZ0FEQUtCZ2dxaGtqT1BRUURBZ05IQURCRUFpQmtUK1V3QjY3RXQ0Ti8KTmxpUGM1ZTQ2dWZ5K29SNmx5M3BlQW5Qdm4rNWlnSWdZbkxPaTZRNkMrQUp4MTFWTDg0TmExazlPRmZJZ0F5VworVWJOWWFPWFdTdz0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";

const GROUP: &str = "rbac.authorization.k8s.io";
const ALL: [&str; 5] = ["get", "list", "create", "patch", "delete"];

fn deployer(bed: &Bed) -> ServiceAccount {
    let account = format!("{}/deployer", bed.namespace);
    account.parse().expect("an account")
}

/// The agent's own account, beside its records.
fn agent(bed: &Bed) -> ServiceAccount {
    let account = format!("{}/agent", bed.records_namespace());
    account.parse().expect("an account")
}

fn acting_as(bed: &mut Bed, text: &str, account: &ServiceAccount) -> TargetStack {
    TargetStack {
        service_account: Some(account.clone()),
        ..bed.entry(text)
    }
}

fn rule(group: &str, resource: &str, verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": [resource], "verbs": verbs})
}

/// Lets these subjects do in a namespace, or everywhere, what these rules say, instead of what those said that it was let do
/// under this name before.
async fn grant(bed: &Bed, place: Option<&str>, name: &str, subject: &Value, allowed: &Value) {
    let prefix = if place.is_some() { "" } else { "Cluster" };
    let kind = format!("{prefix}Role");
    let object = |kind: &str| json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": {"name": name}});
    let mut role = object(&kind);
    role["rules"] = allowed.clone();
    let mut binding = object(&format!("{kind}Binding"));
    binding["roleRef"] = json!({"apiGroup": GROUP, "kind": kind, "name": name});
    binding["subjects"] = json!([subject]);
    let (client, how) = (bed.client.clone(), PatchParams::apply("tests").force());
    let (role, binding) = (Patch::Apply(role), Patch::Apply(binding));
    if let Some(place) = place {
        let roles: Api<Role> = Api::namespaced(client.clone(), place);
        roles.patch(name, &how, &role).await.expect("a role");
        let bindings: Api<RoleBinding> = Api::namespaced(client, place);
        bindings.patch(name, &how, &binding).await.map(drop)
    } else {
        let roles: Api<ClusterRole> = Api::all(client.clone());
        roles.patch(name, &how, &role).await.expect("a role");
        let bindings: Api<ClusterRoleBinding> = Api::all(client);
        bindings.patch(name, &how, &binding).await.map(drop)
    }
    .expect("a binding");
}

fn subject(account: &ServiceAccount) -> Value {
    json!({"kind": "ServiceAccount", "namespace": account.namespace(), "name": account.name()})
}

/// Attempts until the server knows of a right that was just given.
async fn until(
    bed: &mut Bed,
    entry: &TargetStack,
    text: &str,
    is_so: impl Fn(&Ending) -> bool,
) -> Attempt {
    for _ in 0..100 {
        let attempt = bed.apply_entry(entry, text).await;
        if is_so(&attempt.ending) {
            return attempt;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never: {:?}", bed.apply_entry(entry, text).await);
}

fn is_done(ending: &Ending) -> bool {
    *ending == Ending::Done
}

fn says(words: &str) -> impl Fn(&Ending) -> bool {
    move |ending| matches!(ending, Ending::Failed(why) if why.contains(words))
}

fn why(attempt: &Attempt) -> &str {
    match &attempt.ending {
        Ending::Failed(why) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_account_without_rights_changes_nothing_and_with_them_it_is_who_did_it() {
    let mut bed = Bed::new().await;
    let (account, namespace) = (deployer(&bed), bed.namespace.clone());
    let request = format!(
        "---\napiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {{name: {namespace}}}\nspec: {{request: {REQUEST}, signerName: example.com/none, usages: [client auth]}}\n"
    );
    let text = format!("{}{request}", config_map("a", "1"));
    let entry = acting_as(&mut bed, &text, &account);
    let attempt = bed.apply_entry(&entry, &text).await;
    let said = why(&attempt);
    assert!(
        said.contains(&format!("the service account {account}")),
        "{said}"
    );
    assert!(
        said.contains("may not get ") && said.contains("brokkr agent rbac"),
        "{said}"
    );
    assert!(bed.names().await.is_empty());

    // By name for the namespaced one, and by a group that every account of its namespace is in for the other.
    let rules = json!([rule("", "configmaps", &ALL)]);
    grant(
        &bed,
        Some(&namespace),
        "deployer",
        &subject(&account),
        &rules,
    )
    .await;
    let group = format!("system:serviceaccounts:{namespace}");
    let group = json!({"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": group});
    let rules = json!([rule(
        "certificates.k8s.io",
        "certificatesigningrequests",
        &ALL
    )]);
    grant(&bed, None, &namespace, &group, &rules).await;
    until(&mut bed, &entry, &text, is_done).await;
    assert_eq!(bed.names().await, ["a"]);
    let made = bed.config_maps().get("a").await.expect("a");
    let managers = made.metadata.managed_fields.unwrap_or_default();
    let managers: Vec<_> = managers.iter().map(|m| m.manager.as_deref()).collect();
    assert_eq!(managers, [Some("brokkr")]);
    let requests: Api<CertificateSigningRequest> = Api::all(bed.client.clone());
    let spec = requests.get(&namespace).await.expect("a request").spec;
    assert_eq!(spec.username, Some(account.user()));
    let mut groups = spec.groups.unwrap_or_default();
    groups.sort();
    let of_namespace = format!("system:serviceaccounts:{namespace}");
    let expected = [
        "system:authenticated",
        "system:serviceaccounts",
        &of_namespace,
    ];
    assert_eq!(groups, expected);

    // What it drops and what is removed goes by the account's rights, too.
    let rules = json!([rule(
        "certificates.k8s.io",
        "certificatesigningrequests",
        &["get", "list", "create", "patch"]
    )]);
    grant(&bed, None, &namespace, &group, &rules).await;
    let less = config_map("a", "1");
    let entry = acting_as(&mut bed, &less, &account);
    until(
        &mut bed,
        &entry,
        &less,
        says("may not delete certificatesigningrequests"),
    )
    .await;
    let removal = TargetRemoval {
        service_account: Some(account.clone()),
        approved: Some(yes()),
        ..bed.removal(OnRemove::Delete, &[])
    };
    let removed = bed.remove(&removal).await;
    assert!(why(&removed).contains("may not delete"), "{removed:?}");
    requests.get(&namespace).await.expect("still there");
    let rules = json!([rule(
        "certificates.k8s.io",
        "certificatesigningrequests",
        &ALL
    )]);
    grant(&bed, None, &namespace, &group, &rules).await;
    for _ in 0..100 {
        if bed.remove(&removal).await.ending == Ending::Done {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(bed.names().await.is_empty());
    assert!(
        requests
            .get_opt(&namespace)
            .await
            .expect("a look")
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_lacks_one_right_is_not_begun_and_a_secret_hides_nothing_of_that() {
    let mut bed = Bed::new().await;
    let (account, namespace) = (deployer(&bed), bed.namespace.clone());
    let secret =
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: hunter2}\n";
    let text = format!("{}{secret}", config_map("a", "1"));
    let mut rules = vec![
        rule("", "configmaps", &ALL),
        rule("", "secrets", &["get", "list"]),
    ];
    grant(
        &bed,
        Some(&namespace),
        "deployer",
        &subject(&account),
        &json!(rules),
    )
    .await;
    let entry = acting_as(&mut bed, &text, &account);
    let attempt = until(&mut bed, &entry, &text, says("Secret ")).await;
    assert_eq!(results(&attempt), [("s".to_owned(), ObjectResult::Invalid)]);
    let reason = reason_of(&attempt, "s");
    let words = format!(
        "the service account {account}, as which this stack acts, may not patch secrets in the namespace {namespace}"
    );
    assert!(
        reason.contains(&words) && !reason.contains("hunter2"),
        "{reason}"
    );
    assert!(bed.names().await.is_empty());
    // So says what looks before it is published.
    let shown = bed.rehearse(&entry, &text).await;
    let refused = shown
        .objects
        .iter()
        .find(|o| o.action == PlannedAction::Refuse);
    let reason = refused
        .and_then(|o| o.reason.as_deref())
        .unwrap_or_default();
    assert!(reason.contains(&words), "{shown:?}");
    rules[1] = rule("", "secrets", &ALL);
    grant(
        &bed,
        Some(&namespace),
        "deployer",
        &subject(&account),
        &json!(rules),
    )
    .await;
    until(&mut bed, &entry, &text, is_done).await;
    let secrets: Api<Secret> = Api::namespaced(bed.client.clone(), &namespace);
    secrets.get("s").await.expect("the secret");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn another_account_is_tried_on_all_that_is_there() {
    let mut bed = Bed::new().await;
    let (account, namespace) = (deployer(&bed), bed.namespace.clone());
    let text = format!("{}{}", config_map("a", "1"), config_map("b", "1"));
    let own = bed.entry(&text);
    assert_eq!(bed.apply_entry(&own, &text).await.ending, Ending::Done);
    let versions = async |bed: &Bed| {
        let mut versions = Vec::new();
        for name in ["a", "b"] {
            let object = bed.config_maps().get(name).await.expect(name);
            versions.push(object.metadata.resource_version);
        }
        versions
    };
    let before = versions(&bed).await;
    let reading = json!([rule("", "configmaps", &["get", "list"])]);
    grant(
        &bed,
        Some(&namespace),
        "deployer",
        &subject(&account),
        &reading,
    )
    .await;
    let entry = TargetStack {
        service_account: Some(account.clone()),
        ..own.clone()
    };
    let attempt = until(&mut bed, &entry, &text, says("may not patch configmaps")).await;
    assert_eq!(results(&attempt).len(), 2);
    // A restart forgets nothing of it.
    bed.restart().await;
    until(&mut bed, &entry, &text, says("may not patch configmaps")).await;
    assert_eq!(versions(&bed).await, before);

    let writing = json!([rule("", "configmaps", &ALL)]);
    grant(
        &bed,
        Some(&namespace),
        "deployer",
        &subject(&account),
        &writing,
    )
    .await;
    let attempt = until(&mut bed, &entry, &text, is_done).await;
    assert!(!attempt.has_changed(), "{attempt:?}");
    assert_eq!(versions(&bed).await, before);
    // Once tried, what is so already is not sent again: nothing asks for the right to write it.
    grant(
        &bed,
        Some(&namespace),
        "deployer",
        &subject(&account),
        &reading,
    )
    .await;
    let next = config_map("a", "2");
    let changed = acting_as(&mut bed, &next, &account);
    until(&mut bed, &changed, &next, says("may not patch configmaps")).await;
    assert_eq!(bed.apply_entry(&entry, &text).await.ending, Ending::Done);
    // And back: the agent itself is another one, too, and may.
    assert_eq!(bed.apply_entry(&own, &text).await.ending, Ending::Done);
    assert_eq!(versions(&bed).await, before);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_agent_may_act_only_as_the_accounts_that_it_was_given() {
    let mut bed = Bed::new().await;
    let (account, namespace, records) = (
        deployer(&bed),
        bed.namespace.clone(),
        bed.records_namespace().to_owned(),
    );
    let itself = agent(&bed);
    let own = json!([rule(
        "",
        "configmaps",
        &["get", "list", "create", "update", "delete"]
    )]);
    grant(&bed, Some(&records), "agent", &subject(&itself), &own).await;
    let text = config_map("a", "1");
    let manifests = manifest::parse(&text, Some(&namespace)).expect("manifests");
    let shares = Access::least(&manifests, Some(&namespace), false).shared_with(&account);
    let rules = |rules: &[Rule]| json!(rules);
    for (place, of_account) in &shares.account.rules {
        grant(
            &bed,
            place.as_deref(),
            "deployer",
            &subject(&account),
            &rules(of_account),
        )
        .await;
    }
    bed.become_account(&itself).await;
    let entry = acting_as(&mut bed, &text, &account);
    let words = format!("this agent may not act as the service account {account}");
    let attempt = until(&mut bed, &entry, &text, says(&words)).await;
    let said = why(&attempt);
    let cure =
        format!("`impersonate` for the serviceaccount deployer in the namespace {namespace}");
    assert!(said.contains(&cure), "{said}");
    assert!(bed.names().await.is_empty());

    for (place, of_agent) in &shares.agent.rules {
        grant(
            &bed,
            place.as_deref(),
            "agent",
            &subject(&itself),
            &rules(of_agent),
        )
        .await;
    }
    until(&mut bed, &entry, &text, is_done).await;
    assert_eq!(bed.names().await, ["a"]);
    let seen = bed.reconciler.observe(&bed.stack).await.expect("a look");
    assert_eq!(seen.expect("readiness").health, Health::Current);
    // By its own rights it can do nothing there, and as another account it may not act.
    let own = bed.entry(&config_map("a", "2"));
    let attempt = bed.apply_entry(&own, &config_map("a", "2")).await;
    assert!(why(&attempt).contains("(403)"), "{attempt:?}");
    let other = format!("{namespace}/other").parse().expect("an account");
    let other = acting_as(&mut bed, &text, &other);
    let attempt = bed.apply_entry(&other, &text).await;
    assert!(why(&attempt).contains("may not act as"), "{attempt:?}");
    let removal = TargetRemoval {
        service_account: Some(account),
        approved: Some(yes()),
        ..bed.removal(OnRemove::Delete, &[])
    };
    assert_eq!(bed.remove(&removal).await.ending, Ending::Done);
    assert!(bed.names().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_account_gives_itself_no_more_than_it_has() {
    let mut bed = Bed::new().await;
    let (account, namespace) = (deployer(&bed), bed.namespace.clone());
    let bindings: Api<ClusterRoleBinding> = Api::all(bed.client.clone());
    let everywhere = json!([
        rule(GROUP, "clusterrolebindings", &ALL),
        rule(GROUP, "clusterroles", &ALL),
    ]);
    grant(&bed, None, &namespace, &subject(&account), &everywhere).await;
    let within = json!([rule("", "configmaps", &ALL)]);
    grant(
        &bed,
        Some(&namespace),
        "deployer",
        &subject(&account),
        &within,
    )
    .await;
    let name = format!("{namespace}-more");
    let binding = |role: &str| {
        format!(
            "---\napiVersion: {GROUP}/v1\nkind: ClusterRoleBinding\nmetadata: {{name: {name}}}\nroleRef: {{apiGroup: {GROUP}, kind: ClusterRole, name: {role}}}\nsubjects: [{{kind: ServiceAccount, namespace: {namespace}, name: deployer}}]\n"
        )
    };
    let role = format!(
        "---\napiVersion: {GROUP}/v1\nkind: ClusterRole\nmetadata: {{name: {name}}}\nrules: [{{apiGroups: ['*'], resources: ['*'], verbs: ['*']}}]\n"
    );
    let words = "attempting to grant RBAC permissions not currently held";
    for more in [binding("cluster-admin"), role] {
        let text = format!("{}{more}", config_map("a", "1"));
        let entry = acting_as(&mut bed, &text, &account);
        until(&mut bed, &entry, &text, says(words)).await;
        assert!(bed.names().await.is_empty());
    }
    assert!(bindings.get_opt(&name).await.expect("a look").is_none());
    // Nor does it reach the agent's own namespace, whatever it may do there.
    let records = bed.records_namespace().to_owned();
    grant(
        &bed,
        Some(&records),
        "deployer",
        &subject(&account),
        &within,
    )
    .await;
    let text = format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: brokkr-agent, namespace: {records}}}\ndata: {{a: b}}\n"
    );
    let entry = acting_as(&mut bed, &text, &account);
    let attempt = bed.apply_entry(&entry, &text).await;
    assert!(
        why(&attempt).contains("no stack may write to"),
        "{attempt:?}"
    );
    // What others own stays theirs: an account takes nothing over that its stack does not adopt.
    bed.stranger_applies("theirs", "1").await;
    let text = config_map("theirs", "2");
    let entry = acting_as(&mut bed, &text, &account);
    let attempt = bed.apply_entry(&entry, &text).await;
    assert_eq!(
        results(&attempt),
        [("theirs".to_owned(), ObjectResult::Conflict)]
    );
    assert!(attempt.objects[0].object == key_within(&namespace, "theirs"));
}

fn key_within(namespace: &str, name: &str) -> brokkr_core::ObjectKey {
    brokkr_core::ObjectKey {
        namespace: Some(namespace.to_owned()),
        ..key("", "ConfigMap", name)
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn an_environment_can_insist_on_an_account() {
    let mut bed = Bed::new().await;
    let (account, namespace) = (deployer(&bed), bed.namespace.clone());
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "impersonate: required\n").expect("written");
    let rules = Environment::read(file.path()).expect("rules");
    bed.live_by(rules).await;
    let text = config_map("a", "1");
    let own = bed.entry(&text);
    let attempt = bed.apply_entry(&own, &text).await;
    let said = why(&attempt);
    assert!(
        said.contains("refused by this environment's rule impersonate"),
        "{said}"
    );
    assert!(bed.names().await.is_empty());
    let within = json!([rule("", "configmaps", &ALL)]);
    grant(
        &bed,
        Some(&namespace),
        "deployer",
        &subject(&account),
        &within,
    )
    .await;
    let entry = acting_as(&mut bed, &text, &account);
    until(&mut bed, &entry, &text, is_done).await;
    assert_eq!(bed.names().await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn who_asks_about_a_stack_is_told_no_more_than_its_account_may_see() {
    let mut bed = Bed::new().await;
    let (account, namespace) = (deployer(&bed), bed.namespace.clone());
    let text = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: main, image: 'crashing:1', args: [it writes]}]}\n";
    let rules = json!([rule("apps", "deployments", &ALL)]);
    let whose = subject(&account);
    grant(&bed, Some(&namespace), "deployer", &whose, &rules).await;
    let entry = acting_as(&mut bed, text, &account);
    until(&mut bed, &entry, text, is_done).await;

    // The agent itself may see everything.
    let looks = bed.looks_of(&bed.client);
    let (stack, contents) = (bed.stack.id(), [Arc::from(text)]);
    let which = WhichLogs {
        all: true,
        container: None,
        tail: LOG_LINES,
        previous: false,
    };
    let may_not = format!("the service account {account}, as which this stack acts, may not list ");
    let is_its = |remark: &String| remark.contains(&may_not);
    let described = looks.describe(stack, &contents).await.expect("a look");
    assert!(described.objects[0].pods.is_empty(), "{described:#?}");
    assert!(described.remarks.iter().any(is_its), "{described:#?}");
    let logs = looks.logs(stack, &contents, &which).await.expect("a look");
    assert!(logs.logs.is_empty(), "{logs:#?}");
    assert!(logs.remarks.iter().any(is_its), "{logs:#?}");

    let manifests = manifest::parse(text, Some(&namespace)).expect("manifests");
    let place = Some(namespace.as_str());
    let access = Access::least(&manifests, place, false)
        .answering(RequestKind::Describe, &manifests, place)
        .answering(RequestKind::Logs, &manifests, place);
    for (place, rules) in &access.shared_with(&account).account.rules {
        let rules = json!(rules);
        grant(&bed, place.as_deref(), "deployer", &whose, &rules).await;
    }
    for _ in 0..150 {
        let described = looks.describe(stack, &contents).await.expect("a look");
        let logs = looks.logs(stack, &contents, &which).await.expect("a look");
        let lines = logs.logs.iter().flat_map(|log| &log.lines);
        if described.objects[0].pods.len() == 1 && lines.count() > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:#?}", looks.logs(stack, &contents, &which).await);
}
