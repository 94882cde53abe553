//! What to do about a loss that an agent holds, in commands that can be pasted.

use brokkr_core::name::Reference;
use brokkr_core::wire::{LossCause, Removal};

/// How many losses are told of; the table has all.
const TOLD: usize = 3;

/// For each of the first losses that are held, the three ways to go on.
pub fn told(removals: &[Removal]) -> Option<String> {
    let held: Vec<_> = removals.iter().filter_map(ways).collect();
    let more = held.len().saturating_sub(TOLD);
    let mut lines: Vec<_> = held.into_iter().take(TOLD).collect();
    if more > 0 {
        lines.push(format!("… and {more} more; `-o wide` has their ids."));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn ways(removal: &Removal) -> Option<String> {
    let held = removal.held.as_ref()?;
    let (agent, id) = (&removal.agent_name, removal.id);
    let stack = Reference::of(removal.generator.as_ref(), &removal.stack_name);
    let managed = match held.cause {
        LossCause::Snapshot(_) => {
            format!(
                "publish a version that has them, such as the one before: brokkr rollback {stack}"
            )
        }
        LossCause::Removal(_) if removal.stack_deleted_at.is_some() => {
            format!(
                "bring the stack back: brokkr stack undelete {}",
                removal.stack
            )
        }
        LossCause::Removal(_) => format!(
            "put the rule or label back (`brokkr audit` has what changed), or name the agent: brokkr stack target {stack} --agent {agent}"
        ),
    };
    Some(format!(
        "Agent {agent} holds {count} object(s) of stack {stack}. Nothing of it is deleted until somebody decides:
  let them be deleted:              brokkr removals approve {id}
  leave them there, as nobody's:    brokkr removals refuse {id}
  keep them as part of the stack:   {managed}",
        count = held.count,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    fn removal(cause: &serde_json::Value) -> Removal {
        let uuid = "01890a5d-ac96-774b-bcce-b302099a8057";
        let key = json!({"kind": "ConfigMap", "namespace": "shop", "name": "a"});
        from_value(json!({
            "id": uuid, "agent": uuid, "agent_name": "eu-1", "stack": uuid, "stack_name": "shop",
            "generator": "ci", "policy": "delete", "allow_delete": [], "since": "2026-11-24T00:00:00Z",
            "held": {"cause": cause, "count": 9, "first": [key], "owned": 11},
        }))
        .expect("a removal")
    }

    #[test]
    fn a_held_loss_comes_with_three_commands() {
        insta::assert_snapshot!(told(&[removal(&json!({"snapshot": 2}))]).unwrap(), @"
        Agent eu-1 holds 9 object(s) of stack ci:shop. Nothing of it is deleted until somebody decides:
          let them be deleted:              brokkr removals approve 01890a5d-ac96-774b-bcce-b302099a8057
          leave them there, as nobody's:    brokkr removals refuse 01890a5d-ac96-774b-bcce-b302099a8057
          keep them as part of the stack:   publish a version that has them, such as the one before: brokkr rollback ci:shop
        ");
    }

    #[test]
    fn what_a_removal_takes_is_kept_by_what_can_still_be_done() {
        let last = |removal| told(&[removal]).unwrap().lines().last().unwrap().to_owned();
        let untargeted = removal(&json!({"removal": 7}));
        let deleted = Removal {
            stack_deleted_at: Some(untargeted.since),
            ..untargeted.clone()
        };
        insta::assert_snapshot!(last(untargeted), @"  keep them as part of the stack:   put the rule or label back (`brokkr audit` has what changed), or name the agent: brokkr stack target ci:shop --agent eu-1");
        insta::assert_snapshot!(last(deleted), @"  keep them as part of the stack:   bring the stack back: brokkr stack undelete 01890a5d-ac96-774b-bcce-b302099a8057");
    }

    #[test]
    fn what_is_not_held_needs_no_word_and_much_is_counted() {
        let going = Removal {
            held: None,
            ..removal(&json!({"removal": 7}))
        };
        assert_eq!(told(&[going]), None);
        let many = vec![removal(&json!({"removal": 7})); 5];
        let told = told(&many).unwrap();
        assert!(
            told.ends_with("… and 2 more; `-o wide` has their ids."),
            "{told}"
        );
    }
}
