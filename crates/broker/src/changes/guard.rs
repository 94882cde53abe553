//! How much one change may take away unless somebody agreed to its plan.

use brokkr_core::mutant::Mutant;

use crate::error::{Error, Result};
use crate::store::{agent_targets, settings};
use crate::writer::Change;

/// Refuses a change by which more agents of some stack lost it than the settings let pass.
pub(crate) async fn check(change: &mut Change) -> Result<()> {
    if change.planning.lost.is_empty() || Mutant::BrokerGuardOff.is_on() {
        return Ok(());
    }
    let guard = settings::read(&mut change.tx).await?.guard;
    for (stack, lost) in &change.planning.lost {
        if lost.agents <= u64::from(guard.agents.get()) {
            continue;
        }
        let before = lost.agents + agent_targets::count(*stack, &mut change.tx).await?;
        if guard.permits(lost.agents, before) {
            continue;
        }
        let mut names = lost.first.join(", ");
        let more = lost.agents - lost.first.len() as u64;
        if more > 0 {
            names = format!("{names}, and {more} more");
        }
        return Err(Error::PlanRequired(format!(
            "{} of the {before} agents of stack {} would lose it ({names}): one change takes a stack from {} agents or {} % of them without a plan; ask for the plan with `?plan=only`, look at it, and repeat the change with its digest in the header `Brokkr-Plan`",
            lost.agents, lost.stack, guard.agents, guard.agents_percent
        )));
    }
    Ok(())
}
