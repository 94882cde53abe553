use brokkr_core::WindowId;
use brokkr_core::name::Reference;
use brokkr_core::window::{InvalidSchedule, Schedule};
use brokkr_core::wire::{AuditAction, CreateWindow, Window};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::idempotency::Repeatable;
use crate::scope::Scope;
use crate::store::agents;
use crate::store::changes::Touched;
use crate::store::windows::{self, WindowRow};
use crate::writer::{Change, Mutation};

/// Every agent may be told all of them with each of its states.
const MOST: usize = 100;

/// Creates a window. From its revision on, what is new at the agents that it covers waits for it.
impl Mutation for CreateWindow {
    type Output = Window;

    async fn apply(&self, change: &mut Change) -> Result<Window> {
        check(self)?;
        if windows::all(&mut change.tx).await?.len() >= MOST {
            return Err(Error::InUse(format!(
                "there are {MOST} windows already: delete one that is not needed (`brokkr window list`)"
            )));
        }
        let agent = match &self.agent {
            Some(agent) => Some(agents::find(agent, &Scope::All, &mut change.tx).await?),
            None => None,
        };
        let window = Window {
            id: WindowId::generate(&*change.ambient),
            name: self.name.clone(),
            revision: change.revision,
            agent: agent.as_ref().map(|agent| agent.name.clone()),
            scope: self.scope.clone(),
            rule: self.rule,
            cron: self.cron.clone(),
            minutes: self.minutes,
            zone: self.zone.clone(),
            created_at: change.now,
        };
        let row = WindowRow {
            window: window.clone(),
            agent: agent.map(|agent| agent.id),
        };
        windows::insert(&row, &mut change.tx).await?;
        change.touch(Touched::Windows);
        let action = AuditAction::WindowCreate;
        change.audit(action, named(&window), None::<&()>, Some(&window))?;
        Ok(window)
    }
}

fn check(create: &CreateWindow) -> Result<()> {
    if create.agent.is_some() == create.scope.is_some() {
        return Err(Error::invalid(
            "/scope",
            "say which agents the window covers: either `agent` or `scope`",
        ));
    }
    let Err(why) = Schedule::new(&create.cron, create.minutes.get(), &create.zone) else {
        return Ok(());
    };
    let pointer = match &why {
        InvalidSchedule::Cron(_) | InvalidSchedule::Never(_) => "/cron",
        InvalidSchedule::Zone(_) => "/zone",
    };
    Err(Error::invalid(pointer, why.to_string()))
}

/// Deletes a window: nothing waits for it any more.
pub(crate) struct DeleteWindow {
    pub(crate) window: Reference,
}

impl Mutation for DeleteWindow {
    type Output = ();

    async fn apply(&self, change: &mut Change) -> Result<()> {
        let window = windows::find(&self.window, &mut change.tx).await?.window;
        windows::delete(window.id, change.now, change.revision, &mut change.tx).await?;
        change.touch(Touched::Windows);
        let action = AuditAction::WindowDelete;
        change.audit(action, named(&window), Some(&window), None::<&()>)
    }
}

fn named(window: &Window) -> (Uuid, Option<String>) {
    (window.id.uuid(), Some(window.name.to_string()))
}

impl Repeatable for CreateWindow {
    const KIND: &'static str = "create window";

    fn asked(&self) -> Result<Value> {
        Ok(json!(self))
    }

    fn made(window: &Window) -> Option<Uuid> {
        Some(window.id.uuid())
    }

    async fn again(&self, made: Uuid, change: &mut Change) -> Result<Window> {
        let row = windows::find(&Reference::Id(made), &mut change.tx).await?;
        Ok(row.window)
    }
}
