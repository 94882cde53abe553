//! The console's place: public files, under a policy that lets nothing else in.

use reqwest::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_FRAME_OPTIONS};

use crate::harness::*;

#[tokio::test]
async fn the_page_lies_at_every_address_that_is_nobody_elses() {
    let Scene { broker, .. } = Scene::set(Engine::Sqlite).await;
    let get = async |path: &str| {
        reqwest::get(format!("{}{path}", broker.server))
            .await
            .expect("an answer")
    };
    for path in ["/", "/stacks", "/agents/edge"] {
        let answer = get(path).await;
        // Built without it, the broker says how to get it.
        let is_there = answer.status() == 200;
        let header = |name| answer.headers()[name].to_str().expect("text").to_owned();
        assert_eq!(header(CONTENT_TYPE), "text/html; charset=utf-8");
        assert_eq!(header(X_FRAME_OPTIONS), "DENY");
        let policy = header(CONTENT_SECURITY_POLICY);
        assert!(
            policy.contains("default-src 'none'")
                && policy.contains("frame-ancestors 'none'")
                && !policy.contains("unsafe"),
            "{policy}"
        );
        let text = answer.text().await.expect("a page");
        assert!(text.contains("<title>Brokkr</title>"), "{text}");
        assert!(is_there != text.contains("make console"), "{text}");
    }
    for path in [
        "/api/v1/nothing",
        "/api/",
        "/favicon.ico",
        "/assets/../index.html.map",
        "/index.html.gz/x.y",
    ] {
        let answer = get(path).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(
            answer.headers()[CONTENT_TYPE],
            "application/problem+json",
            "{path}"
        );
    }
    let post = reqwest::Client::new()
        .post(format!("{}/", broker.server))
        .send()
        .await;
    assert_eq!(post.expect("an answer").status(), 404);
    broker.stop().await;
}
