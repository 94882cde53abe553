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
