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

/// What is written is what arrives: nothing becomes another type than `kubectl` makes of it, and what has two
/// readings, or none, is refused with its place.
#[test]
fn a_value_has_one_type() {
    let read = |value: &str| parse(&format!("{CONFIG_MAP}spec: {{v: {value}}}\n"), None);
    for (written, expected) in [
        ("y", "true"),
        ("n", "false"),
        ("Yes", "true"),
        ("OFF", "false"),
        ("'y'", "\"y\""),
        ("\"on\"", "\"on\""),
        ("0o17", "15"),
        ("017", "15"),
        ("'017'", "\"017\""),
        ("0x1F", "31"),
        ("1_000", "1000"),
        ("12:30:45", "\"12:30:45\""),
        ("2026-01-01", "\"2026-01-01\""),
        ("1.33.2", "\"1.33.2\""),
        ("9223372036854775807", "9223372036854775807"),
        ("18446744073709551615", "18446744073709551615"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("~", "null"),
        ("'~'", "\"~\""),
        ("!!str 5", "\"5\""),
        ("!!str null", "\"null\""),
        ("!!int '5'", "5"),
        ("\"a\\0b\"", "\"a\\u0000b\""),
    ] {
        let manifests = read(written).expect(written);
        let value = manifests[0].object["spec"]["v"].to_string();
        assert_eq!(value, expected, "{written}");
    }
    for refused in [
        "1e400",
        "-1e400",
        ".inf",
        "-.Inf",
        ".nan",
        "!include /etc/passwd",
        "!!python/object:os.system {}",
        "!!set {a, b}",
        "!mine 1",
        "*nowhere",
        "\"\\ud800\"",
    ] {
        let error = read(refused).expect_err(refused);
        assert_eq!(error.line, Some(4), "{refused}: {error}");
        assert!(error.column.is_some(), "{refused}: {error}");
    }
}

#[test]
fn a_key_stands_once_however_it_is_written() {
    let read = |entries: &str| parse(&format!("{CONFIG_MAP}spec:\n{entries}"), None);
    let texts = read("  1: a\n  1.5: b\n  yes: c\n  017: d\n").expect("keys");
    assert_eq!(
        serde_json::Value::Object(texts[0].object.clone())["spec"].to_string(),
        r#"{"1":"a","1.5":"b","yes":"c","017":"d"}"#
    );
    for twice in [
        "  a: 1\n  a: 2\n",
        "  a: 1\n  'a': 2\n",
        "  1: a\n  '1': b\n",
        "  true: a\n  'true': b\n",
        "  true: a\n  \"true\": b\n",
        "  ? a\n  : 1\n  a: 2\n",
    ] {
        let error = read(twice).expect_err(twice);
        assert!(error.line >= Some(5), "{twice}: {error}");
        assert!(error.column.is_some(), "{twice}: {error}");
    }
    for no_text in ["  ~: a\n", "  ? [a, b]\n  : c\n", "  ? {a: b}\n  : c\n"] {
        assert!(read(no_text).is_err(), "{no_text}");
    }
}

#[test]
fn merge_keys_fill_what_is_not_written() {
    let text = format!(
        "{CONFIG_MAP}base: &base {{p: 1, q: 2}}\nmore: &more {{q: 5, r: 6}}\nspec:\n  <<: [*base, *more]\n  p: 3\n"
    );
    let manifests = parse(&text, None).expect("a snapshot");
    let spec = &manifests[0].object["spec"];
    assert_eq!(*spec, serde_json::json!({"p": 3, "q": 2, "r": 6}));
    let text = format!("{CONFIG_MAP}spec: {{'<<': {{p: 1}}}}\n");
    let manifests = parse(&text, None).expect("a snapshot");
    assert_eq!(
        manifests[0].object["spec"]["<<"]["p"], 1,
        "in quotes it is a key"
    );
    for refused in ["  <<: 5\n", "  <<: [1]\n", "  <<: *nowhere\n"] {
        assert!(parse(&format!("{CONFIG_MAP}spec:\n{refused}"), None).is_err());
    }
}

/// Byte order marks, line ends, tabs, other encodings, documents that hold nothing.
#[test]
fn what_surrounds_the_objects_does_not_matter_or_is_refused() {
    for same in [
        format!("\u{feff}{CONFIG_MAP}"),
        CONFIG_MAP.replace('\n', "\r\n"),
        format!("---\nnull\n---\n~\n---\n# a\n---\n{CONFIG_MAP}---\n---\n"),
        format!("%YAML 1.1\n---\n{CONFIG_MAP}...\n"),
    ] {
        let manifests = parse(&same, None).expect(&same);
        assert_eq!(
            manifests,
            parse(CONFIG_MAP, None).expect("a snapshot"),
            "{same:?}"
        );
    }
    let utf_16: String = CONFIG_MAP.chars().flat_map(|c| [c, '\0']).collect();
    for refused in [
        utf_16,
        format!("{CONFIG_MAP}---\n\u{feff}{CONFIG_MAP}"),
        CONFIG_MAP.replace("{name: a}", "\n\tname: a"),
        format!("{CONFIG_MAP}data: {{a: \"x\u{0}\"}}\n"),
        format!("{CONFIG_MAP}data: {{a: \"x\u{1b}[2J\"}}\n"),
        "null\n".to_owned(),
        "--- ~\n--- null\n---\n".to_owned(),
    ] {
        assert!(parse(&refused, None).is_err(), "{refused:?}");
    }
}

/// A refusal is for reading: what it repeats of the text is short, and its place is there.
#[test]
fn a_refusal_is_short_however_long_the_text() {
    let long = "x".repeat(100_000);
    for (text, pointer) in [
        (CONFIG_MAP.replace("v1", &long), "/apiVersion"),
        (
            CONFIG_MAP.replace("v1", &format!("{long}/v1")),
            "/apiVersion",
        ),
        (CONFIG_MAP.replace("ConfigMap", &long), "/kind"),
        (
            CONFIG_MAP.replace("name: a", &format!("name: {long}")),
            "/metadata/name",
        ),
        (
            CONFIG_MAP.replace("name: a", &format!("name: a, namespace: {long}")),
            "/metadata/namespace",
        ),
    ] {
        let error = refusal(&text);
        assert_eq!(error.pointer.as_deref(), Some(pointer));
        assert!(error.reason.len() < 300, "{}", error.reason.len());
    }
    let label = CONFIG_MAP.replace("name: a", &format!("name: a, labels: {{{long}: 1}}"));
    assert!(refusal(&label).to_string().len() < 300);
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
        "---\n".repeat(1_000_000),
        "--- ~\n".repeat(1_000_000),
        format!("{CONFIG_MAP}spec: {}", "- ".repeat(10_000)),
        format!("{CONFIG_MAP}spec:\n  {}x\n", "? ".repeat(10_000)),
        format!("{CONFIG_MAP}spec: [&a 1{}]\n", ", *a".repeat(3_000)),
        format!("{CONFIG_MAP}spec: [{}]\n", "&a 1, ".repeat(3_000)),
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

/// Counts the keys of each document.
#[derive(Default)]
struct Counted(Vec<usize>);

impl Extend<(u64, Value)> for Counted {
    fn extend<D: IntoIterator<Item = (u64, Value)>>(&mut self, documents: D) {
        self.0.extend(
            documents
                .into_iter()
                .map(|(_, document)| keys_of(&document)),
        );
    }
}

fn keys_of(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(keys_of).sum(),
        Value::Object(fields) => fields.values().map(|value| 1 + keys_of(value)).sum(),
        _ => 0,
    }
}

#[test]
fn what_a_text_costs_is_what_its_worst_document_costs() {
    let small = "a: 1\n";
    let large = format!("b:\n{}", "- a: 1\n".repeat(1_000));
    let alone = Cost::of(&large);
    assert!(alone.bytes > 10 * Cost::of(small).bytes);
    let together = Cost::of(&format!("{small}---\n{large}\n--- # more\n{small}"));
    assert!(
        together.bytes.abs_diff(alone.bytes) < 1_000,
        "{together:?}, {alone:?}"
    );
    assert!(together.document.abs_diff(alone.document) < 10);
    // No document ends here.
    let whole = Cost::of(&format!("a: |\n ---\n{}", " ---x\n".repeat(1_000)));
    assert!(whole.document > 6_000, "{whole:?}");
}

/// What makes or spoils an object, in pieces.
const PIECES: &str = "(a: (b|null|\\{1: a, '1': b\\}|\\{c: \\{c: 1, c: 2\\}\\}|[1, [\\{d: .inf\\}]])\n|---\n|kind: (A|List|AList)\n|apiVersion: v1\n|\
    metadata: \\{name: (a|b|c)(, (uid: x|creationTimestamp: (null|\\{\\})|labels: (null|\\{a: 1\\}|\\{a: b\\})))?\\}\n|status: (\\{\\}|\\{a: 1\\}|[\\{a: \\{b: ''\\}\\}]|[1])\n|\
    items: (x|\\{\\}|\\[\\]|\\[\\{apiVersion: v1, kind: (A|List), metadata: \\{name: d\\}, items: \\[1\\]\\}\\])\n){0,9}";

proptest! {
    #[test]
    fn a_text_costs_no_more_than_it_seems(text in "([ab&*:{}\\[\\],'\"|? \n-]|: |- |, |\\{a, b\\}|\\? a\n|\n){0,9}") {
        if let Ok(Counted(counts)) = yaml::read::<_, true>(&text) {
            let cost = Cost::of(&text);
            let signs = (cost.bytes - cost.document) / 384 - MAX_DEPTH;
            let bare = text.matches('}').count();
            prop_assert!(signs + bare >= counts.iter().sum::<usize>(), "{signs} signs");
        }
    }

    #[test]
    fn keys_are_those_of_the_objects(text in PIECES) {
        let parsed = parse(&text, Some("n"));
        let parsed = parsed.map(|manifests| manifests.iter().map(|manifest| manifest.key(Some("n"))).collect());
        prop_assert_eq!(keys(&text, Some("n")), parsed);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = parse(&text, None);
    }

    #[test]
    fn yaml_like_text_does_not_panic(text in "([a-z&*!:{}\\[\\],'\"|>#% \n-]){0,120}") {
        let _ = parse(&text, None);
    }
}
