use super::*;

fn manifest(annotation: &str) -> Map<String, Value> {
    let manifest = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "labels": {"a/b": "c"},
            "annotations": {IGNORE_ANNOTATION: annotation, "x": "y"},
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"containers": [{"name": "web", "image": "1"}]}},
        },
    });
    manifest.as_object().cloned().unwrap_or_default()
}

fn ignored(annotation: &str) -> Ignored {
    let ignored =
        Ignored::of(&manifest(annotation)).unwrap_or_else(|error| panic!("{annotation}: {error}"));
    ignored.unwrap_or_else(|| panic!("{annotation}: nothing"))
}

/// What would be sent of the manifest, for an object that is so.
fn sent(annotation: &str, live: &Value) -> Value {
    let ignored = ignored(annotation);
    let mut body = manifest(annotation);
    ignored.cession().leave_out(&mut body);
    ignored.keep(live, &mut body);
    body.into()
}

fn live(spec: &Value, ours: Value, theirs: Value) -> Value {
    let manager = |name: &str, operation: &str, fields| json!({"manager": name, "operation": operation, "apiVersion": "apps/v1", "fieldsV1": {"f:spec": fields}});
    let managers = [
        manager("somebody", "Update", theirs),
        manager(FIELD_MANAGER, "Update", json!({"f:replicas": {}})),
        manager(FIELD_MANAGER, "Apply", ours),
    ];
    json!({
        "apiVersion": "apps/v1",
        "metadata": {"managedFields": managers},
        "spec": spec,
    })
}

#[test]
fn what_is_ours_is_sent_as_it_is_and_what_is_not_is_left_out() {
    let ours = live(
        &json!({"replicas": 7}),
        json!({"f:replicas": {}}),
        json!({"f:paused": {}}),
    );
    assert_eq!(sent("/spec/replicas", &ours)["spec"]["replicas"], 7);
    let theirs = live(
        &json!({"replicas": 7}),
        json!({"f:paused": {}}),
        json!({"f:replicas": {}}),
    );
    assert_eq!(
        sent("/spec/replicas", &theirs)["spec"].get("replicas"),
        None
    );
    let gone = live(
        &json!({}),
        json!({"f:replicas": {}}),
        json!({"f:paused": {}}),
    );
    assert_eq!(sent("/spec/replicas", &gone)["spec"].get("replicas"), None);
    // Nothing of it was ever ours: it is being taken over.
    let foreign = json!({"apiVersion": "apps/v1", "metadata": {}, "spec": {"replicas": 7}});
    assert_eq!(
        sent("/spec/replicas", &foreign)["spec"].get("replicas"),
        None
    );
    // The rest is as the manifest has it.
    assert_eq!(
        sent("/spec/replicas", &ours)["spec"]["template"],
        manifest("")["spec"]["template"]
    );
}

#[test]
fn of_maps_and_lists_is_sent_what_is_ours() {
    let containers = json!([
        {"name": "proxy", "image": "9"},
        {"name": "web", "image": "5", "tty": true},
    ]);
    let object = live(
        &json!({"template": {"spec": {"containers": containers, "nodeSelector": {"a": "1", "b": "2"}, "x": {}}}}),
        json!({"f:template": {"f:spec": {
            "f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}}},
            "f:nodeSelector": {"f:a": {}},
            "f:x": {".": {}},
        }}}),
        json!({"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"proxy\"}": {}}, "f:nodeSelector": {"f:b": {}}}}}),
    );
    let expected = json!({
        "containers": [{"image": "5", "name": "web"}], "nodeSelector": {"a": "1"}, "x": {},
    });
    let annotation =
        "/spec/template/spec/containers, /spec/template/spec/nodeSelector\n/spec/template/spec/x";
    assert_eq!(
        sent(annotation, &object)["spec"]["template"]["spec"],
        expected
    );
    assert_eq!(
        sent("/spec/template", &object)["spec"]["template"]["spec"],
        expected
    );
    let set = live(
        &json!({"list": ["a", "b"]}),
        json!({"f:list": {"v:\"b\"": {}}}),
        json!({"f:paused": {}}),
    );
    assert_eq!(sent("/spec/list", &set)["spec"]["list"], json!(["b"]));
}

#[test]
fn what_lies_in_something_whole_stays_in_it() {
    for (ours, theirs) in [
        (json!({"f:selector": {}}), json!({"f:paused": {}})),
        (json!({"f:paused": {}}), json!({"f:selector": {}})),
    ] {
        let object = live(
            &json!({"selector": {"matchLabels": {"app": "other", "b": "c"}}}),
            ours,
            theirs,
        );
        let sent = sent("/spec/selector/matchLabels/app", &object);
        assert_eq!(
            sent["spec"]["selector"],
            json!({"matchLabels": {"app": "other"}})
        );
    }
}

#[test]
fn what_was_ours_in_another_version_is_sent_whole() {
    let mut object = live(
        &json!({"replicas": 7}),
        json!({"f:count": {}}),
        json!({"f:paused": {}}),
    );
    object["metadata"]["managedFields"][2]["apiVersion"] = "apps/v1beta1".into();
    assert_eq!(sent("/spec/replicas", &object)["spec"]["replicas"], 7);
}

#[test]
fn the_fields_are_those_of_an_api_server() {
    for (annotation, fields) in [
        ("/spec/replicas", json!({"f:spec": {"f:replicas": {}}})),
        (
            " /spec/a ,\n\n/spec/b,",
            json!({"f:spec": {"f:a": {}, "f:b": {}}}),
        ),
        ("/spec/a/b,/spec/a", json!({"f:spec": {"f:a": {}}})),
        ("/spec/a,/spec/a/b", json!({"f:spec": {"f:a": {}}})),
        (
            "/metadata/labels/a~1b",
            json!({"f:metadata": {"f:labels": {"f:a/b": {}}}}),
        ),
        ("/data/a~01", json!({"f:data": {"f:a~1": {}}})),
        ("/spec", json!({"f:spec": {}})),
        (
            "/spec/template/spec/containers",
            json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {}}}}}),
        ),
    ] {
        assert_eq!(ignored(annotation).cession().fields, fields, "{annotation}");
    }
    assert_eq!(Ignored::of(&Map::new()), Ok(None));
}

#[test]
fn what_cannot_be_ignored_is_refused() {
    let many = "/data/a,".repeat(101);
    for (annotation, expected) in [
        ("", "names no field"),
        (" ,\n", "names no field"),
        ("spec/replicas", "is no JSON pointer"),
        ("$.spec", "is no JSON pointer"),
        ("/", "has an empty part"),
        ("/spec//a", "has an empty part"),
        ("/spec/", "has an empty part"),
        ("/a~2", "a lone `~`"),
        ("/a~", "a lone `~`"),
        ("/kind", "says what the object is"),
        ("/apiVersion", "says what the object is"),
        ("/metadata", "cannot be ignored"),
        ("/metadata/name", "cannot be ignored"),
        ("/metadata/labels", "cannot be ignored"),
        ("/metadata/annotations", "cannot be ignored"),
        ("/metadata/labels/brokkr.io~1stack", "whose the object is"),
        (
            "/metadata/annotations/brokkr.io~1ignore-fields",
            "this annotation itself",
        ),
        (
            "/spec/replicas,/spec/template/spec/containers/0/image",
            "leads into a list",
        ),
        (many.as_str(), "more than 100"),
    ] {
        let refused = Ignored::of(&manifest(annotation)).expect_err(annotation);
        assert!(refused.contains(expected), "{annotation}: {refused}");
    }
}

proptest::proptest! {
    #[test]
    fn no_annotation_breaks_the_reader(text in "[/~01a-z,\n ]{0,40}") {
        let _ = Ignored::of(&manifest(&text));
    }
}
