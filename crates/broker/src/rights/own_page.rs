use axum::extract::Request;
use brokkr_core::wire::CONSOLE_HEADER;
use http::header::{HOST, ORIGIN};

use crate::error::{Error, Result};

/// Refuses a change that a cookie vouches for unless the broker's own page asks for it: a browser sends cookies along whoever asks. It says
/// who that is (`Origin`), and lets no other site send this header.
pub(super) fn check(request: &Request) -> Result<()> {
    if request.method().is_safe() {
        return Ok(());
    }
    let headers = request.headers();
    let said = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let from = said(ORIGIN).and_then(|origin| origin.split_once("://"));
    let is_own = from.is_some_and(|(_, authority)| said(HOST) == Some(authority));
    if is_own && headers.contains_key(CONSOLE_HEADER) {
        return Ok(());
    }
    Err(Error::Forbidden(format!(
        "changes by cookie are taken from the console alone, with the `Origin` of this address and the header `{CONSOLE_HEADER}`: send the key as `Authorization: Bearer <key>`"
    )))
}
