use axum::response::{IntoResponse, Response};
use brokkr_core::wire::Plan;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Broker;
use crate::error::Result;
use crate::extract::Json;
use crate::scope::Caller;
use crate::writer::{Mutation, Planned};

/// Whether a change is made, or only planned.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Preview {
    /// `only`: answer with the plan of what the change would begin and end, and store nothing.
    #[param(inline)]
    pub(super) plan: Option<Only>,
}

/// The answer of a change that can be planned: what it made, or its plan.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes answers, which are written directly")]
pub(super) enum MadeOrPlanned<T> {
    /// What was made.
    Made(T),
    /// With `plan=only`.
    Planned(Plan),
}

/// The one word that a preview takes.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Only {
    Only,
}

impl Preview {
    /// Makes the change and answers, or answers with its plan.
    pub(super) async fn or_change<M: Mutation>(
        self,
        broker: &Broker,
        caller: &Caller,
        mutation: M,
        answer: impl FnOnce(M::Output) -> Response,
    ) -> Result<Response> {
        match self.plan {
            Some(Only::Only) => {
                Ok(Json(broker.change(caller.actor(), Planned(mutation)).await?).into_response())
            }
            None => broker.change(caller.actor(), mutation).await.map(answer),
        }
    }
}
