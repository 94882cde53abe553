//! A snapshot that is none is refused with its place, and leaves nothing behind.

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{Code, Published};
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{Raw, Stage};
use reqwest::Method;
use serde_json::json;

use crate::victim::Victim;

on_both_engines!(without a cluster:
    what_is_no_snapshot_is_refused_with_its_place,
    what_is_no_yaml_is_refused_with_its_place,
    what_is_published_comes_back_byte_for_byte,
);

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
    victim.is_as_before().await
}

async fn what_is_no_yaml_is_refused_with_its_place(stage: &Stage) -> Result<()> {
    let victim = Victim::publish_first(stage).await?;
    for (name, text) in [
        ("malformed", "kind: [\n"),
        ("a tab", "kind:\n\t- a\n"),
        ("a key twice", "kind: ConfigMap\nkind: Secret\n"),
        ("a tag", "kind: !!python/object:os.system {}\n"),
        ("an include", "kind: !include /etc/passwd\n"),
        ("a tag of its own", "kind: !mine ConfigMap\n"),
        ("a key twice, as number and text", "data: {1: a, '1': b}\n"),
        ("a number that is none", "kind: 1e400\n"),
        ("an infinite number", "kind: .inf\n"),
        ("not a number", "kind: .nan\n"),
        ("an alias of nothing", "kind: *nowhere\n"),
        ("a merge of no mapping", "kind: ConfigMap\n<<: 5\n"),
        ("a control character", "kind: \"a\u{1b}[2J\"\n"),
        ("UTF-16", "k\0i\0n\0d\0:\0 \0a\0\n\0"),
        ("half a surrogate", "kind: \"\\ud800\"\n"),
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
        ("only documents that are null", "---\nnull\n--- ~\n---\n"),
        ("only a byte order mark", "\u{feff}"),
    ] {
        victim.refusal(text).await.context(name)?;
    }
    for bytes in [
        &b"kind: \xff\xfe\n"[..],
        b"\xff\xfek\0i\0n\0d\0:\0",
        b"\xfe\xff\0k\0i\0n\0d\0:",
    ] {
        let answer = victim.publish(bytes.to_vec()).await?;
        answer.refuses(400, Code::Malformed)?;
    }
    victim.is_as_before().await
}

/// The text is what was published, whatever it was read as: nothing is put right, sorted or written anew.
async fn what_is_published_comes_back_byte_for_byte(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    broker.new_stack("shop").await?;
    let raw = Raw::admin(&broker)?;
    let head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    for text in [
        format!("\u{feff}{head}data: {{a: 'b'}}"),
        head.replace('\n', "\r\n"),
        format!("%YAML 1.1\n---\n# first\n{head}...\n---\n---\nnull\n"),
        format!(
            "{head}spec: {{y: y, n: no, on: on, o: 0o17, z: 017, h: 0x1F, u: 1_000, t: 12:30:45, d: 2026-01-01}}\n"
        ),
        format!(
            "{head}spec: {{big: 18446744073709551616, small: 1e-400, f: 1.10, e: 1e3, m: -0.0}}\n"
        ),
        format!("base: &b {{a: 1}}\n{head}spec: {{<<: *b, c: *b}}\n"),
        format!("{head}spec: {{b: !!binary aGk=, s: !!str 5, zero: \"a\\0b\"}}\n"),
        format!("{head}data:\n  a: |+\n    trailing  \n\n\n  b: >-\n    fold\n    ed\n\n"),
        format!("{head}data: {{a: \"\u{202e}\u{1f600}\u{e000}\u{85}\"}}\n"),
        format!("{head}data: {{a: \"'; drop table stacks; --\"}}   # \u{fffd}"),
    ] {
        for kind in ["application/yaml", "application/json"] {
            let body = match kind {
                "application/yaml" => text.clone(),
                _ => json!({ "manifests": text }).to_string(),
            };
            let path = "/stacks/shop/deployment-objects";
            let answer = raw.send(Method::POST, path, kind, body).await?;
            ensure!(answer.status.is_success(), "{text:?}: {answer:?}");
            let published: Published = serde_json::from_str(&answer.body)?;
            ensure!(
                published.unchanged == (kind == "application/json"),
                "the same text, sent as {kind}, is another: {text:?}"
            );
            let id = published.deployment_object.id;
            let back = raw
                .get(&format!("/deployment-objects/{id}/manifests"))
                .await?;
            ensure!(back.body == text, "{:?} is not {text:?}", back.body);
        }
    }
    Ok(())
}
