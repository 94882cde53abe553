use std::sync::Arc;
use std::time::Duration;

use brokkr_core::pak::Pak;
use brokkr_core::wire::{Code, OpenedSession, PLAN_HEADER, Page, Plan, Problem, SESSION_HEADER};
use brokkr_core::{Digest, Epoch, RequestId};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, Request, RequestBuilder, Response, Url};
use rustls::ClientConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::decompressors::Decompressors;
use crate::direct::Direct;
use crate::fault::Fault;
use crate::key::Key;
use crate::{Authorities, Error, Result, Transport};

/// A connection to one broker with one key.
#[derive(Clone, Debug)]
pub struct Client {
    /// What requests are made with.
    http: reqwest::Client,
    /// What they are sent with.
    transport: Arc<dyn Transport>,
    server: Url,
    tls: Arc<ClientConfig>,
    pub(crate) decompressors: Arc<Decompressors>,
    pub(crate) key: Key,
    /// The plan that changes are agreed to by.
    agreed: Option<Digest>,
    /// What polls return of the state that was accepted last.
    pub(crate) accepted: Option<String>,
    /// What polls say of the requests that the agent has in hand.
    pub(crate) in_hand: Option<String>,
    /// The session that requests belong to.
    session: Option<u64>,
}

/// Whether a key may travel unencrypted beyond this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlainHttp {
    /// Only to a loopback address.
    LoopbackOnly,
    /// Anywhere, because somebody said so.
    Anywhere,
}

/// How long a request other than a poll may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const PAGE_SIZE: usize = 500;
/// More than the largest snapshot and the largest target state together: what is longer is no broker's answer,
/// and would only fill this machine's memory.
pub(crate) const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// What requests say of who sends them.
pub(crate) const AGENT: &str = concat!("brokkr/", env!("CARGO_PKG_VERSION"));

impl Client {
    /// Prepares a connection; nothing is sent yet.
    pub fn new(server: &str, pak: Pak, plain: PlainHttp) -> Result<Self> {
        Self::trusting(server, pak, plain, &Authorities::default())
    }

    /// Prepares a connection to a broker whose certificate may be from one of these authorities. A proxy is
    /// taken from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    pub fn trusting(
        server: &str,
        pak: Pak,
        plain: PlainHttp,
        authorities: &Authorities,
    ) -> Result<Self> {
        let tls = Arc::new(authorities.tls()?);
        let (http, server) = prepare(server, plain, &tls)?;
        Ok(Self {
            transport: Arc::new(http.clone()),
            http,
            server,
            tls,
            decompressors: Arc::default(),
            key: Key::new(pak),
            agreed: None,
            accepted: None,
            in_hand: None,
            session: None,
        })
    }

    /// The same connection, over something else than this machine's network.
    #[must_use]
    pub fn over(self, transport: Arc<dyn Transport>) -> Self {
        Self { transport, ..self }
    }

    /// The same, over a connection that this client and its clones share with nobody, past any proxy. Whoever asks two things at once
    /// has the second one go over a connection that is closed after it.
    pub fn directly(&self) -> Result<Self> {
        let direct = Direct::new(&self.server, &self.tls)?;
        Ok(self.clone().over(Arc::new(direct)))
    }

    /// The same connection with another key, so that many can share what one broker is spoken to with.
    #[must_use]
    pub fn with_key(&self, pak: Pak) -> Self {
        Self {
            key: Key::new(pak),
            ..self.clone()
        }
    }

    /// The same connection, whose changes are made only as this plan says, and count as approved.
    #[must_use]
    pub fn agreeing_to(&self, plan: &Plan) -> Self {
        Self {
            agreed: Some(plan.digest),
            ..self.clone()
        }
    }

    /// The same connection, whose polls return the epoch and the token of the state that was accepted last: by them the
    /// broker learns that its database lost history.
    #[must_use]
    pub fn returning(&self, epoch: Epoch, token: &str) -> Self {
        Self {
            accepted: Some(format!("{epoch}.{token}")),
            ..self.clone()
        }
    }

    /// The same connection, whose polls say that the agent has these requests in hand: they do not end a wait.
    #[must_use]
    pub fn holding(&self, requests: &[RequestId]) -> Self {
        let ids: Vec<_> = requests.iter().map(ToString::to_string).collect();
        Self {
            in_hand: (!ids.is_empty()).then(|| ids.join(",")),
            ..self.clone()
        }
    }

    /// The same connection, whose requests belong to this session of the agent.
    #[must_use]
    pub fn in_session(&self, session: OpenedSession) -> Self {
        Self {
            session: Some(session.session),
            ..self.clone()
        }
    }

    /// The broker's address.
    pub fn server(&self) -> &Url {
        &self.server
    }

    pub(crate) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.server.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        let request = self
            .http
            .request(method, url)
            .timeout(REQUEST_TIMEOUT)
            .bearer_auth(self.key.current().expose())
            .header(ACCEPT, "application/json");
        let request = match self.session {
            Some(session) => request.header(SESSION_HEADER, session),
            None => request,
        };
        match &self.agreed {
            Some(plan) => request.header(PLAN_HEADER, plan.to_string()),
            None => request,
        }
    }

    /// Sends a request and tells a broker's answer from everything else.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        self.carry(built(request)?).await
    }

    pub(crate) async fn carry(&self, request: Request) -> Result<Response> {
        let answer = self.transport.carry(request).await;
        let response = answer.map_err(|fault| unreachable(&self.server, fault))?;
        let status = response.status();
        if status.is_success() || status == reqwest::StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        if status == reqwest::StatusCode::UNAUTHORIZED {
            self.key.refused();
        }
        let is_problem = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"));
        let not_a_broker = Error::NotABroker {
            status: status.as_u16(),
        };
        if !is_problem {
            return Err(not_a_broker);
        }
        let body = self.body(response).await?;
        let problem = serde_json::from_slice(&body).ok();
        // An agent lets go for this one: nothing of it may be wrong.
        let problem = problem.filter(|problem: &Problem| {
            problem.code != Code::AgentRetired || status == reqwest::StatusCode::GONE
        });
        Err(problem.map_or(not_a_broker, |problem| Error::Refused(Box::new(problem))))
    }

    /// Reads an answer whole, as long as it is not longer than any answer should be.
    pub(crate) async fn body(&self, mut response: Response) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| unreachable(&self.server, Fault::of(&error)))?
        {
            if chunk.len() > ANSWER_BYTES - body.len() {
                return Err(self.too_long());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    pub(crate) fn too_long(&self) -> Error {
        Error::TooLong {
            server: self.server.to_string(),
            limit: ANSWER_BYTES,
        }
    }

    /// Sends a request and reads the answer, which must be JSON of the expected shape.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let response = self.send(request).await?;
        let status = response.status().as_u16();
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|_| Error::NotABroker { status })
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T> {
        self.json(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T> {
        self.json(self.request(Method::POST, path).json(body)).await
    }

    /// Reads a list to its end, page by page.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        path: &[&str],
        filter: &[(&str, String)],
    ) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut request = self
                .request(Method::GET, path)
                .query(filter)
                .query(&[("limit", PAGE_SIZE)]);
            if let Some(cursor) = &cursor {
                request = request.query(&[("cursor", cursor)]);
            }
            let page: Page<T> = self.json(request).await?;
            items.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
    }
}

pub(crate) fn built(request: RequestBuilder) -> Result<Request> {
    request
        .build()
        .map_err(|error| Error::Setup(format!("no request can be made: {error}")))
}

/// Why no whole answer came from this server.
pub(crate) fn unreachable(server: &Url, fault: Fault) -> Error {
    let server = server.to_string();
    match fault {
        Fault::Untrusted(cause) => Error::Untrusted { server, cause },
        Fault::Line(cause) => Error::Unreachable { server, cause },
    }
}

/// What speaks to the server at this address.
pub(crate) fn prepare(
    server: &str,
    plain: PlainHttp,
    tls: &ClientConfig,
) -> Result<(reqwest::Client, Url)> {
    let server: Url = server.parse().map_err(|_| {
        Error::Setup(format!(
            "`{server}` is not an address: write https://host[:port]"
        ))
    })?;
    refuse_plain_http(&server, plain)?;
    // The answer to a second caller's installation is the first one's provider: the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut http = reqwest::Client::builder()
        .user_agent(AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .tls_backend_preconfigured(tls.clone());
    if goes_directly(&server) {
        http = http.no_proxy();
    }
    let http = http
        .build()
        .map_err(|error| Error::Setup(format!("no HTTP client can be made: {error}")))?;
    Ok((http, server))
}

/// Whether no proxy may stand between: another machine's loopback is not this one's, and the key would leave
/// unencrypted.
pub(crate) fn goes_directly(server: &Url) -> bool {
    server.scheme() == "http" && is_loopback(server)
}

fn is_loopback(server: &Url) -> bool {
    let host = server.host_str().unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn refuse_plain_http(server: &Url, plain: PlainHttp) -> Result<()> {
    match server.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(server) || plain == PlainHttp::Anywhere => Ok(()),
        "http" => Err(Error::Setup(format!(
            "{server} is not encrypted, so the key could be read on its way: use https://, or say --plain-http if you must"
        ))),
        other => Err(Error::Setup(format!(
            "`{other}` is not a scheme for a broker's address: use https://"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;
    use brokkr_core::pak::Role;

    use super::*;

    #[test]
    fn a_key_leaves_the_machine_encrypted_or_not_at_all() {
        let connect =
            |server, plain| Client::new(server, Pak::generate(Role::Agent, &System), plain);
        for server in [
            "https://broker.example",
            "http://127.0.0.1:8080",
            "http://localhost",
            "http://[::1]:1",
        ] {
            assert!(connect(server, PlainHttp::LoopbackOnly).is_ok(), "{server}");
        }
        for server in [
            "http://broker.example",
            "http://10.0.0.1",
            "ftp://localhost",
            "broker.example",
        ] {
            assert!(
                connect(server, PlainHttp::LoopbackOnly).is_err(),
                "{server}"
            );
        }
        assert!(connect("http://broker.example", PlainHttp::Anywhere).is_ok());
    }
}
