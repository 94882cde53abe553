//! The console: a page for people, which is a client of the API like any other. Its files are public and hold nothing of the fleet.

use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use crate::error::Error;

/// The files that `make console` made, by their paths; beside some lies the same compressed, with `.gz` behind its name.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/console.rs"));

const INDEX: &str = "/index.html";
/// With what the addresses of its views begin.
const VIEWS: [&str; 8] = [
    "", "agents", "audit", "events", "keys", "removals", "settings", "stacks",
];
/// Files below it have a digest in their names.
const ASSETS: &str = "/assets/";

/// What stands in its place if it was not built.
const ABSENT: &str = "<!doctype html><meta charset=utf-8><title>Brokkr</title><h1>Brokkr</h1>
<p>This broker was built without its console: run <code>make console</code> and build it again, or take a release.
<p>The API is at <a href=/api/v1/openapi.json>/api/v1</a>, and the command line does all that the console does.
";

/// Only the broker's own files, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers what is no part of the API: with a file of the console, or with the page itself, whose views have addresses of their own.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    let is_view = path
        .split('/')
        .nth(1)
        .is_some_and(|first| VIEWS.contains(&first));
    if !matches!(method, Method::GET | Method::HEAD) {
        return Error::NoRoute.into_response();
    }
    let name = if is_view { INDEX } else { path };
    match file(name) {
        Some(_) if is_view || path != INDEX => (common(), content(name, &headers)).into_response(),
        None if is_view => (StatusCode::NOT_FOUND, common(), html(ABSENT)).into_response(),
        _ => Error::NoRoute.into_response(),
    }
}

fn file(path: &str) -> Option<&'static [u8]> {
    let found = FILES.iter().find(|(name, _)| *name == path);
    found.map(|(_, bytes)| *bytes)
}

/// A file, compressed if there is such a one and the client takes it.
fn content(name: &str, headers: &HeaderMap) -> Response {
    let accepted = headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    let takes_gzip = accepted.is_some_and(|accepted| accepted.contains("gzip"));
    let compressed = file(&format!("{name}.gz")).filter(|_| takes_gzip);
    let encoding = compressed.map(|_| [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
    let cached = if name.starts_with(ASSETS) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let about = [
        (CONTENT_TYPE, kind(name)),
        (CACHE_CONTROL, HeaderValue::from_static(cached)),
        (VARY, HeaderValue::from_static("accept-encoding")),
    ];
    let bytes = compressed.or_else(|| file(name)).unwrap_or_default();
    let mut response = (about, bytes).into_response();
    response
        .headers_mut()
        .extend(encoding.into_iter().flatten());
    response
}

fn kind(name: &str) -> HeaderValue {
    HeaderValue::from_static(match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    })
}

fn html(text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind(INDEX))], text)
}

fn common() -> [(HeaderName, HeaderValue); 4] {
    [
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ]
}
