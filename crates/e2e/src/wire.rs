use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a server says to bytes that are no good HTTP.
#[derive(Debug)]
pub struct Spoken {
    /// The statuses of its answers, in their order.
    pub statuses: Vec<u16>,
    /// All that it said.
    pub text: String,
    /// How much it took before it hung up.
    pub taken: usize,
}

/// How long the server may take to hang up.
const PATIENCE: Duration = Duration::from_secs(40);

/// Sends bytes as they are, and reads until the server hangs up.
pub async fn speak(address: SocketAddr, bytes: &[u8]) -> Result<Spoken> {
    speak_again(address, bytes, &[], 0).await
}

/// The same, followed by a piece that is sent so many times, or until the server has enough.
pub async fn speak_again(
    address: SocketAddr,
    bytes: &[u8],
    piece: &[u8],
    times: usize,
) -> Result<Spoken> {
    let (mut from, mut to) = TcpStream::connect(address).await?.into_split();
    let writing = async {
        let mut taken = 0;
        for piece in [bytes].into_iter().chain((0..times).map(|_| piece)) {
            if to.write_all(piece).await.is_err() {
                break;
            }
            taken += piece.len();
        }
        taken
    };
    let reading = async {
        let mut text = Vec::new();
        // A reset after the answer is an end too.
        let _ = from.read_to_end(&mut text).await;
        String::from_utf8_lossy(&text).into_owned()
    };
    let both = async { tokio::join!(writing, reading) };
    let (taken, text) = timeout(PATIENCE, both)
        .await
        .context("the server does not hang up")?;
    let heads = text.split("HTTP/1.1 ").skip(1);
    let statuses = heads
        .filter_map(|head| head.get(..3)?.parse().ok())
        .collect();
    Ok(Spoken {
        statuses,
        text,
        taken,
    })
}
