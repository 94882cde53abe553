//! What would cost too much is refused, cheaply, and the broker goes on.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::Code;
use brokkr_e2e::Stage;
use brokkr_e2e::manifests::{config_map, snapshot};

use crate::victim::Victim;

on_both_engines!(without a cluster: what_is_too_much_is_refused_and_survived);

const BOMB_LEVELS: usize = 9;

async fn what_is_too_much_is_refused_and_survived(stage: &Stage) -> Result<()> {
    let victim = Victim::publish_first(stage).await?;
    let many: Vec<_> = (0..=5_000)
        .map(|number| config_map(&format!("a{number}"), "1"))
        .collect();
    for (name, text) in [
        (
            "deep",
            format!("a: {}{}\n", "[".repeat(100_000), "]".repeat(100_000)),
        ),
        (
            "deep blocks",
            (0..2_000).fold(String::new(), |text, depth| {
                text + &" ".repeat(depth) + "a:\n"
            }),
        ),
        ("aliases of aliases", bomb()),
        ("an alias of itself", "a: &a [*a]\n".into()),
        (
            "two that hold each other",
            "a: &a [*b]\nb: &b [*a]\n".into(),
        ),
        ("many documents", "---\na\n".repeat(100_000)),
        ("a million documents", "---\n".repeat(1_000_000)),
        ("a million that are null", "--- ~\n".repeat(1_000_000)),
        ("many anchors", "- &a 1\n".repeat(100_000)),
        (
            "many aliases",
            "- &a 1\n".to_owned() + &"- *a\n".repeat(100_000),
        ),
        ("deep lists on one line", "- ".repeat(100_000)),
        ("deep keys on one line", "? ".repeat(100_000)),
        (
            "a long kind",
            config_map("a", "1").replace("ConfigMap", &"K".repeat(100_000)),
        ),
        ("a long name", config_map(&"a".repeat(100_000), "1")),
        ("many objects", snapshot(many)),
    ] {
        let problem = victim.refusal(&text).await.context(name)?;
        ensure!(problem.detail.len() < 1_000, "{name}: {}", problem.detail);
    }
    let huge = format!("{}# {}", config_map("a", "1"), "x".repeat(17 * 1024 * 1024));
    victim.publish(huge).await?.refuses(413, Code::TooLarge)?;
    victim.is_as_before().await
}

/// Each level holds the one before it ten times.
fn bomb() -> String {
    let level = |level: usize| {
        let aliases = vec![format!("*l{}", level - 1); 10].join(",");
        format!("l{level}: &l{level} [{aliases}]\n")
    };
    let levels = (1..=BOMB_LEVELS).map(level);
    ["l0: &l0 [x]\n".to_owned()]
        .into_iter()
        .chain(levels)
        .collect()
}
