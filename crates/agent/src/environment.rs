//! What this environment lets stacks have, whatever a manifest says: the rules of the agent's own configuration file. They
//! never come from the broker, so nobody who publishes can change them.

mod choice;
mod demand;
mod expression;
mod file;
mod images;
mod label;
mod pattern;
mod pods;
mod quantity;
mod resources;
mod room;
mod verdicts;

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::mutant::Mutant;
use brokkr_core::wire::{ObjectOutcome, TargetStack};
use brokkr_core::{Name, ObjectKey};
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use tokio::time::Instant;

use crate::Error;
use crate::cluster::Cluster;
use crate::validate::Snapshot;
use choice::Choice;
use expression::{Expression, Facts};
use label::RequiredLabel;
use pattern::{Kinds, Namespaces, Pattern, Repositories};
use resources::Resources;
use verdicts::Verdicts;

pub use file::ConfigurationError;

/// How long the expressions may take with one snapshot; what is not judged by then is refused.
const PATIENCE: Duration = Duration::from_secs(5);
const NO_ACCOUNT: &str = "every stack here acts as a service account, and this one has none: an admin gives it one with `brokkr stack set STACK --service-account NAMESPACE/NAME`, or its generator";

/// The configuration of an agent: what stacks may have in its cluster. Everything is optional; what is left out allows
/// everything.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Environment {
    /// The namespaces in which objects may lie. A Namespace itself counts as lying in itself.
    namespaces: Choice<Namespaces>,
    /// The kinds that objects may have, written `group/Kind`; those of the core group have no group: `Secret`.
    kinds: Choice<Kinds>,
    /// The repositories from which the images of Pods may come, written out as `docker.io/library/nginx`.
    registries: Choice<Repositories>,
    /// Labels that every object must have: `key`, or `key=value`.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    required_labels: Vec<RequiredLabel>,
    /// Whether the cluster must have room for what a stack asks for more than it has; not judged if left out.
    #[serde(deserialize_with = "resources::written")]
    #[cfg_attr(test, schemars(with = "Resources"))]
    resources: Option<Resources>,
    /// Whether every stack must act as a service account, and never by the agent's own rights; it need not if left out.
    impersonate: Impersonate,
    /// Conditions that objects must meet.
    rules: Vec<Rule>,
}

/// Whether stacks must act as a service account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Impersonate {
    /// One without acts by the agent's own rights.
    #[default]
    Optional,
    /// One without is refused.
    Required,
}

/// A condition that objects must meet.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Rule {
    /// What the rule is called in status and events: 1 to 63 of a-z, 0-9, `-` and `.`.
    #[cfg_attr(test, schemars(with = "String"))]
    name: Spanned<Name>,
    /// What must be true, in the Common Expression Language (CEL), of `object`, the object as it would be applied, and
    /// `stack`, the stack's name.
    expression: Expression,
    /// What to tell whoever published an object of which it is not true.
    message: String,
    /// The kinds that the rule is about; all if left out.
    #[serde(default, deserialize_with = "choice::some")]
    #[cfg_attr(test, schemars(with = "Vec<String>", length(min = 1)))]
    kinds: Option<Vec<Pattern<Kinds>>>,
}

impl Environment {
    /// Lets a snapshot through; or says of each object that must not be here why.
    pub(crate) async fn allow(
        self: &Arc<Self>,
        cluster: &Cluster,
        entry: &TargetStack,
        snapshot: Snapshot,
    ) -> Result<Result<Snapshot, Vec<ObjectOutcome>>, Error> {
        if self.is_open() || Mutant::RulesIgnored.is_on() {
            return Ok(Ok(snapshot));
        }
        let (rules, stack) = (self.clone(), entry.name.clone());
        // Thousands of objects and many rules take a while; other stacks go on meanwhile.
        let judged = tokio::task::spawn_blocking(move || {
            let verdicts = rules.judge(stack.as_str(), &snapshot);
            (snapshot, verdicts)
        });
        let judged = judged.await;
        let (snapshot, mut verdicts) =
            judged.map_err(|error| Error::Unreadable(error.to_string()))?;
        if let Some(resources) = &self.resources {
            resources.judge(cluster, &snapshot, &mut verdicts).await?;
        }
        if self.impersonate == Impersonate::Required && entry.service_account.is_none() {
            for object in &snapshot.objects {
                verdicts.refuse(&object.key, "impersonate", NO_ACCOUNT);
            }
        }
        let refused = verdicts.into_outcomes();
        Ok(if refused.is_empty() {
            Ok(snapshot)
        } else {
            Err(refused)
        })
    }

    fn is_open(&self) -> bool {
        self.namespaces.is_open()
            && self.kinds.is_open()
            && self.registries.is_open()
            && self.required_labels.is_empty()
            && self.resources.is_none()
            && self.impersonate == Impersonate::Optional
            && self.rules.is_empty()
    }

    fn judge(&self, stack: &str, snapshot: &Snapshot) -> Verdicts {
        let end = Instant::now() + PATIENCE;
        let mut verdicts = Verdicts::default();
        if let Some((key, _)) = &snapshot.namespace {
            self.judge_place(key, &mut verdicts);
        }
        for object in &snapshot.objects {
            self.judge_object(stack, &object.key, &object.body, end, &mut verdicts);
        }
        verdicts
    }

    /// What is judged of the namespace that a stack wants to be made, too.
    fn judge_place(&self, key: &ObjectKey, verdicts: &mut Verdicts) {
        let place = match &key.namespace {
            Some(namespace) => Some(namespace),
            None => (key.group.is_empty() && key.kind == "Namespace").then_some(&key.name),
        };
        if let Some(place) = place
            && let Some(why) = self.namespaces.refusal(place)
        {
            verdicts.refuse(key, "namespaces", format!("the namespace {place} {why}"));
        }
        let kind = pattern::kind_of(key);
        if let Some(why) = self.kinds.refusal(&kind) {
            verdicts.refuse(key, "kinds", format!("the kind {kind} {why}"));
        }
    }

    fn judge_object(
        &self,
        stack: &str,
        key: &ObjectKey,
        body: &Map<String, Value>,
        end: Instant,
        verdicts: &mut Verdicts,
    ) {
        self.judge_place(key, verdicts);
        if !self.registries.is_open() {
            for image in pods::of(key, body).into_iter().flat_map(pods::images) {
                let repository = images::repository(image);
                if let Some(why) = self.registries.refusal(&repository) {
                    let image = images::shown(image);
                    let reason = format!("the image {image} is from {repository}, which {why}");
                    verdicts.refuse(key, "registries", reason);
                }
            }
        }
        for label in &self.required_labels {
            if let Some(why) = label.refusal(body) {
                verdicts.refuse(key, "required_labels", why);
            }
        }
        let kind = pattern::kind_of(key);
        let is_about = |rule: &&Rule| {
            let kinds = rule.kinds.as_ref();
            kinds.is_none_or(|kinds| kinds.iter().any(|pattern| pattern.matches(&kind)))
        };
        let mut rules = self.rules.iter().filter(is_about).peekable();
        if rules.peek().is_none() {
            return;
        }
        let facts = Facts::of(stack, body);
        for rule in rules {
            let name = rule.name.value.as_str();
            if Instant::now() > end {
                verdicts.refuse(key, name, "the rules take too long with this snapshot");
            } else {
                match rule.expression.holds(&facts) {
                    Ok(true) => {}
                    Ok(false) => verdicts.refuse(key, name, &rule.message),
                    Err(error) => verdicts.refuse(key, name, format!("it cannot tell: {error}")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
