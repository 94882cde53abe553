//! Fleets that are larger than anybody would register one by one, written behind the broker's back.

use anyhow::Result;
use brokkr_core::labels::Labels;
use brokkr_core::wire::{CreateAgent, StackStatus};
use brokkr_e2e::manifests::config_map;
use brokkr_e2e::{Broker, Database, Stage};

use crate::ingest::synced;

/// How large a fleet is.
#[derive(Clone, Copy)]
pub struct Fleet {
    pub agents: u32,
    pub stacks: u32,
    /// Deployment objects of each stack.
    pub history: u32,
    /// Agents that run each stack.
    pub reach: u32,
}

/// The stack that one agent runs.
pub const ONE: &str = "one";
/// The stack that 6,000 agents run, and have told about.
pub const WIDE: &str = "wide";

/// All that is seeded is a copy of what a broker itself wrote; ids are numbers as texts of the right length. The columns
/// that are not named are the template's.
const SEED: &str = "
pragma foreign_keys = off;
pragma synchronous = off;
create temp table numbers (i integer primary key);
insert into numbers with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < MOST) select i from n;
insert into agents (id, name, labels, annotations, facts, created_at, changed_revision, edited_revision)
  select cast(printf('a%015d', i) as blob), 'agent-' || i, labels, annotations, facts, created_at, changed_revision, edited_revision
  from numbers join agents on name = 'template' where i < AGENTS;
insert into agent_traits (agent_id, kind, key, value)
  select cast(printf('a%015d', i) as blob), kind, key, value
  from numbers join agents a on a.name = 'template' join agent_traits on agent_id = a.id where i < AGENTS;
insert into keys (id, role, owner_id, name, hash, created_at, stage)
  select cast(printf('k%015d', i) as blob), role, cast(printf('a%015d', i) as blob), k.name, randomblob(32), k.created_at, stage
  from numbers join agents a on a.name = 'template' join keys k on k.owner_id = a.id where i < AGENTS;
insert into stacks (id, owner_id, name, options, labels, annotations, targeting, head_id, head_sequence, changed_revision,
    created_at, edited_revision)
  select cast(printf('s%015d', i) as blob), owner_id, 'stack-' || i, options, labels, annotations, targeting,
    cast(printf('d%015d', i * HISTORY + HISTORY - 1) as blob), HISTORY, changed_revision, created_at, edited_revision
  from numbers join stacks on name = 'one' where i < STACKS;
insert into contents (owner_id, digest, body, objects)
  select owner_id, cast(printf('c%031d', i) as blob), body, objects
  from numbers cross join (select c.* from contents c limit 1) where i < STACKS * HISTORY;
insert into deployment_objects (id, stack_id, owner_id, sequence, digest, size, object_count, allow_delete, author, created_at)
  select cast(printf('d%015d', i) as blob), cast(printf('s%015d', i / HISTORY) as blob), owner_id, i % HISTORY + 1,
    cast(printf('c%031d', i) as blob), size, object_count, allow_delete, author, created_at
  from numbers cross join (select d.* from deployment_objects d limit 1) where i < STACKS * HISTORY;
insert into agent_targets (id, agent_id, stack_id, direct, ineligible, state, created_at, allow_delete)
  select cast(printf('t%015d', i) as blob), cast(printf('a%015d', i % AGENTS) as blob),
    cast(printf('s%015d', i / REACH) as blob), direct, ineligible, state, created_at, allow_delete
  from numbers cross join (select * from agent_targets limit 1) where i < STACKS * REACH;
insert into agent_targets (id, agent_id, stack_id, direct, ineligible, state, created_at, allow_delete)
  select cast(printf('w%015d', i) as blob), cast(printf('a%015d', i) as blob), s.id, direct, ineligible, state, t.created_at,
    allow_delete
  from numbers join stacks s on s.name = 'wide' join agent_targets t on t.stack_id = s.id where i < min(6000, AGENTS);
insert into target_status (agent_id, stack_id, seen, applied, sync, health, reported_at)
  select cast(printf('a%015d', i) as blob), stack_id, seen, applied, sync, health, reported_at
  from numbers join (select r.* from target_status r) where i < min(6000, AGENTS);
drop table numbers;
";

impl Fleet {
    /// Makes it in an empty database, beside one agent and the two stacks that it runs. Answers with its broker.
    pub async fn seed(self, stage: &Stage) -> Result<Broker> {
        let mut broker = stage.broker("broker").await?;
        let key = broker.admin().create_agent(&template()?).await?.pak;
        for name in [ONE, WIDE] {
            broker.new_stack(name).await?;
            broker.target("template", name).await?;
            broker.publish(name, &config_map("a", name)).await?;
        }
        let wide = broker.admin().stack(&WIDE.parse()?).await?.id;
        let told: Vec<StackStatus> = vec![synced(wide)];
        broker.client(&key)?.report_status(told).await?;
        broker.terminate().await?;
        self.write(stage.database()).await?;
        broker.start_again().await?;
        Ok(broker)
    }

    async fn write(self, database: &Database) -> Result<()> {
        let Self {
            agents,
            stacks,
            history,
            reach,
        } = self;
        let most = agents.max(stacks * history).max(stacks * reach);
        let numbers = [
            ("MOST", most),
            ("AGENTS", agents),
            ("STACKS", stacks),
            ("HISTORY", history),
            ("REACH", reach),
        ];
        let sql = numbers.iter().fold(SEED.to_owned(), |sql, (word, number)| {
            sql.replace(word, &number.to_string())
        });
        database.execute(&sql).await
    }
}

fn template() -> Result<CreateAgent> {
    let mut labels = Labels::new();
    for (key, value) in [
        ("env", "prod"),
        ("region", "eu-west-1"),
        ("tier", "edge"),
        ("team", "shop"),
        ("ring", "2"),
    ] {
        labels.insert(key.parse()?, value.parse()?)?;
    }
    Ok(CreateAgent {
        labels,
        ..CreateAgent::named("template".parse()?)
    })
}
