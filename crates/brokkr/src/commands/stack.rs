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
mod pause;
mod rule;
mod set;
mod target;
mod targeting;
mod targets;
mod undelete;
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
    Pause(pause::Pause),
    Resume(pause::Resume),
    Delete(delete::Delete),
    Undelete(undelete::Undelete),
    Rule(rule::RuleList),
    Exclude(exclude::ExcludeList),
    Target(target::Target),
    Untarget(untarget::Untarget),
    Targets(targets::Targets),
}

/// Show all stacks that you may see
#[derive(Args)]
#[command(after_help = "Example:
  brokkr stack list
  brokkr stack list --deleted")]
struct List {
    /// Those that were deleted, with the ids that `brokkr stack undelete` takes
    #[arg(long)]
    deleted: bool,
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
            Action::Pause(pause) => pause.run().await,
            Action::Resume(resume) => resume.run().await,
            Action::Delete(delete) => delete.run().await,
            Action::Undelete(undelete) => undelete.run().await,
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
        let client = self.connection.client()?;
        self.output.list(&if self.deleted {
            client.deleted_stacks().await?
        } else {
            client.stacks().await?
        })
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
        // Another stack may have a deleted one's name.
        if self.deleted_at.is_some() {
            return self.id.to_string();
        }
        Reference::of(self.generator.as_ref(), &self.name).to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let name = Reference::of(self.generator.as_ref(), &self.name);
        if let Some(deleted_at) = self.deleted_at {
            return vec![
                Cell::text("NAME", name),
                Cell::time("DELETED", deleted_at),
                Cell::optional("HEAD", self.head.as_ref().map(|head| head.sequence)),
                Cell::text("ID", self.id),
            ];
        }
        let on_remove = match self.options.on_remove {
            OnRemove::Delete => "delete",
            OnRemove::Orphan => "orphan",
        };
        let head = self.head.as_ref();
        vec![
            Cell::text("NAME", name),
            Cell::optional("HEAD", head.map(|head| head.sequence)),
            Cell::optional("NAMESPACE", self.options.default_namespace.as_ref()),
            Cell::text("ON-REMOVE", on_remove),
            Cell::text("PAUSED", if self.options.paused { "yes" } else { "no" }),
            Cell::time("CREATED", self.created_at),
            Cell::optional("ACCOUNT", self.service_account()).wide(),
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
