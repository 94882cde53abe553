use crate::harness::*;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

/// Writes the document anew with `BROKKR_UPDATE=1 cargo test -p brokkr-broker openapi`.
#[test]
fn the_committed_document_is_the_served_one() {
    let mut served = serde_json::to_string_pretty(&brokkr_broker::openapi()).expect("a document");
    served.push('\n');
    if std::env::var_os("BROKKR_UPDATE").is_some() {
        std::fs::write(COMMITTED, &served).expect("docs can be written");
    }
    let committed = std::fs::read_to_string(COMMITTED).expect("docs/openapi.json");
    assert!(
        committed == served,
        "docs/openapi.json is old: run `BROKKR_UPDATE=1 cargo test -p brokkr-broker openapi`"
    );
}

/// Without a key every operation answers 401, whatever its parameters.
#[tokio::test]
async fn nothing_is_answered_without_a_key() {
    let database = Database::create(Engine::Sqlite).await;
    let broker = database.start().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    let document = serde_json::to_value(brokkr_broker::openapi()).expect("a document");
    let paths = document["paths"].as_object().expect("paths");
    let mut operations = 0;
    for (path, item) in paths {
        for method in item.as_object().expect("operations").keys() {
            let Ok(method) = method.to_uppercase().parse::<reqwest::Method>() else {
                continue;
            };
            let url = format!("{}{}", broker.server, path.replace(['{', '}'], ""));
            let answer = http
                .request(method.clone(), &url)
                .send()
                .await
                .expect("an answer");
            assert_eq!(answer.status(), 401, "{method} {path}");
            assert_eq!(
                answer.headers()["content-type"],
                "application/problem+json",
                "{method} {path}"
            );
            operations += 1;
        }
    }
    assert!(operations >= 28, "{operations} operations");
    broker.stop().await;
}
