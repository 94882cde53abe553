use proptest::prelude::*;

use super::*;
use crate::ambient::System;

const NOBODY_ELSE: Ruling = Ruling::Hold { gone: 0, held: 0 };

fn uids(range: std::ops::Range<usize>) -> BTreeSet<String> {
    range.map(|index| format!("uid-{index}")).collect()
}

fn stacks<const N: usize>() -> [StackId; N] {
    [(); N].map(|()| StackId::generate(&System))
}

#[test]
fn more_than_five_and_more_than_a_fifth_is_held() {
    let cases = [
        (0, 0, Ruling::Pass),
        (5, 5, Ruling::Pass),
        (5, 0, Ruling::Pass),
        (6, 6, NOBODY_ELSE),
        (6, 29, NOBODY_ELSE),
        (6, 30, Ruling::Pass),
        (7, 34, NOBODY_ELSE),
        (20, 100, Ruling::Pass),
        (21, 100, NOBODY_ELSE),
        (1_001, 5_000, NOBODY_ELSE),
    ];
    for (lost, owned, expected) in cases {
        let [stack] = stacks();
        let ruling = Guard::default().judge(stack, &uids(0..lost), owned, Instant::now());
        assert_eq!(ruling, expected, "{lost} of {owned}");
    }
}

#[test]
fn what_went_counts_for_ten_minutes_whoever_lost_it() {
    let begun = Instant::now();
    let after = |seconds| begun + Duration::from_secs(seconds);
    let [first, second] = stacks();
    let mut guard = Guard::default();
    assert_eq!(guard.judge(first, &uids(0..4), 10, begun), Ruling::Pass);
    // It counts while it is under way, however long that takes.
    let held = Ruling::Hold { gone: 4, held: 0 };
    assert_eq!(guard.judge(second, &uids(4..8), 10, after(5_000)), held);
    guard.end(uids(0..4), after(6_000));
    assert_eq!(guard.judge(second, &uids(4..8), 10, after(6_599)), held);
    assert_eq!(
        guard.judge(second, &uids(4..8), 10, after(6_600)),
        Ruling::Pass
    );
}

#[test]
fn what_passed_is_tried_again_and_counts_once() {
    let now = Instant::now();
    let [first, second] = stacks();
    let mut guard = Guard::default();
    assert_eq!(guard.judge(first, &uids(0..20), 100, now), Ruling::Pass);
    guard.end(uids(0..20), now);
    // By now fewer are owned, and what passed passes still; nothing new does.
    assert_eq!(guard.judge(first, &uids(10..20), 90, now), Ruling::Pass);
    let held = Ruling::Hold { gone: 10, held: 0 };
    assert_eq!(guard.judge(first, &uids(10..21), 90, now), held);
    let held = Ruling::Hold { gone: 20, held: 0 };
    assert_eq!(guard.judge(second, &uids(30..31), 90, now), held);
}

#[test]
fn what_is_held_does_not_count_and_holds_up_nobody() {
    let now = Instant::now();
    let [large, small] = stacks();
    let mut guard = Guard::default();
    for _ in 0..3 {
        assert_eq!(guard.judge(large, &uids(0..30), 40, now), NOBODY_ELSE);
    }
    assert_eq!(guard.judge(small, &uids(30..33), 40, now), Ruling::Pass);
}

#[test]
fn what_is_held_does_not_get_through_bit_by_bit() {
    let begun = Instant::now();
    let later = begun + 2 * LOSS_WINDOW;
    let [first, second, third] = stacks();
    let mut guard = Guard::default();
    assert_eq!(guard.judge(first, &uids(0..4), 20, begun), Ruling::Pass);
    guard.end(uids(0..4), begun);
    for stack in [second, third] {
        let from = if stack == second { 4 } else { 8 };
        let ruling = guard.judge(stack, &uids(from..from + 4), 20, begun);
        assert_eq!(ruling, Ruling::Hold { gone: 4, held: 0 });
    }
    let held = Ruling::Hold { gone: 0, held: 4 };
    assert_eq!(guard.judge(second, &uids(4..8), 16, later), held);
    assert_eq!(guard.judge(third, &uids(8..12), 16, later), held);
    // Somebody decided about the second, or it needs no decision any more.
    assert_eq!(
        guard.judge(second, &BTreeSet::new(), 16, later),
        Ruling::Pass
    );
    assert_eq!(guard.judge(third, &uids(8..12), 16, later), Ruling::Pass);
}

proptest! {
    /// However losses come, no ten minutes see more of them go than the guard lets pass.
    #[test]
    fn no_ten_minutes_lose_more_than_may_go(
        owned in 0..60_usize,
        losses in proptest::collection::vec((0..4_usize, 0..60_usize, 1..14_usize, 0..400_u64, 0..400_u64), 0..40),
    ) {
        let stacks: [StackId; 4] = stacks();
        let mut guard = Guard::default();
        let mut now = Instant::now();
        let mut gone: Vec<(Instant, String)> = Vec::new();
        for (stack, from, count, pause, takes) in losses {
            now += Duration::from_secs(pause);
            let is_left = |uid: &String| gone.iter().all(|(_, other)| other != uid);
            let lost: BTreeSet<_> = uids(from..from + count).into_iter().filter(is_left).collect();
            if guard.judge(stacks[stack], &lost, owned, now) == Ruling::Pass {
                now += Duration::from_secs(takes);
                gone.extend(lost.iter().map(|uid| (now, uid.clone())));
                guard.end(lost, now);
            }
            let recent = gone.iter().filter(|(at, _)| now.duration_since(*at) < LOSS_WINDOW);
            prop_assert!(recent.count() <= most(owned));
        }
    }
}
