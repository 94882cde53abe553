use std::time::Duration;

use brokkr_core::KeyId;
use brokkr_core::name::{Name, Reference};
use brokkr_core::pak::Role;
use brokkr_core::wire::{self, CreateKey, KeyOwner, KeyState, RotatedKey};
use clap::{Args, Subcommand, ValueEnum};
use jiff::{Timestamp, Unit};

use super::new_key::NewKey;
use crate::connection::Connection;
use crate::duration;
use crate::output::{Cell, Output, Row};
use crate::terminal::{Confirmation, say};

/// Make, rotate and end the keys of admins, agents and generators
///
/// Whoever only wants a new key in the place of its own uses `brokkr rotate-key`.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr key list --agent eu-1
  brokkr key create spare --agent eu-1 --expires-in 90d --key-file spare.key")]
pub struct Key {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    List(List),
    Create(Create),
    Rotate(Rotate),
    Revoke(Revoke),
    Show(Show),
}

/// Show keys that nobody has ended: whose they are, and when they were used last
#[derive(Args)]
#[command(after_help = "Example:
  brokkr key list --role admin")]
struct List {
    /// Only of this agent
    #[arg(long, value_name = "AGENT", conflicts_with = "generator")]
    agent: Option<Reference>,

    /// Only of this generator
    #[arg(long, value_name = "GENERATOR")]
    generator: Option<Reference>,

    /// Only of this role
    #[arg(long, value_name = "ROLE")]
    role: Option<RoleName>,

    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    Admin,
    Agent,
    Generator,
}

/// Make another key and show it, this once
///
/// The key goes to stdout and everything else to stderr, so that it can be sent into a file or a secret store.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr key create spare --agent eu-1 --key-file spare.key
  brokkr key create alice --admin --expires-in 90d --key-file alice.key")]
struct Create {
    /// What to call it
    name: Name,

    #[command(flatten)]
    owner: Owner,

    /// It ends after so long; a rotation begins this time anew
    #[arg(long, value_name = "DURATION", value_parser = duration::positive, conflicts_with = "expires_at")]
    expires_in: Option<Duration>,

    /// It ends then, and so does every key that a rotation puts in its place
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,

    #[command(flatten)]
    new_key: NewKey,
    #[command(flatten)]
    connection: Connection,
}

/// Whose the key is.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Owner {
    /// For an admin, who may do everything
    #[arg(long)]
    admin: bool,

    /// For this agent
    #[arg(long, value_name = "AGENT")]
    agent: Option<Reference>,

    /// For this generator
    #[arg(long, value_name = "GENERATOR")]
    generator: Option<Reference>,
}

/// Put a new key in the place of any, and show it, this once
///
/// The old key ends when the new one is used first; a new one that nobody uses ends after a day, and the old one
/// lives on. If it was rotated before and nobody used that key, the newest takes its place.
#[derive(Args)]
#[command(after_help = "Example:
  brokkr key rotate 019a0f3e-5c1e-7d30-9a6b-2f4a1c0e8b11 --key-file eu-1.key.new
  brokkr key rotate 019a0f3e-5c1e-7d30-9a6b-2f4a1c0e8b11 --overlap 2h")]
struct Rotate {
    /// The key's id, as `brokkr key list` shows it
    key: KeyId,

    /// The old key ends after so long, whether or not the new one was used
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    overlap: Option<Duration>,

    #[command(flatten)]
    new_key: NewKey,
    #[command(flatten)]
    connection: Connection,
}

/// End a key at once, wherever it is in use
#[derive(Args)]
#[command(after_help = "Example:
  brokkr key revoke 019a0f3e-5c1e-7d30-9a6b-2f4a1c0e8b11")]
struct Revoke {
    /// The key's id, as `brokkr key list` shows it
    key: KeyId,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

/// Show one key, also one that has ended
#[derive(Args)]
#[command(after_help = "Example:
  brokkr key show 019a0f3e-5c1e-7d30-9a6b-2f4a1c0e8b11 -o json")]
struct Show {
    /// The key's id, as `brokkr key list` shows it
    key: KeyId,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Key {
    pub async fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::List(list) => list.run().await,
            Action::Create(create) => create.run().await,
            Action::Rotate(rotate) => rotate.run().await,
            Action::Revoke(revoke) => revoke.run().await,
            Action::Show(show) => show.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let filter = brokkr_client::KeyFilter {
            agent: self.agent,
            generator: self.generator,
            role: self.role.map(Role::from),
        };
        let keys = self.connection.client()?.keys(&filter).await?;
        self.output.list(&keys)
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let place = self.new_key.place()?;
        let create = CreateKey {
            owner: self.owner.into(),
            name: self.name,
            expires_in: self.expires_in.map(|time| time.as_secs()),
            expires_at: self.expires_at,
        };
        let created = self.connection.client()?.create_key(&create).await?;
        say(&format!("Made {}.", describe(&created.key)));
        self.new_key
            .hand_over(place, &created.pak, &created.key, &created)
    }
}

impl Rotate {
    async fn run(self) -> anyhow::Result<()> {
        let place = self.new_key.place()?;
        let rotate = wire::RotateKey {
            overlap: self.overlap.map(|time| time.as_secs()),
        };
        let client = self.connection.client()?;
        let rotated = client.rotate_key(self.key, &rotate).await?;
        say(&format!(
            "Rotated {}. {}",
            describe(&rotated.key),
            end_of_old(&rotated)
        ));
        self.new_key
            .hand_over(place, &rotated.pak, &rotated.key, &rotated)
    }
}

impl Revoke {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let key = describe(&client.key(self.key).await?);
        self.confirmation
            .ask(&format!("End {key}? Whoever uses it is shut out at once."))?;
        client.revoke_key(self.key).await?;
        say(&format!("Ended {key}."));
        Ok(())
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        self.output.one(&client.key(self.key).await?)
    }
}

/// Such as `key spare of agent eu-1`.
pub fn describe(key: &wire::Key) -> String {
    match &key.owner_name {
        Some(owner) => format!("key {} of {} {owner}", key.name, key.role),
        None => format!("{} key {}", key.role, key.name),
    }
}

/// What becomes of the old key.
pub fn end_of_old(rotated: &RotatedKey) -> String {
    match rotated
        .old
        .ends_at
        .filter(|_| rotated.old.state == KeyState::Replaced)
    {
        Some(end) => format!("The old one ends at {}.", seconds(end)),
        None if rotated.old.state == KeyState::Good => {
            "The old one ends when the new one is used first.".to_owned()
        }
        None => "The old one has ended.".to_owned(),
    }
}

/// A moment as people write it.
pub fn seconds(time: Timestamp) -> Timestamp {
    time.round(Unit::Second).unwrap_or(time)
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Admin => Self::Admin,
            RoleName::Agent => Self::Agent,
            RoleName::Generator => Self::Generator,
        }
    }
}

impl From<Owner> for KeyOwner {
    fn from(owner: Owner) -> Self {
        match (owner.agent, owner.generator) {
            (Some(agent), _) => Self::Agent(agent),
            (None, Some(generator)) => Self::Generator(generator),
            (None, None) => Self::Admin,
        }
    }
}

impl Row for wire::Key {
    fn name(&self) -> String {
        self.id.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        let state = match self.state {
            KeyState::Good => "good",
            KeyState::Unused => "unused",
            KeyState::Replaced => "replaced",
            KeyState::Expired => "expired",
            KeyState::Revoked => "revoked",
        };
        vec![
            Cell::text("NAME", &self.name),
            Cell::text("ROLE", self.role),
            Cell::optional("OWNER", self.owner_name.as_ref()),
            Cell::text("STATE", state),
            Cell::time("USED", self.last_used_at),
            Cell::optional("ENDS", self.ends_at.map(seconds)),
            Cell::time("CREATED", self.created_at),
            Cell::text("ID", self.id),
        ]
    }
}
