use std::cmp::Ordering;

use proptest::prelude::*;

use super::super::measure::Scale;

/// Each is less than the next.
fn ascend(scale: Scale, texts: &[&str]) {
    for (i, one) in texts.iter().enumerate() {
        for (j, other) in texts.iter().enumerate() {
            assert_eq!(scale.compare(one, other), Some(i.cmp(&j)), "{one} {other}");
        }
    }
}

#[test]
fn numbers_ascend() {
    ascend(
        Scale::Number,
        &[
            "-100000000000000000000000000001",
            "-100000000000000000000000000000",
            "-10",
            "-2.5",
            "-2.05",
            "0",
            "0.0000000000000000000000000000001",
            "0.5",
            "0.51",
            "2",
            "10.1",
            "10.10000000000000000000000000000000000000000001",
            "100000000000000000000000000000",
        ],
    );
    for (one, other) in [("0", "-0.0"), ("007", "7.00"), ("-1", "-01.0")] {
        assert_eq!(Scale::Number.compare(one, other), Some(Ordering::Equal));
    }
    for bad in [
        "", "-", "+1", ".5", "5.", "1.2.3", "1e3", "0x1", "1,5", "١", " 1", "--1", "NaN",
    ] {
        assert!(!Scale::Number.reads(bad), "{bad}");
    }
}

#[test]
fn versions_ascend_as_semantic_versioning_says() {
    ascend(
        Scale::Version,
        &[
            "0",
            "0.9.99999999999999999999999999",
            "1.0.0-0",
            "1.0.0-2",
            "1.0.0-10",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "v1",
            "1.0.0.1",
            "1.0.1-eks-1234",
            "1.0.1",
            "1.9",
            "1.10.0",
            "2-rc",
            "2",
        ],
    );
    for (one, other) in [
        ("1", "v1.0.0"),
        ("1.2+a", "1.2.0+b.c"),
        ("01.02", "1.2"),
        ("1-rc.01", "1-rc.1"),
    ] {
        assert_eq!(
            Scale::Version.compare(one, other),
            Some(Ordering::Equal),
            "{one} {other}"
        );
    }
    for bad in [
        "", "v", "vv1", "V1", "1.", ".1", "1..2", "1-", "1-a..b", "1+", "1-a_b", "a", "1.x", "-1",
        "1 ",
    ] {
        assert!(!Scale::Version.reads(bad), "{bad}");
    }
}

proptest! {
    #[test]
    fn numbers_compare_as_numbers(a in -100_000_i64..100_000, b in -100_000_i64..100_000, zeros in 0_usize..3) {
        let write = |n: i64| {
            let sign = if n < 0 { "-" } else { "" };
            let n = n.abs();
            format!("{sign}{}{}.{:03}{}", "0".repeat(zeros), n / 1000, n % 1000, "0".repeat(zeros))
        };
        prop_assert_eq!(Scale::Number.compare(&write(a), &write(b)), Some(a.cmp(&b)));
    }

    #[test]
    fn versions_have_a_total_order(
        a in "v?[0-2](\\.[0-2]){0,2}(-[01a](\\.[01a]){0,2})?(\\+[01a])?",
        b in "v?[0-2](\\.[0-2]){0,2}(-[01a](\\.[01a]){0,2})?(\\+[01a])?",
        c in "v?[0-2](\\.[0-2]){0,2}(-[01a](\\.[01a]){0,2})?(\\+[01a])?",
    ) {
        let compare = |one: &str, other: &str| Scale::Version.compare(one, other).expect("versions");
        prop_assert_eq!(compare(&a, &a), Ordering::Equal);
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
            prop_assert!(compare(&a, &c).is_le());
        }
    }
}
