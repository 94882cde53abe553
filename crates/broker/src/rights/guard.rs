use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use brokkr_core::wire::PLAN_HEADER;
use futures::future::Either;
use http::{HeaderValue, Method};
use tower::{Layer, Service};

use super::admission::Admission;
use super::{Reach, Right, TABLE};
use crate::Broker;
use crate::auth::authenticate;
use crate::error::{Error, Result};
use crate::limits::{Kind, Permit, Permitted};
use crate::scope::{Caller, Identity, Origin};
use crate::session::Session;

/// What agents ask all the time.
const POLL: &str = "/agent/target-state";

/// The layer before every operation: is there such a one, who is asking, may they.
#[derive(Clone)]
pub(crate) struct Guard {
    broker: Arc<Broker>,
    /// By the path as the router knows it.
    rights: Arc<HashMap<String, Vec<&'static Right>>>,
}

impl Guard {
    /// A guard for the operations below a prefix of the router.
    pub(crate) fn new(broker: Arc<Broker>, prefix: &str) -> Self {
        let mut rights: HashMap<_, Vec<_>> = HashMap::new();
        for right in TABLE {
            let path = format!("{prefix}{}", right.path);
            rights.entry(path).or_default().push(right);
        }
        Self {
            broker,
            rights: Arc::new(rights),
        }
    }

    fn admit(&self, request: &Request) -> Result<(Admission, Permit)> {
        let path = request.extensions().get::<MatchedPath>();
        let rights = path.and_then(|path| self.rights.get(path.as_str()));
        let rights = rights.ok_or(Error::NoRoute)?;
        let right = find(rights, request.method()).ok_or_else(|| not_allowed(rights))?;
        let limits = &self.broker.limits;
        let caller = authenticate(&self.broker, request.headers());
        let mut caller = caller.map_err(|_| limits.bad_key(request))?;
        caller.origin = Origin {
            address: Some(limits.address(request)),
            request: request.extensions().get().copied(),
        };
        let kind = if right.path == POLL {
            Kind::Poll
        } else {
            Kind::Request
        };
        let permit = limits.permit(caller.key, kind)?;
        if let Identity::Agent(agent) = caller.identity
            && self.broker.fleet.is_retired(agent)
        {
            return Err(Error::AgentRetired(agent));
        }
        match right.reach(caller.role()) {
            Reach::Nothing => Err(Error::Forbidden(refusal(right, &caller))),
            reach => {
                if !right.can_be_planned && wants_a_plan(request) {
                    return Err(Error::Malformed(
                        "this cannot be planned, so nothing was changed: leave `plan` and `Brokkr-Plan` out"
                            .to_owned(),
                    ));
                }
                let session = Session::read(request.headers())?;
                self.broker.fleet.is_of_latest_session(&caller, session)?;
                let admission = Admission {
                    caller,
                    reach,
                    session,
                };
                Ok((admission, permit))
            }
        }
    }
}

fn find<'a>(rights: &[&'a Right], method: &Method) -> Option<&'a Right> {
    // A HEAD is answered as the GET that it stands for.
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    rights.iter().copied().find(|right| right.method == *method)
}

/// Whether a change is only to be planned, or to be made as planned. Whoever asks for that means to change nothing else.
fn wants_a_plan(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() != Method::GET
        && (request.headers().contains_key(PLAN_HEADER)
            || query.split('&').any(|pair| pair.starts_with("plan=")))
}

fn not_allowed(rights: &[&Right]) -> Error {
    let methods: Vec<_> = rights.iter().map(|right| right.method.as_str()).collect();
    let allow = HeaderValue::try_from(methods.join(", "));
    Error::MethodNotAllowed(allow.unwrap_or(HeaderValue::from_static("")))
}

fn refusal(right: &Right, caller: &Caller) -> String {
    let roles: Vec<_> = right.roles().map(|role| role.to_string()).collect();
    format!(
        "this key's role is {}, and this takes {}: use such a key, or ask whoever has one",
        caller.role(),
        roles.join(" or ")
    )
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            guard: self.clone(),
            inner,
        }
    }
}

/// A service behind the [`Guard`].
#[derive(Clone)]
pub(crate) struct Guarded<S> {
    guard: Guard,
    inner: S,
}

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<std::result::Result<Response, Infallible>>, Permitted<S::Future>>;

    fn poll_ready(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<std::result::Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        match self.guard.admit(&request) {
            Ok((admission, permit)) => {
                request.extensions_mut().insert(admission);
                Either::Right(permit.around(self.inner.call(request)))
            }
            Err(error) => Either::Left(ready(Ok(error.into_response()))),
        }
    }
}
