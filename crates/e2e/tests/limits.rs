//! Who asks too much is told to wait, and nobody else is.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use brokkr_core::ambient::System;
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::CreateAgent;
use brokkr_e2e::{Broker, PATIENCE, Spoken, Stage, eventually, speak};
use futures::future::try_join_all;
use tokio::net::TcpStream;
use tokio::time::timeout;

mod on_sqlite {
    test!(a_flood_of_bad_keys_hurts_nobody_else on Sqlite);
    test!(a_key_that_asks_too_much_waits_and_polls_do_not on Sqlite);
    test!(connections_beyond_the_limit_are_closed on Sqlite);
    test!(a_fleet_that_comes_all_at_once_may_wait on Sqlite);
    test!(nothing_is_open_without_a_key on Sqlite);
    test!(no_other_origin_is_let_in on Sqlite);
}

/// So many requests on one connection.
async fn ask(
    address: SocketAddr,
    path: &str,
    key: &str,
    more: &str,
    times: usize,
) -> Result<Spoken> {
    let request = |last: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n{more}{last}\r\n")
    };
    let requests = request("").repeat(times - 1) + &request("connection: close\r\n");
    speak(address, requests.as_bytes()).await
}

fn count(spoken: &Spoken, status: u16) -> usize {
    spoken.statuses.iter().filter(|one| **one == status).count()
}

fn admin_key(broker: &Broker) -> Result<String> {
    Ok(std::fs::read_to_string(broker.key_file())?
        .trim()
        .to_owned())
}

async fn a_flood_of_bad_keys_hurts_nobody_else(stage: &Stage) -> Result<()> {
    const ME: &str = "/api/v1/me";
    let mut broker = stage
        .broker_with("broker", &["--trusted-proxy", "127.0.0.0/8"])
        .await?;
    let (address, good) = (broker.address(), admin_key(&broker)?);
    let unknown = Pak::generate(Role::Admin, &System).expose().to_owned();
    let before = broker.process().memory()?;
    for bad in ["none", &unknown, &"a".repeat(10_000)] {
        let flood = ask(address, ME, bad, "", 400).await?;
        ensure!(
            flood.statuses.len() == 400,
            "{} answers",
            flood.statuses.len()
        );
        ensure!(
            count(&flood, 429) >= 250,
            "{} were told to wait",
            count(&flood, 429)
        );
        ensure!(flood.text.contains("retry-after: "), "nobody says how long");
        ensure!(flood.text.contains("\"too_many\""), "there is no code");
    }
    // The same address, with a good key; and others behind the same proxy, with a bad one.
    let fine = ask(address, ME, &good, "", 100).await?;
    ensure!(count(&fine, 200) == 100, "{:?}", fine.statuses);
    for other in 0..50 {
        let other = format!("x-forwarded-for: 203.0.113.{other}\r\n");
        let refused = ask(address, ME, &unknown, &other, 2).await?;
        ensure!(
            refused.statuses == [401, 401],
            "{other}: {:?}",
            refused.statuses
        );
    }
    let more = broker.process().memory()?.saturating_sub(before);
    ensure!(more < 16 * 1024 * 1024, "{more} bytes more than before");
    let log = std::fs::read_to_string(stage.directory().join("broker.log"))?;
    ensure!(log.lines().count() < 20, "the flood fills the log");

    broker.kill().await?;
    // Who is no proxy of ours cannot choose its address.
    let broker = stage.broker_with("unproxied", &[]).await?;
    let mut statuses = Vec::new();
    for other in 0..200 {
        let other = format!("x-forwarded-for: 203.0.113.{other}\r\n");
        statuses.extend(
            ask(broker.address(), ME, &unknown, &other, 1)
                .await?
                .statuses,
        );
    }
    ensure!(
        statuses.contains(&429),
        "an address was believed: {statuses:?}"
    );
    Ok(())
}

async fn a_key_that_asks_too_much_waits_and_polls_do_not(stage: &Stage) -> Result<()> {
    let broker = stage.broker_with("broker", &["--key-rate", "1"]).await?;
    let create = CreateAgent::named("edge".parse()?);
    let agent = broker.admin().create_agent(&create).await?;
    let many = ask(broker.address(), "/api/v1/me", &agent.pak, "", 50).await?;
    let passed = count(&many, 200);
    ensure!((5..20).contains(&passed), "{passed} passed");
    ensure!(count(&many, 429) == 50 - passed, "{:?}", many.statuses);
    ensure!(many.text.contains("retry-after: "), "nobody says how long");
    let polls = ask(
        broker.address(),
        "/api/v1/agent/target-state",
        &agent.pak,
        "",
        500,
    )
    .await?;
    ensure!(count(&polls, 200) == 500, "polls are refused");
    ensure!(
        broker.admin().agents().await?.len() == 1,
        "another key suffers"
    );
    Ok(())
}

async fn connections_beyond_the_limit_are_closed(stage: &Stage) -> Result<()> {
    let broker = stage
        .broker_with("broker", &["--max-connections", "10"])
        .await?;
    let key = admin_key(&broker)?;
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(TcpStream::connect(broker.address()).await?);
    }
    let many = ask(broker.address(), "/healthz", &key, "", 1).await?;
    ensure!(
        many.statuses.is_empty(),
        "an eleventh connection is served: {many:?}"
    );
    drop(held);
    eventually("there is room again", PATIENCE, async || {
        let one = ask(broker.address(), "/healthz", &key, "", 1).await?;
        ensure!(one.statuses == [200], "{one:?}");
        Ok(())
    })
    .await
}

/// More than wait by default, and not more than systems allow.
const AT_ONCE: usize = 3_000;

/// All may wait for a broker that has no time to let anybody in: who is turned away comes again later each time.
async fn a_fleet_that_comes_all_at_once_may_wait(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let key = admin_key(&broker)?;
    let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn")?;
    let coming = AT_ONCE.min(allowed.trim().parse()?);
    broker.process().suspend()?;
    let connecting = (0..coming).map(|_| TcpStream::connect(broker.address()));
    let come = timeout(PATIENCE / 2, try_join_all(connecting)).await;
    broker.process().resume()?;
    let come = come.context("some are turned away")??;
    drop(come);
    let one = ask(broker.address(), "/healthz", &key, "", 1).await?;
    ensure!(one.statuses == [200], "{one:?}");
    Ok(())
}

/// What is often left open, and what answers say too much of.
async fn nothing_is_open_without_a_key(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    for (method, path, expected) in [
        ("GET", "/metrics", 404),
        ("GET", "/debug/pprof", 404),
        ("GET", "/api/v1/tasks", 404),
        ("OPTIONS", "/api/v1/stacks", 405),
        ("TRACE", "/api/v1/stacks", 405),
    ] {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\norigin: https://evil.example\r\nconnection: close\r\n\r\n"
        );
        let spoken = speak(broker.address(), request.as_bytes())
            .await
            .context(path)?;
        ensure!(spoken.statuses == [expected], "{method} {path}: {spoken:?}");
        let text = spoken.text.to_lowercase();
        ensure!(
            !text.contains("access-control") && !text.contains("evil"),
            "{spoken:?}"
        );
        ensure!(text.contains("brokkr-request-id: "), "{spoken:?}");
    }
    Ok(())
}

/// A page of another origin asks the browser first, and then sends: neither is answered with a permission.
async fn no_other_origin_is_let_in(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let key = admin_key(&broker)?;
    let key = format!("authorization: Bearer {key}\r\n");
    let asks =
        "access-control-request-method: POST\r\naccess-control-request-headers: authorization\r\n";
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1",
        "file://",
    ] {
        for (line, headers, expected) in [
            ("OPTIONS /api/v1/stacks", asks.to_owned(), 405),
            ("OPTIONS /api/v1/stacks", format!("{asks}{key}"), 405),
            ("OPTIONS /api/v1/agents", asks.to_owned(), 405),
            ("OPTIONS /healthz", asks.to_owned(), 405),
            ("GET /api/v1/stacks", key.clone(), 200),
            ("GET /api/v1/openapi.json", String::new(), 200),
            ("GET /healthz", String::new(), 200),
        ] {
            let request = format!(
                "{line} HTTP/1.1\r\nhost: a\r\norigin: {origin}\r\nconnection: close\r\n{headers}\r\n"
            );
            let spoken = speak(broker.address(), request.as_bytes()).await?;
            ensure!(spoken.statuses == [expected], "{line} {origin}: {spoken:?}");
            let (head, _) = spoken.text.split_once("\r\n\r\n").context("a head")?;
            ensure!(
                !head.to_ascii_lowercase().contains("access-control-"),
                "{line} {origin}: {head}"
            );
        }
    }
    Ok(())
}
