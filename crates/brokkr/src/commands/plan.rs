//! What a change begins, ends and drops, looked at before it is made: a wrong label must not empty clusters, and a
//! short file no stack.

use brokkr_core::name::Reference;
use brokkr_core::object::ObjectKey;
use brokkr_core::wire::{Effect, Plan, PlannedTarget};
use clap::Args;
use serde::Serialize;

use crate::output::{Cell, Output, Row};
use crate::terminal::{Confirmation, say};

/// How carefully a change is made.
#[derive(Args)]
pub struct Care {
    /// Show what would begin, end and be dropped, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    confirmation: Confirmation,
}

impl Care {
    /// Whether nothing is to be changed.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Whether a dry run ends here, with the plan.
    pub fn ends_with(&self, plan: &Plan, output: &Output) -> anyhow::Result<bool> {
        if self.dry_run {
            if plan.dropped.is_empty() {
                output.rows(&plan.changes, plan)?;
            } else {
                output.rows(&dropped(plan), plan)?;
            }
            let untold = (plan.reached + plan.left).saturating_sub(plan.changes.len() as u64);
            if untold > 0 {
                say(&format!("… and {untold} more."));
            }
            say(&format!("It would {}. Nothing was changed.", counts(plan)));
        }
        Ok(self.dry_run)
    }

    /// Asks what the change is about in its own words.
    pub fn ask(&self, question: &str) -> anyhow::Result<()> {
        self.confirmation.ask(question)
    }

    /// Whether the change of this plan is to be made. A dry run ends with the plan, and what takes something
    /// away is asked first.
    pub fn permits(&self, plan: &Plan, output: &Output) -> anyhow::Result<bool> {
        if self.ends_with(plan, output)? {
            return Ok(false);
        }
        if plan.loses() && plan.left == 0 {
            self.confirmation.ask(&format!(
                "This drops {} object(s) that {} agent(s) run: {}. Go on?",
                plan.dropped.len(),
                plan.agents,
                dropping(plan)
            ))?;
        }
        if plan.left > 0 {
            self.confirmation.ask(&format!(
                "This ends {} agent target(s): {}. Each agent then removes the objects, as the stack's policy says. Go on?",
                plan.left,
                leaving(plan, |target| {
                    let stack = Reference::of(target.generator.as_ref(), &target.stack_name);
                    format!("{stack} at {}", target.agent_name)
                })
            ))?;
        }
        if plan.reached + plan.left > 0 {
            say(&format!(
                "Agent targets: {} begun, {} ended.",
                plan.reached, plan.left
            ));
        }
        Ok(true)
    }
}

fn counts(plan: &Plan) -> String {
    if plan.reached + plan.left == 0 && plan.agents > 0 {
        let (objects, agents) = (plan.dropped.len(), plan.agents);
        return format!("drop {objects} object(s) at {agents} agent(s)");
    }
    format!("reach {} and leave {}", plan.reached, plan.left)
}

/// An object that a snapshot no longer has.
#[derive(Serialize)]
struct Dropped<'a> {
    object: &'a ObjectKey,
    /// It is of a kept kind.
    stays: bool,
}

fn dropped(plan: &Plan) -> Vec<Dropped<'_>> {
    let stays = |object: &ObjectKey| {
        let kept = object.kept_kind();
        kept.is_some_and(|kind| !plan.allow_delete.contains(&kind))
    };
    let objects = plan.dropped.iter();
    objects
        .map(|object| Dropped {
            object,
            stays: stays(object),
        })
        .collect()
}

/// The first few of the objects that the plan drops, and how many more there are.
fn dropping(plan: &Plan) -> String {
    let all = dropped(plan);
    let first = all.iter().take(READABLE).map(|dropped| {
        let object = dropped.object;
        if dropped.stays {
            format!("{object} (which stays, as nobody's)")
        } else {
            object.to_string()
        }
    });
    let mut names: Vec<String> = first.collect();
    match all.len() - names.len() {
        0 => {}
        more => names.push(format!("and {more} more")),
    }
    names.join(", ")
}

impl Row for Dropped<'_> {
    fn name(&self) -> String {
        self.object.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let effect = if self.stays { "let go" } else { "delete" };
        vec![
            Cell::text("EFFECT", effect),
            Cell::text("OBJECT", self.object),
        ]
    }
}

/// How many names a question holds that a person still reads.
const READABLE: usize = 5;

/// The first few of the targets that the plan ends, each as `name` has it, and how many more there are.
pub fn leaving(plan: &Plan, name: impl Fn(&PlannedTarget) -> String) -> String {
    let ends = |target: &&PlannedTarget| target.effect == Effect::Leave;
    let mut names: Vec<String> = plan
        .changes
        .iter()
        .filter(ends)
        .take(READABLE)
        .map(name)
        .collect();
    match plan.left.saturating_sub(names.len() as u64) {
        0 => {}
        more => names.push(format!("and {more} more")),
    }
    names.join(", ")
}

impl Row for PlannedTarget {
    fn name(&self) -> String {
        self.agent_name.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let effect = match self.effect {
            Effect::Reach => "reach",
            Effect::Leave => "leave",
        };
        vec![
            Cell::text("EFFECT", effect),
            Cell::text("AGENT", &self.agent_name),
            Cell::text(
                "STACK",
                Reference::of(self.generator.as_ref(), &self.stack_name),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::digest::Digest;
    use brokkr_core::object::KeptKind;

    use super::*;

    fn plan(kinds: &[&str], allow_delete: Vec<KeptKind>) -> Plan {
        let named = |(number, kind): (usize, &&str)| ObjectKey {
            group: String::new(),
            kind: (*kind).to_owned(),
            namespace: None,
            name: number.to_string(),
        };
        Plan {
            digest: Digest::of(None, ""),
            reached: 0,
            left: 0,
            changes: Vec::new(),
            dropped: kinds.iter().enumerate().map(named).collect(),
            agents: 2,
            allow_delete,
        }
    }

    #[test]
    fn what_is_dropped_is_named_with_what_stays() {
        let kinds = ["ConfigMap", "Namespace", "Pod", "Pod", "Pod", "Pod", "Pod"];
        insta::assert_snapshot!(dropping(&plan(&kinds, Vec::new())), @"ConfigMap 0, Namespace 1 (which stays, as nobody's), Pod 2, Pod 3, Pod 4, and 2 more");
        let allowed = plan(&kinds[..2], vec![KeptKind::Namespace]);
        insta::assert_snapshot!(dropping(&allowed), @"ConfigMap 0, Namespace 1");
        assert_eq!(counts(&allowed), "drop 2 object(s) at 2 agent(s)");
    }
}
