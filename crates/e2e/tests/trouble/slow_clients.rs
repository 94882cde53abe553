//! Clients that send and read slowly, or not at all: others do not notice, and memory stays bounded.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use brokkr_core::wire::Published;
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, PATIENCE, Stage, eventually, speak, unique};
use futures::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::is_torture;
use super::polling::{Polling, state};

mod on_sqlite {
    test!(slow_heads_are_cut_off on Sqlite);
    test!(who_does_not_read_is_cut_off on Sqlite);
    test!(who_reads_slowly_gets_the_latest_state on Sqlite);
}

const MEGABYTE: u64 = 1024 * 1024;
/// Somewhat more than the broker bears, on a machine that is busy.
const CUT_OFF: Duration = Duration::from_secs(90);

/// A broker with one agent that waits, which has to get all that is published.
struct Other {
    broker: Broker,
    key: String,
    stack: String,
    agent: Polling,
    published: u64,
}

impl Other {
    async fn begin(stage: &Stage) -> Result<Self> {
        let broker = stage.broker("broker").await?;
        let key = broker.new_agent("edge").await?;
        let stack = broker.new_stack("shop").await?.id.to_string();
        broker.target("edge", "shop").await?;
        let agent = Polling::begin(vec![broker.client(&key)?]);
        Ok(Self {
            broker,
            key,
            stack,
            agent,
            published: 0,
        })
    }

    async fn goes_on(&mut self) -> Result<()> {
        for _ in 0..5 {
            self.broker
                .publish("shop", &config_map("a", &unique()))
                .await?;
            self.published += 1;
            self.agent.has(&self.stack, self.published).await?;
        }
        Ok(())
    }
}

async fn slow_heads_are_cut_off(stage: &Stage) -> Result<()> {
    let mut other = Other::begin(stage).await?;
    let address = other.broker.address();
    other.goes_on().await?;
    let before = other.broker.process().memory()?;
    let many = if is_torture() { 4_000 } else { 400 };
    let slow = (0..many).map(|_| async move {
        let (mut from, mut to) = TcpStream::connect(address).await?.into_split();
        let writing = async {
            let mut piece = &b"GET /healthz HTTP/1.1\r\nhost: a\r\nlong: "[..];
            while to.write_all(piece).await.is_ok() {
                piece = b"a";
                sleep(Duration::from_millis(500)).await;
            }
        };
        let reading = async {
            let mut text = Vec::new();
            // A reset is an end too.
            let _ = from.read_to_end(&mut text).await;
            text
        };
        anyhow::Ok(tokio::select! {
            text = reading => text,
            // It was cut off while it wrote.
            () = writing => Vec::new(),
        })
    });
    let slow = tokio::spawn(timeout(CUT_OFF, try_join_all(slow.collect::<Vec<_>>())));
    other.goes_on().await?;
    let more = other.broker.process().memory()?.saturating_sub(before);
    ensure!(more < 64 * MEGABYTE, "{more} bytes more than before");
    let said = slow.await?.context("slow heads are not cut off")??;
    ensure!(said.len() == many && said.iter().all(|text| !text.starts_with(b"HTTP/1.1 200")));
    other.goes_on().await?;
    other.agent.end().await
}

const READERS: usize = 100;
/// They make some megabytes: what the kernel takes from the broker at once does not count.
const VALUES: usize = 60_000;

async fn who_does_not_read_is_cut_off(stage: &Stage) -> Result<()> {
    let mut other = Other::begin(stage).await?;
    let value = |_| {
        let word = unique();
        format!("  a{word}: {}\n", word.repeat(10))
    };
    let values = (0..VALUES).map(value).collect::<Vec<_>>().concat();
    let content = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n{values}");
    let large: Published = other.broker.publish("shop", &content).await?;
    other.published += 1;
    let id = large.deployment_object.id;
    other.goes_on().await?;
    let before = other.broker.process().memory()?;
    let address = other.broker.address();
    let neighbour = other.broker.new_agent("neighbour").await?;
    other.broker.target("neighbour", "shop").await?;
    // In the open, each has the text of its own.
    let ask = |key: &str, more: &str| {
        format!(
            "GET /api/v1/deployment-objects/{id}/manifests HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n{more}\r\n"
        )
    };
    let once = "connection: close\r\n";
    let (ask_to_keep, ask_once) = (ask(&other.key, ""), ask(&other.key, once));
    let files = open_files(&other.broker)?;
    let one_more = async || {
        let mut reader = TcpStream::connect(address).await?;
        reader.write_all(ask_to_keep.as_bytes()).await?;
        anyhow::Ok(reader)
    };
    let mut readers = try_join_all((0..READERS).map(|_| one_more())).await?;
    eventually("more are refused", PATIENCE, async || {
        // Who asks and reads may have come before them, and gives back what one of them was refused.
        readers.push(one_more().await?);
        let said = speak(address, ask_once.as_bytes()).await?;
        ensure!(said.statuses == [429], "{:?}", said.statuses);
        ensure!(said.text.contains("retry-after: "), "{said:?}");
        Ok(())
    })
    .await?;
    // All that is the doing of one key, and nobody else's trouble.
    let said = speak(address, ask(&neighbour, once).as_bytes()).await?;
    ensure!(said.statuses == [200], "{:?}", said.statuses);
    ensure!(said.text.ends_with(&content), "another content");
    other.goes_on().await?;
    let more = other.broker.process().memory()?.saturating_sub(before);
    ensure!(more < 256 * MEGABYTE, "{more} bytes more than before");
    // Nobody reads, and yet all are gone in the end: those that were refused, and those that keep others of their key out.
    eventually("all are cut off", CUT_OFF, async || {
        let open = open_files(&other.broker)?;
        ensure!(open < files + READERS / 10, "{open} files, {files} before");
        let said = speak(address, ask_once.as_bytes()).await?;
        ensure!(said.statuses == [200], "{:?}", said.statuses);
        ensure!(said.text.ends_with(&content), "another content");
        Ok(())
    })
    .await?;
    // A client hears of it when it reads on.
    drop(readers);
    other.goes_on().await?;
    other.agent.end().await
}

/// How many files and connections a broker has open.
fn open_files(broker: &Broker) -> Result<usize> {
    let folder = format!("/proc/{}/fd", broker.process().id()?);
    Ok(std::fs::read_dir(folder)?.count())
}

/// How many stacks make a state that takes a while.
const STACKS: usize = 30;
const BYTES_A_SECOND: usize = 1024;

async fn who_reads_slowly_gets_the_latest_state(stage: &Stage) -> Result<()> {
    let mut other = Other::begin(stage).await?;
    let key = other.broker.new_agent("slow").await?;
    other.broker.target("slow", "shop").await?;
    for number in 0..STACKS {
        let name = format!("stack-{number}");
        other.broker.new_stack(&name).await?;
        other.broker.publish(&name, &config_map("a", "1")).await?;
        other.broker.target("slow", &name).await?;
    }
    other.goes_on().await?;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(2 * 1024)?;
    let mut slow = socket.connect(other.broker.address()).await?;
    let head = format!(
        "GET /api/v1/agent/target-state HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).await?;
    let mut text = Vec::new();
    let mut piece = vec![0; BYTES_A_SECOND / 4];
    loop {
        let length = slow.read(&mut piece).await?;
        if length == 0 {
            break;
        }
        text.extend_from_slice(&piece[..length]);
        other.goes_on().await?;
        sleep(Duration::from_millis(250)).await;
    }
    let text = String::from_utf8(text)?;
    let (_, body) = text.split_once("\r\n\r\n").context("a head")?;
    let whole: brokkr_core::wire::TargetState = serde_json::from_str(body)?;
    ensure!(whole.stacks.len() == STACKS + 1, "{whole:?}");
    // What was published meanwhile comes at once, and only the last of it.
    let (_, latest) = state(&other.broker.client(&key)?).await?;
    let sequences = latest.stacks.iter().map(|stack| stack.sequence);
    ensure!(sequences.max() == Some(other.published), "{latest:?}");
    other.agent.end().await
}
