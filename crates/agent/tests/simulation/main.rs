//! The agent in a simulated world: the real one, whole, with a cluster, a broker and a clock of memory. A seed
//! decides who does what, what breaks and where the agent dies; the laws are looked at in every step.

mod api;
mod broker;
mod copies;
mod history;
mod laws;
mod lines;
mod object;
mod past;
mod patience;
mod people;
mod plots;
mod records;
mod rest;
mod stillness;
mod world;

use brokkr_client::{Client, PlainHttp};
use brokkr_core::ambient::System;
use brokkr_core::pak::{Pak, Role};

use broker::Mood;
use history::play;
use plots::{Plot, Then};

/// So many broken histories say enough.
const ENOUGH: usize = 3;

/// `BROKKR_SEED` plays one history, `BROKKR_SEEDS` so many.
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    match number("BROKKR_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("BROKKR_SEEDS").unwrap_or(500),
    }
}

fn client() -> Client {
    let pak = Pak::generate(Role::Agent, &System);
    Client::new("http://127.0.0.1:1", pak, PlainHttp::LoopbackOnly).expect("a client")
}

#[test]
fn no_history_breaks_a_law() {
    let client = &client();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let all: Vec<Telling> = std::thread::scope(|scope| {
        let tellers: Vec<_> = (0..threads)
            .map(|nth| scope.spawn(move || Telling::of(seeds().skip(nth).step_by(threads), client)))
            .collect();
        tellers
            .into_iter()
            .map(|teller| teller.join().expect("a telling"))
            .collect()
    });
    let sum = |of: fn(&Telling) -> u64| all.iter().map(of).sum::<u64>();
    let (writes, deletions, deaths) = (sum(|t| t.writes), sum(|t| t.deletions), sum(|t| t.deaths));
    let (rivals, stops) = (sum(|t| t.rivals), sum(|t| t.stops));
    let (adoptions, holds) = (sum(|t| t.adoptions), sum(|t| t.holds));
    let (farewells, recalls) = (sum(|t| t.farewells), sum(|t| t.recalls));
    let waits = sum(|t| t.waits);
    println!(
        "{writes} writes, {deletions} deletions, {adoptions} adoptions, {deaths} deaths, {holds} losses held, {rivals} second copies, {stops} copies stopped for a while, {farewells} farewells, {recalls} writes on the word of a cache, {waits} waits for a busy broker"
    );
    let broken: Vec<_> = all.iter().flat_map(|telling| &telling.broken).collect();
    let laws: Vec<_> = broken
        .iter()
        .filter_map(|story| story.lines().next())
        .collect();
    assert!(broken.is_empty(), "{}\n\n{}", broken[0], laws.join("\n"));
    // Histories in which next to nothing happens prove nothing.
    let played = seeds().end - seeds().start;
    let is_eventful = writes > 5 * played
        && deletions > played
        && deaths > played
        && 20 * adoptions > played
        && 10 * holds > played
        && rivals > played / 2
        && stops > played / 2
        && 100 * farewells > played
        && 50 * recalls > played
        && 5 * waits > played;
    assert!(played < 100 || is_eventful, "too little happened");
}

/// What came of many histories.
#[derive(Default)]
struct Telling {
    writes: u64,
    deletions: u64,
    adoptions: u64,
    deaths: u64,
    holds: u64,
    rivals: u64,
    stops: u64,
    farewells: u64,
    recalls: u64,
    waits: u64,
    broken: Vec<String>,
}

impl Telling {
    fn of(seeds: impl Iterator<Item = u64>, client: &Client) -> Self {
        let mut telling = Self::default();
        for seed in seeds {
            match play(seed, client, Plot::Chance) {
                Ok(tale) => {
                    telling.writes += tale.writes;
                    telling.deletions += tale.deletions;
                    telling.adoptions += tale.adoptions;
                    telling.deaths += tale.deaths;
                    telling.holds += tale.holds;
                    telling.rivals += tale.rivals;
                    telling.stops += tale.stops;
                    telling.farewells += tale.farewells;
                    telling.recalls += tale.recalls;
                    telling.waits += tale.waits;
                }
                Err(story) => telling.broken.push(story),
            }
            if telling.broken.len() == ENOUGH {
                break;
            }
        }
        telling
    }
}

#[test]
fn a_seed_is_one_history() {
    let client = client();
    for seed in 0..20 {
        let [first, second] =
            [(); 2].map(|()| play(seed, &client, Plot::Chance).expect("a lawful history"));
        let differs = first.log.iter().zip(&second.log).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
    }
}

/// Another database, which wants all to go; the right one with nothing in it; refusals; pages.
#[test]
fn a_day_without_the_right_answer_deletes_nothing() {
    let client = client();
    for mood in [
        Mood::Foreign,
        Mood::Short,
        Mood::Refuses(401),
        Mood::Refuses(404),
        Mood::Page,
        Mood::Cut,
    ] {
        let tale = play(1, &client, Plot::Day(mood)).unwrap_or_else(|story| panic!("{story}"));
        assert!(tale.writes > 0, "{mood:?}: nothing was there");
        assert_eq!(tale.deletions, 0, "{mood:?}");
    }
}

#[test]
fn an_agent_without_a_broker_goes_on_from_its_cache() {
    let client = client();
    let tell = |seed, before| {
        play(seed, &client, Plot::Away(before)).unwrap_or_else(|story| panic!("{story}"))
    };
    let repaired = (0..10).filter(|seed| tell(*seed, Mood::Well).recalls > 0);
    let repaired = repaired.count();
    assert!(repaired > 5, "only {repaired} of 10 repaired anything");
    for seed in 0..10 {
        assert_eq!(tell(seed, Mood::Retired).recalls, 0, "seed {seed}");
    }
}

/// The database that heard of it is replaced by one that did not, before anybody knows.
#[test]
fn a_confirmation_that_is_forgotten_is_given_again() {
    let client = client();
    for seed in 0..20 {
        let tale = play(seed, &client, Plot::Forgotten).unwrap_or_else(|story| panic!("{story}"));
        assert!(tale.deletions > 0, "seed {seed}: nothing was removed");
    }
}

/// Some updates, each cut short at every point that it has.
#[test]
fn an_update_may_be_cut_short_anywhere() {
    let client = client();
    let mut deaths = 0;
    // Most updates of fixed fields are refused before anything is written.
    for (seed, with_fixed_fields) in [(0, true), (0, false), (1, false)] {
        for then in [Then::GoOn, Then::RollBack, Then::Remove] {
            for points in 0.. {
                let plot = Plot::CutShort {
                    points,
                    then,
                    with_fixed_fields,
                };
                let tale = play(seed, &client, plot).unwrap_or_else(|story| panic!("{story}"));
                if tale.deaths == 0 {
                    break;
                }
                deaths += 1;
            }
        }
    }
    println!("{deaths} deaths");
    assert!(deaths >= 40 * 9, "too few points: {deaths}");
}
