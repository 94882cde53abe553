use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{PATIENCE, eventually};

/// What an [`Impostor`] answers to every request, whatever it is.
#[derive(Clone, Debug)]
pub struct Lie {
    /// For the story's messages.
    pub name: &'static str,
    /// The status line's end, such as `200 OK`.
    pub status: &'static str,
    /// The media type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
    /// How many bytes more than it sends it promises.
    pub withheld: usize,
}

/// Something that answers in a broker's place, and is none.
pub struct Impostor {
    address: SocketAddr,
    lie: watch::Sender<Lie>,
    told: Arc<AtomicU64>,
    answering: JoinHandle<()>,
}

impl Impostor {
    /// Listens on a free port.
    pub async fn start(lie: Lie) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (lie, lies) = watch::channel(lie);
        let told = Arc::<AtomicU64>::default();
        let answering = tokio::spawn(answer_all(listener, lies, told.clone()));
        Ok(Self {
            address,
            lie,
            told,
            answering,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells another lie until it was told `times`.
    pub async fn tell(&self, lie: Lie, times: u64) -> Result<()> {
        let what = format!("`{}` was told {times} times", lie.name);
        self.lie.send_replace(lie);
        let end = self.told.load(Ordering::Relaxed) + times;
        eventually(&what, PATIENCE, async || {
            let told = self.told.load(Ordering::Relaxed);
            ensure!(told >= end, "{told} of {end}");
            Ok(())
        })
        .await
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

async fn answer_all(listener: TcpListener, lies: watch::Receiver<Lie>, told: Arc<AtomicU64>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (lie, told) = (lies.borrow().clone(), told.clone());
        tokio::spawn(async move {
            if answer(stream, &lie).await.is_ok() {
                told.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

async fn answer(mut stream: TcpStream, lie: &Lie) -> std::io::Result<()> {
    let mut request = vec![0; 16 * 1024];
    if stream.read(&mut request).await? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let head = format!(
        "HTTP/1.1 {}\r\ncontent-type: {}\r\netag: \"{}\"\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        lie.status,
        lie.content_type,
        lie.name.replace(' ', "-"),
        lie.body.len() + lie.withheld
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(lie.body.as_bytes()).await?;
    stream.shutdown().await?;
    // What is still unread would turn the end into a reset, and the answer might be lost with it.
    let rest = async {
        while stream.read(&mut request).await? > 0 {}
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(1), rest)
        .await
        .unwrap_or(Ok(()))
}
