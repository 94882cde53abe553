//! More of everything than a broker with little memory can hold: it refuses some of it, keeps within its limit, and serves on.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use brokkr_client::{Client, Error};
use brokkr_core::Reference;
use brokkr_core::id::StackId;
use brokkr_core::wire::{Code, CreateStack, Publish, PublishOptions};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Stage, unique};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use super::flood::report;
use super::load::is_forgivable;
use super::polling::Polling;

mod on_sqlite {
    test!(a_flood_does_not_fill_a_little_memory on Sqlite);
    test!(what_is_said_and_not_sent_takes_up_nothing on Sqlite);
}

const LIMIT: u64 = 128 * 1024 * 1024;
const PUBLISHERS: usize = 12;
const REPORTERS: usize = 8;
const READERS: usize = 60;
/// A key may have more than that under way.
const UNSENT: usize = 100;
/// All of it has to happen within this.
const FLOOD: Duration = Duration::from_mins(4);

/// What the flood met.
#[derive(Clone, Copy, Default, Debug)]
struct Met {
    published: usize,
    refused: usize,
}

async fn a_flood_does_not_fill_a_little_memory(stage: &Stage) -> Result<()> {
    let broker = stage.broker_with("broker", &["--memory", "128Mi"]).await?;
    let key = broker.new_agent("edge").await?;
    let shop = broker.new_stack("shop").await?.id;
    broker.target("edge", "shop").await?;
    let agent = Polling::begin(vec![broker.client(&key)?]);
    let large = broker.publish("shop", &many_objects()).await?;

    let met = watch::Sender::new(Met::default());
    let shed = watch::Sender::new(0);
    let mut flood = JoinSet::new();
    for number in 0..PUBLISHERS {
        let stack = format!("flood-{number}");
        broker.new_stack(&stack).await?;
        flood.spawn(publish(broker.admin().clone(), stack.parse()?, met.clone()));
    }
    for number in 0..REPORTERS {
        let name = format!("agent-{number}");
        let agent = broker.client(&broker.new_agent(&name).await?)?;
        broker.target(&name, "shop").await?;
        flood.spawn(report_on(agent, shop, shed.clone()));
    }
    let admin = std::fs::read_to_string(broker.key_file())?;
    let content = large.deployment_object.id;
    let asked = [
        get(&format!("deployment-objects/{content}/manifests"), &key),
        get("events?limit=500", admin.trim()),
    ];
    for ask in asked.iter().cycle().take(READERS) {
        flood.spawn(ask_and_not_read(broker.address(), ask.clone()));
    }
    let mut sheds = shed.subscribe();
    let goes_on = async {
        let mut published = 1;
        while published < 4 {
            match broker.publish("shop", &config_map("a", &unique())).await {
                Ok(_) => published += 1,
                Err(error) => forgive(&error.downcast()?)?,
            }
            agent.has(&shop.to_string(), published).await?;
        }
        let mut met = met.subscribe();
        let is_enough = |met: &Met| met.published >= PUBLISHERS && met.refused >= PUBLISHERS;
        met.wait_for(is_enough).await?;
        sheds.wait_for(|shed| *shed >= REPORTERS).await?;
        anyhow::Ok(())
    };
    tokio::select! {
        done = timeout(FLOOD, goes_on) => {
            let met = *met.borrow();
            done.with_context(|| format!("{met:?}"))??;
        }
        Some(ended) = flood.join_next() => bail!("somebody was served otherwise: {ended:?}"),
        exceeded = keeps_within(&broker, LIMIT) => exceeded?,
    }
    drop(flood);
    agent.end().await
}

/// Bodies of which next to nothing comes, as many as one key may send at once, and what others do meanwhile.
async fn what_is_said_and_not_sent_takes_up_nothing(stage: &Stage) -> Result<()> {
    let broker = stage.broker_with("broker", &["--memory", "128Mi"]).await?;
    let admin = std::fs::read_to_string(broker.key_file())?;
    let generator = broker.client(&broker.new_generator("pipeline").await?)?;
    let create = CreateStack::named("large".parse()?);
    generator.create_stack(&create).await?;
    let mut silent = Vec::new();
    for _ in 0..UNSENT {
        let mut stream = TcpStream::connect(broker.address()).await?;
        stream
            .write_all(head(admin.trim(), 1_800_000).as_bytes())
            .await?;
        stream.write_all(&[b' '; 1_000]).await?;
        silent.push(stream);
    }
    let publish = |manifests| Publish {
        manifests,
        options: PublishOptions::default(),
    };
    let large: Reference = "large".parse()?;
    generator.publish(&large, &publish(many_objects())).await?;
    let too_large = publish(format!("# {}\n", "x".repeat(2_500_000)));
    let refused = generator.publish(&large, &too_large).await;
    let Err(Error::Refused(problem)) = refused else {
        bail!("there is no memory for that: {refused:?}");
    };
    ensure!(problem.code == Code::TooLarge, "{problem:?}");
    ensure!(problem.detail.contains("--memory"), "{problem:?}");
    // They were there all the time.
    for stream in &mut silent {
        stream.write_all(b" ").await?;
    }
    Ok(())
}

fn head(key: &str, length: usize) -> String {
    format!(
        "POST /api/v1/stacks/pipeline:large/deployment-objects HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// Ends with an error once the broker has more memory than that.
async fn keeps_within(broker: &Broker, limit: u64) -> Result<()> {
    let mut looks = interval(Duration::from_millis(20));
    loop {
        looks.tick().await;
        let bytes = broker.process().anonymous_memory()?;
        ensure!(bytes < limit, "{bytes} bytes");
    }
}

/// Publishes large texts, of many objects and of many keys, one after the other.
async fn publish(client: Client, stack: Reference, met: watch::Sender<Met>) -> Result<()> {
    for number in 0.. {
        let manifests = if number % 2 == 0 {
            many_objects()
        } else {
            many_keys()
        };
        let publish = Publish {
            manifests,
            options: PublishOptions::default(),
        };
        match client.publish(&stack, &publish).await {
            Ok(_) => met.send_modify(|met| met.published += 1),
            Err(error) => {
                forgive(&error)?;
                met.send_modify(|met| met.refused += 1);
                sleep(Duration::from_millis(250)).await;
            }
        }
    }
    Ok(())
}

async fn report_on(agent: Client, stack: StackId, shed: watch::Sender<usize>) -> Result<()> {
    loop {
        report(agent.clone(), stack, shed.clone()).await?;
    }
}

fn get(path: &str, key: &str) -> String {
    format!("GET /api/v1/{path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n")
}

/// Asks again and again, as often as it is cut off.
async fn ask_and_not_read(address: SocketAddr, ask: String) -> Result<()> {
    loop {
        // Where there is no place for it, it is cut off at once.
        if let Ok(mut reader) = TcpStream::connect(address).await {
            while reader.write_all(ask.as_bytes()).await.is_ok() {
                sleep(Duration::from_millis(500)).await;
            }
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// What is too large for this broker's memory is refused for good, and all else for now.
fn forgive(error: &Error) -> Result<()> {
    match error {
        Error::Refused(problem) if problem.code == Code::TooLarge => Ok(()),
        Error::Refused(problem) if problem.code == Code::TooMany => {
            ensure!(problem.retry_after.is_some(), "{problem:?}");
            Ok(())
        }
        _ => is_forgivable(error),
    }
}

/// A text of one and a half megabytes.
fn many_objects() -> String {
    let values = |object: usize| {
        let values = (0..500).map(move |value| format!("  a{value}: {object}\n"));
        values.collect::<String>()
    };
    let objects = (0..250).map(|object| {
        let name = unique();
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a{name}\ndata:\n{}---\n",
            values(object)
        )
    });
    objects.collect()
}

/// One object of a megabyte that has nothing but the shortest keys, which have to be remembered while it is read.
fn many_keys() -> String {
    let keys = (0..120_000).map(|number| format!("  {number:x}: 1\n"));
    format!(
        "apiVersion: example.org/v1\nkind: A\nmetadata:\n  name: a{}\nspec:\n{}",
        unique(),
        keys.collect::<String>()
    )
}
