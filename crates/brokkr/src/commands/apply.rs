use std::path::PathBuf;

use anyhow::bail;
use brokkr_client::Client;
use brokkr_core::name::Reference;
use brokkr_core::wire::{CreateStack, Publish, PublishOptions, Published, Stack, StackOptions};
use clap::Args;

use super::plan::Care;
use super::removal::Deletable;
use super::wait::Following;
use crate::connection::Connection;
use crate::failure::Usage;
use crate::output::{Cell, Output, Row};
use crate::snapshot::Snapshot;
use crate::terminal::say;

/// Publish manifests as the new content of a stack
///
/// They are the whole content: what the stack had before and they no longer have is deleted from the
/// clusters, which is shown and asked first; in a pipeline, --yes agrees to it. What the stack has already is not
/// published again.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr apply -f ./manifests --stack checkout --dry-run
  brokkr apply -f ./manifests --stack checkout --yes --wait
  helm template checkout ./chart | brokkr apply -f - --stack checkout --message 'chart 1.4'")]
pub struct Apply {
    /// A file, a folder of .yaml, .yml and .json files, or - for stdin; several may be given
    #[arg(long = "file", short = 'f', value_name = "FILE|DIR|-", required = true)]
    files: Vec<PathBuf>,

    /// The stack's name or id
    #[arg(long, value_name = "STACK")]
    stack: Reference,

    /// Why, for the history
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,

    /// Create the stack if there is none of this name
    #[arg(long)]
    create: bool,

    /// The default namespace of a stack that is created
    #[arg(long, value_name = "NAME", requires = "create")]
    namespace: Option<String>,

    /// Let agents create that namespace if it is missing
    #[arg(long, requires = "namespace")]
    create_namespace: bool,

    /// Refuse unless the stack's newest sequence is this one (0: nothing published yet)
    #[arg(long, value_name = "N")]
    expect_sequence: Option<u64>,

    #[command(flatten)]
    deletable: Deletable,
    #[command(flatten)]
    care: Care,
    #[command(flatten)]
    wait: Following,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Apply {
    pub async fn run(self) -> anyhow::Result<()> {
        let snapshot = Snapshot::read(&self.files)?;
        snapshot.check(self.namespace.as_deref())?;
        let client = self.connection.client()?;
        let Some(stack) = self.stack(&client).await? else {
            say("It would be created. Nothing was changed.");
            return Ok(());
        };
        snapshot.check(stack.options.default_namespace.as_deref())?;
        let publish = Publish {
            manifests: snapshot.into_text(),
            options: PublishOptions {
                message: self.message,
                expect_sequence: self.expect_sequence,
                allow_delete: self.deletable.kinds,
            },
        };
        let id = Reference::Id(stack.id.uuid());
        let plan = client.plan_publish(&id, &publish).await?;
        if !self.care.permits(&plan, &self.output)? {
            return Ok(());
        }
        let agreeing = client.agreeing_to(&plan);
        let published = agreeing.publish(&id, &publish).await?;
        say(&describe(&stack, &published));
        self.output.one(&published)?;
        let sequence = published.deployment_object.sequence;
        self.wait.follow(&client, &stack, sequence).await
    }

    /// The stack, which a dry run does not create.
    async fn stack(&self, client: &Client) -> anyhow::Result<Option<Stack>> {
        match client.stack(&self.stack).await {
            Ok(stack) => {
                self.refuse_other_namespace(&stack)?;
                Ok(Some(stack))
            }
            Err(error) if self.create && error.is_not_found() => {
                if self.care.is_dry_run() {
                    say(&format!("There is no stack {} yet.", self.stack));
                    return Ok(None);
                }
                self.create(client).await.map(Some)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn create(&self, client: &Client) -> anyhow::Result<Stack> {
        let Reference::Named { owner: None, name } = &self.stack else {
            return Err(Usage(format!(
                "no stack can be created as `{}`: --create takes a name without an owner",
                self.stack
            ))
            .into());
        };
        let create = CreateStack {
            options: StackOptions {
                default_namespace: self.namespace.clone(),
                create_namespace: self.create_namespace,
                ..StackOptions::default()
            },
            ..CreateStack::named(name.clone())
        };
        let stack = client.create_stack(&create).await?;
        say(&format!("Created stack {name}."));
        Ok(stack)
    }

    /// Publishing into another namespace than the command says would surprise; moving one unasked would too.
    fn refuse_other_namespace(&self, stack: &Stack) -> anyhow::Result<()> {
        match (&self.namespace, &stack.options.default_namespace) {
            (Some(said), has) if Some(said) != has.as_ref() => bail!(
                "stack {0} exists and has {1} — change it with `brokkr stack set {0} --default-namespace {said}`",
                stack.name,
                match has {
                    Some(has) => format!("the default namespace {has}, not {said}"),
                    None => "no default namespace".to_owned(),
                }
            ),
            _ => Ok(()),
        }
    }
}

/// What became of a publish.
pub fn describe(stack: &Stack, published: &Published) -> String {
    let object = &published.deployment_object;
    if published.unchanged {
        format!(
            "Stack {} has this content already, as sequence {}.",
            stack.name, object.sequence
        )
    } else {
        let plural = if object.objects == 1 { "" } else { "s" };
        format!(
            "Published sequence {} of stack {}, {} object{plural}.",
            object.sequence, stack.name, object.objects
        )
    }
}

impl Row for Published {
    fn name(&self) -> String {
        self.deployment_object.name()
    }

    fn cells(&self) -> Vec<Cell> {
        self.deployment_object.cells()
    }
}
