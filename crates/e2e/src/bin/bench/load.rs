//! The load generator: keep-alive connections, each with an agent's key, asking without pause.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use brokkr_core::wire::{SESSION_HEADER, STATE_HEADER, TargetState};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Asks for a while and prints what came of it.
#[derive(clap::Args)]
pub struct Load {
    /// Whom to ask.
    pub address: SocketAddr,
    /// A file with a key in each line, one for each connection.
    pub keys: PathBuf,
    /// For how long.
    pub seconds: u64,
}

/// What came of it.
#[derive(Serialize, Deserialize)]
pub struct Outcome {
    pub answers: u64,
    pub seconds: f64,
}

impl Load {
    /// Prints an [`Outcome`]; any answer but "unchanged" is a failure.
    pub async fn run(self) -> Result<()> {
        let keys = std::fs::read_to_string(&self.keys)?;
        let connections =
            try_join_all(keys.lines().map(|key| Polls::connect(self.address, key))).await?;
        let start = Instant::now();
        let end = start + Duration::from_secs(self.seconds);
        let counts =
            try_join_all(connections.into_iter().map(|polls| polls.ask_until(end))).await?;
        let outcome = Outcome {
            answers: counts.iter().sum(),
            seconds: start.elapsed().as_secs_f64(),
        };
        println!("{}", serde_json::to_string(&outcome)?);
        Ok(())
    }
}

struct Polls {
    stream: TcpStream,
    request: String,
    buffer: Vec<u8>,
}

impl Polls {
    /// Connects and asks once, so that the later polls name what they have.
    async fn connect(address: SocketAddr, key: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let asking = format!(
            "GET /api/v1/agent/target-state?wait=0&interval=60 HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n"
        );
        let mut polls = Self {
            stream,
            request: format!("{asking}\r\n"),
            buffer: Vec::with_capacity(16 * 1024),
        };
        polls.stream.write_all(polls.request.as_bytes()).await?;
        let (head, body) = polls.answer().await?;
        let etag = header(&head, "etag").unwrap_or("\"none\"");
        // As agents do, it returns what it was told, in a session that no other has followed.
        let told = told(&body).unwrap_or_default();
        polls.request = format!(
            "{asking}if-none-match: {etag}\r\n{STATE_HEADER}: {told}\r\n{SESSION_HEADER}: 1\r\n\r\n"
        );
        Ok(polls)
    }

    async fn ask_until(mut self, end: Instant) -> Result<u64> {
        let mut count = 0;
        while Instant::now() < end {
            self.stream.write_all(self.request.as_bytes()).await?;
            let (head, _) = self.answer().await?;
            if !head.starts_with("HTTP/1.1 304") {
                bail!("not unchanged: {head}");
            }
            count += 1;
        }
        Ok(count)
    }

    /// Reads one answer to its end: head and body.
    async fn answer(&mut self) -> Result<(String, Vec<u8>)> {
        loop {
            if let Some(length) = self
                .buffer
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                let head = String::from_utf8(self.buffer[..length].to_vec())?;
                let body: usize = header(&head, "content-length").map_or(Ok(0), str::parse)?;
                let body = if head.starts_with("HTTP/1.1 304") {
                    0
                } else {
                    body
                };
                while self.buffer.len() < length + 4 + body {
                    self.read().await?;
                }
                let body = self.buffer.drain(..length + 4 + body).skip(length + 4);
                let body = body.collect();
                return Ok((head, body));
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<()> {
        match self
            .stream
            .read_buf(&mut self.buffer)
            .await
            .context("reading an answer")?
        {
            0 => bail!("the connection was closed"),
            _ => Ok(()),
        }
    }
}

/// What a poll returns of a state; nothing of a bare answer.
fn told(body: &[u8]) -> Option<String> {
    let state: TargetState = serde_json::from_slice(body).ok()?;
    Some(format!("{}.{}", state.epoch, state.state_token))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}
