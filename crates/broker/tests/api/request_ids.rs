use std::collections::HashSet;

use crate::harness::*;

const HEADER: &str = "brokkr-request-id";
const CLAIMED: &str = "an-id-of-the-caller";

/// Good answers have it in the header, refusals in the body too; it is the broker's own, and each is another.
#[tokio::test]
async fn every_answer_names_its_request() {
    let database = Database::create(Engine::Sqlite).await;
    let broker = database.start().await;
    let admin = database.admin_key();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    let mut seen = HashSet::new();
    for (method, path, key, status) in [
        ("GET", "/healthz", "", 200),
        ("GET", "/api/v1/me", admin.expose(), 200),
        ("GET", "/api/v1/me", "", 401),
        ("GET", "/api/v1/agent/target-state", admin.expose(), 403),
        ("GET", "/api/v1/stacks/none", admin.expose(), 404),
        ("GET", "/nowhere", admin.expose(), 404),
        ("PUT", "/api/v1/stacks", admin.expose(), 405),
        ("POST", "/api/v1/stacks", admin.expose(), 415),
    ] {
        let answer = http
            .request(
                method.parse().expect("a method"),
                format!("{}{path}", broker.server),
            )
            .header(HEADER, CLAIMED)
            .header("x-request-id", CLAIMED)
            .bearer_auth(key)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), status, "{method} {path}");
        let id = answer.headers()[HEADER].to_str().expect("text").to_owned();
        assert_ne!(id, CLAIMED, "{method} {path}");
        if status >= 400 {
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            let problem: serde_json::Value = answer.json().await.expect("a problem");
            assert_eq!(problem["request_id"], id.as_str(), "{method} {path}");
            assert_eq!(problem["status"], status, "{method} {path}");
        }
        assert!(seen.insert(id), "{method} {path}: an id was given twice");
    }
    broker.stop().await;
}
