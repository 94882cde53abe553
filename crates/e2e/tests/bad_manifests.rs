//! A snapshot that is none is refused with its place, and leaves nothing behind.

use anyhow::{Context, Result, ensure};
use brokkr_e2e::Stage;
use brokkr_e2e::manifests::{config_map, snapshot};

use crate::victim::Victim;

on_both_engines!(without a cluster: what_is_no_snapshot_is_refused_with_its_place);

async fn what_is_no_snapshot_is_refused_with_its_place(stage: &Stage) -> Result<()> {
    let victim = Victim::publish_first(stage).await?;
    let good = config_map("good", "1");
    let with = |field: &str| {
        format!("{good}---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: bad\n{field}\n")
    };
    // What is wrong, the text, the pointer into the second document, the line.
    let cases = [
        (
            "no apiVersion",
            format!("{good}---\nkind: ConfigMap\nmetadata: {{name: a}}\n"),
            "/apiVersion",
            8,
        ),
        (
            "no kind",
            format!("{good}---\napiVersion: v1\nmetadata: {{name: a}}\n"),
            "/kind",
            8,
        ),
        (
            "no metadata",
            format!("{good}---\napiVersion: v1\nkind: ConfigMap\n"),
            "/metadata",
            8,
        ),
        (
            "no name",
            format!("{good}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{}}\n"),
            "/metadata/name",
            8,
        ),
        ("no mapping", format!("{good}---\n- a\n"), "", 8),
        (
            "the same object twice",
            snapshot([&good, &good]),
            "/metadata/name",
            9,
        ),
        (
            "generateName",
            with("  generateName: bad-"),
            "/metadata/generateName",
            8,
        ),
        ("status", with("status: {phase: Active}"), "/status", 8),
        (
            "managedFields",
            with("  managedFields: []"),
            "/metadata/managedFields",
            8,
        ),
        ("uid", with("  uid: 7b1c"), "/metadata/uid", 8),
        (
            "resourceVersion",
            with("  resourceVersion: \"7\""),
            "/metadata/resourceVersion",
            8,
        ),
        (
            "a label that is no text",
            with("  labels: {a: 1}"),
            "/metadata/labels/a",
            8,
        ),
    ];
    for (name, text, pointer, line) in cases {
        let problem = victim.refusal(&text).await.context(name)?;
        ensure!(
            problem.pointer.as_deref() == Some(pointer),
            "{name}: {problem:?}"
        );
        ensure!(
            problem.document == Some(2) && problem.line == Some(line),
            "{name}: {problem:?}"
        );
    }
    for (name, text) in [
        ("malformed", "kind: [\n"),
        ("a tab", "kind:\n\t- a\n"),
        ("a key twice", "kind: ConfigMap\nkind: Secret\n"),
        ("a tag", "kind: !!python/object:os.system {}\n"),
    ] {
        let problem = victim.refusal(text).await.context(name)?;
        ensure!(
            problem.line.is_some() && problem.column.is_some(),
            "{name}: {problem:?}"
        );
    }
    for (name, text) in [
        ("empty", ""),
        ("only separators", "---\n---\n"),
        ("only a comment", "# a\n"),
    ] {
        victim.refusal(text).await.context(name)?;
    }
    victim.is_as_before().await
}
