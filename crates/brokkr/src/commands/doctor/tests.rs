use brokkr_client::{Error, Result, Seen};
use brokkr_core::ambient::System;
use brokkr_core::wire::{Code, Key, KeyState, Me, Problem};
use jiff::{SignedDuration, Timestamp};

use super::checks::{self, Line};
use super::finding::{Check, Finding};
use super::key_checks;
use super::*;

/// What a person reads of these findings.
fn told(findings: impl IntoIterator<Item = Finding>) -> String {
    let mut report = Report::default();
    for finding in findings {
        let _ = report.add(finding);
    }
    report.to_string()
}

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn seen(status: u16, text: &str) -> Seen {
    Seen {
        status,
        text: text.to_owned(),
        date: None,
    }
}

fn problem(status: u16, code: Code, detail: &str) -> Problem {
    Problem {
        kind: format!("urn:brokkr:problem:{code}"),
        title: String::new(),
        status,
        code,
        detail: detail.to_owned(),
        agent: None,
        pointer: None,
        document: None,
        line: None,
        column: None,
        retry_after: None,
        request_id: Some("r-1".to_owned()),
    }
}

fn refused<T>(status: u16, code: Code, detail: &str) -> Result<T> {
    Err(Error::Refused(Box::new(problem(status, code, detail))))
}

#[test]
fn the_address_says_where_it_comes_from() {
    insta::assert_snapshot!(told([
        checks::address("https://broker.example", "context `eu`"),
        checks::no_address(&anyhow::anyhow!("no broker is known yet — sign in")),
        checks::no_address(&anyhow::anyhow!("`x` is not an address").context("x from --broker")),
    ]), @r"
    ok     address        https://broker.example, from context `eu`
    FAIL   address        no broker is known yet
                          → sign in
    FAIL   address        x from --broker: `x` is not an address
                          → put it right where it is set, or name a broker with --broker URL
    ");
}

#[test]
fn the_line_says_who_can_read_it_and_why_it_is_cut() {
    let line = |is_encrypted, is_readable, proxy: Option<&str>| Line {
        is_encrypted,
        is_readable,
        proxy: proxy.map(str::to_owned),
    };
    let server = || "https://broker.example/".to_owned();
    let cause = || "Connection refused (os error 111)".to_owned();
    let untrusted = |cause: &str| Error::Untrusted {
        server: server(),
        cause: cause.to_owned(),
    };
    let expired = untrusted("its certificate has expired: renew it at the broker");
    let unusable = untrusted("its certificate cannot be used (Revoked)");
    let away = || Error::Unreachable {
        server: server(),
        cause: cause(),
    };
    let (tls, proxy) = (line(true, false, None), Some("http://proxy:3128/"));
    let ok = || Ok(seen(200, "ok\n"));
    insta::assert_snapshot!(told([
        checks::connection(&tls, &ok()),
        checks::connection(&line(true, false, proxy), &ok()),
        checks::connection(&line(false, false, None), &ok()),
        checks::connection(&line(false, true, proxy), &ok()),
        checks::connection(&tls, &Err(expired)),
        checks::connection(&tls, &Err(unusable)),
        checks::connection(&tls, &Err(away())),
        checks::connection(&line(true, false, proxy), &Err(away())),
    ]), @r"
    ok     connection     TLS, with a trusted certificate
    ok     connection     TLS, with a trusted certificate, through the proxy http://proxy:3128/ that the environment names
    ok     connection     plain HTTP, which does not leave this machine
    warn   connection     plain HTTP, through the proxy http://proxy:3128/ that the environment names: who is on the way reads the key
                          → use https://, unless the line itself is private: docs/how-to/tls.md
    FAIL   connection     the broker at https://broker.example/ is not to be trusted: its certificate has expired
                          → renew it at the broker
    FAIL   connection     the broker at https://broker.example/ is not to be trusted: its certificate cannot be used (Revoked)
                          → have another one issued: docs/how-to/tls.md
    FAIL   connection     the broker at https://broker.example/ cannot be reached: Connection refused (os error 111)
                          → see whether the broker runs and listens there, and whether a firewall is between
    FAIL   connection     the broker at https://broker.example/ cannot be reached: Connection refused (os error 111), through the proxy http://proxy:3128/ that the environment names
                          → let the proxy pass the broker's host and port, or name the host in NO_PROXY; see whether the broker runs
    ");
}

#[test]
fn a_broker_is_told_from_what_is_none_and_from_one_in_trouble() {
    let problem = |status, code, detail| {
        let problem = problem(status, code, detail);
        seen(status, &serde_json::to_string(&problem).unwrap())
    };
    let ok = seen(200, "ok\n");
    let stopping = problem(503, Code::Unavailable, "the broker is stopping");
    let tls = problem(400, Code::Malformed, "this port speaks TLS: write https://");
    insta::assert_snapshot!(told([
        checks::broker(&ok, &Ok(ok.clone())),
        checks::broker(&ok, &Ok(seen(200, "degraded: the database does not answer\n"))),
        checks::broker(&ok, &Ok(stopping)),
        checks::broker(&ok, &Ok(seen(404, "<html>"))),
        checks::broker(&seen(200, "<html>"), &Ok(ok.clone())),
        checks::broker(&tls, &Ok(tls.clone())),
    ]), @r"
    ok     broker         it is ready
    warn   broker         it is degraded: its database does not answer; for a minute agents are served from memory
                          → look at the database, and at the broker's log
    FAIL   broker         it is not ready: the broker is stopping
                          → wait until it is; its log says why it is not
    FAIL   broker         what answers /readyz with 404 is no broker
                          → put the address right: its port and path, too; a proxy may have answered in the broker's place
    FAIL   broker         what answers /healthz with 200 is no broker
                          → put the address right: its port and path, too; a proxy may have answered in the broker's place
    FAIL   broker         this port speaks TLS: write https://
                          → put the address right where it is set: its scheme, host, port and path
    ");
}

#[test]
fn clocks_that_are_apart_are_told() {
    let clock = |ahead| checks::clock(Some(now() - SignedDuration::from_secs(ahead)), now());
    insta::assert_snapshot!(told([
        clock(30),
        clock(-30),
        clock(31),
        clock(-3600),
        checks::clock(None, now()),
    ]), @r"
    ok     clock          this machine and the broker agree on the time
    ok     clock          this machine and the broker agree on the time
    warn   clock          this machine is 31 s ahead of the broker, where it is 2026-03-01T11:59:29Z
                          → set the clock that is wrong, and keep it right with NTP: keys and certificates end by it
    warn   clock          this machine is 3600 s behind the broker, where it is 2026-03-01T13:00:00Z
                          → set the clock that is wrong, and keep it right with NTP: keys and certificates end by it
    warn   clock          the answer does not say what time it is at the broker
                          → compare the clocks yourself: keys and certificates end by them
    ");
}

#[test]
fn a_key_is_somebodys_or_nobodys() {
    let id: brokkr_core::KeyId = "019a0f3e-5c1e-7d30-9a6b-2f4a1c0e8b11".parse().unwrap();
    let me = Me {
        role: Role::Agent,
        id: None,
        name: Some("eu-1".parse().unwrap()),
        key: id,
    };
    let key = |me: Result<Me>| key_checks::key("eu-1.key", Some(id), &me);
    insta::assert_snapshot!(told([
        key_checks::no_key(&anyhow::anyhow!("BROKKR_SERVER is set without a key — set BROKKR_KEY")),
        key_checks::no_key(&anyhow::anyhow!("this is not a Brokkr key").context("in BROKKR_KEY")),
        key(Ok(me)),
        key(refused(401, Code::Unauthenticated, "a valid key is needed")),
        key(refused(503, Code::Unavailable, "the database cannot be reached")),
        key_checks::rights(Role::Admin),
        key_checks::rights(Role::Generator),
        key_checks::rights(Role::Agent),
        key_checks::target_state(&refused(503, Code::Unavailable, "the database was lost")),
    ]), @r"
    FAIL   key            BROKKR_SERVER is set without a key
                          → set BROKKR_KEY
    FAIL   key            in BROKKR_KEY: this is not a Brokkr key
                          → take the whole key from where it was kept; in the place of a lost one an admin makes another: brokkr key create
    ok     key            agent eu-1, by key 019a0f3e-5c1e-7d30-9a6b-2f4a1c0e8b11 from eu-1.key
    FAIL   key            this broker does not know key 019a0f3e-5c1e-7d30-9a6b-2f4a1c0e8b11 from eu-1.key, or the key has ended
                          → is it another broker's? An admin sees what became of it with `brokkr key show 019a0f3e-5c1e-7d30-9a6b-2f4a1c0e8b11`, and makes another with `brokkr key create`
    FAIL   key            the database cannot be reached (request r-1)
                          → try again; if it stays, the broker's log says more
    ok     rights         an admin may do everything but speak as an agent: docs/reference/permissions.md
    ok     rights         a generator may publish, target and watch stacks of its own at the agents in its scope: docs/reference/permissions.md
    ok     rights         an agent may fetch its own target state and report on it: docs/reference/permissions.md
    FAIL   target state   the database was lost (request r-1)
                          → try again; if it stays, the broker's log says more
    ");
}

#[test]
fn a_key_that_ends_soon_is_told_in_time() {
    let hours = |hours| Some(now() + SignedDuration::from_hours(hours));
    let key = |state, ends_at, expires_in| {
        let key = Key {
            id: Pak::generate(Role::Admin, &System).id(),
            role: Role::Admin,
            owner: None,
            owner_name: None,
            name: "alice".parse().unwrap(),
            state,
            created_at: now(),
            ends_at,
            expires_in,
            last_used_at: None,
            replaces: None,
            revoked_at: None,
        };
        key_checks::expiry(&Ok(key), now())
    };
    insta::assert_snapshot!(told([
        key(KeyState::Good, None, None),
        key(KeyState::Good, hours(7 * 24 + 1), None),
        key(KeyState::Good, hours(7 * 24), None),
        key(KeyState::Good, hours(30), Some(1)),
        key(KeyState::Replaced, hours(0), None),
        key(KeyState::Unused, hours(24), None),
        key_checks::expiry(&refused(503, Code::Unavailable, "the database cannot be reached"), now()),
    ]), @r"
    ok     expiry         the key has no end
    ok     expiry         the key ends in 7 days (2026-03-08T13:00:00Z)
    warn   expiry         the key ends in 7 days (2026-03-08T12:00:00Z)
                          → no rotation puts this end off; have an admin make another key: brokkr key create
    warn   expiry         the key ends in 30 h (2026-03-02T18:00:00Z)
                          → rotate it: brokkr rotate-key, with --key-file FILE if it lies in a file
    warn   expiry         the key ends within the hour (2026-03-01T12:00:00Z): a rotation put another in its place
                          → put the new key here; who rotated it has it
    ok     expiry         a rotation made the key, and now it is in use
    FAIL   expiry         the database cannot be reached (request r-1)
                          → try again; if it stays, the broker's log says more
    ");
}

#[test]
fn what_a_failure_makes_pointless_is_named() {
    let report = |is_agent| {
        let mut report = Report::default();
        let goes_on = [
            report.add(Check::Address.ok("there")),
            report.add(Check::Connection.warn("odd", "mend it")),
        ];
        assert!(goes_on.iter().all(Option::is_some) && report.verdict().is_ok());
        let ends = report.add(Check::Broker.fail("away\u{1b}[2J", "wait"));
        assert!(ends.is_none());
        report.is_agent = is_agent;
        report.skip_rest();
        report
    };
    insta::assert_snapshot!(report(false), @r"
    ok     address        there
    warn   connection     odd
                          → mend it
    FAIL   broker         away [2J
                          → wait
    Not looked at, because of that: clock, key, expiry, rights.
    ");
    insta::assert_snapshot!(report(true).to_string().lines().last().unwrap_or_default(), @"Not looked at, because of that: clock, key, expiry, rights, target state.");
    insta::assert_snapshot!(report(false).verdict().unwrap_err(), @"not all is well: broker");
    insta::assert_snapshot!(serde_json::to_string(&report(false).findings()[2..4]).unwrap(), @r#"[{"check":"broker","mark":"fail","found":"away\u001b[2J","to_do":"wait"},{"check":"clock","mark":"skipped"}]"#);
}
