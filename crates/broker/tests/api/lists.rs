//! Lists of rows that are large.

use brokkr_core::wire::{CreateStack, Page, Stack};
use serde_json::json;

use crate::harness::*;

on_both_engines!(a_page_of_large_rows_ends_early_and_the_next_one_has_the_rest);

const STACKS: usize = 12;
/// About what a page has.
const PAGE: usize = 512 * 1024;

async fn a_page_of_large_rows_ends_early_and_the_next_one_has_the_rest(engine: Engine) {
    let scene = Scene::set(engine).await;
    let value = "x".repeat(4_000);
    let annotations: serde_json::Map<_, _> = (0..32)
        .map(|number| (format!("a{number}"), json!(value)))
        .collect();
    for number in 0..STACKS {
        let create = json!({"name": format!("large-{number}"), "annotations": annotations});
        let create: CreateStack = serde_json::from_value(create).expect("a stack");
        scene.admin.create_stack(&create).await.expect("a stack");
    }
    let url = format!("{}/api/v1/stacks?limit=500", scene.broker.server);
    let (mut names, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let request = reqwest::Client::new().get(format!("{url}{cursor}"));
        let answer = request.bearer_auth(scene.admin_key.expose()).send().await;
        let text = answer.expect("an answer").text().await.expect("a page");
        assert!(text.len() < PAGE + PAGE / 2, "{} bytes", text.len());
        let page: Page<Stack> = serde_json::from_str(&text).expect("a page");
        pages += 1;
        names.extend(page.items.into_iter().map(|stack| stack.name.to_string()));
        let Some(next) = page.next else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(pages >= STACKS * 32 * 4_000 / PAGE, "{pages} pages");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), STACKS);
    let stacks = scene.admin.stacks().await.expect("stacks");
    assert_eq!(stacks.len(), STACKS, "the client goes on by itself");
    scene.broker.stop().await;
}
