use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use brokkr_core::name::Reference;
use brokkr_core::wire::Hint;
use futures::StreamExt;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, Url};
use sse_stream::{Sse, SseStream};

use crate::connection::{built, unreachable};
use crate::{Client, Error, Fault, Result};

/// A stream has no end of its own.
const LONG: Duration = Duration::from_hours(24 * 365);

/// What to watch; absent fields do not restrict.
#[derive(Clone, Debug, Default)]
pub struct WatchFilter {
    /// What concerns this stack.
    pub stack: Option<Reference>,
    /// What concerns this agent.
    pub agent: Option<Reference>,
}

/// Something that the broker tells those who watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// What to read again.
    Hint(Hint),
    /// It is not known what changed: everything that is shown is to be read again.
    Reset,
}

/// What changes, as it changes.
pub struct Watch {
    server: Url,
    events: Pin<Box<SseStream<Body>>>,
    cursor: Option<String>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("server", &self.server.as_str())
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Follows what changes, from where a cursor says, or from now on: then it begins with a [`Told::Reset`].
    pub async fn watch(&self, filter: &WatchFilter, cursor: Option<&str>) -> Result<Watch> {
        let named = |key, value: Option<&Reference>| value.map(|value| (key, value.to_string()));
        let query: Vec<_> = [
            named("stack", filter.stack.as_ref()),
            named("agent", filter.agent.as_ref()),
            cursor.map(|cursor| ("cursor", cursor.to_owned())),
        ]
        .into_iter()
        .flatten()
        .collect();
        let request = self.request(Method::GET, &["watch"]);
        let mut request = built(request.query(&query).timeout(LONG))?;
        let accept = HeaderValue::from_static("text/event-stream");
        request.headers_mut().insert(ACCEPT, accept);
        let response = self.carry(request).await?;
        let is_stream = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if !is_stream {
            let status = response.status().as_u16();
            return Err(Error::NotABroker { status });
        }
        Ok(Watch {
            server: self.server().clone(),
            events: Box::pin(SseStream::new(Body::from(response))),
            cursor: cursor.map(str::to_owned),
        })
    }
}

impl Watch {
    /// Waits for what is told next. Every end is an error: whoever wants more comes back with the cursor.
    pub async fn next(&mut self) -> Result<Told> {
        loop {
            let Sse {
                event, data, id, ..
            } = match self.events.next().await {
                Some(Ok(sse)) => sse,
                Some(Err(error)) => return Err(self.broke(&error.to_string())),
                None => return Err(self.broke("it ended the stream")),
            };
            let told = match (event.as_deref(), data) {
                (Some("reset"), _) => Some(Told::Reset),
                (Some("hint"), Some(data)) => {
                    let hint = serde_json::from_str(&data);
                    let hint = hint.map_err(|_| self.broke("it sent a hint that is none"))?;
                    Some(Told::Hint(hint))
                }
                // A newer broker may tell more.
                _ => None,
            };
            if id.is_some() {
                self.cursor = id;
            }
            if let Some(told) = told {
                return Ok(told);
            }
        }
    }

    /// Where to go on, once something was told that says so.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    fn broke(&self, cause: &str) -> Error {
        unreachable(&self.server, Fault::Line(cause.to_owned()))
    }
}
