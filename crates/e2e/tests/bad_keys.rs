//! A key that is not whole, not known or not meant for this opens nothing, and no answer or log helps to guess one.

use anyhow::{Context, Result, ensure};
use brokkr_core::ambient::System;
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::{Code, Problem};
use brokkr_e2e::{Raw, Stage, speak};
use reqwest::Method;

on_both_engines!(without a cluster:
    a_wrong_key_opens_nothing,
    a_key_in_a_wrong_form_or_place_opens_nothing,
    the_key_of_what_was_deleted_opens_nothing,
);

async fn a_wrong_key_opens_nothing(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let key = std::fs::read_to_string(broker.key_file())?
        .trim()
        .to_owned();
    let unknown = Pak::generate(Role::Admin, &System).expose().to_owned();
    let changed = key.replace(&key[40..60], &unknown[40..60]);
    let mut bodies = Vec::new();
    for (name, authorization) in [
        ("none", None),
        ("empty", Some(String::new())),
        ("another scheme", Some(format!("Basic {key}"))),
        ("no key", Some("Bearer ".into())),
        (
            "truncated",
            Some(format!("Bearer {}", &key[..key.len() - 1])),
        ),
        ("longer", Some(format!("Bearer {key}a"))),
        ("a changed secret", Some(format!("Bearer {changed}"))),
        ("unknown", Some(format!("Bearer {unknown}"))),
        ("huge", Some(format!("Bearer {}", "a".repeat(8_000)))),
    ] {
        let answer = Raw::with_authorization(&broker, authorization)?
            .get("/stacks")
            .await?;
        let mut problem = answer.refuses(401, Code::Unauthenticated).context(name)?;
        problem.request_id = None;
        bodies.push(problem);
    }
    ensure!(
        bodies.windows(2).all(|pair| pair[0] == pair[1]),
        "the causes can be told apart: {bodies:?}"
    );
    let log = std::fs::read_to_string(stage.directory().join("broker.log"))?;
    ensure!(
        !log.contains(&key) && !log.contains(&key[40..60]),
        "a key is in the log"
    );
    Ok(())
}

/// Bytes that no client library would send, so that nothing is put right on the way.
async fn a_key_in_a_wrong_form_or_place_opens_nothing(stage: &Stage) -> Result<()> {
    let broker = stage.broker_with("broker", &["--log", "debug"]).await?;
    let key = std::fs::read_to_string(broker.key_file())?;
    let key = key.trim().as_bytes();
    let line = |value: &[&[u8]]| [b"authorization: ", &value.concat()[..], b"\r\n"].concat();
    let bearer = |value: &[&[u8]]| line(&[b"Bearer ", &value.concat()]);
    let good = bearer(&[key]);
    let (start, end) = key.split_at(key.len() / 2);
    let other_prefix = [b"brokkx_", &key[7..]].concat();
    let other_role = [b"brokkr_g", &key[8..]].concat();
    let mut other_sum = key.to_vec();
    let last = other_sum.last_mut().context("a key")?;
    *last = if *last == b'a' { b'b' } else { b'a' };
    let mut bodies = Vec::new();
    for (name, headers, expected) in [
        ("the good one twice", [&good[..], &good].concat(), 401),
        (
            "another after the good one",
            [&good[..], &bearer(&[b"x"])].concat(),
            401,
        ),
        (
            "an empty one before it",
            [&line(&[]), &good[..]].concat(),
            401,
        ),
        ("two in one line", bearer(&[key, b", ", key]), 401),
        ("another prefix", bearer(&[&other_prefix]), 401),
        ("another role", bearer(&[&other_role]), 401),
        ("a wrong checksum", bearer(&[&other_sum]), 401),
        ("capitals", bearer(&[&key.to_ascii_uppercase()]), 401),
        ("10 KB", bearer(&[&b"a".repeat(10 * 1024)]), 401),
        (
            "10 KB after it",
            bearer(&[key, &b"a".repeat(10 * 1024)]),
            401,
        ),
        ("no UTF-8 inside", bearer(&[start, b"\xff\xfe", end]), 401),
        ("no UTF-8 after it", bearer(&[key, b"\xc0\x80"]), 401),
        (
            "a letter of another alphabet",
            bearer(&[start, "\u{430}".as_bytes(), end]),
            401,
        ),
        ("a tab inside", bearer(&[start, b"\t", end]), 401),
        ("Basic", line(&[b"Basic ", key]), 401),
        ("a scheme after it", line(&[key, b" Bearer"]), 401),
        (
            "in another header",
            [b"x-api-key: ", key, b"\r\n"].concat(),
            401,
        ),
        ("in a cookie", [b"cookie: key=", key, b"\r\n"].concat(), 401),
        ("NUL inside", bearer(&[start, b"\0", end]), 400),
        ("CR inside", bearer(&[start, b"\r", end]), 400),
        ("a folded line", bearer(&[start, b"\r\n ", end]), 400),
    ] {
        let head = b"GET /api/v1/me HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
        let request = [head, &headers[..], b"\r\n"].concat();
        let spoken = speak(broker.address(), &request).await.context(name)?;
        ensure!(spoken.statuses == [expected], "{name}: {spoken:?}");
        if expected == 401 {
            let (head, body) = spoken.text.split_once("\r\n\r\n").context("a body")?;
            let asks = head
                .to_ascii_lowercase()
                .contains("www-authenticate: bearer");
            ensure!(asks, "{name}: it does not say what is missing: {head}");
            let mut problem: Problem = serde_json::from_str(body).context(name)?;
            problem.request_id = None;
            bodies.push(problem);
        }
    }
    ensure!(
        bodies.windows(2).all(|pair| pair[0] == pair[1]),
        "the causes can be told apart: {bodies:?}"
    );
    let head = b"GET /api/v1/me HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
    let fine = speak(broker.address(), &[head, &good[..], b"\r\n"].concat()).await?;
    ensure!(fine.statuses == [200], "{fine:?}");

    let log = std::fs::read_to_string(stage.directory().join("broker.log"))?;
    ensure!(log.contains("GET /api/v1/me"), "nothing was logged: {log}");
    let secret = String::from_utf8(key[40..60].to_vec())?;
    for part in [&secret, &secret.to_ascii_uppercase(), &"a".repeat(64)] {
        ensure!(!log.contains(part), "what was sent as a key is in the log");
    }
    Ok(())
}

async fn the_key_of_what_was_deleted_opens_nothing(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let agent = broker.new_agent("edge").await?;
    let generator = broker.new_generator("ci").await?;
    let admin = Raw::admin(&broker)?;
    for (path, key, reads, status, code) in [
        (
            "/agents/edge",
            agent,
            "/agent/target-state?wait=0",
            410,
            Code::AgentRetired,
        ),
        (
            "/generators/ci",
            generator,
            "/stacks",
            401,
            Code::Unauthenticated,
        ),
    ] {
        let holder = Raw::with_authorization(&broker, Some(format!("Bearer {key}")))?;
        let before = holder.get(reads).await?;
        ensure!(before.status == 200, "{before:?}");
        let deleted = admin
            .send(Method::DELETE, path, "application/json", "")
            .await?;
        ensure!(deleted.status == 204, "{deleted:?}");
        for path in [reads, "/me"] {
            let after = holder.get(path).await?;
            after.refuses(status, code).context(path)?;
        }
        // Whoever has not the very key learns nothing.
        let other = Pak::generate(Role::Agent, &System).expose().to_owned();
        let changed = key.replace(&key[40..60], &other[40..60]);
        let stranger = Raw::with_authorization(&broker, Some(format!("Bearer {changed}")))?;
        let answer = stranger.get(reads).await?;
        answer.refuses(401, Code::Unauthenticated)?;
    }
    Ok(())
}
