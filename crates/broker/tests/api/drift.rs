//! What becomes of drift is an option of the stack, and told to every agent that runs it.

use brokkr_core::wire::{DRIFT_REPORT, Drift, PatchStack, PatchStackOptions};

use crate::harness::*;

on_both_engines!(an_agent_that_would_repair_what_is_only_reported_holds_it);

async fn an_agent_that_would_repair_what_is_only_reported_holds_it(engine: Engine) {
    let scene = Scene::set(engine).await;
    let edge = scene.agent.clone();
    create_stack(&scene.admin, "shop").await;
    publish(&scene.admin, "shop", config_map("a", "1")).await;
    target(&scene.admin, "edge", "shop").await;
    let mut before = state_of(&edge).await;
    assert_eq!(before.stacks[0].drift, Drift::Repair);
    for (drift, requires) in [(Drift::Report, vec![DRIFT_REPORT]), (Drift::Repair, vec![])] {
        let patch = PatchStack {
            options: PatchStackOptions {
                drift: Some(drift),
                ..PatchStackOptions::default()
            },
            ..PatchStack::default()
        };
        let stack = scene.admin.patch_stack(&name("shop"), &patch).await;
        assert_eq!(stack.expect("a stack").options.drift, drift);
        let state = state_of(&edge).await;
        assert_eq!(state.stacks[0].drift, drift);
        assert_eq!(state.stacks[0].requires, requires);
        assert!(state.revision > before.revision);
        before = state;
    }
    scene.broker.stop().await;
}
