//! Agents are asked something in a pull design: what would change, and to try at once.

use anyhow::{Context, Result, bail, ensure};
use brokkr_core::wire::{Action, ChainedEntry, Outcome, StackOptions, Sync};
use brokkr_e2e::manifests::{config_map, deployment, snapshot};
use brokkr_e2e::{PATIENCE, Stage, TestStack, eventually};
use serde_json::Value;

on_both_engines!(
    a_diff_shows_the_field_that_would_change_and_changes_nothing,
    a_stack_that_waits_to_try_again_is_synced_at_once,
    an_agent_that_is_not_there_is_said_to_be,
    what_does_not_run_is_described_from_afar,
    what_crashes_shows_its_log_and_no_secret,
);

async fn a_diff_shows_the_field_that_would_change_and_changes_nothing(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    let stack = world.stack("shop").await?;
    let secret = |value| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData: {{password: {value}}}\n"
        )
    };
    let first = snapshot([
        config_map("a", "1"),
        config_map("b", "1"),
        secret("hunter-one"),
    ]);
    stack.roll_out(&first).await?;
    let published = stack.status().await?.desired;
    let file = stage.directory().join("next.yaml");
    std::fs::write(&file, &first)?;
    let diff = ["diff", "-f", "next.yaml", "--stack", "shop"];
    let said = cli.does(&diff).await?;
    ensure!(
        said.stdout.contains("nothing would change (3 unchanged)"),
        "{said:#?}"
    );

    let next = snapshot([
        config_map("a", "2"),
        config_map("c", "1"),
        secret("hunter-two"),
    ]);
    std::fs::write(&file, &next)?;
    let before = world.cluster.versions(&first, &stack.namespace).await?;
    let said = cli.ends(&diff, 1).await?;
    for words in [
        "data.value: \"1\" -> \"2\"".to_owned(),
        format!("change ConfigMap {}/a", stack.namespace),
        format!("delete ConfigMap {}/b", stack.namespace),
        format!("create ConfigMap {}/c", stack.namespace),
        "data.password: changed".to_owned(),
    ] {
        ensure!(said.stdout.contains(&words), "{words}: {said:#?}");
    }
    ensure!(
        !said.stdout.contains("hunter") && !said.stdout.contains("aHVudGVy"),
        "{said:#?}"
    );
    let said = cli.ends(&[&diff[..], &["-o", "json"]].concat(), 1).await?;
    let answers: Value = serde_json::from_str(&said.stdout)?;
    ensure!(answers[0]["answer"]["kind"] == "plan", "{answers:#}");

    // Nothing was published, and nothing written.
    ensure!(world.cluster.versions(&first, &stack.namespace).await? == before);
    ensure!(stack.status().await?.desired == published);
    let bad = ["diff", "-f", "nothing.yaml", "--stack", "shop"];
    let said = cli.ends(&bad, 2).await?;
    ensure!(said.stderr.contains("nothing.yaml"), "{said:#?}");
    Ok(())
}

/// Its namespace comes while the next attempt is far away.
async fn a_stack_that_waits_to_try_again_is_synced_at_once(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    let stack = world.stack_with("early", StackOptions::default()).await?;
    let sequence = stack.publish(&config_map("a", "1")).await?;
    stack
        .event_with("it waits for longer and longer", |event| {
            event.action == Action::Apply && event.outcome == Outcome::Failed && event.count >= 5
        })
        .await?;
    world.cluster.create_namespace(&stack.namespace).await?;
    let begun = std::time::Instant::now();
    let answers: Value = cli.reads(&["sync", "--stack", "early"]).await?;
    ensure!(answers[0]["answer"]["stacks"] == 1, "{answers:#}");
    stack
        .becomes(Sync::Synced, Some(sequence), PATIENCE)
        .await?;
    // The sixth attempt would be due 16 s after the fifth at the earliest.
    let took = begun.elapsed();
    ensure!(took.as_secs() < 8, "{took:?}");
    Ok(())
}

async fn an_agent_that_is_not_there_is_said_to_be(stage: &Stage) -> Result<()> {
    let world = stage.world_at_rest(None).await?;
    let cli = stage.operator(&world.broker).await?;
    world.stack("shop").await?;
    let begun = std::time::Instant::now();
    let said = cli.ends(&["sync", "--stack", "shop"], 1).await?;
    ensure!(said.stdout.contains("has never polled"), "{said:#?}");
    ensure!(
        begun.elapsed().as_secs() < 20,
        "it did not wait for an answer"
    );
    std::fs::write(stage.directory().join("a.yaml"), config_map("a", "1"))?;
    let said = cli
        .ends(&["diff", "-f", "a.yaml", "--stack", "shop"], 2)
        .await?;
    let first = said.stdout.lines().next().context("a line")?;
    ensure!(first.contains("cannot tell"), "{said:#?}");
    Ok(())
}

/// With its pods and with what Kubernetes told of them, and never with a secret.
async fn what_does_not_run_is_described_from_afar(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    let stack = world.stack("shop").await?;
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData: {image: hunter-two}\n";
    let text = snapshot([
        config_map("a", "1"),
        secret.to_owned(),
        deployment("web", "crashing-hunter-two:1"),
    ]);
    stack.roll_out(&text).await?;
    crashes(&stack).await?;
    let said = cli.does(&["describe", "shop"]).await?;
    for words in [
        "1 of 3 objects are not well",
        "ConfigMap",
        "(CrashLoopBackOff), restarted 5 times, last exit code 1, image crashing-[redacted]:1",
        "ScalingReplicaSet: Deployment web",
        "SuccessfulCreate: ReplicaSet web-",
    ] {
        ensure!(said.stdout.contains(words), "{words}: {said:#?}");
    }
    ensure!(!said.stdout.contains("hunter"), "{said:#?}");
    let agent = world.agent.reference().to_string();
    let answers: Value = cli.reads(&["describe", "shop", "--agent", &agent]).await?;
    ensure!(!answers.to_string().contains("hunter"), "{answers:#}");
    let worst = &answers[0]["answer"]["objects"][0];
    ensure!(
        worst["object"]["kind"] == "Deployment" && worst["health"] == "Degraded",
        "{worst:#}"
    );

    let said = cli.ends(&["describe", "nothing"], 1).await?;
    ensure!(said.stderr.contains("not_found"), "{said:#?}");
    Ok(())
}

/// The container was given a password by the stack, and writes it.
async fn what_crashes_shows_its_log_and_no_secret(stage: &Stage) -> Result<()> {
    let world = stage.world().await?;
    let cli = stage.operator(&world.broker).await?;
    let stack = world.stack("shop").await?;
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData: {password: hunter-two}\n";
    let web = format!(
        "{}          args: [no entry with $(PASSWORD), the end]
          env: [{{name: PASSWORD, valueFrom: {{secretKeyRef: {{name: s, key: password}}}}}}]
",
        deployment("web", "crashing:1")
    );
    stack.roll_out(&snapshot([secret.to_owned(), web])).await?;
    crashes(&stack).await?;
    let logs = ["logs", "shop", "--agent", world.agent.namespace()];
    let said = cli.does(&logs).await?;
    let lines: Vec<_> = said.stdout.lines().collect();
    let [first, second] = lines[..] else {
        bail!("{said:#?}");
    };
    ensure!(first.starts_with("web-"), "{said:#?}");
    ensure!(
        first.ends_with("/main (previous): previously: no entry with [redacted]"),
        "{said:#?}"
    );
    ensure!(second.ends_with("previously: the end"), "{said:#?}");
    let last = cli.does(&[&logs[..], &["--tail", "1"]].concat()).await?;
    ensure!(last.stdout.lines().count() == 1, "{last:#?}");
    let answers: Value = cli.reads(&logs).await?;
    ensure!(!answers.to_string().contains("hunter"), "{answers:#}");
    let pod = &answers[0]["answer"]["logs"][0];
    ensure!(
        pod["container"] == "main" && pod["previous"] == true,
        "{answers:#}"
    );

    let asked: Vec<ChainedEntry> = cli.reads(&["audit", "--action", "agent_ask"]).await?;
    ensure!(asked.len() == 3, "{asked:#?}");
    let wrong = cli
        .ends(&[&logs[..], &["--container", "A b"]].concat(), 1)
        .await?;
    ensure!(wrong.stderr.contains("a container's name"), "{wrong:#?}");
    Ok(())
}

async fn crashes(stack: &TestStack) -> Result<()> {
    eventually("its pod crashes", PATIENCE, async || {
        let reason = stack.status().await?.reason.unwrap_or_default();
        ensure!(reason.contains("CrashLoopBackOff"), "{reason}");
        Ok(())
    })
    .await
}
