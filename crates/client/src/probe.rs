use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::DATE;
use reqwest::{Response, Url};

use crate::connection::{goes_directly, prepare, unreachable};
use crate::{Authorities, Fault, PlainHttp, Result};

/// A look at a server without a key: whatever it is, it learns nothing.
#[derive(Debug)]
pub struct Probe {
    http: reqwest::Client,
    server: Url,
}

/// What a server says to somebody without a key.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The HTTP status.
    pub status: u16,
    /// The body, or its beginning.
    pub text: String,
    /// What time it is there, if it says so.
    pub date: Option<Timestamp>,
}

const TIMEOUT: Duration = Duration::from_secs(20);
/// More than a broker says to somebody without a key.
const TEXT_BYTES: usize = 64 * 1024;

impl Probe {
    /// Prepares a look, by the rules of [`crate::Client::trusting`]; nothing is sent yet.
    pub fn new(server: &str, plain: PlainHttp, authorities: &Authorities) -> Result<Self> {
        let (http, server) = prepare(server, plain, &authorities.tls()?)?;
        Ok(Self { http, server })
    }

    /// Asks for a path outside of the API, such as `healthz`.
    pub async fn get(&self, path: &str) -> Result<Seen> {
        let mut url = self.server.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(path);
        }
        let unreachable = |error: reqwest::Error| unreachable(&self.server, Fault::of(&error));
        let request = self.http.get(url).timeout(TIMEOUT);
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, date) = (response.status().as_u16(), date(&response));
        let mut text = Vec::new();
        while text.len() < TEXT_BYTES {
            let Some(chunk) = response.chunk().await.map_err(unreachable)? else {
                break;
            };
            text.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(Seen { status, text, date })
    }

    /// The proxy that the environment puts between, without its password.
    pub fn proxy(&self) -> Option<String> {
        if goes_directly(&self.server) {
            return None;
        }
        let server = self.server.as_str().parse().ok()?;
        let proxy = Matcher::from_system().intercept(&server)?;
        Some(proxy.uri().to_string())
    }

    /// Whether what is sent can be read on its way beyond this machine.
    pub fn is_readable(&self) -> bool {
        self.server.scheme() == "http" && !goes_directly(&self.server)
    }

    /// Whether the server has to prove that it is the broker.
    pub fn is_encrypted(&self) -> bool {
        self.server.scheme() == "https"
    }
}

fn date(response: &Response) -> Option<Timestamp> {
    let date = response.headers().get(DATE)?;
    DateTimeParser::new().parse_timestamp(date.as_bytes()).ok()
}
