use serde_json::json;

use super::*;

fn object() -> serde_json::Map<String, serde_json::Value> {
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"a/b": "c"}},
        "spec": {"replicas": 3, "share": 0.5, "template": {"spec": {"containers": [
            {"name": "web", "image": "registry.example/web:1"},
            {"name": "side", "image": "registry.example/side"},
        ]}}},
    });
    object.as_object().cloned().unwrap_or_default()
}

fn asked(source: &str) -> Result<bool, String> {
    let object = object();
    let expression =
        Expression::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    expression.holds(&Facts::of("checkout", &object))
}

#[test]
fn conditions_are_true_or_not() {
    for (source, expected) in [
        ("object.spec.replicas <= 3", true),
        ("object.spec.replicas + 1 > 4", false),
        ("object.spec.share < 1.0", true),
        ("object.metadata.labels['a/b'] == 'c'", true),
        ("!has(object.spec.paused) || !object.spec.paused", true),
        (
            "object.spec.template.spec.containers.all(c, c.image.startsWith('registry.example/'))",
            true,
        ),
        (
            "object.spec.template.spec.containers.exists(c, c.image.matches(':[0-9]+$'))",
            true,
        ),
        (
            "object.spec.template.spec.containers.all(c, c.image.contains(':'))",
            false,
        ),
        (
            "object.spec.template.spec.containers.map(c, c.name).size() == 2",
            true,
        ),
        (
            "size(object.spec.template.spec.containers.filter(c, c.name == 'web')) == 1",
            true,
        ),
        (
            "object.metadata.namespace == 'shop' && stack == 'checkout'",
            true,
        ),
        ("stack in ['basket', 'search']", false),
        (
            "object.kind == 'Job' ? object.spec.parallelism < 2 : true",
            true,
        ),
        ("object.?spec.?paused.orValue(false)", false),
        ("object.metadata.labels.all(key, key.contains('/'))", true),
    ] {
        assert_eq!(asked(source), Ok(expected), "{source}");
    }
}

#[test]
fn what_fails_says_why_and_quotes_no_value() {
    for (source, expected) in [
        ("object.spec.nope > 1", "no field `nope`"),
        (
            "object.spec.template.spec.containers.all(c, c.nope == 1)",
            "no field `nope`",
        ),
        ("object.spec.replicas", "neither true nor false"),
        ("object.metadata.name + 1 == 'x'", "types"),
        ("object.metadata.name > 1", ""),
        ("object.metadata.name.matches('(')", "`matches`"),
        (
            "object.spec.template.spec.containers[7].name == 'x'",
            "no entry",
        ),
        ("int(object.metadata.name) == 1", ""),
        ("object.spec.replicas / 0 == 1", ""),
    ] {
        let said = asked(source).expect_err(source);
        assert!(said.contains(expected), "{source}: {said}");
        assert!(
            !said.contains("web") && !said.contains('3'),
            "{source}: {said}"
        );
    }
}

#[test]
fn a_computed_key_is_not_told() {
    let object = json!({"data": {"x": "hunter2"}});
    let facts = Facts::of("checkout", object.as_object().expect("a map"));
    let expression = Expression::compile("object.data[object.data.x] == 'a'").expect("a condition");
    let said = expression.holds(&facts).expect_err("no such key");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn what_makes_no_sense_is_refused_before_there_is_an_object() {
    let nested = |open: &str, close: &str, depth| {
        format!("{}true{}", open.repeat(depth), close.repeat(depth))
    };
    for (source, expected) in [
        ("object.spec +".to_owned(), "line 1, column 14"),
        (
            "objects.spec.replicas > 1".to_owned(),
            "nothing is called `objects`",
        ),
        (
            "object.a.all(c, d == 1)".to_owned(),
            "nothing is called `d`",
        ),
        (
            "object.a.all(c, true) && c == 1".to_owned(),
            "nothing is called `c`",
        ),
        ("sizes(object) > 1".to_owned(), "no function `sizes`"),
        (
            "object.name.lowerCase() == 'a'".to_owned(),
            "no function `lowerCase`",
        ),
        ("Pod{name: 'a'} == object".to_owned(), "no type `Pod`"),
        (String::new(), "cannot be read"),
        ("true &&".to_owned(), "cannot be read"),
        (format!("'{}' == 'a'", "x".repeat(2_000)), "bytes"),
        (nested("(", ")", 25), "nested"),
        (nested("!(", ")", 500), "nested"),
        (nested("true ? true : ", "", 25), "nested"),
        (
            "object.a.all(a, a.all(b, b.all(c, c.all(d, d == 1))))".to_owned(),
            "loops",
        ),
    ] {
        let said = Expression::compile(&source).expect_err(&source);
        assert!(said.contains(expected), "{source}: {said}");
    }
    for (open, close) in [("(", ")"), ("!(", ")"), ("true ? true : ", ""), ("!!", "")] {
        assert!(asked(&nested(open, close, 24)).is_ok(), "{open}");
    }
    for long in [
        "true && ".repeat(240),
        "!".repeat(1_990),
        "1 + ".repeat(400) + "1 == ",
    ] {
        let source = if long.ends_with("== ") {
            long + "401"
        } else {
            long + "true"
        };
        assert_eq!(asked(&source), Ok(true), "{source}");
    }
}

#[test]
fn long_lists_in_nested_loops_are_not_begun() {
    let object = json!({"l": vec![0; 1_001]});
    let object = object.as_object().expect("a map");
    let facts = Facts::of("checkout", object);
    let asked = |source: &str| Expression::compile(source).expect(source).holds(&facts);
    assert_eq!(asked("object.l.all(a, a == 0)"), Ok(true));
    let said = asked("object.l.all(a, object.l.all(b, b == 0))").expect_err("too much");
    assert!(said.contains("1001 entries"), "{said}");
}
