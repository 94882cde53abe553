use brokkr_core::name::Reference;
use brokkr_core::wire::{self, OnRemove};
use clap::{Args, Subcommand};

use crate::connection::Connection;
use crate::output::{Cell, Output, Row};

mod create;
mod delete;
mod exclude;
mod options;
mod parts;
mod rule;
mod set;
mod target;
mod targeting;
mod targets;
mod untarget;

/// Work with stacks: collections of objects that are managed as a unit
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack create checkout --default-namespace checkout --create-namespace
  brokkr stack target checkout --agent eu-1")]
pub struct Stack {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Create(create::Create),
    List(List),
    Get(Get),
    Set(set::Set),
    Delete(delete::Delete),
    Rule(rule::RuleList),
    Exclude(exclude::ExcludeList),
    Target(target::Target),
    Untarget(untarget::Untarget),
    Targets(targets::Targets),
}

/// Show all stacks that you may see
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack list")]
struct List {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// Show one stack
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack get checkout -o yaml
  brokkr stack get ci:checkout")]
struct Get {
    /// Its name or id; an admin writes a generator's stack as GENERATOR:NAME
    stack: Reference,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Stack {
    pub async fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::Create(create) => create.run().await,
            Action::List(list) => list.run().await,
            Action::Get(get) => get.run().await,
            Action::Set(set) => set.run().await,
            Action::Delete(delete) => delete.run().await,
            Action::Rule(list) => list.run().await,
            Action::Exclude(list) => list.run().await,
            Action::Target(target) => target.run().await,
            Action::Untarget(untarget) => untarget.run().await,
            Action::Targets(targets) => targets.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        self.output.list(&self.connection.client()?.stacks().await?)
    }
}

impl Get {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        self.output.one(&client.stack(&self.stack).await?)
    }
}

impl Row for wire::Stack {
    fn name(&self) -> String {
        match &self.generator {
            Some(generator) => format!("{generator}:{}", self.name),
            None => self.name.to_string(),
        }
    }

    fn cells(&self) -> Vec<Cell> {
        let on_remove = match self.options.on_remove {
            OnRemove::Delete => "delete",
            OnRemove::Orphan => "orphan",
        };
        let head = self.head.as_ref();
        vec![
            Cell::text("NAME", Row::name(self)),
            Cell::optional("HEAD", head.map(|head| head.sequence)),
            Cell::optional("NAMESPACE", self.options.default_namespace.as_ref()),
            Cell::text("ON-REMOVE", on_remove),
            Cell::time("CREATED", self.created_at),
            Cell::text("LABELS", &self.labels).wide(),
            Cell::text("ANNOTATIONS", &self.annotations).wide(),
            Cell::text("RULES", joined(self.targeting.rules())).wide(),
            Cell::text("EXCLUSIONS", joined(self.targeting.exclude())).wide(),
            Cell::optional("DIGEST", head.map(|head| head.digest)).wide(),
            Cell::text("ID", self.id).wide(),
        ]
    }
}

fn joined(all: &[impl ToString]) -> String {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    all.join(" | ")
}
