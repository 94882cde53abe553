use std::fmt::Write as _;

use brokkr_core::ambient::{Ambient as _, System};
use brokkr_core::name::Reference;
use brokkr_core::wire::{
    Ask, ContainerState, DescribedContainer, DescribedObject, DescribedPod, Description, Health,
    KubernetesEvent, RequestAnswer,
};
use clap::Args;
use jiff::Timestamp;

use super::ask::{self, Answered, Patience};
use crate::connection::Connection;
use crate::output::{self, Cell, Output, Row, age, printable};

/// Show what a stack has in its clusters, and why it is not well
///
/// Each agent looks at the objects of the stack as they are now. Of workloads that are not well it tells of their pods with their
/// containers, and what Kubernetes told of them lately. What the agent knows of the stack's secrets it takes out of all that.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr describe checkout
  brokkr describe checkout --agent eu-1
  brokkr describe ci:shop -o json")]
pub struct Describe {
    /// The stack's name or id
    #[arg(value_name = "STACK")]
    stack: Reference,

    /// The agent's name or id [default: all agents of the stack]
    #[arg(long, value_name = "AGENT")]
    agent: Option<Reference>,

    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Describe {
    pub async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let agents = ask::agents(&client, self.agent.as_ref(), Some(&self.stack)).await?;
        let ask = Ask::Describe { stack: self.stack };
        let answers = self.patience.ask(&client, agents, ask).await;
        if self.output.is_structured() {
            self.output.whole(&answers)?;
        } else {
            let now = System.now();
            let told: Vec<_> = answers.iter().map(|one| told(one, now)).collect();
            output::write(&told.join("\n"))?;
        }
        ask::check(&answers)
    }
}

/// One agent's answer, for people.
fn told(answered: &Answered, now: Timestamp) -> String {
    let agent = &answered.agent;
    match (&answered.answer, &answered.failure) {
        (Some(RequestAnswer::Describe(description)), _) => {
            format!("{agent}: {}", described(description, now))
        }
        (_, Some(failure)) => format!("{agent}: cannot tell: {}\n", printable(failure)),
        _ => format!(
            "{agent}: cannot tell: its answer is of a kind that this version does not know\n"
        ),
    }
}

fn described(description: &Description, now: Timestamp) -> String {
    let Description {
        objects,
        more,
        remarks,
    } = description;
    let all = objects.len() as u64 + more;
    let unwell = objects.iter().filter(|o| o.health != Health::Current);
    let mut text = match unwell.count() {
        0 if all == 0 => "it owns no objects of the stack\n".to_owned(),
        0 => format!("all {all} objects are well\n"),
        // The worst are told, so the others may be no better.
        unwell if unwell < objects.len() || *more == 0 => {
            format!("{unwell} of {all} objects are not well\n")
        }
        unwell => format!("at least {unwell} of {all} objects are not well\n"),
    };
    let lines: Vec<_> = objects.iter().map(Line).collect();
    text.push_str(&output::narrow(&lines));
    if *more > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "and {more} more");
    }
    for object in objects.iter().filter(|object| has_more_to_say(object)) {
        text.push_str(&details(object, now));
    }
    for remark in remarks {
        let _ = writeln!(text, "\nNote: {}", printable(remark));
    }
    text
}

#[derive(serde::Serialize)]
#[serde(transparent)]
struct Line<'a>(&'a DescribedObject);

impl Row for Line<'_> {
    fn name(&self) -> String {
        self.0.object.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let object = &self.0.object;
        let kind = match object.group.as_str() {
            "" => object.kind.clone(),
            group => format!("{}.{group}", object.kind),
        };
        vec![
            Cell::text("KIND", kind),
            Cell::optional("NAMESPACE", object.namespace.as_ref()),
            Cell::text("NAME", &object.name),
            Cell::text("HEALTH", format!("{:?}", self.0.health)),
            Cell::optional("REASON", self.0.reason.as_ref()).whole(),
        ]
    }
}

fn has_more_to_say(object: &DescribedObject) -> bool {
    !object.pods.is_empty()
        || !object.events.is_empty()
        || object.more_pods > 0
        || object.more_events > 0
}

fn details(object: &DescribedObject, now: Timestamp) -> String {
    let mut text = format!("\n{}\n", printable(&object.object.to_string()));
    for pod in &object.pods {
        text.push_str(&of_pod(pod));
    }
    if object.more_pods > 0 {
        let _ = writeln!(text, "  and {} more pods", object.more_pods);
    }
    for event in &object.events {
        text.push_str(&of_event(event, now));
    }
    if object.more_events > 0 {
        let _ = writeln!(text, "  and {} more events", object.more_events);
    }
    text
}

fn of_pod(pod: &DescribedPod) -> String {
    let mut text = format!("  pod {}: {}", printable(&pod.name), printable(&pod.phase));
    if let Some(reason) = &pod.reason {
        let _ = write!(text, ", {}", printable(reason));
    }
    text.push('\n');
    for container in &pod.containers {
        text.push_str(&of_container(container));
    }
    if pod.more_containers > 0 {
        let _ = writeln!(text, "    and {} more containers", pod.more_containers);
    }
    text
}

fn of_container(container: &DescribedContainer) -> String {
    let kind = if container.init {
        "init container"
    } else {
        "container"
    };
    let state = match container.state {
        ContainerState::Waiting => "waiting",
        ContainerState::Running if container.ready => "ready",
        ContainerState::Running => "running, not ready",
        ContainerState::Terminated => "ended",
        ContainerState::Unknown => "not known",
    };
    let mut text = format!("    {kind} {}: {state}", printable(&container.name));
    if let Some(reason) = &container.reason {
        let _ = write!(text, " ({})", printable(reason));
    }
    if container.restarts > 0 {
        let _ = write!(text, ", restarted {} times", container.restarts);
    }
    if let Some(code) = container.last_exit_code {
        let _ = write!(text, ", last exit code {code}");
    }
    let _ = writeln!(text, ", image {}", printable(&container.image));
    text
}

fn of_event(event: &KubernetesEvent, now: Timestamp) -> String {
    let mut text = format!(
        "  {} {} {}",
        event.last.map_or_else(String::new, |last| age(last, now)),
        printable(&event.severity),
        printable(&event.reason)
    );
    if event.count > 1 {
        let _ = write!(text, " ({} times)", event.count);
    }
    let (about, message) = (printable(&event.about), printable(&event.message));
    let _ = writeln!(text, ": {about}: {message}");
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn what_is_not_well_is_told_below_the_table() {
        let object = |group: &str, kind: &str, name: &str| json!({"group": group, "kind": kind, "namespace": "shop", "name": name});
        let description: Description = from_value(json!({
            "objects": [
                {
                    "object": object("apps", "Deployment", "web"), "health": "Degraded", "reason": "0 of 1 replicas are available",
                    "more_pods": 2, "more_events": 1,
                    "pods": [{
                        "name": "web-1", "phase": "Pending", "health": "Degraded", "reason": "container main is in CrashLoopBackOff",
                        "containers": [
                            {"name": "first", "image": "init:1", "init": true, "state": "terminated", "reason": "Completed", "ready": false, "restarts": 0, "last_exit_code": 0},
                            {"name": "main", "image": "web:2", "state": "waiting", "reason": "CrashLoopBackOff", "ready": false, "restarts": 5, "last_exit_code": 1},
                            {"name": "new", "image": "web:2", "state": "something", "ready": false, "restarts": 0},
                        ],
                    }],
                    "events": [{
                        "about": "Pod web-1", "severity": "Warning", "reason": "BackOff", "message": "\u{1b}[2Jback-off",
                        "count": 7, "last": "2026-01-02T03:00:00Z",
                    }],
                },
                {"object": object("", "ConfigMap", "a"), "health": "Current"},
            ],
            "remarks": ["the events in namespace other cannot be seen"],
        }))
        .unwrap();
        let now = "2026-01-02T03:04:00Z".parse().unwrap();
        insta::assert_snapshot!(described(&description, now), @r"
        1 of 2 objects are not well
        KIND              NAMESPACE   NAME   HEALTH     REASON
        Deployment.apps   shop        web    Degraded   0 of 1 replicas are available
        ConfigMap         shop        a      Current    -

        Deployment.apps shop/web
          pod web-1: Pending, container main is in CrashLoopBackOff
            init container first: ended (Completed), last exit code 0, image init:1
            container main: waiting (CrashLoopBackOff), restarted 5 times, last exit code 1, image web:2
            container new: not known, image web:2
          and 2 more pods
          4m Warning BackOff (7 times): Pod web-1:  [2Jback-off
          and 1 more events

        Note: the events in namespace other cannot be seen
        ");
        let nothing = Description::default();
        insta::assert_snapshot!(described(&nothing, now), @"it owns no objects of the stack");
    }
}
