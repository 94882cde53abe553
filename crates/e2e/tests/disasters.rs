//! Mistakes and accidents that have emptied fleets elsewhere. Each ends with nothing deleted, tells the operator what it
//! is, and goes on to a good end.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use brokkr_core::ObjectKey;
use brokkr_e2e::manifests::{config_map, snapshot};
use brokkr_e2e::{Cli, TestStack, World};

mod databases;
mod empty_lists;
mod selectors;

/// So many objects of one kind are looked for by a list, and losing them is more than a guard lets pass.
const OBJECTS: usize = 12;

/// A snapshot of so many objects, all of one value.
fn objects(count: usize, value: &str) -> String {
    snapshot((0..count).map(|number| config_map(&format!("part-{number:02}"), value)))
}

/// What identifies each object of a snapshot; fails unless all are there.
async fn uids(
    world: &World,
    stack: &TestStack,
    content: &str,
) -> Result<BTreeMap<ObjectKey, String>> {
    let versions = world.cluster.versions(content, &stack.namespace).await?;
    let uids = versions.into_iter();
    Ok(uids.map(|(key, version)| (key, version.uid)).collect())
}

/// What a command shows has all of these words.
async fn shows(cli: &Cli, arguments: &[&str], words: &[&str]) -> Result<()> {
    let said = cli.does(arguments).await?;
    let missing: Vec<_> = words
        .iter()
        .filter(|word| !said.stdout.contains(**word))
        .collect();
    ensure!(
        missing.is_empty(),
        "{arguments:?}: no {missing:?} in {said:#?}"
    );
    Ok(())
}
