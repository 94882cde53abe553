//! Reading requests: bodies, queries and paths whose mistakes become problems with a pointer.

use std::str::FromStr;

use axum::body::HttpBody as _;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::error::{Error, Result};
use crate::listener::TooSlow;
use crate::rights::BodyLimit;

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        json(&json_body(request).await?).map(Self)
    }
}

/// No body at all, or `null`, where all of it may be left out.
impl<S: Send + Sync, T: DeserializeOwned> OptionalFromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>> {
        if request.body().is_end_stream() {
            return Ok(None);
        }
        let body: Option<T> = json(&json_body(request).await?)?;
        Ok(body.map(Self))
    }
}

async fn json_body(request: Request) -> Result<Vec<u8>> {
    if !has_type(
        request.headers(),
        &["application/json", "application/merge-patch+json"],
    ) {
        return Err(Error::UnsupportedMediaType(
            "send JSON, with `Content-Type: application/json`".to_owned(),
        ));
    }
    body(request).await
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The whole body, up to the operation's limit, and to what there is memory for.
pub(crate) async fn body(request: Request) -> Result<Vec<u8>> {
    let BodyLimit { most, room } = BodyLimit::of(&request)?;
    let too_large = || Error::TooLarge("the body is larger than this route takes".to_owned());
    let size = request.body().size_hint();
    // Not a byte of it needs to be read to know.
    if size.lower() > most as u64 {
        return Err(too_large());
    }
    if let (Some(room), Ok(size)) = (&room, usize::try_from(size.lower())) {
        room.expect(size)?;
    }
    let mut frames = Limited::new(request.into_body(), most);
    let size = usize::try_from(size.lower()).unwrap_or(most);
    // Reserved is not touched: it takes up memory as it is filled.
    let mut body = Vec::with_capacity(size);
    while let Some(frame) = frames.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                too_large()
            } else if TooSlow::is_cause_of(&*error) {
                Error::TooSlow
            } else {
                Error::Malformed("the body broke off".to_owned())
            }
        })?;
        if let Some(data) = frame.data_ref() {
            if let Some(room) = &room {
                room.hold(body.len() + data.len()).await?;
            }
            body.extend_from_slice(data);
        }
    }
    Ok(body)
}

/// Reads JSON; unknown fields are refused where the type says so.
pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    // It would be taken for the fields in their order, without their names.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(Error::invalid(
            "",
            "an object with named fields is expected",
        ));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| refusal(&error, body))?;
    deserializer.end().map_err(|error| {
        Error::Malformed(format!("after the JSON stands something else: {error}"))
    })?;
    Ok(value)
}

fn refusal(error: &serde_path_to_error::Error<serde_json::Error>, body: &[u8]) -> Error {
    // A number where a word is expected counts as bad syntax there, though it is good JSON.
    let is_json = || {
        let text = std::str::from_utf8(body);
        text.is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
    };
    if !error.inner().is_data() && !is_json() {
        return Error::Malformed(format!("the body is not JSON: {}", error.inner()));
    }
    let pointer: String = error
        .path()
        .iter()
        .map(|segment| match segment {
            serde_path_to_error::Segment::Seq { index } => format!("/{index}"),
            serde_path_to_error::Segment::Map { key } => {
                format!("/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => {
                String::new()
            }
        })
        .collect();
    Error::invalid(&pointer, error.inner().to_string())
}

/// Whether a body is said to be of one of these types; parameters such as a character set do not count.
pub(crate) fn has_type(headers: &HeaderMap, types: &[&str]) -> bool {
    let said = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let said = said.split(';').next().unwrap_or_default().trim();
    types.iter().any(|kind| said.eq_ignore_ascii_case(kind))
}

/// The revision that a caller has seen last of what it edits, if it says one. `*` is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct IfMatch(Option<u64>);

impl IfMatch {
    /// Refuses an edit of something that was edited meanwhile.
    pub(crate) fn check(self, found: u64) -> Result<()> {
        match self.0 {
            Some(expected) if expected != found => Err(Error::EditedMeanwhile { expected, found }),
            _ => Ok(()),
        }
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header(
            "If-Match",
            "The `ETag` of what was read, in quotes: the edit is refused with 412 if it was edited since. `*` is any.",
        )]
    }
}

/// How a header that may be left out is described.
pub(crate) fn header(name: &str, meaning: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .description(Some(meaning))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

/// Names an edit of something, for `If-Match`.
pub(crate) fn entity_tag(revision: u64) -> [(HeaderName, HeaderValue); 1] {
    let tag = HeaderValue::try_from(format!("\"{revision}\""));
    [(ETAG, tag.unwrap_or(HeaderValue::from_static("\"\"")))]
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let Some(header) = parts.headers.get(IF_MATCH) else {
            return Ok(Self(None));
        };
        let text = header.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let revision = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let revision = revision.and_then(|text| text.parse().ok());
        revision
            .map(|revision| Self(Some(revision)))
            .ok_or_else(|| {
                Error::Malformed(
                    "If-Match takes one ETag as it was given, in quotes, or *".to_owned(),
                )
            })
    }
}

/// What makes a create or a publish repeatable, if the caller says it: 1 to 255 visible characters of its own.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header(
            "Idempotency-Key",
            "1 to 255 visible ASCII characters of the caller's own, such as a UUID: the same request with the same key is made once, and answered as it was the first time.",
        )]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let Some(header) = parts.headers.get("idempotency-key") else {
            return Ok(Self(None));
        };
        let text = header.to_str().unwrap_or_default();
        let is_good = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if is_good {
            return Ok(Self(Some(text.to_owned())));
        }
        Err(Error::Malformed(
            "an Idempotency-Key is 1 to 255 visible ASCII characters without spaces, such as a UUID"
                .to_owned(),
        ))
    }
}

/// The query string.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> Query<T> {
    pub(crate) fn read(parts: &Parts) -> Result<Self> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| {
                Error::invalid(
                    "",
                    format!("the query cannot be read: {}", rejection.body_text()),
                )
            })
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Self::read(parts)
    }
}

/// The one parameter of a path: an id or a name. A text that is neither names nothing.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let text = axum::extract::Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Error::NoRoute)?;
        text.0
            .parse()
            .map(Self)
            .map_err(|_| Error::NotFound("such thing"))
    }
}
