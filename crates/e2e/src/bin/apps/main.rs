//! `make apps MANIFESTS=DIR`: every file of a folder through the product, one stack each, checked at
//! the cluster.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::Sync;
use brokkr_core::{KeptKind, Name, manifest};
use brokkr_e2e::{Engine, Stage, World, eventually};
use clap::Parser;
use comfy_table::{Table, presets};

/// Runs real applications through a broker and an agent onto the test cluster.
#[derive(Parser)]
struct Apps {
    /// A folder with a `.yaml` file for each application.
    manifests: PathBuf,
}

const DEADLINE: Duration = Duration::from_mins(3);

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let files = files(&Apps::parse().manifests)?;
    let stage = Stage::set(Engine::Sqlite).await?;
    let world = stage.world().await?;
    let mut table = Table::new();
    let header = ["APPLICATION", "OBJECTS", "APPLIED", "READY", "REMOVED", ""];
    table.load_style(presets::NOTHING).set_header(header);
    let mut code = ExitCode::SUCCESS;
    for file in &files {
        let mut row = Vec::new();
        let outcome = run(&world, file, &mut row).await;
        row.resize(header.len() - 1, "-".to_owned());
        row.push(if outcome.is_ok() { "ok" } else { "FAILED" }.to_owned());
        table.add_row(row);
        if let Err(error) = outcome {
            eprintln!("{}: {error:#}", file.display());
            code = ExitCode::FAILURE;
        }
    }
    println!("{table}");
    Ok(code)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    files.sort();
    ensure!(
        !files.is_empty(),
        "there is no .yaml file in {}",
        folder.display()
    );
    Ok(files)
}

/// Takes one application through its life and writes down how long each part took.
async fn run(world: &World, file: &Path, row: &mut Vec<String>) -> Result<()> {
    let name = file.file_stem().and_then(|stem| stem.to_str());
    let name: Name = name.context("the file has no name")?.parse()?;
    row.push(name.to_string());
    let content = std::fs::read_to_string(file)?;
    let stack = world.stack(name.as_str()).await?;
    row.push(
        manifest::parse(&content, Some(&stack.namespace))?
            .len()
            .to_string(),
    );

    let start = Instant::now();
    let sequence = stack.publish(&content).await?;
    stack
        .becomes(Sync::Synced, Some(sequence), DEADLINE)
        .await?;
    row.push(format!("{:.1?}", start.elapsed()));
    eventually("all objects are there and ready", DEADLINE, async || {
        world.cluster.all_ready(&content, &stack.namespace).await
    })
    .await?;
    row.push(format!("{:.1?}", start.elapsed()));

    let start = Instant::now();
    stack.untarget_allowing(&KeptKind::ALL).await?;
    stack.removal_confirmed().await?;
    row.push(format!("{:.1?}", start.elapsed()));
    let left = world.cluster.find(&content, &stack.namespace).await?;
    ensure!(
        left.is_empty(),
        "confirmed, and still there: {:?}",
        left.keys()
    );
    Ok(())
}
