//! An agent that dies at a point of its way goes on from there: what is in place, left over and said is the same as if it
//! had not died.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, anyhow, ensure};
use brokkr_core::KeptKind;
use brokkr_core::ambient::{Ambient, System};
use brokkr_core::failpoint::Point;
use brokkr_core::wire::{Action, Adopt, AgentEvent, Outcome, StackOptions};
use brokkr_e2e::manifests::{anvil, anvil_definition, config_map, deployment, snapshot};
use brokkr_e2e::{
    AgentProcess, Cluster, Engine, PATIENCE, Proxy, Stage, TestStack, World, perform,
};
use brokkr_e2e::{eventually, unique};
use futures::{StreamExt, stream};

mod on_sqlite {
    test!(#[ignore = "needs a cluster: make test"] an_agent_that_dies_at_a_point_goes_on on Sqlite);
}

/// So many of the points, spread over the verbs, are enough for every day.
const SAMPLE: usize = 6;
const SIDE_BY_SIDE: usize = 6;
/// Short, so that it is renewed often; nobody waits for its end.
const LEASE: &str = "15s";
const ROOT: &str = "brokkr-agent";

/// A point, and the how manieth time there.
#[derive(Clone, Copy)]
struct Moment(Point, u32);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.name(), self.1)
    }
}

/// Where in the story an agent died.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Act {
    Install,
    Update,
    Remove,
    End,
}

async fn an_agent_that_dies_at_a_point_goes_on(_: &Stage) -> Result<()> {
    let moments = if std::env::var_os("BROKKR_TORTURE").is_some() {
        let twice = |point| [Moment(point, 1), Moment(point, 2)];
        Point::ALL.into_iter().flat_map(twice).collect()
    } else {
        sample(seed()?)
    };
    let deaths = moments.iter().map(|moment| death(*moment));
    let mut deaths = stream::iter(deaths).buffer_unordered(SIDE_BY_SIDE);
    let mut counts: BTreeMap<Option<Act>, u32> = BTreeMap::new();
    let mut broken = Vec::new();
    while let Some((moment, outcome)) = deaths.next().await {
        match outcome {
            Ok(act) => {
                *counts.entry(act).or_default() += 1;
                println!("{moment}: {act:?}");
                // What is there once only has no second time.
                if act.is_none() && moment.1 == 1 {
                    broken.push(format!("{moment}: the story does not come there"));
                }
            }
            Err(error) => {
                println!("{moment}: broken: {error}");
                broken.push(format!("{moment}: {error}"));
            }
        }
    }
    println!("{} tries, deaths by act: {counts:?}", moments.len());
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

/// `BROKKR_SEED`, or another one each time.
fn seed() -> Result<u64> {
    let seed = if let Ok(seed) = std::env::var("BROKKR_SEED") {
        seed.parse()?
    } else {
        let mut bytes = [0; 2];
        System.fill(&mut bytes);
        u16::from_le_bytes(bytes).into()
    };
    println!("BROKKR_SEED={seed}");
    Ok(seed)
}

/// One of each part of the list, in which the points of a verb are side by side.
fn sample(seed: u64) -> Vec<Moment> {
    let part = Point::ALL.len().div_ceil(SAMPLE);
    let mut rest = usize::try_from(seed).unwrap_or_default();
    let mut moments = Vec::new();
    for points in Point::ALL.chunks(part) {
        moments.push(Moment(points[rest % points.len()], 1));
        rest = rest / points.len() + rest * 7 + 1;
    }
    moments
}

/// Tells the whole story with an agent that dies once, on a stage of its own.
async fn death(moment: Moment) -> (Moment, Result<Option<Act>>) {
    let mut died = None;
    let told = perform(Engine::Sqlite, async |stage| {
        died = tell(stage, moment).await?;
        Ok(())
    });
    let told = Box::pin(told).await;
    let outcome = told.map_err(|failure| anyhow!("{failure:?}"));
    (moment, outcome.map(|()| died))
}

async fn tell(stage: &Stage, moment: Moment) -> Result<Option<Act>> {
    let mut world = stage.world_at_rest(None).await?;
    world.agent.set_lease(LEASE);
    let plot = Plot::prepare(&world).await?;
    world.agent.start_faulty(&moment.to_string())?;

    let World {
        agent,
        cluster,
        link,
        ..
    } = &mut world;
    let mut act = Act::Install;
    let mut died = None;
    {
        let (current, fall) = tokio::sync::watch::channel(act);
        let mut acts = Box::pin(plot.play(cluster, current));
        let ended = tokio::select! {
            played = &mut acts => { played?; None }
            ended = agent.ended() => Some(ended?),
        };
        if let Some(status) = ended {
            act = *fall.borrow();
            died = Some(act);
            ensure!(!status.success(), "it ended without dying: {status}");
            raise(agent, cluster, link).await?;
            acts.await.with_context(|| format!("died in {act:?}"))?;
        }
    }
    // Some points come only to those who end in order.
    if died.is_none() && !agent.terminate().await?.success() {
        died = Some(Act::End);
        raise(agent, cluster, link).await?;
        plot.nothing_is_left(cluster, agent.namespace()).await?;
    }
    if died.is_some() {
        agent
            .says(&format!("died at the fail point {moment}"))
            .await?;
        let status = agent.terminate().await?;
        ensure!(status.success(), "the ordinary agent ended with {status}");
    }
    plot.nothing_is_left(cluster, agent.namespace()).await?;
    Ok(died)
}

/// An ordinary process takes over; somebody knows that the other one is dead.
async fn raise(agent: &mut AgentProcess, cluster: &Cluster, link: &Proxy) -> Result<()> {
    // Who dies before everything else has not even a namespace.
    cluster.free_lease(agent.namespace()).await?;
    let polls = link.polls();
    agent.start(brokkr_e2e::Pace::Waiting)?;
    // One that has only just begun cannot end in order yet.
    eventually("the ordinary agent asks", PATIENCE, async || {
        ensure!(link.polls() > polls, "{} polls", link.polls());
        Ok(())
    })
    .await
}

/// A stack, what it is at first and what it becomes; and one that takes over what was there, which the first must not, for
/// then it could take back what it lost by dying.
struct Plot {
    stack: TestStack,
    heir: TestStack,
    inherited: String,
    first: String,
    second: String,
    dropped: String,
    foreign: String,
}

impl Plot {
    async fn prepare(world: &World) -> Result<Self> {
        let stack = world.stack("fate").await?;
        let options = StackOptions {
            adopt: Adopt::Always,
            ..StackOptions::default()
        };
        let heir = world.stack_with("heir", options).await?;
        let old = heir.namespace.clone();
        world.cluster.create_namespace(&old).await?;
        let foreign = config_map("foreign", "theirs");
        let inherited = config_map("inherited", "theirs");
        world.cluster.create(&foreign, &old).await?;
        world.cluster.create(&inherited, &old).await?;
        let group = format!("{}.example.test", unique());
        let shared = snapshot([
            anvil_definition(&group),
            anvil(&group, "heavy"),
            config_map("same", "1"),
        ]);
        let dropped = snapshot([config_map("dropped-a", "1"), config_map("dropped-b", "1")]);
        let own = |number: u32| {
            snapshot([
                config_map("changed", &number.to_string()),
                fixed("fixed-a", number),
                fixed("fixed-b", number),
                deployment("web", &format!("example.test/web:{number}")),
            ])
        };
        Ok(Self {
            stack,
            heir,
            inherited: config_map("inherited", "ours"),
            first: format!("{shared}{}{dropped}", own(1)),
            second: format!("{shared}{}{}", own(2), snapshot([config_map("new", "2")])),
            dropped,
            foreign,
        })
    }

    /// What people do, whoever runs or dies meanwhile, and what has to come of it.
    async fn play(&self, cluster: &Cluster, act: tokio::sync::watch::Sender<Act>) -> Result<()> {
        let (stack, namespace) = (&self.stack, &self.stack.namespace);
        let old = &self.heir.namespace;
        let foreign = cluster.versions(&self.foreign, old).await?;

        tokio::try_join!(
            roll_out(&self.heir, &self.inherited),
            roll_out(stack, &self.first)
        )
        .context("installing")?;
        cluster.versions(&self.first, namespace).await?;

        act.send_replace(Act::Update);
        roll_out(stack, &self.second).await.context("updating")?;
        cluster.versions(&self.second, namespace).await?;
        let dropped = cluster.find(&self.dropped, namespace).await?;
        ensure!(dropped.is_empty(), "not pruned: {:?}", dropped.keys());
        ensure!(cluster.value(namespace, "changed").await? == "2");
        ensure!(cluster.value(old, "inherited").await? == "ours");

        act.send_replace(Act::Remove);
        let kinds = [KeptKind::CustomResourceDefinition];
        stack.untarget_allowing(&kinds).await?;
        self.heir.untarget().await?;
        stack.removal_confirmed().await?;
        for stack in [stack, &self.heir] {
            stack.event(Action::Remove, Outcome::Succeeded).await?;
        }
        let texts = [&self.first, &self.second, &self.inherited];
        for (text, namespace) in texts.into_iter().zip([namespace, namespace, old]) {
            let left = cluster.find(text, namespace).await?;
            ensure!(
                left.is_empty(),
                "confirmed, and still there: {:?}",
                left.keys()
            );
        }
        ensure!(cluster.versions(&self.foreign, old).await? == foreign);
        Ok(())
    }

    /// The agent has no records but the root, which lists nothing.
    async fn nothing_is_left(&self, cluster: &Cluster, records: &str) -> Result<()> {
        eventually("no record is left over", PATIENCE, async || {
            let names = cluster.config_maps(records).await?;
            ensure!(names.iter().eq([ROOT]), "{names:?}");
            let stacks = cluster.listed_stacks(records).await?;
            ensure!(stacks.is_empty(), "{stacks:?}");
            Ok(())
        })
        .await
    }
}

/// Publishes, and waits until it is in place and told.
async fn roll_out(stack: &TestStack, text: &str) -> Result<()> {
    let sequence = stack.publish(text).await?;
    stack.synced(sequence).await?;
    let what = format!("the success of {sequence} is told");
    let is_told = |event: &AgentEvent| {
        event.sequence == Some(sequence) && event.outcome == Outcome::Succeeded
    };
    stack.event_with(&what, is_told).await.map(drop)
}

/// A `ConfigMap` that cannot be changed, only made anew.
fn fixed(name: &str, number: u32) -> String {
    let recreate = format!("name: {name}\n  annotations: {{brokkr.io/recreate: enabled}}");
    let text = config_map(name, &number.to_string());
    format!(
        "{}immutable: true\n",
        text.replace(&format!("name: {name}"), &recreate)
    )
}
