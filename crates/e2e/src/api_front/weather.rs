use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use tokio::time::sleep;

use super::Asked;

/// What becomes of requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Weather {
    /// They are answered.
    Fair,
    /// Every list comes back whole, well-formed and empty.
    Forgetful,
    /// Of ten requests three are not answered: one is asked to come back, one is refused, one is given up after a while.
    Stormy,
    /// Writes to these namespaces and rehearsals of them are not answered until the weather is another one, as where a
    /// webhook hangs.
    Silent(Vec<String>),
    /// Whatever is to be followed lies too far back.
    Expired,
}

/// For how long a storm asks to stay away.
const AWAY: Duration = Duration::from_secs(1);
/// For how long a request is kept that is given up.
const KEPT: Duration = Duration::from_secs(2);

impl Weather {
    pub(super) fn silences(&self, asked: &Asked) -> bool {
        match self {
            Self::Silent(namespaces) => {
                let is_written = asked.is_write() || asked.is_dry_run();
                is_written && namespaces.iter().any(|name| asked.is_in(name))
            }
            _ => false,
        }
    }

    /// The answer to a request that does not get through.
    pub(super) async fn strikes(&self, asked: &Asked, struck: &AtomicU64) -> Option<Response> {
        match self {
            Self::Expired if asked.is_watch() => {
                Some((StatusCode::GONE, "too old resource version").into_response())
            }
            Self::Stormy => match struck.fetch_add(1, Ordering::Relaxed) % 10 {
                0 => {
                    let headers = [(RETRY_AFTER, AWAY.as_secs())];
                    Some((StatusCode::TOO_MANY_REQUESTS, headers, "not now").into_response())
                }
                4 => Some((StatusCode::INTERNAL_SERVER_ERROR, "broken").into_response()),
                7 => {
                    sleep(KEPT).await;
                    Some((StatusCode::GATEWAY_TIMEOUT, "it takes too long").into_response())
                }
                _ => None,
            },
            _ => None,
        }
    }
}
