//! What is an expression, and what a refusal says.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// Each is refused at this column with this beginning.
fn are_refused<S: expression::Subject + PartialEq + std::fmt::Debug>(
    table: &[(&str, usize, &str)],
) {
    for (text, column, why) in table {
        let error = text.parse::<Expression<S>>().expect_err(text).to_string();
        assert!(
            error.starts_with(&format!("column {column}: {why}")),
            "{text}: {error}"
        );
    }
}

#[test]
fn a_selector_is_refused_with_a_column() {
    const LABEL: &str = "expected `=`, `!=`, `in`, `notin`, `,` or the end";
    are_refused::<Labels>(&[
        ("env=prod,", 10, "expected a key, found the end"),
        (",env", 1, "expected a key, found `,`"),
        ("env prod", 5, LABEL),
        ("env=a b", 7, "expected `,` or the end, found `b`"),
        ("env===a", 6, "expected `,` or the end, found `=`"),
        ("env>5", 4, LABEL),
        ("zone startswith eu", 6, LABEL),
        ("kinds has Pod", 7, LABEL),
        ("env in a", 8, "expected `(`, found `a`"),
        ("env in ()", 9, "expected a value, found `)`"),
        ("env in (a", 10, "expected `,` or `)`, found the end"),
        ("env in (a b)", 11, "expected `,` or `)`, found `b`"),
        ("!", 2, "expected a key, found the end"),
        ("!!env", 2, "expected a key, found `!`"),
        ("!env=a", 5, "expected `,` or the end, found `=`"),
        ("é=a", 1, "`é` is not a key"),
        ("a=é", 3, "`é` is not a label value"),
        ("a=b,c=-d", 7, "`-d` is not a label value"),
        ("a=\"b\"", 3, "expected `,` or the end, found `\"`"),
        (
            "version(a)>1",
            1,
            "expected a key that may be compared, found `version`",
        ),
        ("a=\u{7}", 3, "expected `,` or the end, found `\\u{7}`"),
        ("a;b", 2, LABEL),
    ]);
}

#[test]
fn conditions_are_refused_with_a_column() {
    are_refused::<Annotations>(&[
        ("a=\"b", 5, "expected `\"` after the value, found the end"),
        (
            "a=\"b\\n\"",
            6,
            "expected `\\` or `\"` after `\\`, found `n`",
        ),
        ("é=\"\n\"", 1, "`é` is not a key"),
        (
            "a=\"é\n\"",
            5,
            "expected no control characters in a value, found `\\n`",
        ),
        ("a=\"b\"c", 6, "expected `,` or the end, found `c`"),
        (
            "a>=x",
            4,
            "expected a number such as `64` or `0.5`, found `x`",
        ),
        ("a>", 3, "expected a number"),
        (
            "version(a)>=x.1",
            13,
            "expected a version such as `1.33` or `v2.0.0-rc.1`, found `x.1`",
        ),
        (
            "version(a)",
            11,
            "expected `=`, `!=`, `<`, `<=`, `>` or `>=`, found the end",
        ),
        (
            "version(a) in (1)",
            12,
            "expected `=`, `!=`, `<`, `<=`, `>` or `>=`, found `in`",
        ),
        ("version(a>1", 10, "expected `)`, found `>`"),
        ("version()>1", 9, "expected a key, found `)`"),
        ("!version(a)", 9, "expected `,` or the end, found `(`"),
        ("a startswith", 13, "expected a prefix, found the end"),
        ("a has b", 3, "expected `=`, `!=`, `in`, `notin`, `<`"),
        ("a b", 3, "expected `=`, `!=`, `in`, `notin`, `<`"),
    ]);
}

#[test]
fn fact_conditions_are_refused_with_a_column() {
    are_refused::<Facts>(&[
        (
            "nodes>5",
            1,
            "`nodes` is not a fact: agents report `kubernetes.version`, `provider`, `region` and `kinds`",
        ),
        ("kinds", 6, "expected `has`, found the end"),
        ("!kinds", 2, "expected a key that is no set, found `kinds`"),
        ("kinds=Pod", 6, "expected `has`, found `=`"),
        ("kinds has ", 11, "expected a kind such as"),
        (
            "kinds has cert-manager.io/v1/Certificate",
            11,
            "expected a kind such as",
        ),
        ("version(kinds)>1", 1, "expected a key that may be compared"),
        (
            "kubernetes.version in (1)",
            20,
            "expected `=`, `!=`, `<`, `<=`, `>`, `>=`, `,` or the end",
        ),
        ("kubernetes.version>=", 21, "expected a version"),
    ]);
}

#[test]
fn nothing_is_no_expression() {
    for blank in ["", "  \n"] {
        assert!(matches!(
            blank.parse::<Selector>(),
            Err(InvalidExpression::Empty(_))
        ));
    }
}

#[test]
fn expressions_have_one_form() {
    for (written, canonical) in [
        ("tier in (b,a,b),env==prod", "env=prod,tier in (a,b)"),
        ("env in (a)", "env=a"),
        ("env notin (a)", "env!=a"),
        ("env in (,)", "env="),
        ("env in (b,)", "env in (,b)"),
        ("!a , ! b,!a", "!a,!b"),
        ("b,a", "a,b"),
    ] {
        let selector: Selector = written.parse().expect(written);
        assert_eq!(selector.to_string(), canonical);
    }
    for (written, canonical) in [
        (r#"b="x",a="x y""#, r#"a="x y",b=x"#),
        (r#"a = "\"\\" "#, r#"a="\"\\""#),
        (r"a=x\y", r"a=x\y"),
        (r#"a="x\\y""#, r"a=x\y"),
        ("a=\"x;y\"", "a=\"x;y\""),
        ("version ( a ) == 1.2, a > 1", "a>1,version(a)=1.2"),
        ("a startswith \"b c\"", "a startswith \"b c\""),
    ] {
        let conditions: Conditions = written.parse().expect(written);
        assert_eq!(conditions.to_string(), canonical);
    }
    let facts: FactConditions = "version(kubernetes.version) >= v1.33 , kinds has  Pod"
        .parse()
        .expect("conditions");
    assert_eq!(facts.to_string(), "kubernetes.version>=v1.33,kinds has Pod");
}

#[test]
fn limits_hold() {
    let many = |count: usize, term: &dyn Fn(usize) -> String| {
        (0..count).map(term).collect::<Vec<_>>().join(",")
    };
    let terms = |count| many(count, &|i| format!("k{i}"));
    assert!(terms(64).parse::<Selector>().is_ok());
    assert_eq!(
        terms(65).parse::<Selector>(),
        Err(InvalidExpression::TooManyRequirements {
            column: terms(64).len() + 2
        })
    );
    let values = |count| format!("k in ({})", many(count, &|i| format!("v{i}")));
    assert!(values(256).parse::<Selector>().is_ok());
    assert_eq!(
        values(257).parse::<Selector>(),
        Err(InvalidExpression::TooManyValues {
            column: values(256).len() + 1
        })
    );
    let long = |bytes: usize| format!("k=\"{}\"", "x".repeat(bytes - 4));
    assert!(long(4096).parse::<Conditions>().is_ok());
    assert_eq!(
        long(4097).parse::<Conditions>(),
        Err(InvalidExpression::TooLong)
    );
    // The one form is one byte longer than this, and would not be readable again.
    let tight = format!("k in(a,{})", "x".repeat(MAX_TEXT - 8));
    assert_eq!(tight.len(), MAX_TEXT);
    assert_eq!(tight.parse::<Conditions>(), Err(InvalidExpression::TooLong));
}

#[test]
fn what_is_too_much_is_refused_at_once() {
    let mut terms = String::new();
    for i in 0..10_000 {
        write!(terms, "key{i} in (a,b,c),").expect("memory");
    }
    let worst = [
        terms,
        "(".repeat(4096),
        "\"".repeat(4096),
        format!("a=\"{}", "\\\\".repeat(2040)),
        format!("a in ({}", ",".repeat(4000)),
        "!".repeat(4096),
        " ".repeat(4096),
        format!("version(a)>={}x", "1.".repeat(2000)),
    ];
    let start = Instant::now();
    for _ in 0..100 {
        for text in &worst {
            assert!(text.parse::<Selector>().is_err());
            assert!(text.parse::<Conditions>().is_err());
            assert!(text.parse::<FactConditions>().is_err());
        }
    }
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

/// A value as somebody would write it who quotes everything.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

fn term() -> impl Strategy<Value = String> {
    let key = || "[a-c]|x\\.io/[a-c]|in|version";
    let value = || "\\PC{0,6}".prop_map(|value| quoted(&value));
    let sign = || prop::sample::select(vec!["=", "==", "!=", "<", "<=", ">", ">="]);
    prop_oneof![
        (key(), prop::sample::select(vec!["=", "==", "!="]), value())
            .prop_map(|(k, s, v)| format!("{k}{s}{v}")),
        (
            key(),
            prop::sample::select(vec!["in", "notin"]),
            prop::collection::vec(value(), 1..4)
        )
            .prop_map(|(k, s, v)| format!("{k} {s} ({})", v.join(" , "))),
        key().prop_map(|k| format!("! {k}")),
        key().prop_map(|k: String| k),
        (key(), sign(), "-?[0-9]{1,3}(\\.[0-9]{1,2})?").prop_map(|(k, s, v)| {
            let s = if s.contains('<') || s.contains('>') {
                s
            } else {
                ">"
            };
            format!("{k} {s} {v}")
        }),
        (key(), sign(), "v?[0-9](\\.[0-9]){0,3}(-rc\\.[0-9])?")
            .prop_map(|(k, s, v)| format!("version({k}){s}{v}")),
        (key(), "\\PC{1,6}").prop_map(|(k, v)| format!("{k} startswith {}", quoted(&v))),
    ]
}

fn column(error: &InvalidExpression) -> Option<usize> {
    match *error {
        InvalidExpression::Empty(_) | InvalidExpression::TooLong => None,
        InvalidExpression::Unexpected { column, .. }
        | InvalidExpression::Refused { column, .. }
        | InvalidExpression::TooManyRequirements { column }
        | InvalidExpression::TooManyValues { column } => Some(column),
    }
}

fn is_read_or_refused_with_a_column<S: expression::Subject + PartialEq + std::fmt::Debug>(
    text: &str,
) -> Result<(), TestCaseError> {
    match text.parse::<Expression<S>>() {
        Ok(expression) => {
            let again = expression.to_string().parse();
            prop_assert_eq!(again, Ok(expression));
        }
        Err(error) => match column(&error) {
            Some(column) => prop_assert!((1..=text.chars().count() + 1).contains(&column)),
            None => prop_assert!(text.trim().is_empty() || text.len() > 3000, "{}", text),
        },
    }
    Ok(())
}

proptest! {
    #[test]
    fn garbage_is_refused_with_a_column(text in "\\PC*|[a-c!=<>(),;\"\\\\ \\t\\n1.-]{0,40}|(version\\(|in|notin|startswith|has|kinds|provider|[ab,()=!<>\" ]){0,12}") {
        is_read_or_refused_with_a_column::<Labels>(&text)?;
        is_read_or_refused_with_a_column::<Annotations>(&text)?;
        is_read_or_refused_with_a_column::<Facts>(&text)?;
    }

    #[test]
    fn what_is_written_is_read_back(terms in prop::collection::vec(term(), 1..6)) {
        let text = terms.join(" , ");
        let expression: Conditions = text.parse().expect(&text);
        let canonical = expression.to_string();
        prop_assert_eq!(canonical.parse::<Conditions>(), Ok(expression.clone()));
        let reversed: Conditions = terms.into_iter().rev().collect::<Vec<_>>().join(",").parse().expect("the same terms");
        prop_assert_eq!(reversed.to_string(), canonical);
        prop_assert_eq!(serde_json::from_value::<Conditions>(json!(expression)).ok(), Some(expression));
    }
}
