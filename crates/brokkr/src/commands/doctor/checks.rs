//! What is found on the way to the broker, judged.

use brokkr_client::{Error, Probe, Result, Seen};
use brokkr_core::wire::Problem;
use jiff::Timestamp;

use super::finding::{Check, Finding};

/// On what line the broker is asked.
pub struct Line {
    /// Whether the broker has to prove who it is.
    pub is_encrypted: bool,
    /// Whether others than this machine can read along.
    pub is_readable: bool,
    /// The proxy in between.
    pub proxy: Option<String>,
}

impl Line {
    /// What the address and the environment make of it.
    pub fn of(probe: &Probe) -> Self {
        Self {
            is_encrypted: probe.is_encrypted(),
            is_readable: probe.is_readable(),
            proxy: probe.proxy(),
        }
    }
}

/// How far apart two clocks may be that are both looked after.
const APART_SECONDS: i64 = 30;

/// There is no address, or none that can be used.
pub fn no_address(error: &anyhow::Error) -> Finding {
    Check::Address.fail_by(
        &format!("{error:#}"),
        "put it right where it is set, or name a broker with --broker URL",
    )
}

/// There is one.
pub fn address(server: &str, from: &str) -> Finding {
    Check::Address.ok(format!("{server}, from {from}"))
}

/// What came of the first request.
pub fn connection(line: &Line, answer: &Result<Seen>) -> Finding {
    let check = Check::Connection;
    let proxy = line.proxy.as_deref();
    let through = proxy.map_or_else(String::new, |proxy| {
        format!(", through the proxy {proxy} that the environment names")
    });
    match answer {
        Err(Error::Untrusted { server, cause }) => {
            // What to do stands behind the first colon.
            let (cause, to_do) = cause
                .split_once(": ")
                .unwrap_or((cause, "have another one issued: docs/how-to/tls.md"));
            check.fail(
                format!("the broker at {server} is not to be trusted: {cause}{through}"),
                to_do,
            )
        }
        Err(error) => check.fail(format!("{error}{through}"), to_reach(proxy)),
        Ok(_) if line.is_readable => check.warn(
            format!("plain HTTP{through}: who is on the way reads the key"),
            "use https://, unless the line itself is private: docs/how-to/tls.md",
        ),
        Ok(_) if line.is_encrypted => check.ok(format!("TLS, with a trusted certificate{through}")),
        Ok(_) => check.ok("plain HTTP, which does not leave this machine"),
    }
}

fn to_reach(proxy: Option<&str>) -> &'static str {
    match proxy {
        Some(_) => {
            "let the proxy pass the broker's host and port, or name the host in NO_PROXY; see whether the broker runs"
        }
        None => "see whether the broker runs and listens there, and whether a firewall is between",
    }
}

/// What `/healthz` and `/readyz` say.
pub fn broker(alive: &Seen, ready: &Result<Seen>) -> Finding {
    let check = Check::Broker;
    if (alive.status, alive.text.as_str()) != (200, "ok\n") {
        return refused_or_foreign(alive, "/healthz");
    }
    match ready {
        Ok(ready) if ready.status == 200 && ready.text == "ok\n" => check.ok("it is ready"),
        Ok(ready) if ready.status == 200 && ready.text.starts_with("degraded") => check.warn(
            "it is degraded: its database does not answer; for a minute agents are served from memory",
            "look at the database, and at the broker's log",
        ),
        Ok(ready) => refused_or_foreign(ready, "/readyz"),
        Err(error) => check.fail(error.to_string(), to_reach(None)),
    }
}

fn refused_or_foreign(seen: &Seen, path: &str) -> Finding {
    match serde_json::from_str::<Problem>(&seen.text) {
        Ok(problem) if problem.status == 503 => Check::Broker.fail(
            format!("it is not ready: {}", problem.detail),
            "wait until it is; its log says why it is not",
        ),
        Ok(problem) => Check::Broker.fail(
            problem.detail,
            "put the address right where it is set: its scheme, host, port and path",
        ),
        Err(_) => Check::Broker.fail(
            format!("what answers {path} with {} is no broker", seen.status),
            "put the address right: its port and path, too; a proxy may have answered in the broker's place",
        ),
    }
}

/// What time it is there, and here.
pub fn clock(there: Option<Timestamp>, here: Timestamp) -> Finding {
    let check = Check::Clock;
    let Some(there) = there else {
        return check.warn(
            "the answer does not say what time it is at the broker",
            "compare the clocks yourself: keys and certificates end by them",
        );
    };
    let ahead = here.duration_since(there).as_secs();
    if ahead.abs() <= APART_SECONDS {
        return check.ok("this machine and the broker agree on the time");
    }
    let direction = if ahead > 0 { "ahead of" } else { "behind" };
    check.warn(
        format!(
            "this machine is {} s {direction} the broker, where it is {there}",
            ahead.abs()
        ),
        "set the clock that is wrong, and keep it right with NTP: keys and certificates end by it",
    )
}
