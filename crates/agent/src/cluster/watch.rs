//! Follows all objects of a kind that carry a stack's label: a list, and then each change as the server tells it.

use std::collections::HashMap;
use std::time::Duration;

use brokkr_core::plan::{Live, STACK_LABEL};
use bytes::BytesMut;
use http::Request;
use http::header::ACCEPT;
use http_body_util::BodyExt;
use kube::client::Body;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout};

use super::objects::{METADATA, Partial, read};
use super::send::{Answer, root_cause};
use super::{Cluster, Resource};
use crate::Error;
use crate::monitor::Watching;

/// The server ends a watch after so many seconds, and it is taken up again where it was.
const LENGTH: u64 = 290;
/// Somebody between who cuts every watch is not asked without end.
const SHORTEST: Duration = Duration::from_secs(1);
/// Servers that keep a watch open say at least once a minute how far it is; a line that is cut says nothing.
const SILENCE: Duration = Duration::from_mins(2);
/// No object's metadata is larger; more is no answer of an API server.
const LONGEST_LINE: usize = 4 * 1024 * 1024;
/// What was asked for lies too far back: a new list is needed.
const EXPIRED: u16 = 410;

/// Where an object is: its namespace and its name.
type Place = (Option<String>, String);

/// An object that was listed or changed.
#[derive(Debug)]
pub(crate) struct Sighting {
    /// The value of the label that it has, or had until now.
    pub stack: String,
    pub namespace: Option<String>,
    pub name: String,
    /// None if it is gone, or has lost the label.
    pub live: Option<Live>,
}

/// What was seen up to now, so that what goes unseen is missed in the next list.
#[derive(Default)]
pub(crate) struct Seen(HashMap<Place, String>);

#[derive(Deserialize)]
struct Event {
    r#type: String,
    object: Value,
}

impl Cluster {
    /// Lists the objects and follows them until the server wants them listed anew.
    pub(crate) async fn follow(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        seen: &mut Seen,
        tell: &(impl Fn(Sighting) + Sync),
    ) -> Result<(), Error> {
        let collection = resource.collection(namespace);
        let mut version = self.list_all(&collection, seen, tell).await?;
        loop {
            let soonest = Instant::now() + SHORTEST;
            match self.watch(&collection, version, seen, tell).await? {
                Some(later) => version = later,
                None => return Ok(()),
            }
            sleep_until(soonest).await;
        }
    }

    async fn list_all(
        &self,
        collection: &str,
        seen: &mut Seen,
        tell: &impl Fn(Sighting),
    ) -> Result<String, Error> {
        let (items, version) = self.list_labelled(collection).await?;
        let mut missed = std::mem::take(&mut seen.0);
        for item in items {
            missed.remove(&item.place());
            self.tell(item, seen, tell);
        }
        for ((namespace, name), stack) in missed {
            tell(Sighting {
                stack,
                namespace,
                name,
                live: None,
            });
        }
        Ok(version)
    }

    /// Watches until the server ends it; returns how far it came, or nothing if that is too far back by now.
    async fn watch(
        &self,
        collection: &str,
        mut version: String,
        seen: &mut Seen,
        tell: &impl Fn(Sighting),
    ) -> Result<Option<String>, Error> {
        let path = format!(
            "{collection}?watch=true&allowWatchBookmarks=true&timeoutSeconds={LENGTH}&labelSelector={label}&resourceVersion={version}",
            label = super::resource::escape(STACK_LABEL),
        );
        let mut lines = match self.open(&path).await {
            Err(error) if error.status() == Some(EXPIRED) => return Ok(None),
            opened => opened?,
        };
        while let Some(line) = lines.next().await? {
            let event: Event = read(&line)?;
            match event.r#type.as_str() {
                "ADDED" | "MODIFIED" => self.tell(read(&line_of(&event)?)?, seen, tell),
                "DELETED" => {
                    let item: Partial = read(&line_of(&event)?)?;
                    let (namespace, name) = item.place();
                    let stack = seen.0.remove(&(namespace.clone(), name.clone()));
                    if let Some(stack) = stack {
                        tell(Sighting {
                            stack,
                            namespace,
                            name,
                            live: None,
                        });
                    }
                }
                "BOOKMARK" => {}
                // Whatever it is, a new list cures it; 410 is usual.
                _ => return Ok(None),
            }
            let later = event.object.pointer("/metadata/resourceVersion");
            if let Some(later) = later.and_then(Value::as_str) {
                later.clone_into(&mut version);
            }
        }
        Ok(Some(version))
    }

    /// Tells the stack that the object names; and the one that it named before, which has lost it.
    fn tell(&self, item: Partial, seen: &mut Seen, tell: &impl Fn(Sighting)) {
        let (namespace, name) = item.place();
        let live = self.live(item);
        let Some(stack) = live.stack.clone() else {
            return;
        };
        let before = seen
            .0
            .insert((namespace.clone(), name.clone()), stack.clone());
        if let Some(before) = before.filter(|before| *before != stack) {
            tell(Sighting {
                stack: before,
                namespace: namespace.clone(),
                name: name.clone(),
                live: Some(live.clone()),
            });
        }
        tell(Sighting {
            stack,
            namespace,
            name,
            live: Some(live),
        });
    }

    /// Opens a watch. It takes no turn from others, which are for requests that end.
    async fn open(&self, path: &str) -> Result<Lines, Error> {
        self.turns.pace().await;
        let request = Request::get(path)
            .header(ACCEPT, METADATA)
            .body(Body::empty())
            .map_err(|error| Error::Unreadable(error.to_string()))?;
        let asking = self.monitor.figures.asking_to_watch();
        let response = timeout(self.patience, self.client.send(request));
        let response = response
            .await
            .map_err(|_| Error::Unreachable("a watch was not answered".to_owned()))?
            .map_err(|error| Error::Unreachable(root_cause(&error)))?;
        asking.answered(response.status());
        if !response.status().is_success() {
            let answer = Answer::read(response).await?;
            if answer.is_overload() {
                self.turns.rest(answer.retry_after);
            }
            answer.into_body()?;
            return Err(Error::Unreadable("a watch is no page".to_owned()));
        }
        Ok(Lines {
            body: response.into_body(),
            buffer: BytesMut::new(),
            _open: self.monitor.figures.watching(),
        })
    }
}

fn line_of(event: &Event) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(&event.object).map_err(|error| Error::Unreadable(error.to_string()))
}

/// What a watch says, one event a line.
struct Lines {
    body: Body,
    buffer: BytesMut,
    _open: Watching,
}

impl Lines {
    /// The next line; none if the server has ended the watch, or says nothing any more.
    async fn next(&mut self) -> Result<Option<BytesMut>, Error> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.buffer.split_to(end + 1)));
            }
            if self.buffer.len() > LONGEST_LINE {
                return Err(Error::Unreadable("a watch with an endless line".to_owned()));
            }
            let Ok(Some(frame)) = timeout(SILENCE, self.body.frame()).await else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| Error::Unreachable(root_cause(&error)))?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;
    use crate::cluster::scripted::cluster;

    fn object(name: &str, stack: &str, version: &str) -> Value {
        json!({"metadata": {
            "name": name, "namespace": "shop", "uid": name, "resourceVersion": version,
            "labels": {STACK_LABEL: stack},
        }})
    }

    fn list(items: &[Value]) -> String {
        json!({"metadata": {"resourceVersion": "5"}, "items": items}).to_string()
    }

    fn event(kind: &str, object: &Value) -> String {
        format!("{}\n", json!({"type": kind, "object": object}))
    }

    /// Follows until the script wants a new list; returns stack, name, and whether it is there.
    async fn follow(script: &[(u16, &str)], seen: &mut Seen) -> Vec<(String, String, bool)> {
        let (cluster, left) = cluster(script);
        let told = Mutex::new(Vec::new());
        let tell = |sighting: Sighting| {
            let told_of = (sighting.stack, sighting.name, sighting.live.is_some());
            told.lock().expect("no panic").push(told_of);
        };
        let maps = Resource::new("", "v1", "configmaps");
        let followed = cluster.follow(&maps, None, seen, &tell).await;
        followed.expect("a new list is wanted");
        assert!(left.lock().expect("no panic").is_empty(), "all was asked");
        told.into_inner().expect("no panic")
    }

    fn told(stack: &str, name: &str, is_there: bool) -> (String, String, bool) {
        (stack.to_owned(), name.to_owned(), is_there)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_listed_changes_goes_and_is_missed_is_told() {
        let mut seen = Seen::default();
        let first = list(&[object("a", "s1", "1"), object("b", "s1", "2")]);
        let bookmark = json!({"metadata": {"resourceVersion": "7"}});
        let expired = json!({"kind": "Status", "code": 410, "message": "too old"});
        let one = event("MODIFIED", &object("a", "s2", "6")) + &event("BOOKMARK", &bookmark);
        let two = event("ADDED", &object("c", "s2", "8"))
            + &event("DELETED", &object("b", "s1", "9"))
            + &event("ERROR", &expired);
        // The server ends the first watch, and the second one goes on from there.
        let script = [(200, &*first), (200, &*one), (200, &*two)];
        let expected = [
            told("s1", "a", true),
            told("s1", "b", true),
            // The stack that has lost the label is told, too.
            told("s1", "a", true),
            told("s2", "a", true),
            told("s2", "c", true),
            told("s1", "b", false),
        ];
        assert_eq!(follow(&script, &mut seen).await, expected);

        let later = list(&[object("c", "s2", "8")]);
        let script = [(200, &*later), (410, "")];
        let expected = [told("s2", "c", true), told("s2", "a", false)];
        assert_eq!(follow(&script, &mut seen).await, expected);
    }

    #[tokio::test]
    async fn what_is_no_watch_is_an_error() {
        let empty = list(&[]);
        for (code, body) in [(200, "<html>\n"), (403, ""), (500, "")] {
            let (cluster, _) = cluster(&[(200, &empty), (code, body)]);
            let maps = Resource::new("", "v1", "configmaps");
            let mut seen = Seen::default();
            let followed = cluster.follow(&maps, None, &mut seen, &|_| {}).await;
            assert!(followed.is_err(), "{code} {body}");
        }
    }
}
