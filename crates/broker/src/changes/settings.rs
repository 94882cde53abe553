use brokkr_core::wire::{AuditAction, PatchSettings, Settings};
use uuid::Uuid;

use crate::error::Result;
use crate::extract::IfMatch;
use crate::store::changes::Touched;
use crate::store::settings::{self, FleetPause};
use crate::writer::{Change, Mutation};

/// What the audit calls the settings, which have no id.
const NAME: &str = "settings";

/// Changes the broker's settings. Only a pause is touched: whoever obeys another one reads it where it decides.
pub(crate) struct ChangeSettings {
    pub(crate) expected: IfMatch,
    pub(crate) patch: PatchSettings,
}

impl Mutation for ChangeSettings {
    type Output = Settings;

    async fn apply(&self, change: &mut Change) -> Result<Settings> {
        let before = settings::read(&mut change.tx).await?;
        self.expected.check(before.revision)?;
        let mut after = self.patch.clone().applied_to(before);
        if after == before {
            change.unchanged();
            return Ok(before);
        }
        after.revision = change.revision;
        settings::write(&after, &mut change.tx).await?;
        if after.paused != before.paused {
            let pause = FleetPause {
                paused: after.paused,
                changed_revision: change.revision,
            };
            settings::set_fleet_pause(pause, &mut change.tx).await?;
            change.touch(Touched::Pause);
        }
        let subject = (Uuid::nil(), Some(NAME.to_owned()));
        change.audit(
            AuditAction::SettingsChange,
            subject,
            Some(&before),
            Some(&after),
        )?;
        Ok(after)
    }
}
