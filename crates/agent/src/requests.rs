//! What the agent is asked beside its work: fetched, carried out and answered, and never in the way of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_core::ambient::Ambient;
use brokkr_core::wire::{
    MAX_REQUESTS, RequestAnswer, RequestTask, TargetRequest, TargetStack, WhichLogs,
};
use brokkr_core::{Digest, RequestId, StackId};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::course::Heading;
use crate::reconcile::Stack;
use crate::stacks::{Nudge, Workshop};
use brokkr_core::Backoff;

/// How many are carried out at the same time.
const AT_ONCE: usize = 2;
/// How many are remembered, so that none is carried out twice: more than a broker keeps.
const REMEMBERED: usize = 256;
/// What takes longer is not waited for.
const TIME: Duration = Duration::from_mins(1);
/// How often the broker is asked again that cannot be reached.
const TRIES: u32 = 5;
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// What the states of the broker ask, each thing once.
pub(crate) struct Requests {
    known: Mutex<Known>,
    asked: mpsc::Sender<RequestId>,
    ambient: Arc<dyn Ambient>,
}

#[derive(Default)]
struct Known {
    /// What the last state asked, as far as it is in hand or answered.
    listed: Vec<RequestId>,
    /// What was taken on, and until when it may be asked again.
    taken: HashMap<RequestId, Timestamp>,
}

impl Requests {
    /// With the end at which they come out.
    pub(crate) fn new(ambient: Arc<dyn Ambient>) -> (Self, mpsc::Receiver<RequestId>) {
        let (asked, queue) = mpsc::channel(MAX_REQUESTS);
        let requests = Self {
            known: Mutex::default(),
            asked,
            ambient,
        };
        (requests, queue)
    }

    /// Takes on what a state asks, as far as there is room; the rest will be asked again.
    pub(crate) fn take(&self, requests: &[TargetRequest]) {
        let now = self.ambient.now();
        let mut known = self.known();
        known.taken.retain(|_, expires| *expires > now);
        known.listed.clear();
        for request in requests.iter().take(MAX_REQUESTS) {
            let is_new = !known.taken.contains_key(&request.id);
            if is_new {
                if known.taken.len() == REMEMBERED || self.asked.try_send(request.id).is_err() {
                    continue;
                }
                known.taken.insert(request.id, request.expires);
            }
            known.listed.push(request.id);
        }
    }

    /// What a poll need not tell.
    pub(crate) fn in_hand(&self) -> Vec<RequestId> {
        self.known().listed.clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries out what is asked.
pub(crate) struct Clerk {
    workshop: Arc<Workshop>,
    heading: watch::Receiver<Heading>,
    nudge: mpsc::Sender<Nudge>,
}

impl Clerk {
    pub(crate) fn new(
        workshop: &Arc<Workshop>,
        heading: watch::Receiver<Heading>,
        nudge: mpsc::Sender<Nudge>,
    ) -> Self {
        Self {
            workshop: workshop.clone(),
            heading,
            nudge,
        }
    }

    /// Works until the end, which nothing that is asked delays.
    pub(crate) async fn run(
        &self,
        mut asked: mpsc::Receiver<RequestId>,
        ending: &CancellationToken,
    ) {
        let requests = stream::poll_fn(|context| asked.poll_recv(context));
        let work = requests.for_each_concurrent(AT_ONCE, |id| self.carry_out(id));
        tokio::select! {
            biased;
            () = ending.cancelled() => {}
            () = work => {}
        }
    }

    /// Answers a request, unless nobody waits for it any more.
    async fn carry_out(&self, id: RequestId) {
        let ambient = &*self.workshop.ambient;
        let Ok(broker) = self.workshop.session.broker() else {
            return; // Only a poll of the session tells of requests.
        };
        let task = patiently(ambient, || broker.request_task(id)).await;
        let answered = match task {
            Ok(task) => {
                let answer = self.answer(task).await;
                patiently(ambient, || broker.answer_request(id, &answer)).await
            }
            Err(error) => Err(error),
        };
        match answered {
            Ok(()) => tracing::info!(request = %id, "answered what was asked"),
            Err(error) if error.is_not_found() => {
                tracing::debug!(request = %id, "nobody waits for the answer any more");
            }
            Err(error) => tracing::warn!(request = %id, %error, "what was asked is not answered"),
        }
    }

    async fn answer(&self, task: RequestTask) -> RequestAnswer {
        let failed = |reason: String| RequestAnswer::Failed { reason };
        let answer = async {
            match task {
                RequestTask::Sync { stacks } => self.sync(stacks).await,
                RequestTask::Plan { entry, manifests } => self.plan(&entry, manifests).await,
                RequestTask::Describe { stack } => self.describe(stack).await,
                RequestTask::Logs { stack, which } => self.logs(stack, &which).await,
                RequestTask::Unknown => Err(Error::Setup(
                    "this agent does not know such requests: update it".to_owned(),
                )),
            }
        };
        match timeout(TIME, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => failed(error.to_string()),
            Err(_) => failed(format!("it took longer than {} s", TIME.as_secs())),
        }
    }

    async fn plan(&self, entry: &TargetStack, manifests: String) -> Result<RequestAnswer, Error> {
        let received = Digest::of(entry.default_namespace.as_deref(), &manifests);
        if received != entry.digest {
            return Err(Error::WrongContent {
                expected: entry.digest,
                received,
            });
        }
        let rehearsals = &self.workshop.rehearsals;
        let plan = rehearsals.rehearse(entry, &manifests.into()).await?;
        Ok(RequestAnswer::Plan(plan))
    }

    async fn describe(&self, stack: StackId) -> Result<RequestAnswer, Error> {
        let contents = self.contents(stack).await?;
        let rehearsals = &self.workshop.rehearsals;
        let description = rehearsals.describe(stack, &contents).await?;
        Ok(RequestAnswer::Describe(description))
    }

    async fn logs(&self, stack: StackId, which: &WhichLogs) -> Result<RequestAnswer, Error> {
        let contents = self.contents(stack).await?;
        let rehearsals = &self.workshop.rehearsals;
        let logs = rehearsals.logs(stack, &contents, which).await?;
        Ok(RequestAnswer::Logs(logs))
    }

    /// What the objects of a stack may be made of: the newest content, and the one that was applied last. There is none of a
    /// stack that is removed.
    async fn contents(&self, stack: StackId) -> Result<Vec<Arc<str>>, Error> {
        let entry = match &*self.heading.borrow() {
            Heading::Follow(state) => state.stacks.iter().find(|e| e.stack == stack).cloned(),
            Heading::Unknown | Heading::LetGo => None,
        };
        let Some(newest) = entry else {
            return Ok(Vec::new());
        };
        let mut contents = vec![self.workshop.content(&newest).await?];
        let rehearsals = &self.workshop.rehearsals;
        if let Some(applied) = rehearsals.applied(&mut Stack::new(stack), &newest).await?
            && applied.deployment_object != newest.deployment_object
        {
            contents.push(self.workshop.content(&applied).await?);
        }
        Ok(contents)
    }

    async fn sync(&self, stacks: Vec<StackId>) -> Result<RequestAnswer, Error> {
        let (begun, count) = oneshot::channel();
        let ending = || Error::Setup("the agent is stopping: ask again".to_owned());
        let nudge = Nudge { stacks, begun };
        self.nudge.send(nudge).await.map_err(|_| ending())?;
        let stacks = count.await.map_err(|_| ending())?;
        Ok(RequestAnswer::Sync { stacks })
    }
}

/// Asks the broker again as long as it cannot be reached, for a while.
async fn patiently<T, F>(ambient: &dyn Ambient, ask: impl Fn() -> F) -> brokkr_client::Result<T>
where
    F: Future<Output = brokkr_client::Result<T>>,
{
    let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
    for _ in 1..TRIES {
        match ask().await {
            // A refusal is final; all else is somebody on the way.
            Err(error) if error.code().is_none() => sleep(backoff.next(ambient)).await,
            answer => return answer,
        }
    }
    ask().await
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;
    use brokkr_core::wire::RequestKind;
    use jiff::SignedDuration;

    use super::*;

    fn asked(minutes: i64) -> TargetRequest {
        TargetRequest {
            id: RequestId::generate(&System),
            kind: RequestKind::Sync,
            expires: System.now() + SignedDuration::from_mins(minutes),
        }
    }

    #[test]
    fn what_is_asked_is_taken_on_once_as_far_as_there_is_room() {
        let (requests, mut queue) = Requests::new(Arc::new(System));
        let mut taken = || -> Vec<_> { std::iter::from_fn(|| queue.try_recv().ok()).collect() };
        let many: Vec<_> = (0..MAX_REQUESTS + 4).map(|_| asked(15)).collect();
        let ids: Vec<_> = many.iter().map(|request| request.id).collect();
        requests.take(&many[..1]);
        requests.take(&many);
        assert_eq!(requests.in_hand(), ids[..MAX_REQUESTS]);
        assert_eq!(taken(), ids[..MAX_REQUESTS]);
        // Answered by now; a replica that is behind still asks.
        requests.take(&[]);
        assert!(requests.in_hand().is_empty());
        requests.take(&many[..2]);
        assert_eq!((requests.in_hand(), taken()), (ids[..2].to_vec(), vec![]));
        requests.take(&many[MAX_REQUESTS..]);
        assert_eq!(taken(), ids[MAX_REQUESTS..]);
        // What has expired is forgotten.
        let late = asked(-1);
        requests.take(std::slice::from_ref(&late));
        requests.take(std::slice::from_ref(&late));
        assert_eq!(taken(), [late.id, late.id]);
    }

    /// It is asked once and then ends no wait, until the answer says that it is not known.
    #[test]
    fn what_is_of_no_known_kind_is_taken_on_too() {
        let (requests, mut queue) = Requests::new(Arc::new(System));
        let newer = serde_json::json!({
            "id": RequestId::generate(&System), "kind": "of_a_later_version", "expires": System.now() + SignedDuration::from_mins(15),
        });
        let newer: TargetRequest = serde_json::from_value(newer).expect("a request");
        assert_eq!(newer.kind, RequestKind::Unknown);
        for _ in 0..2 {
            requests.take(std::slice::from_ref(&newer));
            assert_eq!(requests.in_hand(), [newer.id]);
        }
        assert_eq!(queue.try_recv(), Ok(newer.id));
        assert!(queue.try_recv().is_err());
        let task = serde_json::json!({"kind": "of_a_later_version", "stack": "any", "more": {}});
        let task: RequestTask = serde_json::from_value(task).expect("a task");
        assert_eq!(task, RequestTask::Unknown);
    }
}
