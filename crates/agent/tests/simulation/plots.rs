//! What happens in a history.

use std::time::Duration;

use brokkr_core::wire::OnRemove;
use tokio::time::{sleep, timeout};

use super::broker::{Mood, Target, yes};
use super::history::{Agent, Stage};
use super::world::Weather;

/// What a history is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plot {
    /// Anybody does anything, and anything may break.
    Chance,
    /// The agent dies in the middle of an update, so many points behind its publish.
    CutShort {
        points: u32,
        then: Then,
        with_fixed_fields: bool,
    },
    /// For a day, something else answers in the broker's place.
    Day(Mood),
    /// The broker says this for a while, and then nothing any more, while strangers meddle.
    Away(Mood),
    /// A removal is confirmed, and the broker is put back to before it.
    Forgotten,
}

/// What the people do when an update has ended in the middle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    GoOn,
    RollBack,
    Remove,
}

const ACTS: usize = 25;
/// An update takes less.
const UPDATE: Duration = Duration::from_mins(2);
const WHILE: Duration = Duration::from_mins(5);
const DAY: Duration = Duration::from_hours(24);

impl Stage {
    pub async fn chance(&self) -> Result<(), String> {
        {
            let mut world = self.shared.world();
            world.is_attended = world.chance(700);
        }
        let mut agents = vec![self.begin()];
        for _ in 0..ACTS {
            let pause = {
                let mut world = self.shared.world();
                world.act(&*self.shared.ambient);
                world.stop_some();
                if world.chance(30) {
                    world.note("the agent's clock is set");
                    self.shared.ambient.set_clock(&mut world.random);
                }
                if world.chance(400) {
                    world.points_to_live = Some(world.random.u32(0..120));
                }
                let longest = match world.broker.mood {
                    // It has to be told again after a while to be believed.
                    Mood::Retired => 150_000,
                    _ => [300, 2_000, 40_000][world.random.usize(0..3)],
                };
                Duration::from_millis(world.random.u64(0..longest))
            };
            self.shared.thawed.notify_waiters();
            self.shared.news.notify_waiters();
            self.roll_over(&mut agents).await;
            if timeout(pause, self.shared.died.notified()).await.is_ok() {
                agents.retain(|agent| self.shared.world().copies.is_alive(agent.life));
                let pause = Duration::from_millis(self.shared.world().random.u64(0..30_000));
                sleep(pause).await;
                if agents.is_empty() {
                    self.shared.world().free_lease();
                    agents.push(self.begin());
                }
            }
            self.is_lawful()?;
        }
        self.come_to_rest().await
    }

    /// Begins a second copy at times, and ends one of two: at once, or as a rollout does.
    async fn roll_over(&self, agents: &mut Vec<Agent>) {
        let (begins, ends, kindly, which) = {
            let mut world = self.shared.world();
            let random = [world.chance(120), world.chance(250), world.chance(500)];
            let which = world.random.usize(0..2);
            (random[0], random[1], random[2], which)
        };
        if agents.len() == 1 && begins {
            self.shared.world().copies.rivals += 1;
            agents.push(self.begin());
        } else if agents.len() == 2 && ends {
            let agent = agents.remove(which);
            {
                let mut world = self.shared.world();
                world.note(format!("copy {} of the agent is ended", agent.life));
                if kindly {
                    world.copies.thaw(agent.life);
                } else {
                    world.copies.dies(agent.life);
                }
            }
            if kindly {
                self.shared.thawed.notify_waiters();
                agent.end().await;
            }
        }
    }

    /// Whatever answers for a day, and however often the agent starts anew meanwhile, nothing goes.
    pub async fn day(&self, mood: Mood) -> Result<(), String> {
        {
            let mut world = self.shared.world();
            world.weather = Weather::default();
            world.publish_to(0, &*self.shared.ambient);
        }
        let mut agent = self.begin();
        self.come_to_rest().await?;
        self.shared.world().broker.mood = mood;
        self.shared.news.notify_waiters();
        for _ in 0..4 {
            sleep(DAY / 4).await;
            self.is_lawful()?;
            self.shared.world().copies.dies(agent.life);
            agent = self.begin();
        }
        self.come_to_rest().await?;
        drop(agent);
        Ok(())
    }

    /// Without a broker the agent goes on from its cache, however often it starts anew, and repairs what strangers do; unless
    /// it was told before that it is no more.
    pub async fn away(&self, before: Mood) -> Result<(), String> {
        {
            let mut world = self.shared.world();
            world.weather = Weather::default();
            world.publish_to(0, &*self.shared.ambient);
        }
        // The first one runs on a machine of its own.
        drop(self.begin());
        let mut agent = self.begin();
        self.come_to_rest().await?;
        for mood in [before, Mood::Unreachable] {
            self.shared.world().broker.mood = mood;
            self.shared.news.notify_waiters();
            sleep(WHILE).await;
        }
        for _ in 0..3 {
            for _ in 0..5 {
                self.shared.world().disturb();
            }
            self.shared.world().copies.dies(agent.life);
            agent = self.begin();
            sleep(WHILE).await;
            self.is_lawful()?;
        }
        self.come_to_rest().await?;
        drop(agent);
        Ok(())
    }

    /// A broker that forgets a confirmation at once asks in the same words, which the agent cannot tell from silence.
    pub async fn forgotten(&self) -> Result<(), String> {
        let stack = {
            let mut world = self.shared.world();
            world.weather = Weather::default();
            world.publish_to(0, &*self.shared.ambient)
        };
        let agent = self.begin();
        self.come_to_rest().await?;
        {
            let mut world = self.shared.world();
            world.remove(stack, OnRemove::Delete, Some(yes()));
            world.back_up();
            world.broker.mood = Mood::Forgetful;
        }
        self.shared.news.notify_waiters();
        sleep(UPDATE).await;
        if self.shared.world().broker.restored == 0 {
            return Err("the removal was not confirmed".to_owned());
        }
        self.come_to_rest().await?;
        drop(agent);
        Ok(())
    }

    /// An agent that dies anywhere goes on where it was, back, or away; what it left behind is taken up.
    pub async fn cut_short(
        &self,
        points: u32,
        then: Then,
        with_fixed_fields: bool,
    ) -> Result<(), String> {
        let stack = {
            let mut world = self.shared.world();
            world.weather = Weather::default();
            world.lease = Duration::from_secs(90);
            world.has_fixed_fields = with_fixed_fields;
            world.publish_to(0, &*self.shared.ambient)
        };
        let mut agent = self.begin();
        self.come_to_rest().await?;
        {
            let mut world = self.shared.world();
            world.publish_to(0, &*self.shared.ambient);
            world.points_to_live = Some(points);
        }
        self.shared.news.notify_waiters();
        if timeout(UPDATE, self.shared.died.notified()).await.is_ok() {
            drop(agent);
            let mut world = self.shared.world();
            match then {
                Then::GoOn => {}
                Then::RollBack => world.roll_back(stack, &*self.shared.ambient),
                Then::Remove => world.untarget(stack),
            }
            drop(world);
            agent = self.begin();
        }
        self.come_to_rest().await?;
        let is_gone = self.shared.world().broker.stacks[&stack].target == Target::Absent;
        drop(agent);
        match then {
            Then::Remove if self.shared.world().copies.deaths > 0 && !is_gone => {
                Err("the removal is open".into())
            }
            _ => Ok(()),
        }
    }
}
