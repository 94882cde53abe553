use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use brokkr_core::wire::SignedIn;
use http::header::{ORIGIN, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::me;
use crate::Broker;
use crate::auth;
use crate::changes::sign_ins::{SignIn, SignOut};
use crate::error::{Error, Result};
use crate::extract::Json;
use crate::scope::Caller;

/// Signs in to the console with the key of the request: the answer sets a cookie that browsers send with what the console asks, and no
/// script can read. It is good for twelve hours, and no longer than the key.
#[utoipa::path(post, path = "/session", tag = "me", responses((status = 201, body = SignedIn)))]
pub(super) async fn sign_in(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response> {
    if caller.sign_in.is_some() {
        return Err(Error::Forbidden(
            "who is signed in cannot make it last longer: sign in with the key itself".to_owned(),
        ));
    }
    let sign_in = SignIn { key: caller.key };
    let (token, expires_at) = broker.change(caller.actor(), sign_in).await?;
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
    let is_secure = broker.tls.is_some() || origin.is_some_and(|from| from.starts_with(b"https:"));
    let lasts = expires_at.duration_since(broker.ambient.now()).as_secs();
    let cookie = auth::cookie(token.expose(), lasts, is_secure);
    let me = me::of(&broker, &caller).await?;
    let body = Json(SignedIn { me, expires_at });
    Ok((StatusCode::CREATED, [(SET_COOKIE, set(&cookie)?)], body).into_response())
}

/// Signs out of the console: the cookie opens nothing any more.
#[utoipa::path(delete, path = "/session", tag = "me", responses((status = 204)))]
pub(super) async fn sign_out(
    State(broker): State<Arc<Broker>>,
    caller: Caller,
) -> Result<Response> {
    let Some(id) = caller.sign_in else {
        return Err(Error::NotFound("sign-in of this request"));
    };
    let key = caller.key;
    broker.change(caller.actor(), SignOut { id, key }).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    for is_secure in [false, true] {
        let gone = set(&auth::cookie("", 0, is_secure))?;
        response.headers_mut().append(SET_COOKIE, gone);
    }
    Ok(response)
}

fn set(cookie: &str) -> Result<HeaderValue> {
    let mut cookie = HeaderValue::try_from(cookie).map_err(Error::internal)?;
    cookie.set_sensitive(true);
    Ok(cookie)
}
