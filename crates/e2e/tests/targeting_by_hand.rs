//! Targeting as people type it: nothing changes on a dry run, and nothing is taken away unasked.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use brokkr_core::wire::{AgentTarget, Code, PatchStack, Plan, Stack};
use brokkr_e2e::{Broker, Cli, Stage};

on_both_engines!(
    without a cluster: a_dry_run_changes_nothing_and_a_loss_is_asked_for,
    explain_says_why_and_why_not
);

/// Three agents, a stack for those of `prod` and its own region, and somebody who has signed in.
async fn scene(stage: &Stage) -> Result<(Broker, Cli)> {
    let broker = stage.broker("broker").await?;
    let cli = stage.operator(&broker).await?;
    for (name, env, region) in [
        ("eu-1", "prod", "eu"),
        ("eu-2", "prod", "eu"),
        ("us-1", "prod", "us"),
    ] {
        let (env, region) = (format!("env={env}"), format!("region={region}"));
        let key = format!("{name}.key");
        let create = ["agent", "create", name, "--key-file", &key];
        cli.does(&[&create[..], &["--label", &env, "--label", &region]].concat())
            .await?;
    }
    cli.does(&["stack", "create", "shop", "--label", "region=eu"])
        .await?;
    Ok((broker, cli))
}

const RULE: [&str; 7] = [
    "shop",
    "--labels",
    "env=prod",
    "--same",
    "region",
    "--annotations",
    "!old",
];

fn rule<'a>(verb: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["stack", "rule", verb], &RULE[..], rest].concat()
}

async fn targets(cli: &Cli) -> Result<BTreeSet<String>> {
    let targets: Vec<AgentTarget> = cli.reads(&["stack", "targets", "shop"]).await?;
    Ok(targets
        .iter()
        .map(|target| target.agent_name.to_string())
        .collect())
}

async fn a_dry_run_changes_nothing_and_a_loss_is_asked_for(stage: &Stage) -> Result<()> {
    let (broker, cli) = scene(stage).await?;

    let plan: Plan = cli.reads(&rule("add", &["--dry-run"])).await?;
    ensure!((plan.reached, plan.left) == (2, 0), "{plan:?}");
    let stack: Stack = cli.reads(&["stack", "get", "shop"]).await?;
    ensure!(stack.targeting.is_empty() && targets(&cli).await?.is_empty());

    cli.does(&rule("add", &[])).await?;
    ensure!(targets(&cli).await?.iter().eq(["eu-1", "eu-2"]));
    let late = broker
        .admin()
        .patch_seen_stack(&stack, &PatchStack::default())
        .await;
    let late = late.err().and_then(|error| error.code());
    ensure!(
        late == Some(Code::EditedMeanwhile),
        "lists that others changed are not replaced: {late:?}"
    );
    let twice = cli.ends(&rule("add", &[]), 1).await?;
    ensure!(
        twice.stderr.contains("rule 1 of the stack already"),
        "{twice:?}"
    );

    // Each of these would take the stack from an agent, and nobody is there to be asked.
    let (usage, losing) = (
        2,
        [
            vec!["agent", "set", "eu-2", "--remove-label", "env"],
            vec!["stack", "set", "shop", "--label", "region=us"],
            vec!["stack", "exclude", "add", "shop", "--labels", "region=eu"],
            rule("remove", &[]),
            vec!["stack", "rule", "remove", "shop", "1"],
        ],
    );
    for arguments in losing {
        let refused = cli.ends(&arguments, usage).await?;
        ensure!(
            refused.stderr.contains("shop at eu-2") && refused.stderr.contains("--yes"),
            "{refused:?}"
        );
        let dry = cli.does(&[&arguments[..], &["--dry-run"]].concat()).await?;
        ensure!(dry.stdout.contains("leave    eu-2    shop"), "{dry:?}");
        ensure!(dry.stderr.contains("Nothing was changed"), "{dry:?}");
        ensure!(
            targets(&cli).await?.iter().eq(["eu-1", "eu-2"]),
            "{arguments:?}"
        );
    }

    cli.does(&["agent", "set", "eu-2", "--remove-label", "env", "--yes"])
        .await?;
    ensure!(targets(&cli).await?.iter().eq(["eu-1"]));
    cli.does(&[
        "stack", "exclude", "add", "shop", "--labels", "env=prod", "--yes",
    ])
    .await?;
    ensure!(targets(&cli).await?.is_empty());
    cli.does(&["stack", "exclude", "remove", "shop", "1"])
        .await?;
    ensure!(targets(&cli).await?.iter().eq(["eu-1"]));
    cli.does(&rule("remove", &["--yes"])).await?;
    ensure!(targets(&cli).await?.is_empty());
    Ok(())
}

async fn explain_says_why_and_why_not(stage: &Stage) -> Result<()> {
    let (_broker, cli) = scene(stage).await?;
    cli.does(&rule("add", &[])).await?;
    let says = async |agent: &str, wanted: &str| {
        let said = cli
            .does(&["explain", "--agent", agent, "--stack", "shop"])
            .await?;
        ensure!(said.stdout == wanted, "{}", said.stdout);
        Ok(())
    };

    says(
        "eu-1",
        "\
Agent eu-1 runs stack shop: a rule matches it: labels env=prod; same region; annotations !old.

Rule 1 matches:
  ✓ labels env=prod    the agent has prod
  ✓ same region        the agent has eu, the stack has eu
  ✓ annotations !old   the agent has nothing
",
    )
    .await?;
    let miss = "\
Agent us-1 does not run stack shop: it is not targeted directly, and no rule of the stack matches it.

Rule 1 does not match:
  ✓ labels env=prod    the agent has prod
  ✗ same region        the agent has us, the stack has eu
  ✓ annotations !old   the agent has nothing
";
    says("us-1", miss).await?;

    cli.does(&[
        "stack", "exclude", "add", "shop", "--labels", "region", "--yes",
    ])
    .await?;
    says(
        "eu-1",
        "\
Agent eu-1 does not run stack shop: an exclusion of the stack matches it.

Rule 1 matches:
  ✓ labels env=prod    the agent has prod
  ✓ same region        the agent has eu, the stack has eu
  ✓ annotations !old   the agent has nothing

Exclusion 1 keeps the agent out:
  ✓ labels region   the agent has eu
",
    )
    .await
}
