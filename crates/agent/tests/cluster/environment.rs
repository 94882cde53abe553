//! The environment's own rules.

use brokkr_agent::Environment;
use brokkr_agent::reconcile::Ending;
use brokkr_core::wire::ObjectResult;

use crate::bed::{Bed, config_map, reason_of, results};

/// The rules of a file, as an agent reads them at its start.
fn rules(text: &str) -> Environment {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    Environment::read(file.path()).expect("rules")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn what_a_rule_refuses_changes_nothing() {
    let mut bed = Bed::new().await;
    bed.live_by(rules(
        "rules: [{name: no-b, kinds: [ConfigMap], expression: object.data.a != 'b', message: b is taken}]\nkinds: {deny: [Secret]}",
    ))
    .await;
    let fine = format!("{}{}", config_map("one", "1"), config_map("two", "1"));
    assert_eq!(bed.apply(&fine).await.ending, Ending::Done);
    let before = bed.config_maps().get("one").await.expect("one");
    // It changes one, creates three, and drops two.
    let bad = format!("{}{}", config_map("one", "2"), config_map("three", "b"));
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: four}\n";
    let attempt = bed.apply(&format!("{bad}{secret}")).await;
    assert!(matches!(attempt.ending, Ending::Failed(_)), "{attempt:?}");
    let refused = |name: &str| (name.to_owned(), ObjectResult::Invalid);
    assert_eq!(results(&attempt), [refused("three"), refused("four")]);
    assert!(reason_of(&attempt, "three").contains("rule no-b: b is taken"));
    assert!(reason_of(&attempt, "four").contains("rule kinds: the kind Secret"));
    assert_eq!(bed.names().await, ["one", "two"]);
    assert_eq!(bed.config_maps().get("one").await.expect("one"), before);
    // Another stack goes on.
    let mut neighbour = bed.neighbour();
    let attempt = neighbour.apply(&config_map("five", "1")).await;
    assert_eq!(attempt.ending, Ending::Done);
    // Rules that became stricter take nothing away.
    bed.live_by(rules("kinds: {deny: [ConfigMap]}")).await;
    let attempt = bed.apply(&fine).await;
    assert!(matches!(attempt.ending, Ending::Failed(_)), "{attempt:?}");
    assert_eq!(bed.names().await, ["five", "one", "two"]);
    bed.live_by(Environment::default()).await;
    assert_eq!(bed.apply(&bad).await.ending, Ending::Done);
    assert_eq!(bed.names().await, ["five", "one", "three"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_rule_is_about_the_namespace_that_an_object_gets() {
    let mut bed = Bed::new().await;
    bed.live_by(rules("namespaces: {allow: [nowhere]}")).await;
    let attempt = bed.apply(&config_map("one", "1")).await;
    let expected = format!(
        "the namespace {} is not allowed here, only nowhere are",
        bed.namespace
    );
    assert!(
        reason_of(&attempt, "one").contains(&expected),
        "{attempt:?}"
    );
    assert!(bed.names().await.is_empty());
}
