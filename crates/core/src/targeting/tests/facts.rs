use super::*;

#[test]
fn facts_travel_and_are_bounded() {
    assert_eq!(read::<Facts>(json!({})), Facts::default());
    assert_eq!(json!(Facts::default()), json!({}));
    let facts = json!({"kubernetes_version": "v1.33.2", "kinds": ["Pod", "apps/Deployment"]});
    assert_eq!(json!(read::<Facts>(facts.clone())), facts);

    let kinds = |count: usize| -> Value { (0..count).map(|i| json!(format!("Kind{i}"))).collect() };
    assert_eq!(
        read::<Facts>(json!({"kinds": kinds(MAX_KINDS)}))
            .kinds
            .len(),
        MAX_KINDS
    );
    for (report, why) in [
        (
            json!({"kinds": kinds(MAX_KINDS + 1)}),
            "at most 5000 kinds are taken, these are 5001",
        ),
        (
            json!({"kinds": ["x".repeat(MAX_KIND + 1)]}),
            "a kind has 1 to 320 bytes",
        ),
        (json!({"kinds": [""]}), "a kind has 1 to 320 bytes"),
        (json!({"region": "a\nb"}), "the fact `region` has"),
        (
            json!({"provider": "x".repeat(MAX_FACT + 1)}),
            "the fact `provider` has",
        ),
        (
            json!({"kubernetes_version": "\u{0}"}),
            "the fact `kubernetes.version` has",
        ),
    ] {
        let refusal = refusal::<Facts>(report);
        assert!(refusal.starts_with(why), "{refusal}");
    }
}
