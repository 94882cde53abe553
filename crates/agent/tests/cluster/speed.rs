use std::time::{Duration, Instant};

use brokkr_agent::reconcile::Ending;

use crate::bed::{Bed, config_map};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: make test"]
async fn a_thousand_objects_go_out_fast() {
    let mut bed = Bed::new().await;
    let text: String = (0..1_000)
        .map(|i| config_map(&format!("c{i}"), "1"))
        .collect();
    let entry = bed.entry(&text);
    let begun = Instant::now();
    let attempt = bed.apply_entry(&entry, &text).await;
    let new = begun.elapsed();
    assert_eq!(attempt.ending, Ending::Done, "{:?}", attempt.ending);
    let begun = Instant::now();
    let attempt = bed.apply_entry(&entry, &text).await;
    let unchanged = begun.elapsed();
    assert!(!attempt.has_changed());
    println!("1,000 new objects: {new:?}; the same again: {unchanged:?}");
    // A wide margin: the figures of the design are measured by `make bench`.
    assert!(new < Duration::from_secs(20), "{new:?}");
    assert!(unchanged < Duration::from_secs(2), "{unchanged:?}");
}
