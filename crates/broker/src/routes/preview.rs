use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use brokkr_core::Digest;
use brokkr_core::wire::{PLAN_HEADER, Plan};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};

use crate::Broker;
use crate::error::{Error, Result};
use crate::extract::{self, Json};
use crate::plan::{Careful, Planned};
use crate::scope::Caller;
use crate::writer::Mutation;

/// Whether a change is made, or only planned.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Preview {
    /// `only`: answer with the plan of what the change would begin, end and drop, and store nothing.
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
        Ok(match self.made(broker, caller, mutation).await? {
            (_, Some(plan)) => Json(plan).into_response(),
            (output, None) => answer(output),
        })
    }

    /// Makes the change, or only plans it.
    pub(super) async fn made<M: Mutation>(
        self,
        broker: &Broker,
        caller: &Caller,
        mutation: M,
    ) -> Result<(M::Output, Option<Plan>)> {
        match self.plan {
            Some(Only::Only) => {
                let planned = broker.change(caller.actor(), Planned(mutation)).await?;
                Ok((planned.0, Some(planned.1)))
            }
            None => Ok((broker.change(caller.actor(), mutation).await?, None)),
        }
    }
}

/// The caller, and the plan that it agreed to if it says one in the header `Brokkr-Plan`: its digest.
#[derive(Debug, Clone)]
pub(super) struct Agreed {
    pub(super) caller: Caller,
    plan: Option<Digest>,
}

impl Agreed {
    /// The change, made with care: only as the plan says, or only if the guard lets it pass.
    pub(super) fn to<M>(&self, mutation: M) -> Careful<M> {
        Careful {
            by: self.caller.name(),
            plan: self.plan,
            mutation,
        }
    }
}

impl IntoParams for Agreed {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![extract::header(
            "Brokkr-Plan",
            "The digest of a plan that `plan=only` gave: the change is made if it still does what the plan says, else refused with 409, and what it takes away counts as approved.",
        )]
    }
}

impl<S: Sync> FromRequestParts<S> for Agreed {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let Some(header) = parts.headers.get(PLAN_HEADER) else {
            return Ok(Self { caller, plan: None });
        };
        let plan = header.to_str().unwrap_or_default().parse().map_err(|_| {
            Error::Malformed(
                "Brokkr-Plan takes the digest of a plan as `?plan=only` gave it: `sha256:` and 64 hexadecimal digits"
                    .to_owned(),
            )
        })?;
        Ok(Self {
            caller,
            plan: Some(plan),
        })
    }
}
