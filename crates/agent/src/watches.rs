//! Sees what others do to the objects of all stacks, as it happens: one watch for each kind, shared by the stacks.
//!
//! A watch only says when it is time to look. What is done about it is decided by an attempt, which reads for itself; so
//! a watch that is late, or is refused, costs time and nothing else: the next comparison finds the same.

mod inbox;
mod kind;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_core::ambient::Ambient;
use brokkr_core::{ObjectKey, StackId};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, Resource, Sighting};

pub(crate) use inbox::Inbox;

/// For so long changes of what is owned are gathered.
const GATHER: Duration = Duration::from_millis(100);

/// A kind, and where it is served.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct WatchedKind {
    pub group: String,
    pub kind: String,
    pub resource: Resource,
}

/// Namespaces; none stands for what has no namespace.
pub(crate) type Namespaces = BTreeSet<Option<String>>;

/// What a stack owns objects of, and where.
pub(crate) type Holdings = BTreeMap<WatchedKind, Namespaces>;

/// The watches of an agent.
pub(crate) struct Watches {
    cluster: Arc<Cluster>,
    ambient: Arc<dyn Ambient>,
    posts: Mutex<HashMap<StackId, Post>>,
    changed: Notify,
}

/// A stack that wants to be told.
#[derive(Default)]
struct Post {
    holdings: Holdings,
    inbox: Arc<Inbox>,
}

/// A watch that runs.
struct Running {
    namespaces: watch::Sender<Namespaces>,
    task: AbortHandle,
}

impl Watches {
    pub(crate) fn new(cluster: Arc<Cluster>, ambient: Arc<dyn Ambient>) -> Self {
        Self {
            cluster,
            ambient,
            posts: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Where a stack is told what was done to its objects.
    pub(crate) fn inbox(&self, stack: StackId) -> Arc<Inbox> {
        self.posts().entry(stack).or_default().inbox.clone()
    }

    /// Watches from now on what a stack owns by now.
    pub(crate) fn follow(&self, stack: StackId, holdings: Holdings) {
        {
            let mut posts = self.posts();
            let post = posts.entry(stack).or_default();
            if post.holdings == holdings {
                return;
            }
            post.holdings = holdings;
        }
        self.changed.notify_one();
    }

    /// Tells a stack nothing any more.
    pub(crate) fn forget(&self, stack: StackId) {
        self.posts().remove(&stack);
        self.changed.notify_one();
    }

    /// Keeps a watch for each kind that any stack owns objects of, until the end.
    pub(crate) async fn run(self: &Arc<Self>, ending: &CancellationToken) {
        let mut tasks = JoinSet::new();
        let mut running: HashMap<WatchedKind, Running> = HashMap::new();
        loop {
            let mut wanted = self.wanted();
            running.retain(|kind, running| {
                let Some(namespaces) = wanted.remove(kind) else {
                    running.task.abort();
                    return false;
                };
                running.namespaces.send_if_modified(|current| {
                    let is_new = *current != namespaces;
                    *current = namespaces;
                    is_new
                });
                true
            });
            for (kind, namespaces) in wanted {
                let (sender, receiver) = watch::channel(namespaces);
                let task = tasks.spawn(kind::follow(self.clone(), kind.clone(), receiver));
                running.insert(
                    kind,
                    Running {
                        namespaces: sender,
                        task,
                    },
                );
            }
            while tasks.try_join_next().is_some() {}
            tokio::select! {
                biased;
                () = ending.cancelled() => return,
                () = self.changed.notified() => {}
            }
            // After a start each stack says so.
            sleep(GATHER).await;
        }
    }

    fn wanted(&self) -> HashMap<WatchedKind, Namespaces> {
        let mut wanted: HashMap<WatchedKind, Namespaces> = HashMap::new();
        for post in self.posts().values() {
            for (kind, namespaces) in &post.holdings {
                let all = wanted.entry(kind.clone()).or_default();
                all.extend(namespaces.iter().cloned());
            }
        }
        wanted
    }

    fn tell(&self, kind: &WatchedKind, sighting: Sighting) {
        let Ok(stack) = sighting.stack.parse::<StackId>() else {
            return;
        };
        let key = ObjectKey {
            group: kind.group.clone(),
            kind: kind.kind.clone(),
            namespace: sighting.namespace,
            name: sighting.name,
        };
        let inbox = self.posts().get(&stack).map(|post| post.inbox.clone());
        if let Some(inbox) = inbox {
            inbox.put(key, sighting.live);
        }
    }

    fn posts(&self) -> MutexGuard<'_, HashMap<StackId, Post>> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
