//! A connection to a broker that nobody else uses.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http_body_util::{BodyExt as _, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use reqwest::header::{HOST, HeaderValue, USER_AGENT};
use reqwest::{Body, Request, Response, Url};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::connection::{AGENT, ANSWER_BYTES, CONNECT_TIMEOUT, REQUEST_TIMEOUT};
use crate::{Error, Fault, Result, Transport};

type Connection = SendRequest<Body>;
type Carried<T> = std::result::Result<T, Fault>;

/// A connection to one server for a client that asks one thing after the other, past any proxy. Many agents in one process come
/// so as agents of many clusters do, which a pool for all of them would not show; and it costs less than the pool.
pub(crate) struct Direct {
    server: Server,
    /// What the last answer came on.
    kept: Mutex<Option<Connection>>,
}

struct Server {
    /// Host and port to connect to.
    address: (String, u16),
    /// What requests say that they are for.
    host: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Direct {
    /// Connects when there is something to carry.
    pub(crate) fn new(server: &Url, tls: &Arc<ClientConfig>) -> Result<Self> {
        let unusable = || Error::Setup(format!("`{server}` names no host"));
        let host = server.host_str().ok_or_else(unusable)?;
        let port = server.port_or_known_default().ok_or_else(unusable)?;
        let bare = host.trim_matches(['[', ']']);
        let tls = match server.scheme() {
            "https" => {
                let name = ServerName::try_from(bare.to_owned()).map_err(|_| unusable())?;
                Some((TlsConnector::from(Arc::clone(tls)), name))
            }
            _ => None,
        };
        let named = server
            .port()
            .map_or(host.to_owned(), |port| format!("{host}:{port}"));
        let server = Server {
            address: (bare.to_owned(), port),
            host: HeaderValue::try_from(named).map_err(|_| unusable())?,
            tls,
        };
        Ok(Self {
            server,
            kept: Mutex::default(),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Option<Connection>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(&self, request: Request) -> Carried<Response> {
        let mut request = self.server.addressed(request)?;
        loop {
            let kept = self.kept().take();
            let is_new = kept.is_none();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.server.connect().await?,
            };
            if !is_new && connection.ready().await.is_err() {
                continue;
            }
            match connection.try_send_request(request).await {
                Ok(response) => {
                    let response = whole(response).await?;
                    *self.kept() = Some(connection);
                    return Ok(response);
                }
                Err(mut error) => match error.take_message() {
                    // The server closed it before anything was sent.
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(Fault::of(error.error())),
                },
            }
        }
    }
}

/// Reads an answer to its end, so that its connection is free again.
async fn whole(response: http::Response<hyper::body::Incoming>) -> Carried<Response> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| Fault::of(&*error))?.to_bytes();
    Ok(http::Response::from_parts(head, body).into())
}

impl Server {
    /// The request as it is written on a connection to this server.
    fn addressed(&self, request: Request) -> Carried<http::Request<Body>> {
        let mut request = http::Request::try_from(request).map_err(|error| Fault::of(&error))?;
        if let Some(path) = request.uri().path_and_query().cloned() {
            *request.uri_mut() = path.into();
        }
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        Ok(request)
    }

    async fn connect(&self) -> Carried<Connection> {
        let (host, port) = &self.address;
        let opened = timeout(CONNECT_TIMEOUT, async {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            match &self.tls {
                None => open(stream).await,
                Some((tls, name)) => open(tls.connect(name.clone(), stream).await?).await,
            }
        });
        let opened = opened.await.map_err(|_| late(CONNECT_TIMEOUT))?;
        opened.map_err(|error| Fault::of(&error))
    }
}

async fn open(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> io::Result<Connection> {
    let shaken = handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(io::Error::other)?;
    // How it ends is told to whoever sends on it.
    tokio::spawn(connection.map(drop));
    Ok(sender)
}

fn late(time: Duration) -> Fault {
    Fault::Line(format!("no answer within {} s", time.as_secs()))
}

impl Transport for Direct {
    /// The answer comes with its whole body.
    fn carry(&self, request: Request) -> BoxFuture<'_, Carried<Response>> {
        let time = request.timeout().copied().unwrap_or(REQUEST_TIMEOUT);
        let answer = timeout(time, self.exchange(request));
        answer
            .map(move |answer| answer.unwrap_or_else(|_| Err(late(time))))
            .boxed()
    }
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct")
            .field("address", &self.server.address)
            .finish_non_exhaustive()
    }
}
