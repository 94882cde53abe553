use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use brokkr_core::ambient::System;
use futures::future::join_all;
use tokio::time::sleep;

use super::*;

/// How soon a server answers that is well.
const SOON: Duration = Duration::from_millis(10);
const HANGS: Duration = Duration::from_secs(30);

fn stack() -> Asker {
    Asker::Stack(StackId::generate(&System))
}

/// Asks so many things, as many at a time as a stack may; each is answered after this time.
async fn ask(turns: &Turns, asker: Asker, count: usize, answered_after: Duration) {
    for chunk in (0..count).collect::<Vec<_>>().chunks(turns.share) {
        join_all(chunk.iter().map(async |_| {
            let turn = turns.take(asker).await;
            turn.wait_for(sleep(answered_after)).await;
            turn.answered();
        }))
        .await;
    }
}

/// How long a stack takes for so many things.
async fn time(turns: &Turns, count: usize) -> Duration {
    let begun = Instant::now();
    ask(turns, stack(), count, SOON).await;
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn no_more_are_under_way_than_may_be_and_one_stack_does_not_take_all() {
    for most in [1, 2, 5, 32] {
        let turns = Turns::new(most);
        let (now, highest) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let one = async |asker| {
            let turn = turns.take(asker).await;
            let under_way = now.fetch_add(1, Ordering::Relaxed) + 1;
            highest.fetch_max(under_way, Ordering::Relaxed);
            turn.wait_for(sleep(SOON)).await;
            now.fetch_sub(1, Ordering::Relaxed);
            turn.answered();
        };
        let alone = stack();
        join_all((0..200).map(|_| one(alone))).await;
        assert_eq!(highest.load(Ordering::Relaxed), turns.share);
        let many: Vec<_> = (0..200).map(|_| stack()).collect();
        join_all(many.into_iter().map(one)).await;
        assert_eq!(highest.load(Ordering::Relaxed), most);
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_the_fewest_is_next() {
    let turns = Turns::new(8);
    let [large, small] = [stack(), stack()];
    ask(&turns, large, 100, SOON).await;
    let crowd = ask(&turns, large, 1_000, SOON);
    let others = async {
        sleep(SOON / 2).await;
        let begun = Instant::now();
        ask(&turns, small, 6, SOON).await;
        begun.elapsed()
    };
    let ((), waited) = tokio::join!(crowd, others);
    // The first of its requests needs no answer of the large one's.
    assert!(waited <= SOON * 5, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn stacks_that_hang_delay_no_other() {
    let alone = time(&Turns::new(32), 1_000).await;
    // What hangs keeps one turn each; the others have the rest.
    for (hanging, slower) in [(1, 2), (2, 2), (5, 2), (20, 6)] {
        let turns = Arc::new(Turns::new(32));
        for _ in 0..hanging {
            let turns = turns.clone();
            tokio::spawn(async move { ask(&turns, stack(), 1_000, HANGS).await });
        }
        sleep(SOON).await;
        for _ in 0..3 {
            let beside = time(&turns, 1_000).await;
            assert!(
                beside < alone * slower,
                "{hanging} hang: {beside:?}, not {alone:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn stacks_that_were_well_and_hang_now_leave_others_their_turn() {
    let turns = Arc::new(Turns::new(32));
    for _ in 0..5 {
        let turns = turns.clone();
        tokio::spawn(async move {
            let stack = stack();
            ask(&turns, stack, 1_000, SOON).await;
            ask(&turns, stack, 1_000, HANGS).await;
        });
    }
    sleep(Duration::from_secs(4)).await;
    let taken = turns.state().taken;
    assert!((turns.share..32).contains(&taken), "{taken} hang");
    let mut limits = turns
        .state()
        .parties
        .values()
        .map(|party| party.limit.size())
        .collect::<Vec<_>>();
    limits.dedup();
    assert_eq!(limits, [1]);
    // One at a time, until the first of what hangs is given up.
    let (few, many) = (time(&turns, 100).await, time(&turns, 1_000).await);
    assert!(few < Duration::from_secs(2), "{few:?}");
    sleep(HANGS).await;
    let later = time(&turns, 1_000).await;
    assert!(later * 5 < many, "{later:?}, and {many:?} before");
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_be_left_alone_holds_for_all() {
    let turns = Turns::new(32);
    let begun = Instant::now();
    let turn = turns.take(stack()).await;
    turn.refused(Some(Duration::from_secs(3)));
    drop(turn);
    let times = join_all((0..20).map(async |_| {
        let _turn = turns.take(stack()).await;
        begun.elapsed()
    }));
    let (times, ()) = tokio::join!(times, turns.pace());
    assert!(times.iter().all(|at| *at >= Duration::from_secs(3)));
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert_eq!(turns.state().limit.size(), 16);
    // What only one of those could not that the server asks is no reason for others to wait.
    turns.take(stack()).await.failed();
    assert_eq!(turns.state().limit.size(), 16);
    turns.rest(Some(Duration::from_hours(1)));
    turns.pace().await;
    assert!(begun.elapsed() < Duration::from_secs(4) + LONGEST_REST);
}

#[tokio::test(start_paused = true)]
async fn the_rate_holds_for_all_together() {
    let turns = Turns::new(32);
    turns.set_rate(100);
    let begun = Instant::now();
    let askers: Vec<_> = (0..10).map(|_| stack()).collect();
    join_all(askers.iter().map(|asker| ask(&turns, *asker, 50, SOON))).await;
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(4_800), "{took:?}");
    assert!(took < Duration::from_millis(5_200), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_any_more_takes_no_turn_along() {
    let turns = Turns::new(2);
    let [a, b] = [stack(), stack()];
    let (first, second) = (turns.take(a).await, turns.take(b).await);
    for _ in 0..10 {
        let waited = timeout(SOON, turns.take(a)).await;
        assert!(waited.is_err(), "both turns are taken");
    }
    // Called, and gone before it could come.
    let waiting = turns.line_up(b);
    drop(first);
    drop(waiting);
    drop(second);
    let state = turns.state();
    assert_eq!(state.taken, 0);
    assert!(state.parties.values().all(Party::is_at_rest));
    drop(state);
    turns.forget(a);
    assert_eq!(turns.state().parties.len(), 1);
}
