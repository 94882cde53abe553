//! A cluster whose API server answers as a test says.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use brokkr_core::ambient::System;
use http::header::RETRY_AFTER;
use http::{Request, Response};
use kube::client::Body;

use super::Cluster;

/// Statuses and bodies.
type Answers = VecDeque<(u16, String)>;

/// A cluster whose server gives these answers, one after the other, and what is left of them.
pub(crate) fn cluster(answers: &[(u16, &str)]) -> (Cluster, Arc<Mutex<Answers>>) {
    let answers = answers
        .iter()
        .map(|(status, body)| (*status, (*body).to_owned()));
    let left = Arc::new(Mutex::new(answers.collect::<Answers>()));
    let script = left.clone();
    let service = tower::service_fn(move |_: Request<Body>| {
        let next = script.lock().expect("no panic").pop_front();
        let (status, body) = next.expect("an answer");
        let response = Response::builder()
            .status(status)
            .header(RETRY_AFTER, "0")
            .body(Body::from(body.into_bytes()));
        std::future::ready(Ok::<_, Infallible>(response.expect("a response")))
    });
    let client = kube::Client::new(service, "default");
    (Cluster::new(client, 4, Arc::new(System)), left)
}
