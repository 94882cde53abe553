//! Two people who edit the same thing: the second learns that it is not as it was.

use brokkr_core::pak::Pak;
use brokkr_core::wire::{Code, Problem};
use reqwest::{Method, Response};

use crate::harness::*;

on_both_engines!(an_edit_of_what_was_edited_meanwhile_is_refused);

async fn an_edit_of_what_was_edited_meanwhile_is_refused(engine: Engine) {
    let scene = Scene::set(engine).await;
    create_stack(&scene.admin, "shop").await;
    create_generator(&scene.admin, "ci").await;
    for (path, patch) in [
        ("/agents/edge", r#"{"labels":{"env":"prod"}}"#),
        ("/stacks/shop", r#"{"options":{"on_remove":"orphan"}}"#),
        ("/generators/ci", r#"{"scope":{"labels":"env=prod"}}"#),
    ] {
        let read = scene.send(Method::GET, path, "", "").await;
        let seen = tag(&read);
        let edited = scene.send(Method::PATCH, path, &seen, patch).await;
        assert_eq!(edited.status(), 200, "{path}");
        let newer = tag(&edited);
        assert_ne!(newer, seen);
        let read = scene.send(Method::GET, path, "", "").await;
        assert_eq!(tag(&read), newer);
        let again = scene.send(Method::PATCH, path, &newer, patch).await;
        assert_eq!(tag(&again), newer, "what makes no difference is no edit");

        for (method, query) in [
            (Method::PATCH, ""),
            (Method::PATCH, "?plan=only"),
            (Method::DELETE, ""),
        ] {
            if method == Method::DELETE && path.starts_with("/generators") && !query.is_empty() {
                continue;
            }
            let late = scene
                .send(method.clone(), &format!("{path}{query}"), &seen, patch)
                .await;
            assert_eq!(late.status(), 412, "{method} {path}{query}");
            let problem: Problem = late.json().await.expect("a problem");
            assert_eq!(problem.code, Code::EditedMeanwhile);
        }
        for malformed in ["1", "\"x\"", "\"1\", \"2\"", "W/\"1\""] {
            let refused = scene.send(Method::PATCH, path, malformed, patch).await;
            assert_eq!(refused.status(), 400, "{malformed}");
        }
        let anyhow = scene.send(Method::PATCH, path, "*", patch).await;
        assert_eq!(anyhow.status(), 200);
        let deleted = scene.send(Method::DELETE, path, &newer, "").await;
        assert_eq!(deleted.status(), 204, "{path}");
    }
    scene.broker.stop().await;
}

fn tag(answer: &Response) -> String {
    let tag = answer.headers().get("etag").expect("an ETag");
    tag.to_str().expect("text").to_owned()
}

impl Scene {
    async fn send(&self, method: Method, path: &str, if_match: &str, body: &str) -> Response {
        let key: &Pak = &self.admin_key;
        let url = format!("{}/api/v1{path}", self.broker.server);
        let mut request = reqwest::Client::new()
            .request(method, url)
            .bearer_auth(key.expose());
        if !if_match.is_empty() {
            request = request.header("if-match", if_match);
        }
        if !body.is_empty() {
            request = request
                .header("content-type", "application/merge-patch+json")
                .body(body.to_owned());
        }
        request.send().await.expect("an answer")
    }
}
