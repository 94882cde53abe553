use proptest::prelude::*;

use super::*;

fn refusal(text: &str) -> ManifestError {
    parse(text, None).expect_err(text)
}

const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

#[test]
fn reads_objects_with_their_identity() {
    let text = "---\n# nothing\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: shop\n  creationTimestamp: null\nstatus: {}\n---\n";
    let manifests = parse(text, Some("other")).expect("a snapshot");
    let [web] = manifests.as_slice() else {
        panic!("{manifests:?}")
    };
    assert_eq!((web.group(), web.version()), ("apps", "v1"));
    assert_eq!(
        web.key(Some("other")).to_string(),
        "Deployment.apps shop/web"
    );
    assert!(!web.object.contains_key("status"));
}

#[test]
fn flattens_lists() {
    let text = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: Secret, metadata: {{name: b}}}}\n---\n{CONFIG_MAP}"
    );
    let kinds: Vec<_> = parse(&text, None)
        .expect("a snapshot")
        .into_iter()
        .map(|m| m.kind)
        .collect();
    assert_eq!(kinds, ["Secret", "ConfigMap"]);
}

#[test]
fn reads_numbers_and_booleans_as_kubectl_does() {
    let text = "apiVersion: v1\nkind: X\nmetadata: {name: a}\nspec: {mode: 0644, on: true, text: '0644', big: 9007199254740993, f: 1.5}\n";
    let manifests = parse(text, None).expect("a snapshot");
    assert_eq!(
        serde_json::to_string(&manifests[0].object["spec"]).expect("JSON"),
        r#"{"mode":420,"on":true,"text":"0644","big":9007199254740993,"f":1.5}"#
    );
}

#[test]
fn says_what_is_wrong_and_where() {
    let with =
        |extra: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n{extra}\n");
    let cases = [
        ("", "", "no object"),
        ("---\n---\n", "", "no object"),
        ("- a\n", "", "mapping"),
        ("just text", "", "mapping"),
        (
            "kind: ConfigMap\nmetadata: {name: a}\n",
            "/apiVersion",
            "missing",
        ),
        ("apiVersion: v1\nmetadata: {name: a}\n", "/kind", "missing"),
        ("apiVersion: v1\nkind: ConfigMap\n", "/metadata", "missing"),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n",
            "/metadata/name",
            "missing",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 5}\n",
            "/metadata/name",
            "quotes",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ../a}\n",
            "/metadata/name",
            "not a name",
        ),
        (
            "apiVersion: a/b/c\nkind: ConfigMap\nmetadata: {name: a}\n",
            "/apiVersion",
            "API version",
        ),
        (
            "apiVersion: v1\nkind: ConfigMapList\nitems: []\n",
            "/kind",
            "cannot be applied",
        ),
        (
            &with("  generateName: b-"),
            "/metadata/generateName",
            "write a name",
        ),
        (&with("  uid: b"), "/metadata/uid", "cluster's to set"),
        (
            &with("  resourceVersion: '5'"),
            "/metadata/resourceVersion",
            "cluster's to set",
        ),
        (
            &with("  managedFields: []"),
            "/metadata/managedFields",
            "cluster's to set",
        ),
        (
            &with("  namespace: A"),
            "/metadata/namespace",
            "namespace is",
        ),
        (
            &with("  labels: {a/b: true}"),
            "/metadata/labels/a~1b",
            "quotes",
        ),
        (
            &with("status: {phase: Running}"),
            "/status",
            "cluster's to set",
        ),
    ];
    for (text, pointer, reason) in cases {
        let error = refusal(text);
        assert_eq!(
            error.pointer.as_deref().unwrap_or_default(),
            pointer,
            "{text}"
        );
        assert!(error.reason.contains(reason), "{text}: {error}");
    }
}

#[test]
fn names_the_line_and_column_of_bad_yaml() {
    let error = refusal("apiVersion: v1\nkind: [\nmetadata: {name: a}\n");
    assert!(error.line.is_some() && error.column.is_some(), "{error:?}");
    let duplicate = refusal("apiVersion: v1\nkind: ConfigMap\nkind: Secret\nmetadata: {name: a}\n");
    assert_eq!(duplicate.line, Some(3), "{duplicate}");
}

#[test]
fn refuses_the_same_object_twice() {
    let text = format!(
        "{CONFIG_MAP}---\n{}",
        CONFIG_MAP.replace("name: a", "name: a, namespace: shop")
    );
    assert!(parse(&text, None).is_ok());
    let error = parse(&text, Some("shop")).expect_err("the default namespace makes them one");
    assert_eq!((error.document, error.line), (Some(2), Some(5)), "{error}");
}

#[test]
fn bounds_what_a_text_may_cost() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
        d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
        g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    for text in [
        bomb.to_owned(),
        "a: &a [*a]\n".to_owned(),
        "[".repeat(10_000),
        format!("a: {}1{}", "[".repeat(200), "]".repeat(200)),
        "a:\n ".repeat(300),
        "x".repeat(MAX_BYTES + 1),
        "---\na\n".repeat(30_000),
        format!("{CONFIG_MAP}data: !!python/object:os.system {{}}\n"),
        format!("{CONFIG_MAP}data: {{a: .nan}}\n"),
    ] {
        let start = text.chars().take(60).collect::<String>();
        assert!(parse(&text, None).is_err(), "{start}");
    }
    let mut many = String::new();
    for n in 0..=MAX_OBJECTS {
        many.push_str("---\n");
        many.push_str(&CONFIG_MAP.replace("name: a", &format!("name: a{n}")));
    }
    assert!(refusal(&many).reason.contains("5000 objects"));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = parse(&text, None);
    }

    #[test]
    fn yaml_like_text_does_not_panic(text in "([a-z&*!:{}\\[\\],'\"|>#% \n-]){0,120}") {
        let _ = parse(&text, None);
    }
}
