//! All that is not the agent: a cluster, a broker, the lines to them, and chance.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_agent::Cache;
use brokkr_core::ambient::Ambient;
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::api::{Api, namespace};
use super::broker::Broker;
use super::copies::Copies;
use super::laws::Witness;
use super::object::{Fields, Maker};

/// A world that the lines, the driver and the clock share.
#[derive(Clone)]
pub struct Shared {
    world: Arc<Mutex<World>>,
    pub ambient: Arc<SimulatedAmbient>,
    /// The agent has just died.
    pub died: Arc<Notify>,
    /// The broker has something new.
    pub news: Arc<Notify>,
    /// A copy that was stopped goes on.
    pub thawed: Arc<Notify>,
}

pub struct World {
    pub random: Rng,
    pub api: Api,
    pub broker: Broker,
    pub weather: Weather,
    pub witness: Witness,
    /// The copies of the agent; requests of those that are dead go nowhere.
    pub copies: Copies,
    /// The disks of the machines on which copies run.
    pub disks: [Cache; 2],
    /// How long the agent's lease lasts.
    pub lease: Duration,
    /// After so many more points at which it might, the agent dies.
    pub points_to_live: Option<u32>,
    /// Whether anybody decides about what is held.
    pub is_attended: bool,
    /// Whether objects have fields that cannot be changed, for which a server may refuse a whole update.
    pub has_fixed_fields: bool,
    begun: Instant,
    pub log: Vec<String>,
}

/// How often, in a thousand requests, something is wrong.
#[derive(Clone, Copy, Default, Debug)]
pub struct Weather {
    /// The line breaks before the request or behind it.
    pub lost: u32,
    /// The server says 429, 500 or 503.
    pub busy: u32,
    /// It takes many seconds.
    pub slow: u32,
    /// A list has nothing in it.
    pub blind: u32,
    /// A stranger does something just before.
    pub crowd: u32,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Arrives,
    /// It never arrives.
    Lost,
    /// It has its effect, and the answer never arrives.
    Unheard,
    Refused(u16),
    Blind,
}

/// Time and randomness of a simulation.
pub struct SimulatedAmbient {
    begun: Instant,
    clock: Mutex<Clock>,
    random: Mutex<Rng>,
}

/// The clock on the agent's wall.
#[derive(Clone, Copy)]
enum Clock {
    /// It runs, and is so far from the truth.
    Runs(SignedDuration),
    Stands(Timestamp),
}

const YEAR: SignedDuration = SignedDuration::from_hours(24 * 365);

impl Ambient for SimulatedAmbient {
    fn now(&self) -> Timestamp {
        match *self.clock.lock().unwrap_or_else(PoisonError::into_inner) {
            Clock::Runs(wrong) => self.truth() + wrong,
            Clock::Stands(at) => at,
        }
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.random
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill(bytes);
    }
}

impl SimulatedAmbient {
    fn truth(&self) -> Timestamp {
        let since = SignedDuration::try_from(self.begun.elapsed()).unwrap_or_default();
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000) + since
    }

    /// Sets the clock right, or up to ten years wrong, or stops it.
    pub fn set_clock(&self, random: &mut Rng) {
        let clock = match random.u32(0..4) {
            0 => Clock::Runs(SignedDuration::ZERO),
            1 => Clock::Stands(self.now()),
            _ => Clock::Runs(YEAR * random.i32(-10..=10)),
        };
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = clock;
    }
}

impl Shared {
    pub fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let begun = Instant::now();
        let ambient = Arc::new(SimulatedAmbient {
            begun,
            clock: Mutex::new(Clock::Runs(SignedDuration::ZERO)),
            random: Mutex::new(random.fork()),
        });
        let mut api = Api::default();
        for name in ["default", "kube-system"] {
            api.make(
                namespace(name),
                Fields::new(),
                "kubernetes",
                Maker::Stranger,
            );
        }
        let world = World {
            api,
            broker: Broker::new(&*ambient),
            weather: Weather::any(&mut random),
            witness: Witness::default(),
            copies: Copies::default(),
            disks: [Cache::in_memory(), Cache::in_memory()],
            lease: Duration::from_secs([9, 30, 90][random.usize(0..3)]),
            points_to_live: None,
            is_attended: true,
            has_fixed_fields: true,
            begun,
            log: Vec::new(),
            random,
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            ambient,
            died: Arc::default(),
            news: Arc::default(),
            thawed: Arc::default(),
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A point at which the agent may die; the dead go no further, and those that are stopped not now.
    pub async fn point(&self, life: u64) {
        let is_dead = {
            let mut world = self.world();
            let dies_now = world.copies.is_alive(life)
                && match &mut world.points_to_live {
                    Some(0) => true,
                    Some(points) => {
                        *points -= 1;
                        false
                    }
                    None => false,
                };
            if dies_now {
                world.note("the agent dies");
                world.copies.dies(life);
                world.points_to_live = None;
                self.died.notify_one();
            }
            !world.copies.is_alive(life)
        };
        if is_dead {
            std::future::pending::<()>().await;
        }
        loop {
            let thawed = self.thawed.notified();
            if !self.world().copies.is_cut_off(life) {
                return;
            }
            thawed.await;
        }
    }
}

impl World {
    pub fn note(&mut self, what: impl std::fmt::Display) {
        let line = format!("{:>9.3} {what}", self.begun.elapsed().as_secs_f64());
        self.log.push(line);
    }

    /// How old the world is.
    pub fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    pub fn chance(&mut self, in_a_thousand: u32) -> bool {
        self.random.u32(0..1_000) < in_a_thousand
    }

    pub fn fate(&mut self) -> Fate {
        let Weather {
            lost, busy, blind, ..
        } = self.weather;
        if self.chance(lost) {
            return if self.random.bool() {
                Fate::Lost
            } else {
                Fate::Unheard
            };
        }
        if self.chance(busy) {
            let status = [429, 500, 503][self.random.usize(0..3)];
            return Fate::Refused(status);
        }
        if self.chance(blind) {
            return Fate::Blind;
        }
        Fate::Arrives
    }

    /// How long a line takes.
    pub fn delay(&mut self) -> Duration {
        let slow = self.weather.slow;
        if self.chance(slow) {
            return Duration::from_millis(self.random.u64(1_000..90_000));
        }
        Duration::from_millis(self.random.u64(1..15))
    }
}

impl Weather {
    fn any(random: &mut Rng) -> Self {
        let mut one_of = |rates: [u32; 3]| rates[random.usize(0..3)];
        Self {
            lost: one_of([0, 5, 50]),
            busy: one_of([0, 20, 200]),
            slow: one_of([0, 2, 20]),
            blind: one_of([0, 30, 200]),
            crowd: one_of([0, 2, 20]),
        }
    }
}
