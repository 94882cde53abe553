use serde_json::{Value, json};

use super::*;

fn explained(changes: &Value) -> String {
    let mut explanation = json!({
        "agent": "00000000-0000-7000-8000-000000000001", "agent_name": "eu-1",
        "stack": "00000000-0000-7000-8000-000000000002", "stack_name": "shop",
        "targeted": false, "reason": "", "direct": false, "rules": [], "exclude": [],
    });
    for (key, value) in changes.as_object().unwrap() {
        explanation[key] = value.clone();
    }
    told(&serde_json::from_value(explanation).unwrap())
}

#[test]
fn a_match_shows_what_it_rests_on() {
    let text = explained(&json!({
        "targeted": true, "reason": "a rule matches it: labels env=prod,gpu; same region",
        "rules": [
            { "rule": "labels env=prod,gpu; same region", "matches": true, "facts_held_before": false,
              "findings": [
                { "part": "labels", "predicate": "env=prod", "found": "prod", "holds": true },
                { "part": "labels", "predicate": "gpu", "found": "", "holds": true },
                { "part": "same", "predicate": "region", "found": "eu", "wanted": "eu", "holds": true },
            ] },
            { "rule": "every agent; facts provider=aws", "matches": true, "facts_held_before": true,
              "findings": [
                { "part": "every_agent", "predicate": "", "holds": true },
                { "part": "facts", "predicate": "provider=aws", "found": "gce", "holds": false },
            ] },
        ],
    }));
    insta::assert_snapshot!(text, @r#"
    Agent eu-1 runs stack shop: a rule matches it: labels env=prod,gpu; same region.

    Rule 1 matches:
      ✓ labels env=prod   the agent has prod
      ✓ labels gpu        the agent has it, without a value
      ✓ same region       the agent has eu, the stack has eu

    Rule 2 matches, because its facts held once:
      ✓ every agent
      ✗ facts provider=aws   gce
    "#);
}

#[test]
fn a_miss_shows_what_stands_in_the_way() {
    let text = explained(&json!({
        "reason": "the scope of the generator that owns the stack does not reach it",
        "rules": [
            { "rule": "same region", "matches": false, "facts_held_before": false,
              "findings": [{ "part": "same", "predicate": "region", "wanted": "eu", "holds": false }] },
            { "rule": "annotations memory>=64; facts kinds has apps/Deployment", "matches": false,
              "facts_held_before": false, "findings": [
                { "part": "annotations", "predicate": "memory>=64", "found": "32", "holds": false },
                { "part": "facts", "predicate": "kinds has apps/Deployment",
                  "found": "nothing reported yet", "holds": false },
            ] },
        ],
        "exclude": [
            { "exclusion": "labels canary", "matches": true,
              "findings": [{ "part": "labels", "predicate": "canary", "found": "", "holds": true }] },
            { "exclusion": "labels !env", "matches": false,
              "findings": [{ "part": "labels", "predicate": "!env", "found": "a\u{1b}[2Jb", "holds": false }] },
        ],
        "scope": { "generator": "ci", "reaches": false, "findings": [
            { "part": "labels", "predicate": "env=dev", "holds": false },
        ] },
    }));
    insta::assert_snapshot!(text, @r#"
    Agent eu-1 does not run stack shop: the scope of the generator that owns the stack does not reach it.

    Rule 1 does not match:
      ✗ same region   the agent has nothing, the stack has eu

    Rule 2 does not match:
      ✗ annotations memory>=64            the agent has 32
      ✗ facts kinds has apps/Deployment   nothing reported yet

    Exclusion 1 keeps the agent out:
      ✓ labels canary   the agent has it, without a value

    Exclusion 2 does not match:
      ✗ labels !env   the agent has a [2Jb

    The scope of generator ci does not reach the agent:
      ✗ labels env=dev   the agent has nothing
    "#);
}
