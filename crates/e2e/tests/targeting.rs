//! Two generators and forty agents: each agent is told exactly what a plain reading of all rules and
//! scopes says, each generator sees exactly its own, and what moves is confirmed.

mod fleet;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use brokkr_client::{Client, Poll};
use brokkr_core::wire::{
    AgentTarget, Confirmation, ConfirmationResult, PatchAgent, PatchGenerator, Publish,
    PublishOptions, TargetState,
};
use brokkr_core::{Reference, StackId};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Stage};
use fleet::{Agent, Stack};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

on_both_engines!(
    without a cluster: two_generators_and_forty_agents,
    a_fact_that_is_gone_takes_nothing_away
);

/// A stack by its owner and name; the operators' own have none.
type Place = (String, String);

/// The plain reading of a generator's scope.
type Reaches = fn(&Agent) -> bool;

struct Fleet {
    broker: Broker,
    agents: Vec<(Agent, Client)>,
    stacks: Vec<(Stack, StackId)>,
    generators: BTreeMap<&'static str, (Client, Reaches)>,
}

async fn two_generators_and_forty_agents(stage: &Stage) -> Result<()> {
    let mut fleet = Fleet::create(stage).await?;
    fleet.is_told_what_it_should_be("at first").await?;

    fleet.narrow_the_scope_of_north().await?;
    fleet
        .is_told_what_it_should_be("in a narrower scope")
        .await?;

    let moved: Agent = Agent {
        env: "prod",
        gpu: false,
        memory: Some(128),
        ..fleet.agents[10].0.clone()
    };
    fleet.change_an_agent(10, moved).await?;
    fleet
        .is_told_what_it_should_be("after an agent moved")
        .await
}

async fn a_fact_that_is_gone_takes_nothing_away(stage: &Stage) -> Result<()> {
    let fleet = Fleet::create(stage).await?;
    let admin = fleet.broker.admin();
    let is_modern = |(agent, _): &&(Agent, Client)| (fleet.stack("modern").0.wants)(agent);
    let (agent, client) = fleet
        .agents
        .iter()
        .find(is_modern)
        .context("one is modern")?;
    let reference: Reference = agent.name.parse()?;
    let modern = Reference::Id(fleet.stack("modern").1.uuid());

    client
        .report_facts(&read(json!({ "kubernetes_version": "v1.20.0" }))?)
        .await?;

    fleet.is_told_what_it_should_be("without the fact").await?;
    let targets = admin.agent_targets(Some(&modern), Some(&reference)).await?;
    ensure!(
        matches!(&targets[..], [target] if target.ineligible),
        "{targets:?}"
    );
    let explanation = admin.explain(&reference, &modern).await?;
    ensure!(
        explanation.targeted && explanation.rules[0].facts_held_before,
        "{explanation:?}"
    );
    Ok(())
}

impl Fleet {
    async fn create(stage: &Stage) -> Result<Self> {
        let broker = stage.broker("broker").await?;
        let mut fleet = Self {
            agents: Vec::new(),
            stacks: Vec::new(),
            generators: BTreeMap::new(),
            broker,
        };
        fleet
            .register("north", json!({ "labels": "region=eu" }), |a| {
                a.region == "eu"
            })
            .await?;
        let south = json!({ "labels": "env in (dev,test)", "annotations": "memory" });
        fleet
            .register("south", south, |a| a.env != "prod" && a.memory.is_some())
            .await?;
        // Some agents are there before the stacks, some come later.
        for number in 0..40 {
            if number == 20 {
                fleet.create_stacks().await?;
            }
            let agent = Agent::number(number);
            let create = json!({
                "name": agent.name, "labels": agent.labels(), "annotations": agent.annotations(),
            });
            let created = fleet.broker.admin().create_agent(&read(create)?).await?;
            let client = fleet.broker.client(&created.pak)?;
            if let Some(facts) = agent.facts() {
                client.report_facts(&read(facts)?).await?;
            }
            fleet.agents.push((agent, client));
        }
        Ok(fleet)
    }

    async fn register(&mut self, name: &'static str, scope: Value, reaches: Reaches) -> Result<()> {
        let create = read(json!({ "name": name, "scope": scope }))?;
        let created = self.broker.admin().create_generator(&create).await?;
        self.generators
            .insert(name, (self.broker.client(&created.pak)?, reaches));
        Ok(())
    }

    async fn create_stacks(&mut self) -> Result<()> {
        for stack in fleet::stacks() {
            let client = match stack.owner {
                Some(owner) => &self.generators[owner].0,
                None => self.broker.admin(),
            };
            let create = json!({
                "name": stack.name, "labels": stack.labels, "annotations": stack.annotations,
                "targeting": stack.targeting,
            });
            let id = client.create_stack(&read(create)?).await?.id;
            let publish = Publish {
                manifests: config_map("a", stack.name),
                options: PublishOptions::default(),
            };
            client.publish(&Reference::Id(id.uuid()), &publish).await?;
            self.stacks.push((stack, id));
        }
        Ok(())
    }

    fn stack(&self, name: &str) -> &(Stack, StackId) {
        let mut stacks = self.stacks.iter();
        stacks
            .find(|(stack, _)| stack.name == name)
            .expect("there is such a stack")
    }

    /// What the plain reading says of an agent.
    fn should_run(&self, agent: &Agent) -> BTreeSet<Place> {
        let wanted = self.stacks.iter().filter(|(stack, _)| {
            let reaches = stack
                .owner
                .is_none_or(|owner| self.generators[owner].1(agent));
            reaches && (stack.wants)(agent)
        });
        wanted.map(|(stack, _)| place(stack)).collect()
    }

    fn place(&self, id: StackId) -> Place {
        let stack = self.stacks.iter().find(|(_, other)| *other == id);
        place(&stack.expect("a stack of the story").0)
    }

    async fn is_told_what_it_should_be(&self, when: &str) -> Result<()> {
        let mut rows = BTreeSet::new();
        for (agent, client) in &self.agents {
            let told = state_of(client).await?.stacks;
            let told: BTreeSet<_> = told.iter().map(|entry| self.place(entry.stack)).collect();
            let should = self.should_run(agent);
            ensure!(
                told == should,
                "{when}, {agent:?} is told {told:?} and not {should:?}"
            );
            rows.extend(should.into_iter().map(|place| (agent.name.clone(), place)));
        }
        ensure!(rows.len() > 60, "{when}, there is little to see: {rows:?}");
        let all = self.broker.admin().agent_targets(None, None).await?;
        ensure!(self.rows(&all) == rows, "{when}, the operators see {all:?}");
        for (name, (client, reaches)) in &self.generators {
            let seen: BTreeSet<String> = client
                .agents()
                .await?
                .iter()
                .map(|agent| agent.name.to_string())
                .collect();
            let own = self.agents.iter().filter(|(agent, _)| reaches(agent));
            let own: BTreeSet<String> = own.map(|(agent, _)| agent.name.clone()).collect();
            ensure!(seen == own, "{when}, {name} sees {seen:?} and not {own:?}");
            let seen = self.rows(&client.agent_targets(None, None).await?);
            let mut own = rows.clone();
            own.retain(|(_, (owner, _))| owner == name);
            ensure!(seen == own, "{when}, {name} sees {seen:?} and not {own:?}");
        }
        Ok(())
    }

    fn rows(&self, targets: &[AgentTarget]) -> BTreeSet<(String, Place)> {
        let row = |target: &AgentTarget| (target.agent_name.to_string(), self.place(target.stack));
        targets.iter().map(row).collect()
    }

    async fn narrow_the_scope_of_north(&mut self) -> Result<()> {
        let before: Vec<_> = self
            .agents
            .iter()
            .map(|(agent, _)| self.should_run(agent))
            .collect();
        let narrow: PatchGenerator = read(json!({ "scope": { "labels": "region=eu,env=prod" } }))?;
        let north = "north".parse()?;
        let plan = self.broker.admin().plan_generator(&north, &narrow).await?;
        self.is_told_what_it_should_be("after a plan").await?;

        self.broker.admin().patch_generator(&north, &narrow).await?;
        self.generators.get_mut("north").context("it is there")?.1 =
            |agent| agent.region == "eu" && agent.env == "prod";

        let mut left = 0;
        for ((agent, client), before) in self.agents.iter().zip(before) {
            let lost: BTreeSet<_> = &before - &self.should_run(agent);
            left += lost.len() as u64;
            self.confirms(client, &lost).await?;
        }
        ensure!(left > 5, "only {left} lie outside of the new scope");
        ensure!(
            (plan.reached, plan.left) == (0, left),
            "{left} ended, planned was {plan:?}"
        );
        ensure!(self.broker.admin().removals(None, None).await?.is_empty());
        Ok(())
    }

    async fn change_an_agent(&mut self, index: usize, after: Agent) -> Result<()> {
        let (before, client) = self.agents[index].clone();
        let (had, has) = (self.should_run(&before), self.should_run(&after));
        ensure!(
            !(&had - &has).is_empty() && !(&has - &had).is_empty(),
            "{had:?}, {has:?}"
        );
        let changes = |before: &Value, after: Value| {
            let mut after = after;
            for key in before.as_object().into_iter().flatten().map(|(key, _)| key) {
                let is_gone = after.get(key).is_none();
                if is_gone {
                    after[key] = Value::Null;
                }
            }
            after
        };
        let patch: PatchAgent = read(json!({
            "labels": changes(&before.labels(), after.labels()),
            "annotations": changes(&before.annotations(), after.annotations()),
        }))?;
        let reference = before.name.parse()?;
        self.broker.admin().patch_agent(&reference, &patch).await?;
        self.confirms(&client, &(&had - &has)).await?;
        self.agents[index].0 = after;
        Ok(())
    }

    /// The agent is asked to take away exactly these stacks, confirms that, and is asked no more.
    async fn confirms(&self, agent: &Client, lost: &BTreeSet<Place>) -> Result<()> {
        let removals = state_of(agent).await?.removals;
        let told: BTreeSet<_> = removals
            .iter()
            .map(|entry| self.place(entry.stack))
            .collect();
        ensure!(
            told == *lost,
            "{told:?} are to be taken away, and not {lost:?}"
        );
        let confirmed = removals.iter().map(|removal| Confirmation {
            stack: removal.stack,
            revision: removal.revision,
        });
        let answers = agent.confirm_removals(confirmed.collect()).await?.removals;
        let is_closed = |answer: &_| matches!(answer, ConfirmationResult::Closed);
        ensure!(
            answers.iter().all(|answer| is_closed(&answer.result)),
            "{answers:?}"
        );
        ensure!(state_of(agent).await?.removals.is_empty());
        Ok(())
    }
}

fn place(stack: &Stack) -> Place {
    (
        stack.owner.unwrap_or_default().to_owned(),
        stack.name.to_owned(),
    )
}

async fn state_of(agent: &Client) -> Result<TargetState> {
    match agent
        .target_state(None, Duration::ZERO, Duration::ZERO)
        .await?
    {
        Poll::Changed { state, .. } => Ok(*state),
        Poll::Unchanged => anyhow::bail!("a first poll has an answer"),
    }
}

fn read<T: DeserializeOwned>(json: Value) -> Result<T> {
    Ok(serde_json::from_value(json)?)
}
