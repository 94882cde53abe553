//! Creates and publishes that may be repeated: a request with an `Idempotency-Key` that was answered before is
//! answered again, and changes nothing. The key is kept with the change, in its own transaction.
//!
//! After <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>.

use jiff::SignedDuration;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::store::idempotency::{self, Remembered};
use crate::writer::{Change, Mutation};

/// How long a key is remembered.
pub(crate) const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// A change whose answer can be given again.
pub(crate) trait Repeatable: Mutation {
    /// What kind of request it is.
    const KIND: &'static str;

    /// What is asked for, which two requests with one key must have in common.
    fn asked(&self) -> Result<Value>;

    /// The id of what was made; none if nothing was.
    fn made(output: &Self::Output) -> Option<Uuid>;

    /// The answer once more, from what was made.
    fn again(
        &self,
        made: Uuid,
        change: &mut Change,
    ) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// A change under the key that its caller gave it, if it gave one.
pub(crate) struct Once<M> {
    pub(crate) key: Option<String>,
    pub(crate) mutation: M,
}

impl<M: Repeatable> Mutation for Once<M> {
    type Output = M::Output;

    fn weight(&self) -> usize {
        self.mutation.weight()
    }

    async fn apply(&self, change: &mut Change) -> Result<M::Output> {
        let Some(key) = &self.key else {
            return self.mutation.apply(change).await;
        };
        // Operators share their keys' meaning; each generator has its own.
        let caller = change.actor.id.unwrap_or_default();
        let asked = self.mutation.asked()?;
        let asked = (M::KIND, asked);
        let asked: [u8; 32] =
            Sha256::digest(serde_json::to_vec(&asked).map_err(Error::internal)?).into();
        let since = change.now - REMEMBERED;
        if let Some(found) = idempotency::find(caller, key, since, &mut change.tx).await? {
            if found.asked != asked {
                return Err(Error::IdempotencyMismatch);
            }
            change.unchanged();
            return self.mutation.again(found.made, change).await;
        }
        let output = self.mutation.apply(change).await?;
        if let Some(made) = M::made(&output) {
            let remembered = Remembered { asked, made };
            let now = change.now;
            idempotency::insert(caller, key, &remembered, now, &mut change.tx).await?;
        }
        Ok(output)
    }
}
