use std::fmt::Debug;

use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::{Request, Response};

use crate::Fault;

/// What carries requests to a broker. The agent is given one, as it is given its clock, so that whole histories can
/// be played without a network.
pub trait Transport: Debug + Send + Sync {
    /// Sends a request and brings the head of its answer, within the time that the request allows.
    fn carry(&self, request: Request) -> BoxFuture<'_, Result<Response, Fault>>;
}

impl Transport for reqwest::Client {
    fn carry(&self, request: Request) -> BoxFuture<'_, Result<Response, Fault>> {
        async move {
            self.execute(request)
                .await
                .map_err(|error| Fault::of(&error))
        }
        .boxed()
    }
}
