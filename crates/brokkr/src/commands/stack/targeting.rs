//! A stack's rules and its exclusions are lists; both are shown and changed in the same way.

use std::fmt::Display;

use anyhow::{Context as _, bail};
use brokkr_core::name::Reference;
use brokkr_core::targeting::{Exclusion, Rule, Targeting};
use brokkr_core::wire::{PatchStack, PatchTargeting, Stack};
use clap::Args;
use serde::Serialize;

use crate::commands::plan::Care;
use crate::connection::Connection;
use crate::output::{Cell, Output, Row};
use crate::terminal::say;

/// What such a list holds.
pub trait Entry: Clone + PartialEq + Display + Serialize {
    /// What one is called.
    const NAME: &'static str;
    /// What stands over its column.
    const HEADER: &'static str;

    fn all(targeting: &Targeting) -> &[Self];
    fn replaced_by(all: Vec<Self>) -> PatchTargeting;
}

impl Entry for Rule {
    const NAME: &'static str = "rule";
    const HEADER: &'static str = "RULE";

    fn all(targeting: &Targeting) -> &[Self] {
        targeting.rules()
    }

    fn replaced_by(all: Vec<Self>) -> PatchTargeting {
        PatchTargeting {
            rules: Some(all),
            exclude: None,
        }
    }
}

impl Entry for Exclusion {
    const NAME: &'static str = "exclusion";
    const HEADER: &'static str = "EXCLUSION";

    fn all(targeting: &Targeting) -> &[Self] {
        targeting.exclude()
    }

    fn replaced_by(all: Vec<Self>) -> PatchTargeting {
        PatchTargeting {
            rules: None,
            exclude: Some(all),
        }
    }
}

/// Shows the list of a stack.
#[derive(Args)]
pub struct Listing {
    /// The stack's name or id
    stack: Reference,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Listing {
    pub async fn show<E: Entry>(&self) -> anyhow::Result<()> {
        let stack = self.connection.client()?.stack(&self.stack).await?;
        if E::all(&stack.targeting).is_empty() {
            say("There are none.");
        }
        show::<E>(&stack, &self.output)
    }
}

/// Changes the list of a stack.
#[derive(Args)]
pub struct Change {
    /// The stack's name or id
    stack: Reference,
    #[command(flatten)]
    care: Care,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Change {
    pub async fn add<E: Entry>(&self, entry: E) -> anyhow::Result<()> {
        self.make(|all| {
            if let Some(at) = position(all, &entry) {
                bail!("that is {} {} of the stack already", E::NAME, at + 1);
            }
            let done = format!("Added: {entry}");
            all.push(entry);
            Ok(done)
        })
        .await
    }

    pub async fn remove<E: Entry>(&self, which: Which<E>) -> anyhow::Result<()> {
        self.make(|all: &mut Vec<E>| {
            let at = match which {
                Which::Number(number) => number.checked_sub(1).filter(|at| *at < all.len()),
                Which::Same(entry) => position(all, &entry),
            };
            let at = at.with_context(|| match all.len() {
                0 => format!("the stack has no {}", E::NAME),
                count => format!("there is no such {}: the stack has {count}", E::NAME),
            })?;
            Ok(format!("Removed: {}", all.remove(at)))
        })
        .await
    }

    /// The list is read and then replaced as a whole, which is refused if somebody else edited the stack in between.
    async fn make<E: Entry>(
        &self,
        edit: impl FnOnce(&mut Vec<E>) -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let stack = client.stack(&self.stack).await?;
        let mut all = E::all(&stack.targeting).to_vec();
        let done = edit(&mut all)?;
        let patch = PatchStack {
            targeting: E::replaced_by(all),
            ..PatchStack::default()
        };
        let plan = client.plan_stack(&self.stack, &patch).await?;
        if !self.care.permits(&plan, &self.output)? {
            return Ok(());
        }
        let agreeing = client.agreeing_to(&plan);
        let stack = agreeing.patch_seen_stack(&stack, &patch).await?;
        say(&done);
        show::<E>(&stack, &self.output)
    }
}

/// Which one of a list.
pub enum Which<E> {
    /// The one that is shown with this number.
    Number(usize),
    /// The one that is the same as this.
    Same(E),
}

fn position<E: PartialEq>(all: &[E], entry: &E) -> Option<usize> {
    all.iter().position(|one| one == entry)
}

fn show<E: Entry>(stack: &Stack, output: &Output) -> anyhow::Result<()> {
    let all = E::all(&stack.targeting);
    let lines: Vec<_> = (1..)
        .zip(all)
        .map(|(number, entry)| Line { number, entry })
        .collect();
    output.rows(&lines, &all)
}

#[derive(Serialize)]
struct Line<'a, E> {
    number: usize,
    entry: &'a E,
}

impl<E: Entry> Row for Line<'_, E> {
    fn name(&self) -> String {
        self.number.to_string()
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text("NUMBER", self.number),
            Cell::text(E::HEADER, self.entry),
        ]
    }
}
