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

/// Two types of one name would overwrite each other's description unseen.
#[test]
fn every_json_answer_is_described_as_an_object() {
    let document = serde_json::to_value(brokkr_broker::openapi()).expect("a document");
    let mut looked_at = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            for status in ["200", "201"] {
                let schema =
                    &operation["responses"][status]["content"]["application/json"]["schema"];
                let Some(name) = schema["$ref"].as_str() else {
                    continue;
                };
                let name = name.trim_start_matches("#/components/schemas/");
                let described = &document["components"]["schemas"][name];
                let is_object = described["type"] == "object"
                    || described["oneOf"].is_array()
                    || described["allOf"].is_array();
                assert!(is_object, "{method} {path} answers {name}: {described}");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at >= 30, "{looked_at} answers");
}

/// A header that a handler reads and the document does not have is found by nobody.
#[test]
fn what_is_edited_takes_the_headers_of_an_edit() {
    let document = serde_json::to_value(brokkr_broker::openapi()).expect("a document");
    let mut edits = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let Some(parameters) = item["patch"]["parameters"].as_array() else {
            continue;
        };
        let headers = parameters.iter().filter(|one| one["in"] == "header");
        let names: Vec<_> = headers.filter_map(|one| one["name"].as_str()).collect();
        assert!(names.contains(&"If-Match"), "{path}: {names:?}");
        assert!(
            names.contains(&"Brokkr-Plan") || path.ends_with("/settings"),
            "{path}: {names:?}"
        );
        edits += 1;
    }
    assert_eq!(edits, 4);
}
