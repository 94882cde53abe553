//! What a change begins and ends, looked at before it is made: a wrong label must not empty clusters.

use brokkr_core::name::Reference;
use brokkr_core::wire::{Effect, Plan, PlannedTarget};
use clap::Args;

use crate::output::{Cell, Output, Row};
use crate::terminal::{Confirmation, say};

/// How carefully a change is made.
#[derive(Args)]
pub struct Care {
    /// Show which agents would begin and cease to run which stacks, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    confirmation: Confirmation,
}

impl Care {
    /// Whether the change of this plan is to be made. A dry run ends with the plan, and what takes stacks
    /// away is asked first.
    pub fn permits(&self, plan: &Plan, output: &Output) -> anyhow::Result<bool> {
        if self.dry_run {
            output.rows(&plan.changes, plan)?;
            let untold = (plan.reached + plan.left).saturating_sub(plan.changes.len() as u64);
            if untold > 0 {
                say(&format!("… and {untold} more."));
            }
            say(&format!("It would {}. Nothing was changed.", counts(plan)));
            return Ok(false);
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
    format!("reach {} and leave {}", plan.reached, plan.left)
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
