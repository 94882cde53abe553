use std::sync::atomic::Ordering;
use std::time::Duration;

use brokkr_core::mutant::Mutant;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::RETRY_AFTER};
use http_body_util::BodyExt;
use kube::client::Body;
use serde::Deserialize;

use super::Cluster;
use crate::error::{Error, Refusal};
use brokkr_core::Backoff;

/// For one request, with all its tries. Admission webhooks may take 30 s, and the server may ask several.
pub(super) const TIMEOUT: Duration = Duration::from_mins(1);
/// A server that refuses every third request for a while still gets a thousand objects.
const TRIES: u32 = 6;
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// Messages of API servers quote whole objects at times.
const LONGEST_MESSAGE: usize = 1_000;

/// In the query of a write, what makes a rehearsal of it.
pub(super) const DRY_RUN: &str = "dryRun=All";

pub(super) struct Answer {
    status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    body: Bytes,
}

impl Cluster {
    /// Sends a request, again if the server was only busy. Repeating is safe: every write carries
    /// the state of the object that it was decided on.
    pub(super) async fn send(&self, request: Request<Vec<u8>>) -> Result<Bytes, Error> {
        let answer = self.send_in_time(request).await;
        if answer.as_ref().is_err_and(Error::is_trouble) {
            self.trouble.store(true, Ordering::Relaxed);
        }
        answer
    }

    async fn send_in_time(&self, request: Request<Vec<u8>>) -> Result<Bytes, Error> {
        let patience = match &self.tenure {
            Some(tenure) if is_write(&request) => tenure.patience(self.patience),
            _ => self.patience,
        };
        tokio::time::timeout(patience, self.send_patiently(request))
            .await
            .unwrap_or_else(|_| {
                let seconds = patience.as_secs_f32();
                Err(Error::Unreachable(format!("no answer in {seconds} s")))
            })
    }

    async fn send_patiently(&self, mut request: Request<Vec<u8>>) -> Result<Bytes, Error> {
        self.sign(&mut request)?;
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        let mut answer = self.send_once(request.clone()).await?;
        for _ in 1..TRIES {
            if !answer.is_busy() {
                break;
            }
            let own = backoff.next(&*self.ambient);
            let wished = answer.retry_after.unwrap_or(own);
            tokio::time::sleep(wished.clamp(own, LONGEST_DELAY)).await;
            answer = self.send_once(request.clone()).await?;
        }
        answer.into_body().map_err(|error| self.explain(error))
    }

    async fn send_once(&self, request: Request<Vec<u8>>) -> Result<Answer, Error> {
        let unreachable = |error: &dyn std::error::Error| Error::Unreachable(root_cause(error));
        let turn = self.turns.take(self.asker).await;
        if is_write(&request) && !is_rehearsal(&request) {
            if self.is_read_only {
                return Err(Error::ReadOnly);
            }
            if self.is_stopped() && !Mutant::StopIgnored.is_on() {
                return Err(Error::Stopped);
            }
        }
        // As late as can be: whoever was stopped and goes on knows of nothing but the clock.
        if let Some(tenure) = &self.tenure
            && is_write(&request)
            && !tenure.permits(self.patience)
        {
            return Err(Error::NotAlone);
        }
        let asking = self.monitor.figures.asking(request.method());
        let asked = async {
            let sent = self.client.send(request.map(Body::from)).await;
            Answer::read(sent.map_err(|e| unreachable(&e))?).await
        };
        let answer = turn.wait_for(Box::pin(asked)).await?;
        asking.answered(answer.status);
        if answer.is_overload() {
            turn.refused(answer.retry_after);
        } else if answer.is_busy() {
            turn.failed();
        } else {
            turn.answered();
        }
        Ok(answer)
    }
}

/// Everything but reading; a dry run is treated as what it rehearses.
fn is_write(request: &Request<Vec<u8>>) -> bool {
    request.method() != Method::GET
}

/// Whether the server is asked to forget what it judges.
fn is_rehearsal(request: &Request<Vec<u8>>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|part| part == DRY_RUN)
}

impl Answer {
    pub(super) async fn read(response: Response<Body>) -> Result<Self, Error> {
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.into_body().collect().await;
        Ok(Self {
            status,
            retry_after: retry_after.map(Duration::from_secs),
            body: body
                .map_err(|error| Error::Unreachable(root_cause(&error)))?
                .to_bytes(),
        })
    }

    /// Whether the server could not, but will. Not 500: that is also what a broken webhook makes of a
    /// request, and repeating it at once helps nobody.
    fn is_busy(&self) -> bool {
        matches!(self.status.as_u16(), 429 | 503 | 504)
    }

    /// Whether it is too much for the server, whatever was asked; else it may be one of those that it asks itself.
    pub(super) fn is_overload(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
    }

    pub(super) fn into_body(self) -> Result<Bytes, Error> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let words = self.status.canonical_reason().unwrap_or("refused");
        let status: Status = serde_json::from_slice(&self.body).unwrap_or_default();
        let message = status.message.unwrap_or_else(|| words.to_owned());
        let is_absent = self.status == StatusCode::NOT_FOUND;
        Err(Error::Refused(Refusal {
            status: self.status.as_u16(),
            message: message.chars().take(LONGEST_MESSAGE).collect(),
            absent: status.details.name.filter(|_| is_absent),
            is_of_rights: false,
            immutable: match self.status {
                StatusCode::UNPROCESSABLE_ENTITY => immutable(&status.details.causes),
                _ => Vec::new(),
            },
        }))
    }
}

/// The part of a `metav1.Status` that matters.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    message: Option<String>,
    details: Details,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Details {
    name: Option<String>,
    causes: Vec<Cause>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cause {
    message: String,
    field: String,
}

/// How API servers say that a field keeps the value that it was created with; there is no code for it.
const IMMUTABLE: [&str; 5] = [
    "immutable",
    "updates to ",
    "may not change",
    "may not be changed",
    "cannot change",
];

/// The fields that cannot be changed; none if anything else is wrong too, which a new object would not cure.
fn immutable(causes: &[Cause]) -> Vec<String> {
    let is_immutable = |cause: &Cause| {
        let message = cause.message.to_lowercase();
        IMMUTABLE.iter().any(|words| message.contains(words))
    };
    if !causes.iter().all(is_immutable) {
        return Vec::new();
    }
    let mut fields: Vec<_> = causes.iter().map(|cause| cause.field.clone()).collect();
    fields.dedup();
    fields
}

pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brake::Brake;
    use crate::cluster::scripted::cluster;

    fn request() -> Request<Vec<u8>> {
        Request::get("/api").body(Vec::new()).expect("a request")
    }

    #[tokio::test]
    async fn a_busy_server_is_asked_again() {
        let (cluster, left) = cluster(&[(429, ""), (503, ""), (200, "yes")]);
        let answer = cluster.send(request()).await.expect("an answer");
        assert_eq!(&answer[..], b"yes");
        assert!(left.lock().expect("no panic").is_empty());
    }

    #[tokio::test]
    async fn who_only_reads_writes_nothing() {
        let (cluster, left) = cluster(&[(200, "one"), (200, "two"), (200, "never")]);
        let cluster = cluster.read_only();
        let patch = |query: &str| {
            let path = format!("/api/v1/pods/a?force=true{query}");
            Request::patch(path).body(Vec::new()).expect("a request")
        };
        assert!(cluster.send(request()).await.is_ok());
        assert!(cluster.send(patch("&dryRun=All")).await.is_ok());
        for query in ["", "&dryRun=None", "&x=dryRun=All"] {
            let error = cluster.send(patch(query)).await.expect_err(query);
            assert!(matches!(error, Error::ReadOnly), "{error}");
        }
        assert_eq!(left.lock().expect("no panic").len(), 1);
    }

    #[tokio::test]
    async fn what_is_stopped_while_it_waits_for_its_turn_is_not_sent() {
        let (cluster, left) = cluster(&[(200, "read"), (200, "never")]);
        let cluster = cluster.under(Brake::when(|| true));
        let write = Request::patch("/api/v1/pods/a").body(Vec::new());
        assert!(cluster.send(request()).await.is_ok());
        let error = cluster.send(write.expect("a request")).await;
        assert!(matches!(error, Err(Error::Stopped)), "{error:?}");
        assert_eq!(left.lock().expect("no panic").len(), 1);
    }

    #[tokio::test]
    async fn a_refusal_is_final_and_said_in_the_servers_words_or_ours() {
        let status = r#"{"kind":"Status","message":"no such a","details":{"name":"a"}}"#;
        let cases = [
            (404, status, "no such a (404)", Some("a")),
            (422, status, "no such a (422)", None),
            (500, "", "Internal Server Error (500)", None),
            (403, "<html>Sign in</html>", "Forbidden (403)", None),
        ];
        for (code, body, words, absent) in cases {
            let (cluster, left) = cluster(&[(code, body), (200, "never asked")]);
            let error = cluster.send(request()).await.expect_err("a refusal");
            assert_eq!(error.to_string(), words);
            assert!(matches!(&error, Error::Refused(r) if r.absent.as_deref() == absent));
            assert_eq!(left.lock().expect("no panic").len(), 1);
        }
    }
}
