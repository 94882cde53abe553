use std::fmt::Write as _;
use std::path::PathBuf;

use brokkr_core::name::Reference;
use brokkr_core::wire::{Ask, LivePlan, PlannedAction, PlannedField, PlannedObject, RequestAnswer};
use clap::Args;
use serde_json::Value;

use super::ask::{self, Answered, Patience};
use super::removal::Deletable;
use crate::connection::Connection;
use crate::failure::{Different, NotCompared};
use crate::output::{self, Output, printable};
use crate::snapshot::Snapshot;

/// Show what manifests would change in the clusters, and change nothing
///
/// Each agent compares the content with its cluster, and lets the cluster judge it: what would be created, changed field by
/// field, deleted or refused. Nothing is published. Values of secrets stay in the cluster. Ends with 0 if nothing would change, with
/// 1 if something would, and with 2 if an agent could not tell.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr diff -f ./manifests --stack checkout
  brokkr diff -f ./manifests --stack checkout --agent eu-1
  helm template checkout ./chart | brokkr diff -f - --stack checkout -o json")]
pub struct Diff {
    /// A file, a folder of .yaml, .yml and .json files, or - for stdin; several may be given
    #[arg(long = "file", short = 'f', value_name = "FILE|DIR|-", required = true)]
    files: Vec<PathBuf>,

    /// The stack's name or id
    #[arg(long, value_name = "STACK")]
    stack: Reference,

    /// The agent's name or id, which need not run the stack yet [default: all agents of the stack]
    #[arg(long, value_name = "AGENT")]
    agent: Option<Reference>,

    #[command(flatten)]
    deletable: Deletable,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Diff {
    pub async fn run(self) -> anyhow::Result<()> {
        if self.compare().await.map_err(NotCompared)? {
            return Err(Different.into());
        }
        Ok(())
    }

    /// Whether anything would change anywhere.
    async fn compare(self) -> anyhow::Result<bool> {
        let snapshot = Snapshot::read(&self.files)?;
        let client = self.connection.client()?;
        let stack = client.stack(&self.stack).await?;
        snapshot.check(stack.options.default_namespace.as_deref())?;
        let agents = ask::agents(&client, self.agent.as_ref(), Some(&self.stack)).await?;
        let ask = Ask::Plan {
            stack: self.stack,
            manifests: snapshot.into_text(),
            allow_delete: self.deletable.kinds,
        };
        let answers = self.patience.ask(&client, agents, ask).await;
        if self.output.is_structured() {
            self.output.whole(&answers)?;
        } else {
            output::write(&answers.iter().map(told).collect::<String>())?;
        }
        ask::check(&answers)?;
        Ok(answers.iter().any(|one| !is_nothing(one)))
    }
}

fn is_nothing(answered: &Answered) -> bool {
    matches!(&answered.answer, Some(RequestAnswer::Plan(plan)) if plan.is_nothing())
}

/// One agent's answer, for people.
fn told(answered: &Answered) -> String {
    let agent = &answered.agent;
    match (&answered.answer, &answered.failure) {
        (Some(RequestAnswer::Plan(plan)), _) => format!("{agent}: {}", planned(plan)),
        (_, Some(failure)) => format!("{agent}: cannot tell: {}\n", printable(failure)),
        _ => format!(
            "{agent}: cannot tell: its answer is of a kind that this version does not know\n"
        ),
    }
}

fn planned(plan: &LivePlan) -> String {
    let LivePlan {
        objects,
        more,
        unchanged,
    } = plan;
    if plan.is_nothing() {
        return format!("nothing would change ({unchanged} unchanged)\n");
    }
    let all = objects.len() as u64 + more;
    let mut text = format!(
        "{all} of {} objects would not stay as they are\n",
        all + unchanged
    );
    for object in objects {
        text.push_str(&line(object));
    }
    if *more > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  and {more} more");
    }
    text
}

fn line(planned: &PlannedObject) -> String {
    let mut text = format!(
        "  {} {}",
        word(planned.action),
        printable(&planned.object.to_string())
    );
    if let Some(reason) = &planned.reason {
        let _ = write!(text, ": {}", printable(reason));
    }
    text.push('\n');
    for field in &planned.fields {
        let _ = writeln!(text, "      {}", change(field));
    }
    if planned.more_fields > 0 {
        let _ = writeln!(text, "      and {} more fields", planned.more_fields);
    }
    text
}

const fn word(action: PlannedAction) -> &'static str {
    match action {
        PlannedAction::Create => "create",
        PlannedAction::Change => "change",
        PlannedAction::Recreate => "delete and create again",
        PlannedAction::Adopt => "take over",
        PlannedAction::Prune => "delete",
        PlannedAction::Keep => "let go",
        PlannedAction::Conflict => "conflict:",
        PlannedAction::Refuse => "refused:",
        PlannedAction::Wait => "wait for",
        PlannedAction::Unknown => "something else with",
    }
}

fn change(field: &PlannedField) -> String {
    let path = printable(&field.path);
    if field.hidden {
        return format!("{path}: changed (a secret's values stay in the cluster)");
    }
    let shown = |value: &Option<Value>| match value {
        Some(value) => printable(&value.to_string()),
        None => "nothing".to_owned(),
    };
    format!(
        "{path}: {} -> {}",
        shown(&field.before),
        shown(&field.after)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn each_change_is_a_line_of_its_own() {
        let object = |kind: &str, name: &str| json!({"group": "", "kind": kind, "namespace": "shop", "name": name});
        let plan: LivePlan = from_value(json!({
            "unchanged": 3,
            "objects": [
                {"object": object("ConfigMap", "a"), "action": "change", "more_fields": 2, "fields": [
                    {"path": "data.a", "before": "1", "after": "2"},
                    {"path": "data.b", "after": "\u{1b}[2J"},
                ]},
                {"object": object("Secret", "b"), "action": "change", "fields": [{"path": "data.p", "hidden": true}]},
                {"object": object("ConfigMap", "c"), "action": "conflict", "reason": "it exists"},
            ],
        }))
        .unwrap();
        insta::assert_snapshot!(planned(&plan), @r#"
        3 of 6 objects would not stay as they are
          change ConfigMap shop/a
              data.a: "1" -> "2"
              data.b: nothing -> "\u001b[2J"
              and 2 more fields
          change Secret shop/b
              data.p: changed (a secret's values stay in the cluster)
          conflict: ConfigMap shop/c: it exists
        "#);
        insta::assert_snapshot!(planned(&LivePlan { unchanged: 4, ..LivePlan::default() }), @"nothing would change (4 unchanged)");
    }
}
