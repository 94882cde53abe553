//! The disk refuses one step: whoever needed it hears of it, what was acknowledged is there, and no key is lost.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use brokkr_core::Reference;
use brokkr_core::id::StackId;
use brokkr_core::wire::{Publish, PublishOptions};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Act, Broker, Cli, Disk, Fault, Kind, PATIENCE, Stage, event, unique};
use fastrand::Rng;
use tempfile::TempDir;
use tokio::time::timeout;

use super::power_loss::image::{self, Image};
use super::power_loss::seed;
use super::power_loss::writers::{Note, Written};

mod on_sqlite {
    test!(a_refused_step_loses_nothing_acknowledged on Sqlite);
    test!(a_refused_flush_ends_the_broker on Sqlite);
    test!(a_refused_step_loses_no_key on Sqlite);
}

const INTERRUPTED: i32 = 4;
const INPUT_OUTPUT: i32 = 5;
const NO_SPACE: i32 = 28;
const ERRORS: [i32; 3] = [INTERRUPTED, INPUT_OUTPUT, NO_SPACE];

/// So often each broker is written to.
const WRITES: usize = 6;

async fn a_refused_step_loses_nothing_acknowledged(stage: &Stage) -> Result<()> {
    let start = Start::prepare(stage).await?;
    let whole = start.live(None).await?;
    ensure!(whole.is_none(), "{whole:?}");
    if std::env::var_os("BROKKR_TORTURE").is_some() {
        for error in ERRORS {
            let mut number = 1;
            let any = |number| Fault {
                kinds: &Kind::ALL,
                number,
                error,
            };
            while start.live(Some(any(number))).await?.is_some() {
                number += 1;
            }
            println!("{} steps refused with error {error}", number - 1);
        }
        return Ok(());
    }
    let mut random = Rng::with_seed(seed()?);
    for error in ERRORS.repeat(8) {
        let fault = Fault {
            kinds: &Kind::ALL,
            number: random.usize(1..=STEPS),
            error,
        };
        println!("{fault:?}: {:?}", start.live(Some(fault)).await?);
    }
    Ok(())
}

/// About so many steps a broker takes that is written to.
const STEPS: usize = 168;

async fn a_refused_flush_ends_the_broker(stage: &Stage) -> Result<()> {
    let start = Start::prepare(stage).await?;
    let mut flush = Fault {
        kinds: &[Kind::Sync],
        number: 1,
        error: INPUT_OUTPUT,
    };
    let mut ended = 0;
    while let Some(refused) = start.live(Some(flush)).await? {
        ended += usize::from(refused.ended_the_broker);
        flush.number += 1;
    }
    ensure!(ended >= WRITES, "{ended} of {flush:?} ended it");
    Ok(())
}

/// What each broker begins with: a database with an agent and a stack, and the admin's key.
struct Start {
    folder: PathBuf,
    agent_key: String,
    stack: StackId,
}

/// A step that was refused.
#[derive(Debug)]
struct Refused {
    _step: (String, Kind),
    ended_the_broker: bool,
}

impl Start {
    async fn prepare(stage: &Stage) -> Result<Self> {
        let folder = stage.directory().join("start");
        std::fs::create_dir(&folder)?;
        let database = format!("sqlite:{}", folder.join("brokkr.db").display());
        let mut broker = Broker::start("start", &database, &folder).await?;
        let agent_key = broker.new_agent("edge").await?;
        let stack = broker.new_stack("shop").await?.id;
        broker.target("edge", "shop").await?;
        let status = broker.terminate().await?;
        ensure!(status.success(), "the broker ended with {status}");
        Ok(Self {
            folder,
            agent_key,
            stack,
        })
    }

    /// The life of a broker on a disk with a fault, and of one that comes after it on the same disk, which is well again.
    async fn live(&self, fault: Option<Fault>) -> Result<Option<Refused>> {
        let (_directory, mut disk) = disk_below(&self.folder).await?;
        for name in ["brokkr.db", "admin.key"] {
            disk.put(name, &self.folder.join(name))?;
        }
        if let Some(fault) = fault {
            disk.refuse(fault);
        }
        let what = || format!("{fault:?}");
        let (notes, refused) = self.first_life(&disk).await.with_context(what)?;
        let due: Vec<_> = notes.iter().collect();
        let mut image = Image::empty()?;
        image.copies(disk.folder())?;
        image.has(&due).await.with_context(what)?;
        let mut after = Broker::start("after", &disk.database(), disk.folder())
            .await
            .with_context(what)?;
        image::serves(&after, &due).await.with_context(what)?;
        after.kill().await?;
        Ok(refused)
    }

    async fn first_life(&self, disk: &Disk) -> Result<(Vec<Note>, Option<Refused>)> {
        let mut notes = Vec::new();
        let mut ended_the_broker = false;
        let logs = disk.folder().parent().context("a folder")?;
        match Broker::start_on(disk, "broker", logs).await {
            Ok(mut broker) => {
                notes = self.write(&broker, disk).await?;
                let is_flush =
                    |(name, kind): &(String, Kind)| name.ends_with("-wal") && *kind == Kind::Sync;
                if refused(disk)?.as_ref().is_some_and(is_flush) {
                    let ended = timeout(PATIENCE, broker.ended()).await;
                    let status = ended.context("the broker goes on")??;
                    let log = broker.process().log().await?;
                    ensure!(
                        !status.success() && log.contains("look at the disk"),
                        "{log}"
                    );
                    ended_the_broker = true;
                } else {
                    // One write may have been refused with the step; those after it were not.
                    ensure!(notes.len() >= WRITES - 1, "{} of {WRITES}", notes.len());
                    broker.terminate().await?;
                }
            }
            Err(error) => ensure!(refused(disk)?.is_some(), "{error:#}"),
        }
        // Looks whether all was written down.
        disk.steps()?;
        let refused = refused(disk)?.map(|step| Refused {
            _step: step,
            ended_the_broker,
        });
        Ok((notes, refused))
    }

    /// Writes one after the other; what is acknowledged is noted.
    async fn write(&self, broker: &Broker, disk: &Disk) -> Result<Vec<Note>> {
        let agent = broker.client(&self.agent_key)?;
        let mut notes = Vec::new();
        for number in 0..WRITES {
            let written = if number % 2 == 0 {
                let publish = Publish {
                    manifests: config_map("a", &unique()),
                    options: PublishOptions::default(),
                };
                let stack = Reference::Id(self.stack.uuid());
                let published = broker.admin().publish(&stack, &publish).await;
                published.map(|published| Written::Snapshot(published.deployment_object))
            } else {
                let event = event(self.stack);
                let id = event.id;
                let reported = agent.report_events(vec![event]).await;
                reported.map(|()| Written::Events(vec![id]))
            };
            if let Ok(what) = written {
                let moment = disk.moment()?;
                notes.push(Note { what, moment });
            }
        }
        Ok(notes)
    }
}

async fn disk_below(directory: &Path) -> Result<(TempDir, Disk)> {
    let below = tempfile::Builder::new()
        .prefix("life.")
        .tempdir_in(directory)?;
    let disk = Disk::below(below.path()).await?;
    Ok((below, disk))
}

/// The step that was refused, if it came to that.
fn refused(disk: &Disk) -> Result<Option<(String, Kind)>> {
    let mut steps = disk.journal()?.into_iter();
    Ok(steps.find_map(|step| match step.act {
        Act::Failed(kind) => Some((step.name, kind)),
        _ => None,
    }))
}

async fn a_refused_step_loses_no_key(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    for command in [Command::Login, Command::RotateKey] {
        for error in ERRORS {
            let mut fault = Fault {
                kinds: &Kind::ALL,
                number: 1,
                error,
            };
            while command.is_refused(fault, &broker, stage).await? {
                fault.number += 1;
            }
            ensure!(fault.number > 4, "{command:?} came to {fault:?}");
        }
    }
    Ok(())
}

/// A command that keeps a key in a file.
#[derive(Clone, Copy, Debug)]
enum Command {
    Login,
    RotateKey,
}

impl Command {
    /// Whether a step was refused to it. If so it says that it failed, unless it did not need the step; and it works when it is
    /// run again.
    async fn is_refused(self, fault: Fault, broker: &Broker, stage: &Stage) -> Result<bool> {
        let (_directory, mut disk) = disk_below(stage.directory()).await?;
        disk.refuse(fault);
        let [config, edge] = ["config.toml", "edge.key"].map(|name| disk.folder().join(name));
        let (config, edge) = (config.display().to_string(), edge.display().to_string());
        let (admin, url) = (broker.key_file().display().to_string(), broker.url());
        let login = ["login", "--server", &url, "--key-file", &admin];
        let rotate = ["rotate-key", "--key-file", &edge];
        let well = Cli::new(disk.folder()).with("BROKKR_CONFIG", &config);
        well.does(&login).await?;
        let name = format!("edge-{}", unique());
        well.does(&["agent", "create", &name, "--key-file", &edge])
            .await?;
        let mut ill = Cli::new(disk.folder()).with("BROKKR_CONFIG", &config);
        for (name, value) in disk.variables() {
            ill = ill.with(name, &value.display().to_string());
        }
        let command = match self {
            Self::Login => &login[..],
            Self::RotateKey => &rotate,
        };
        let said = ill.run(command).await?;
        let refused = refused(&disk)?;
        ensure!(
            said.code == Some(0) || refused.is_some() && !said.stderr.is_empty(),
            "{self:?}, {refused:?}: {said:?}"
        );
        let what = || format!("{self:?} was refused {refused:?}: {said:?}");
        well.does(command).await.with_context(what)?;
        // By the keys that are in the files now.
        well.does(&rotate).await.with_context(what)?;
        well.does(&["agent", "list"]).await.with_context(what)?;
        Ok(refused.is_some())
    }
}
