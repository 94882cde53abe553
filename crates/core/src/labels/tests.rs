use proptest::prelude::*;

use super::*;

fn key(text: &str) -> Key {
    text.parse().expect("a key")
}

#[test]
fn keys_have_the_form_of_kubernetes() {
    let longest_name = "x".repeat(63);
    let longest_prefix = format!("{}/x", ["a".repeat(49).as_str(); 5].join(".") + ".abc");
    for good in [
        "a",
        "A",
        "0",
        "env",
        "a-b_c.d",
        "in",
        "notin",
        "version",
        "example.com/tier",
        "x/Y",
        "node-role.kubernetes.io/control-plane",
        &longest_name,
        &longest_prefix,
    ] {
        assert_eq!(
            good.parse::<Key>().map(|key| key.to_string()),
            Ok(good.to_owned())
        );
    }
    for bad in [
        "",
        "/",
        "a/",
        "/a",
        "a/b/c",
        "-a",
        "a-",
        "_",
        ".",
        "a b",
        "a=b",
        "ä",
        "Example.com/a",
        "a_b/c",
        "a..b/c",
        "-a/b",
        "a.-b/c",
        &"x".repeat(64),
        &format!("{}/x", ["a".repeat(49).as_str(); 5].join(".") + ".abcd"),
    ] {
        assert!(
            matches!(bad.parse::<Key>(), Err(InvalidTrait::Key(_))),
            "{bad}"
        );
    }
}

#[test]
fn label_values_have_the_form_of_kubernetes() {
    for good in ["", "a", "Prod", "1.33", "a_b-c.d", &"x".repeat(63)] {
        assert!(good.parse::<LabelValue>().is_ok(), "{good}");
    }
    for bad in ["-", "a-", ".a", "a b", "a/b", "ä", &"x".repeat(64)] {
        assert!(bad.parse::<LabelValue>().is_err(), "{bad}");
    }
}

#[test]
fn annotation_values_are_texts_of_one_line() {
    for good in ["", "a b, c; \"d\" \\", "日本", &"x".repeat(4096)] {
        assert!(good.parse::<AnnotationValue>().is_ok(), "{good}");
    }
    let read = |text: &str| text.parse::<AnnotationValue>();
    assert_eq!(read("é\n"), Err(InvalidTrait::ControlCharacter(2)));
    assert_eq!(read("\0"), Err(InvalidTrait::ControlCharacter(1)));
    assert_eq!(read(&"x".repeat(4097)), Err(InvalidTrait::TooLong(4097)));
}

#[test]
fn a_pair_is_a_key_with_or_without_a_value() {
    let label = |text: &str| text.parse::<Pair<LabelValue>>();
    for text in ["prod", "env=prod", "example.com/tier=a"] {
        assert_eq!(
            label(text).map(|pair| pair.to_string()),
            Ok(text.to_owned())
        );
    }
    assert_eq!(
        label("env=").map(|pair| pair.to_string()),
        Ok("env".to_owned())
    );
    assert_eq!(
        label("env=a=b").map_err(|e| e.to_string()),
        Err("`env`: `a=b` is not a label value: use up to 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit".to_owned())
    );
    let annotation: Pair<AnnotationValue> = "note=a=b c".parse().expect("a pair");
    assert_eq!(annotation.value.as_str(), "a=b c");
    assert!(label("").is_err());
    assert!(label("=a").is_err());
}

#[test]
fn maps_travel_as_objects() {
    let text = r#"{"env":"prod","gpu":""}"#;
    let labels: Labels = serde_json::from_str(r#"{"gpu": "", "env": "prod"}"#).expect("labels");
    assert_eq!(serde_json::to_string(&labels).expect("JSON"), text);
    assert_eq!(labels.to_string(), "env=prod,gpu");
    assert_eq!(
        labels.get(&key("env")).map(LabelValue::as_str),
        Some("prod")
    );
    assert_eq!(labels.iter().len(), 2);
    assert_eq!(
        Labels::default(),
        serde_json::from_str("{}").expect("labels")
    );
}

#[test]
fn a_refusal_names_the_entry_and_the_rule() {
    let refusal = |text: &str| {
        serde_json::from_str::<Labels>(text)
            .expect_err("it is wrong")
            .to_string()
    };
    assert!(refusal(r#"{"a b": ""}"#).starts_with("`a b` is not a key: use 1 to 63"));
    assert!(refusal(r#"{"env": "a b"}"#).starts_with("`env`: `a b` is not a label value: use"));
    assert!(refusal(r#"{"env": "a", "env": "b"}"#).starts_with("`env` is there twice"));
    assert!(refusal(r#"{"env": null}"#).contains("expected a string"));
    assert!(refusal("[]").contains("expected an object with a text for each key"));
    let annotations = serde_json::from_str::<Annotations>(r#"{"note": "a\nb"}"#);
    assert!(
        annotations
            .expect_err("it is wrong")
            .to_string()
            .starts_with("`note`: an annotation value holds no control")
    );
}

#[test]
fn there_are_at_most_64() {
    let entries = |count: usize| {
        let entries: Vec<_> = (0..count).map(|i| format!(r#""k{i:02}":"v""#)).collect();
        serde_json::from_str::<Labels>(&format!("{{{}}}", entries.join(",")))
    };
    let mut labels = entries(64).expect("64 labels");
    let refusal = entries(65).expect_err("65 labels").to_string();
    assert!(refusal.starts_with("`k64` is one too many: there may be at most 64"));

    let value: LabelValue = "w".parse().expect("a value");
    assert_eq!(
        labels.insert(key("other"), value.clone()),
        Err(InvalidTrait::TooMany(key("other")))
    );
    let before = labels
        .insert(key("k00"), value.clone())
        .expect("it was there");
    assert_eq!(before.as_ref().map(LabelValue::as_str), Some("v"));
    assert!(labels.remove(&key("k01")).is_some());
    assert_eq!(labels.insert(key("other"), value), Ok(None));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*") {
        if let Ok(key) = text.parse::<Key>() {
            prop_assert_eq!(key.as_str(), &text);
        }
        let _ = text.parse::<Pair<LabelValue>>();
        let _ = text.parse::<Pair<AnnotationValue>>();
        let _ = serde_json::from_str::<Labels>(&text);
    }
}
