//! What an account must be allowed to do in a cluster for a snapshot to be applied, kept, observed and removed there: the
//! least, as the rules of Kubernetes' roles say it.

mod resources;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::manifest::Manifest;
use crate::service_account::ServiceAccount;
use crate::wire::RequestKind;
use resources::{Found, Resource, Resources};

/// Where objects go that name no namespace, in a stack that names none either.
const LAST_RESORT_NAMESPACE: &str = "default";
const RIGHTS: &str = "rbac.authorization.k8s.io";

/// The least access.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Access {
    /// The rules by namespace; those without one are of the whole cluster.
    pub rules: BTreeMap<Option<String>, Vec<Rule>>,
    /// Custom kinds that the snapshot does not define, so that their resources are guesses.
    pub guessed: BTreeSet<String>,
}

/// The least access where an agent acts as a service account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shares {
    /// The agent's own: to act as the account, and to see what others change.
    pub agent: Access,
    /// The account's: all else.
    pub account: Access,
}

/// What the agent does itself, also where it acts as an account: it follows a kind for all stacks at once.
const FOLLOWING: [&str; 2] = ["list", "watch"];

/// A rule of a role.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The one API group.
    pub api_groups: [String; 1],
    /// The one resource.
    pub resources: [String; 1],
    /// The names of objects that it is about; empty if it is about all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// What is allowed.
    pub verbs: Vec<&'static str>,
}

impl Rule {
    /// To see the pods of workloads.
    pub fn pods() -> Self {
        Self::of("", "pods", &["list"])
    }

    /// To see which pods are of a Deployment's newest version.
    pub fn replica_sets() -> Self {
        Self::of("apps", "replicasets", &["list"])
    }

    /// To see what Kubernetes tells of objects.
    pub fn events() -> Self {
        Self::of("", "events", &["list"])
    }

    /// To see what containers write.
    pub fn logs() -> Self {
        Self::of("", "pods/log", &["get"])
    }

    fn of(group: &str, plural: &str, verbs: &[&'static str]) -> Self {
        Self {
            api_groups: [group.to_owned()],
            resources: [plural.to_owned()],
            resource_names: Vec::new(),
            verbs: verbs.to_vec(),
        }
    }
}

impl fmt::Display for Rule {
    /// As it stands in a role, on one line of YAML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([group], [resource]) = (&self.api_groups, &self.resources);
        let verbs = self.verbs.join(", ");
        write!(
            f,
            "{{apiGroups: [\"{group}\"], resources: [{resource}], verbs: [{verbs}]}}"
        )
    }
}

impl Access {
    /// The least access for a snapshot, whose default namespace is made if `creates_namespace` says so.
    pub fn least(
        manifests: &[Manifest],
        default_namespace: Option<&str>,
        creates_namespace: bool,
    ) -> Self {
        let resources = Resources::with_defined(manifests);
        let mut access = Self::default();
        let mut names: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for manifest in manifests {
            let resource = match resources.find(manifest) {
                Found::Known(resource) => resource,
                Found::Guessed(resource) => {
                    let kind = format!("{} ({})", manifest.kind, manifest.api_version);
                    access.guessed.insert(kind);
                    resource
                }
            };
            let place = resource
                .is_namespaced
                .then(|| namespace_of(manifest, default_namespace));
            access.allow_reasons(manifest, place.as_ref());
            access.allow_rights(manifest, place.as_ref(), &resource);
            let is_kept = manifest.key(None).kept_kind().is_some();
            let objects = names.entry((place, resource, is_kept)).or_default();
            objects.insert(manifest.name.clone());
        }
        if let Some(namespace) = default_namespace.filter(|_| creates_namespace) {
            access.allow(None, "", "namespaces", [namespace], &["get"]);
            access.allow(None, "", "namespaces", [], &["create"]);
        }
        for ((place, resource, is_kept), names) in names {
            let Resource { group, plural, .. } = &resource;
            let names = names.iter().map(String::as_str);
            // What is of a kept kind is deleted only where somebody allows it with a publish or a removal.
            let by_name: &[_] = if is_kept {
                &["get", "patch"]
            } else {
                &["get", "patch", "delete"]
            };
            access.allow(place.as_ref(), group, plural, names, by_name);
            let of_kind = ["list", "watch", "create"];
            access.allow(place.as_ref(), group, plural, [], &of_kind);
        }
        access
    }

    /// The same, shared out between an agent and the service account that it acts as.
    pub fn shared_with(self, account: &ServiceAccount) -> Shares {
        let mut agent = Self::default();
        let place = account.namespace().to_owned();
        let name = [account.name()];
        agent.allow(Some(&place), "", "serviceaccounts", name, &["impersonate"]);
        let mut of_account = self;
        for (place, rules) in &mut of_account.rules {
            for rule in rules {
                if rule.verbs.contains(&"watch") {
                    let ([group], [plural]) = (&rule.api_groups, &rule.resources);
                    agent.allow(place.as_ref(), group, plural, [], &FOLLOWING);
                    rule.verbs.retain(|verb| *verb != "watch");
                }
            }
        }
        Shares {
            agent,
            account: of_account,
        }
    }

    /// The same, and what it takes to answer requests of a kind about the snapshot.
    #[must_use]
    pub fn answering(
        mut self,
        kind: RequestKind,
        manifests: &[Manifest],
        default_namespace: Option<&str>,
    ) -> Self {
        let rule = match kind {
            RequestKind::Describe => Rule::events(),
            RequestKind::Logs => Rule::logs(),
            RequestKind::Sync | RequestKind::Plan | RequestKind::Unknown => return self,
        };
        for manifest in manifests.iter().filter(|manifest| runs_pods(manifest)) {
            let place = namespace_of(manifest, default_namespace);
            self.add(Some(&place), rule.clone());
        }
        self
    }

    /// A workload that does not run is asked for the reason.
    fn allow_reasons(&mut self, manifest: &Manifest, place: Option<&String>) {
        if !runs_pods(manifest) || manifest.kind == "Pod" {
            return;
        }
        self.add(place, Rule::pods());
        if manifest.kind == "Deployment" {
            self.add(place, Rule::replica_sets());
        }
    }

    /// Kubernetes lets nobody give rights away that he does not have, unless he may say so of these very roles.
    fn allow_rights(&mut self, manifest: &Manifest, place: Option<&String>, resource: &Resource) {
        if manifest.group() != RIGHTS {
            return;
        }
        match manifest.kind.as_str() {
            "Role" | "ClusterRole" => {
                let name = [manifest.name.as_str()];
                self.allow(place, RIGHTS, &resource.plural, name, &["escalate"]);
            }
            "RoleBinding" | "ClusterRoleBinding" => {
                let role = |field| {
                    manifest
                        .object
                        .get("roleRef")?
                        .get(field)
                        .and_then(Value::as_str)
                };
                if let (Some(kind), Some(name)) = (role("kind"), role("name")) {
                    let plural = format!("{}s", kind.to_lowercase());
                    self.allow(place, RIGHTS, &plural, [name], &["bind"]);
                }
            }
            _ => {}
        }
    }

    fn allow<'a>(
        &mut self,
        place: Option<&String>,
        group: &str,
        plural: &str,
        names: impl IntoIterator<Item = &'a str>,
        verbs: &[&'static str],
    ) {
        let rule = Rule {
            resource_names: names.into_iter().map(str::to_owned).collect(),
            ..Rule::of(group, plural, verbs)
        };
        self.add(place, rule);
    }

    fn add(&mut self, place: Option<&String>, rule: Rule) {
        let rules = self.rules.entry(place.cloned()).or_default();
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
}

fn namespace_of(manifest: &Manifest, default_namespace: Option<&str>) -> String {
    let namespace = manifest.namespace.as_deref().or(default_namespace);
    namespace.unwrap_or(LAST_RESORT_NAMESPACE).to_owned()
}

/// Whether it is or has pods that the agent looks at.
fn runs_pods(manifest: &Manifest) -> bool {
    match (manifest.group(), manifest.kind.as_str()) {
        ("", kind) => matches!(kind, "Pod" | "ReplicationController"),
        ("apps", kind) => kind != "ControllerRevision",
        ("batch", kind) => kind == "Job",
        _ => false,
    }
}
