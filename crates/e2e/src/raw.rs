use anyhow::{Context, Result, ensure};
use brokkr_core::wire::{Code, Page, Problem};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;

use crate::Broker;

/// HTTP without the client's good manners.
pub struct Raw {
    http: reqwest::Client,
    base: String,
    authorization: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The media type; empty if there is none.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl Raw {
    /// Requests with the admin's key.
    pub fn admin(broker: &Broker) -> Result<Self> {
        let key = std::fs::read_to_string(broker.key_file())?;
        Self::with_authorization(broker, Some(format!("Bearer {}", key.trim())))
    }

    /// Requests with any `Authorization`, or none.
    pub fn with_authorization(broker: &Broker, authorization: Option<String>) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self {
            http,
            base: format!("{}/api/v1", broker.url()),
            authorization,
        })
    }

    /// Sends a request.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Result<Answer> {
        let url = format!("{}{path}", self.base);
        let mut request = self
            .http
            .request(method, url)
            .header(CONTENT_TYPE, content_type);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let response = request
            .body(body)
            .send()
            .await
            .with_context(|| path.to_owned())?;
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Ok(Answer {
            status: response.status(),
            content_type: content_type.to_owned(),
            body: response.text().await?,
        })
    }

    /// Sends a JSON text.
    pub async fn post(&self, path: &str, json: &str) -> Result<Answer> {
        self.send(Method::POST, path, "application/json", json.to_owned())
            .await
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, "application/json", "").await
    }

    /// Reads a list to its end.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let answer = self.get(&format!("{path}?limit=500{cursor}")).await?;
            ensure!(answer.status.is_success(), "{path}: {answer:?}");
            let page: Page<T> = serde_json::from_str(&answer.body)?;
            items.extend(page.items);
            match page.next {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }
}

impl Answer {
    /// The problem that the answer must be.
    pub fn problem(&self) -> Result<Problem> {
        ensure!(
            self.content_type == "application/problem+json",
            "no problem: {self:?}"
        );
        let problem: Problem =
            serde_json::from_str(&self.body).with_context(|| format!("{self:?}"))?;
        ensure!(
            problem.status == self.status.as_u16(),
            "two statuses: {self:?}"
        );
        ensure!(
            problem.code != Code::Unknown,
            "a code without documentation: {self:?}"
        );
        ensure!(
            !problem.detail.is_empty(),
            "it does not say what to do: {self:?}"
        );
        Ok(problem)
    }

    /// Fails unless it is a refusal with this status and code.
    pub fn refuses(&self, status: u16, code: Code) -> Result<Problem> {
        let problem = self.problem()?;
        ensure!(
            (problem.status, problem.code) == (status, code),
            "wanted {status} {code}: {problem:?}"
        );
        Ok(problem)
    }
}
