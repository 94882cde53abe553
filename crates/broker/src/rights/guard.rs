use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use brokkr_core::pak::Role;
use brokkr_core::wire::PLAN_HEADER;
use futures::future::Either;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use uuid::Uuid;

use super::admission::{Admission, BodyLimit};
use super::own_page;
use super::{Reach, Right, TABLE};
use crate::Broker;
use crate::auth::authenticate;
use crate::error::{Error, Result};
use crate::limits::{Kind, Permit, Permitted};
use crate::memory::{self, BodyRoom};
use crate::scope::{Caller, Identity, Origin};
use crate::session::Session;

/// What agents ask all the time.
const POLL: &str = "/agent/target-state";

/// The layer before every operation: is there such a one, who is asking, may they.
#[derive(Clone)]
pub(crate) struct Guard {
    broker: Arc<Broker>,
    /// By the path as the router knows it.
    operations: Arc<HashMap<String, Vec<Operation>>>,
}

/// An operation: its row in the table, and the number of the row.
#[derive(Clone, Copy)]
struct Operation {
    right: &'static Right,
    row: u16,
}

impl Guard {
    /// A guard for the operations below a prefix of the router.
    pub(crate) fn new(broker: Arc<Broker>, prefix: &str) -> Self {
        let mut operations: HashMap<_, Vec<_>> = HashMap::new();
        for (row, right) in (0..).zip(TABLE) {
            let path = format!("{prefix}{}", right.path);
            let operation = Operation { right, row };
            operations.entry(path).or_default().push(operation);
        }
        Self {
            broker,
            operations: Arc::new(operations),
        }
    }

    fn operation(&self, request: &Request) -> Result<Operation> {
        let path = request.extensions().get::<MatchedPath>();
        let operations = path.and_then(|path| self.operations.get(path.as_str()));
        let operations = operations.ok_or(Error::NoRoute)?;
        find(operations, request.method()).ok_or_else(|| not_allowed(operations))
    }

    fn admit(&self, right: &Right, request: &Request) -> Result<(Admission, Permit)> {
        let limits = &self.broker.limits;
        let caller = authenticate(&self.broker, request.headers());
        let mut caller = caller.map_err(|_| limits.bad_key(request))?;
        if caller.sign_in.is_some() {
            own_page::check(request)?;
        }
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
                let body = BodyLimit {
                    most: right.most,
                    room: self.room(&caller, request),
                };
                let admission = Admission {
                    caller,
                    reach,
                    session,
                    body,
                };
                Ok((admission, permit))
            }
        }
    }

    /// Memory for the body of a request, if anybody will read it.
    fn room(&self, caller: &Caller, request: &Request) -> Option<Arc<BodyRoom>> {
        if request.method().is_safe() {
            return None;
        }
        let bodies = self.broker.rooms.bodies_of(caller.role());
        Some(Arc::new(bodies.one(caller.owner())))
    }
}

fn find(operations: &[Operation], method: &Method) -> Option<Operation> {
    // A HEAD is answered as the GET that it stands for.
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let mut operations = operations.iter().copied();
    operations.find(|operation| operation.right.method == *method)
}

/// Whether a change is only to be planned, or to be made as planned. Whoever asks for that means to change nothing else.
fn wants_a_plan(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() != Method::GET
        && (request.headers().contains_key(PLAN_HEADER)
            || query.split('&').any(|pair| pair.starts_with("plan=")))
}

fn not_allowed(operations: &[Operation]) -> Error {
    let methods = operations.iter().map(|o| o.right.method.as_str());
    let methods: Vec<_> = methods.collect();
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
    type Future =
        Either<Ready<std::result::Result<Response, Infallible>>, Counted<Permitted<S::Future>>>;

    fn poll_ready(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<std::result::Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let refused = |error: Error| error.into_response();
        let Operation { right, row } = match self.guard.operation(&request) {
            Ok(operation) => operation,
            Err(error) => return Either::Left(ready(Ok(refused(error)))),
        };
        let broker = Arc::clone(&self.guard.broker);
        match self.guard.admit(right, &request) {
            Ok((admission, permit)) => {
                let by_cookie = admission.caller.sign_in.is_some();
                let (role, caller) = (admission.caller.role(), admission.caller.owner());
                let body = admission.body.room.clone();
                let is_read = request.method().is_safe();
                request.extensions_mut().insert(admission);
                let work = permit.around(self.inner.call(request));
                Either::Right(Counted {
                    work,
                    broker,
                    row,
                    role,
                    caller,
                    by_cookie,
                    is_read,
                    _body: body,
                })
            }
            Err(error) => {
                let response = refused(error);
                broker.metrics.answered(row.into(), response.status());
                Either::Left(ready(Ok(response)))
            }
        }
    }
}

pin_project! {
    /// A request under way, whose answer is counted, and what both take up.
    pub(crate) struct Counted<F> {
        #[pin]
        work: F,
        broker: Arc<Broker>,
        row: u16,
        role: Role,
        caller: Uuid,
        by_cookie: bool,
        is_read: bool,
        // What was read of it is there until it is answered.
        _body: Option<Arc<BodyRoom>>,
    }
}

impl<F> Future for Counted<F>
where
    F: Future<Output = std::result::Result<Response, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.work.poll(context).map_ok(|mut response| {
            // A change was made: that it was is never refused.
            if *this.is_read {
                let answers = this.broker.rooms.answers_to(*this.role);
                let sent = memory::under_way(response, *this.caller, answers);
                response = sent.unwrap_or_else(Error::into_response);
            }
            if *this.by_cookie {
                // Whoever has the browser next has its cache.
                let no_store = HeaderValue::from_static("no-store");
                response.headers_mut().insert(CACHE_CONTROL, no_store);
            }
            let row = usize::from(*this.row);
            this.broker.metrics.answered(row, response.status());
            response
        })
    }
}
