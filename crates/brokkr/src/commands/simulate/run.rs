use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use brokkr_client::Client;
use brokkr_core::Digest;
use brokkr_core::ambient::{Ambient as _, System};
use brokkr_core::id::StackId;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::agent::{Agent, Habits, World};
use super::fleet::{Fleet, Member, Shape};
use super::ledger::Ledger;
use super::publisher::{Publisher, Timetable};
use super::report::{Measured, Report};
use super::tally::Tally;
use crate::open_files;
use crate::terminal::say;

/// One simulation.
pub struct Run {
    pub shape: Shape,
    pub habits: Habits,
    /// A second, all stacks together.
    pub publishes: f64,
    /// Bytes of a publish.
    pub size: usize,
    pub warm_up: Duration,
    pub duration: Duration,
}

/// Beside an agent's poll there may be its reports, and there are the publishers.
const OTHER_FILES: usize = 256;
/// How long agents have to get what they should have.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl Run {
    /// Registers, lets agents live and publishers publish, and says what it saw.
    pub async fn measure(&self, client: &Client, fleet: &mut Fleet) -> anyhow::Result<Report> {
        self.check_open_files()?;
        let Shape { agents, stacks, .. } = self.shape;
        say(&format!(
            "Registering {agents} agent(s) and {stacks} stack(s) …"
        ));
        let members = fleet.register(client, self.shape, &run_number()).await?;
        let world = Arc::new(World {
            habits: self.habits,
            ledger: Ledger::default(),
            tally: Tally::default(),
            ambient: Box::new(System),
            work: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        let _stop = world.stopping.clone().drop_guard();
        let outcome = self.observe(client, fleet, members, &world).await;
        world.stopping.cancel();
        world.work.close();
        world.work.wait().await;
        outcome
    }

    /// Each agent has a connection of its own.
    fn check_open_files(&self) -> anyhow::Result<()> {
        let (most, needed) = (open_files::raise(), self.shape.agents + OTHER_FILES);
        anyhow::ensure!(
            needed <= most,
            "{} agents need {needed} open files, and this process may have {most}: raise its limit (ulimit -n), or take fewer agents",
            self.shape.agents
        );
        if needed + self.shape.agents > most {
            say(&format!(
                "This process may have {most} open files: if all agents report at once there are too few of them (ulimit -n)."
            ));
        }
        Ok(())
    }

    async fn observe(
        &self,
        client: &Client,
        fleet: &Fleet,
        members: Vec<Member>,
        world: &Arc<World>,
    ) -> anyhow::Result<Report> {
        let publishers = self.publishers(client, fleet, world)?;
        let mut heads = Vec::new();
        for publisher in &publishers {
            heads.push(publisher.begin().await?);
        }
        let begun = Instant::now();
        for member in members {
            let reporting = client.with_key(member.key);
            let polling = reporting.directly()?;
            let agent = Agent::new(world, polling, reporting, member.number, member.stack);
            world.work.spawn(agent.run());
        }
        self.arrived(world, &heads)
            .await
            .context("not all agents have their first state")?;
        let in_state = begun.elapsed();
        say(&format!(
            "All agents have what they should {:.1} s after they began. Measuring for {} s …",
            in_state.as_secs_f64(),
            (self.warm_up + self.duration).as_secs()
        ));
        let polls_before = polls(&world.tally);
        let begun = Instant::now();
        let (mut publishing, mut due) = (JoinSet::new(), 0);
        for (number, (mut publisher, head)) in publishers.into_iter().zip(heads).enumerate() {
            publisher.timetable = self.timetable(begun, number);
            due += publisher.timetable.counted();
            publishing.spawn(publisher.run(head));
        }
        let heads: Vec<_> = publishing
            .join_all()
            .await
            .into_iter()
            .collect::<anyhow::Result<_>>()?;
        sleep((begun + self.warm_up + self.duration).saturating_duration_since(Instant::now()))
            .await;
        let took = begun.elapsed();
        let polls = polls(&world.tally) - polls_before;
        let late = self.arrived(world, &heads).await.err();
        Ok(Report::of(&Measured {
            shape: self.shape,
            tally: &world.tally,
            in_state,
            due,
            took,
            polls,
            late: late.map(|error| format!("{error:#}")),
        }))
    }

    fn publishers(
        &self,
        client: &Client,
        fleet: &Fleet,
        world: &Arc<World>,
    ) -> anyhow::Result<Vec<Publisher>> {
        let publisher = |(number, stack): (usize, &StackId)| {
            Ok(Publisher {
                world: Arc::clone(world),
                client: client.clone(),
                stack: stack.to_string().parse()?,
                reach: self.shape.reach,
                size: self.size,
                timetable: self.timetable(Instant::now(), number),
            })
        };
        fleet.stacks().iter().enumerate().map(publisher).collect()
    }

    /// Stacks take turns.
    fn timetable(&self, begun: Instant, number: usize) -> Timetable {
        let turn = Duration::from_secs_f64(1.0 / self.publishes);
        let times = |turns: usize| turn.mul_f64(u32::try_from(turns).map_or(f64::MAX, f64::from));
        Timetable {
            first: begun + times(number),
            period: times(self.shape.stacks),
            counts_from: begun + self.warm_up,
            end: begun + self.warm_up + self.duration,
        }
    }

    /// Waits until all agents have these.
    async fn arrived(&self, world: &World, heads: &[Digest]) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let missing: usize = heads.iter().map(|head| world.ledger.missing(*head)).sum();
            let settled = usize::try_from(world.tally.settled.get()).unwrap_or(usize::MAX);
            let unsettled = self.shape.agents.saturating_sub(settled);
            if missing == 0 && unsettled == 0 {
                return Ok(());
            }
            anyhow::ensure!(
                begun.elapsed() < PATIENCE + self.habits.interval,
                "{unsettled} agent(s) have no state, and {missing} lack the newest content of their stack: {}",
                failures(&world.tally)
            );
            sleep(LOOK_AGAIN).await;
        }
    }
}

fn polls(tally: &Tally) -> u64 {
    tally.unchanged.get() + tally.changed.get()
}

fn failures(tally: &Tally) -> String {
    let failures = tally.failures();
    if failures.is_empty() {
        return "no request failed".to_owned();
    }
    let words: Vec<_> = failures
        .iter()
        .map(|(kind, count)| format!("{count} × {kind}"))
        .collect();
    words.join(", ")
}

/// Tells simulations of one broker apart.
fn run_number() -> String {
    let mut random = [0; 4];
    System.fill(&mut random);
    format!("{:08x}", u32::from_ne_bytes(random))
}
