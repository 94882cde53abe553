//! A server that never stops sending costs bounded memory, and is called what it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brokkr_client::{Client, Error, PlainHttp};
use brokkr_core::ambient::System;
use brokkr_core::id::DeploymentObjectId;
use brokkr_core::pak::{Pak, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const LIMIT: usize = 64 * 1024 * 1024;
/// What may be on its way when the client hangs up.
const BUFFERS: usize = 16 * 1024 * 1024;

/// Answers each request with this head and a body without end; counts what was taken of it.
async fn serve(head: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a free port");
    let server = format!("http://{}", listener.local_addr().expect("an address"));
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = send_for_ever(stream, head, &count).await;
        }
    });
    (server, sent)
}

async fn send_for_ever(
    mut stream: TcpStream,
    head: &str,
    sent: &AtomicUsize,
) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await?;
    stream.write_all(head.as_bytes()).await?;
    let chunk = [b"10000\r\n", vec![b' '; 0x10000].as_slice(), b"\r\n"].concat();
    loop {
        stream.write_all(&chunk).await?;
        sent.fetch_add(0x10000, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    const OK: &str = "HTTP/1.1 200 OK\r\netag: \"a\"\r\ntransfer-encoding: chunked\r\n\r\n";
    const REFUSED: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ntransfer-encoding: chunked\r\n\r\n";
    for head in [OK, REFUSED] {
        let (server, sent) = serve(head).await;
        let key = Pak::generate(Role::Agent, &System);
        let client = Client::new(&server, key, PlainHttp::LoopbackOnly).expect("a client");
        let object = DeploymentObjectId::generate(&System);
        let second = Duration::from_secs(1);
        let errors = [
            client.me().await.err(),
            client
                .target_state(None, Duration::ZERO, second)
                .await
                .err(),
            client.manifests(object).await.err(),
        ];
        for error in errors {
            assert!(
                matches!(error, Some(Error::TooLong { limit: LIMIT, .. })),
                "{error:?}"
            );
        }
        let taken = sent.load(Ordering::Relaxed);
        assert!(taken < 3 * (LIMIT + BUFFERS), "{taken} bytes were taken");
    }
}
