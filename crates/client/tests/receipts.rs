//! What was reported counts as told only when a broker has taken it.

use std::sync::Arc;

use brokkr_client::{Client, Error, Fault, PlainHttp, Transport};
use brokkr_core::ambient::System;
use brokkr_core::pak::{Pak, Role};
use brokkr_core::targeting::Facts;
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::{Request, Response};

/// Answers every request so.
#[derive(Debug)]
struct Always(u16, &'static str);

impl Transport for Always {
    fn carry(&self, _: Request) -> BoxFuture<'_, Result<Response, Fault>> {
        let Self(status, body) = *self;
        let response = http::Response::builder().status(status).body(body);
        async move { Ok(Response::from(response.expect("a response"))) }.boxed()
    }
}

fn agent(answer: Always) -> Client {
    let key = Pak::generate(Role::Agent, &System);
    let client = Client::new("http://127.0.0.1:1", key, PlainHttp::LoopbackOnly);
    client.expect("a client").over(Arc::new(answer))
}

#[tokio::test]
async fn a_page_is_no_receipt() {
    let portal = agent(Always(200, "<html>Sign in</html>"));
    let facts = Facts::default();
    for told in [
        portal.report_events(Vec::new()).await,
        portal.report_status(Vec::new()).await,
        portal.report_facts(&facts).await,
    ] {
        assert!(
            matches!(told, Err(Error::NotABroker { status: 200 })),
            "{told:?}"
        );
    }
    let broker = agent(Always(204, ""));
    assert!(broker.report_status(Vec::new()).await.is_ok());
}
