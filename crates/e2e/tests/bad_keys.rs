//! A key that is not whole, not known or not meant for this opens nothing, and no answer or log helps to guess one.

use anyhow::{Context, Result, ensure};
use brokkr_core::ambient::System;
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::Code;
use brokkr_e2e::{Raw, Stage};

on_both_engines!(without a cluster: a_wrong_key_opens_nothing);

async fn a_wrong_key_opens_nothing(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let key = std::fs::read_to_string(broker.key_file())?
        .trim()
        .to_owned();
    let unknown = Pak::generate(Role::Admin, &System).expose().to_owned();
    let changed = key.replace(&key[40..60], &unknown[40..60]);
    let mut bodies = Vec::new();
    for (name, authorization) in [
        ("none", None),
        ("empty", Some(String::new())),
        ("another scheme", Some(format!("Basic {key}"))),
        ("no key", Some("Bearer ".into())),
        (
            "truncated",
            Some(format!("Bearer {}", &key[..key.len() - 1])),
        ),
        ("longer", Some(format!("Bearer {key}a"))),
        ("a changed secret", Some(format!("Bearer {changed}"))),
        ("unknown", Some(format!("Bearer {unknown}"))),
        ("huge", Some(format!("Bearer {}", "a".repeat(8_000)))),
    ] {
        let answer = Raw::with_authorization(&broker, authorization)?
            .get("/stacks")
            .await?;
        let mut problem = answer.refuses(401, Code::Unauthenticated).context(name)?;
        problem.request_id = None;
        bodies.push(problem);
    }
    ensure!(
        bodies.windows(2).all(|pair| pair[0] == pair[1]),
        "the causes can be told apart: {bodies:?}"
    );
    let log = std::fs::read_to_string(stage.directory().join("broker.log"))?;
    ensure!(
        !log.contains(&key) && !log.contains(&key[40..60]),
        "a key is in the log"
    );
    Ok(())
}
