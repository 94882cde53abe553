//! What belongs to somebody else does not exist.

use anyhow::{Context, Result, ensure};
use brokkr_client::Client;
use brokkr_core::Reference;
use brokkr_core::wire::{Code, CreateStack, Publish, PublishOptions, Stack};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Raw, Stage};
use reqwest::Method;

on_both_engines!(without a cluster: foreign_rows_do_not_exist);

async fn foreign_rows_do_not_exist(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let [mine, other] = [
        broker.new_generator("mine").await?,
        broker.new_generator("other").await?,
    ];
    let targeted = broker.new_agent("targeted").await?;
    let stranger = broker.new_agent("stranger").await?;
    let stack = stack_of(&broker.client(&mine)?).await?;
    let head = stack.head.context("a published stack")?.deployment_object;
    broker.target("targeted", &stack.id.to_string()).await?;

    let raw = |key: &str| Raw::with_authorization(&broker, Some(format!("Bearer {key}")));
    let id = stack.id;
    for (method, path, body) in [
        (Method::GET, format!("/stacks/{id}"), ""),
        (Method::PATCH, format!("/stacks/{id}"), "{}"),
        (Method::DELETE, format!("/stacks/{id}"), ""),
        (Method::GET, format!("/stacks/{id}/deployment-objects"), ""),
        (
            Method::POST,
            format!("/stacks/{id}/deployment-objects"),
            r#"{"manifests":"a: 1"}"#,
        ),
        (
            Method::POST,
            format!("/stacks/{id}/rollback"),
            r#"{"to":1}"#,
        ),
        (Method::GET, format!("/stacks/{id}/status"), ""),
        (Method::GET, format!("/deployment-objects/{head}"), ""),
        (
            Method::GET,
            format!("/deployment-objects/{head}/manifests"),
            "",
        ),
        (Method::GET, "/stacks/shared".into(), ""),
    ] {
        let foreign = raw(&other)?
            .send(method.clone(), &path, "application/json", body)
            .await?;
        foreign
            .refuses(404, Code::NotFound)
            .with_context(|| format!("{method} {path}"))?;
    }
    let content = format!("/deployment-objects/{head}/manifests");
    raw(&stranger)?
        .get(&content)
        .await?
        .refuses(404, Code::NotFound)?;
    let own = raw(&targeted)?.get(&content).await?;
    ensure!(own.status.is_success(), "{own:?}");
    ensure!(broker.client(&other)?.stacks().await?.is_empty());
    ensure!(broker.client(&mine)?.stacks().await?.len() == 1);
    Ok(())
}

async fn stack_of(generator: &Client) -> Result<Stack> {
    let create = CreateStack::named("shared".parse()?);
    let stack = Reference::Id(generator.create_stack(&create).await?.id.uuid());
    let publish = Publish {
        manifests: config_map("a", "1"),
        options: PublishOptions::default(),
    };
    generator.publish(&stack, &publish).await?;
    Ok(generator.stack(&stack).await?)
}
