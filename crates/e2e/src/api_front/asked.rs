use std::fmt;

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use tokio::time::Instant;

/// A request to the API server.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When it came.
    pub at: Instant,
    /// When it was answered, and how; none while it is not.
    pub answered: Option<(Instant, StatusCode)>,
    method: Method,
    /// Without the query.
    pub path: String,
    query: String,
}

impl Asked {
    pub(super) fn now(request: &Request) -> Self {
        Self {
            at: Instant::now(),
            answered: None,
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
        }
    }

    /// Whether it asks for a list. Lists are asked for page by page.
    pub fn is_list(&self) -> bool {
        self.method == Method::GET && self.says("limit=")
    }

    /// Whether it asks for another page than the first.
    pub fn is_later_page(&self) -> bool {
        let mut parts = self.query.split('&');
        parts.any(|part| {
            part.strip_prefix("continue=")
                .is_some_and(|token| !token.is_empty())
        })
    }

    /// Whether it follows changes.
    pub fn is_watch(&self) -> bool {
        self.says("watch=true")
    }

    /// Whether it reads, and ends.
    pub fn is_read(&self) -> bool {
        self.method == Method::GET && !self.is_watch()
    }

    /// Whether it rehearses a write.
    pub fn is_dry_run(&self) -> bool {
        self.says("dryRun=")
    }

    /// Whether something may be different after it.
    pub fn is_write(&self) -> bool {
        self.method != Method::GET && !self.is_dry_run()
    }

    /// Whether it deletes.
    pub fn is_delete(&self) -> bool {
        self.method == Method::DELETE
    }

    /// Whether it was answered with anything but what was asked for.
    pub fn is_refused(&self) -> bool {
        self.answered
            .is_some_and(|(_, status)| !status.is_success())
    }

    /// When it was answered that nobody should ask for a while; none if it was not.
    pub fn wished_at(&self) -> Option<Instant> {
        let (at, status) = self.answered?;
        (status == StatusCode::TOO_MANY_REQUESTS).then_some(at)
    }

    /// Whether it is about a lease.
    pub fn is_of_a_lease(&self) -> bool {
        self.path.contains("/leases")
    }

    /// Whether it is about something in this namespace.
    pub fn is_in(&self, namespace: &str) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| part == "namespaces") && parts.next() == Some(namespace)
    }

    fn says(&self, word: &str) -> bool {
        self.query.split('&').any(|part| part.starts_with(word))
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}?{}", self.method, self.path, self.query)
    }
}
