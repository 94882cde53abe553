//! Which runs of a pod's containers have written what is asked for.

use brokkr_core::wire::WhichLogs;
use serde_json::Value;

/// A run of a container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Run {
    pub container: String,
    /// Whether it is the one before the present one.
    pub previous: bool,
    /// Why it has written nothing, if that is known.
    pub nothing: Option<String>,
}

/// A container's status.
struct Container<'a> {
    name: &'a str,
    status: &'a Value,
    is_init: bool,
}

/// The runs of a pod's containers, the older ones first. Of a container that fails again and again the run before the present one says
/// more than the present one, which may have just begun.
pub(super) fn of(pod: &Value, which: &WhichLogs) -> Vec<Run> {
    let mut containers = containers(pod);
    if let Some(name) = &which.container {
        containers.retain(|one| one.name == name);
    } else {
        containers.retain(|one| !(one.is_init && one.is_done()));
        if !which.all && containers.iter().any(Container::is_troubled) {
            containers.retain(Container::is_troubled);
        }
    }
    let runs = containers.iter().flat_map(|one| one.runs(which));
    runs.collect()
}

fn containers(pod: &Value) -> Vec<Container<'_>> {
    let of = |list: &str, statuses: &str, is_init| {
        let statuses = pod.pointer(statuses).and_then(Value::as_array);
        let status = |name: &str| {
            let mut statuses = statuses.into_iter().flatten();
            statuses.find(|status| text(status, "/name") == Some(name))
        };
        let specified = pod.pointer(list).and_then(Value::as_array);
        let names = specified.into_iter().flatten();
        let names = names.filter_map(|container| text(container, "/name"));
        let found = names.map(|name| Container {
            name,
            status: status(name).unwrap_or(&Value::Null),
            is_init,
        });
        found.collect::<Vec<_>>()
    };
    let mut all = of(
        "/spec/initContainers",
        "/status/initContainerStatuses",
        true,
    );
    all.extend(of("/spec/containers", "/status/containerStatuses", false));
    all
}

impl Container<'_> {
    fn is_done(&self) -> bool {
        let code = self.status.pointer("/state/terminated/exitCode");
        code.and_then(Value::as_i64) == Some(0)
    }

    fn is_ready(&self) -> bool {
        self.status.pointer("/ready").and_then(Value::as_bool) == Some(true)
    }

    fn is_troubled(&self) -> bool {
        !self.is_ready() && !self.is_done()
    }

    fn runs(&self, which: &WhichLogs) -> Vec<Run> {
        let has_ended_before = self.status.pointer("/lastState/terminated").is_some();
        let has_begun = ["/state/running", "/state/terminated"]
            .iter()
            .any(|state| self.status.pointer(state).is_some());
        let run = |previous| Run {
            container: self.name.to_owned(),
            previous,
            nothing: None,
        };
        let nothing = |previous, why: String| Run {
            nothing: Some(why),
            ..run(previous)
        };
        match (has_ended_before, has_begun) {
            (false, _) if which.previous => {
                vec![nothing(true, "it has not run before".to_owned())]
            }
            (true, _) if which.previous => vec![run(true)],
            (true, true) if self.is_troubled() => vec![run(true), run(false)],
            (_, true) => vec![run(false)],
            // It waits to be begun again: there is no other run to tell of.
            (true, false) => vec![run(true)],
            (false, false) => {
                let reason = text(self.status, "/state/waiting/reason");
                let why = reason.map(|reason| format!(": {reason}"));
                let why = format!("it has not run yet{}", why.unwrap_or_default());
                vec![nothing(false, why)]
            }
        }
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str()
}
