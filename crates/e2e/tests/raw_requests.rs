//! Bytes that are no good request are refused, cost next to nothing, and leave nothing behind.

use anyhow::{Context, Result, ensure};
use brokkr_e2e::{Broker, Spoken, Stage, speak, speak_again};

mod on_sqlite {
    test!(what_is_no_request_is_refused on Sqlite);
    test!(a_body_that_is_too_large_or_too_slow_is_cut_off on Sqlite);
    test!(who_is_refused_while_sending_hears_why on Sqlite);
}

const MEGABYTE: u64 = 1024 * 1024;

async fn what_is_no_request_is_refused(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let get = |headers: &str| {
        format!("GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n")
    };
    let post = |headers: &str| {
        format!("POST /api/v1/stacks HTTP/1.1\r\nhost: a\r\n{headers}\r\n0\r\n\r\n")
    };
    let long = |bytes: usize| "a".repeat(bytes);
    let before = broker.process().memory()?;
    for (name, request, expected) in [
        ("HTTP/0.9", "GET /healthz\r\n\r\n".to_owned(), 400),
        (
            "another version",
            "GET / HTTP/3.7\r\nhost: a\r\n\r\n".to_owned(),
            400,
        ),
        (
            "another protocol",
            "\u{16}\u{3}\u{1}\u{2}\r\n\r\n".to_owned(),
            400,
        ),
        ("an unknown method", get("").replace("GET", "BREW"), 405),
        ("no method", get("").replace("GET", "G\u{0}T"), 400),
        ("a folded header", get("a: b\r\n c\r\n"), 400),
        ("a space before a colon", get("a : b\r\n"), 400),
        ("NUL in a header", get("a: b\u{0}\r\n"), 400),
        ("no name", get(": b\r\n"), 400),
        ("a lonely CR", get("a: b\rc: d\r\n"), 400),
        (
            "two lengths",
            post("content-length: 4\r\ncontent-length: 5\r\n"),
            400,
        ),
        ("a signed length", post("content-length: +5\r\n"), 400),
        ("a negative length", post("content-length: -5\r\n"), 400),
        (
            "a huge length",
            post("content-length: 99999999999999999999\r\n"),
            400,
        ),
        (
            "an unknown coding",
            post("transfer-encoding: xchunked\r\n"),
            400,
        ),
        (
            "chunked, but not last",
            post("transfer-encoding: chunked, identity\r\n"),
            400,
        ),
        (
            "HTTP/1.0 in chunks",
            post("transfer-encoding: chunked\r\n").replace("1.1", "1.0"),
            400,
        ),
        ("1,000 headers", get(&"a: b\r\n".repeat(1_000)), 431),
        (
            "a header of 64 KiB",
            get(&format!("a: {}\r\n", long(64 * 1024))),
            431,
        ),
        (
            "a header of 1 MiB",
            get(&format!("a: {}\r\n", long(1024 * 1024))),
            431,
        ),
        (
            "a path of 9 KiB",
            get("").replace("healthz", &long(9 * 1024)),
            414,
        ),
        (
            "a path of 64 KiB",
            get("").replace("healthz", &long(64 * 1024)),
            414,
        ),
    ] {
        let spoken = speak(broker.address(), request.as_bytes())
            .await
            .context(name)?;
        ensure!(spoken.statuses == [expected], "{name}: {spoken:?}");
    }
    smuggles_nothing(&broker).await?;
    let fine = speak(broker.address(), get("").as_bytes()).await?;
    ensure!(fine.statuses == [200], "{fine:?}");
    let more = broker.process().memory()?.saturating_sub(before);
    ensure!(more < 16 * MEGABYTE, "{more} bytes more than before");
    Ok(())
}

/// With both lengths, the chunks count, as RFC 9112 has it: nobody reads the second request as a body, nor the
/// body as a request.
async fn smuggles_nothing(broker: &Broker) -> Result<()> {
    let hidden = "GET /hidden HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    for lengths in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
    ] {
        let inside = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
        let request = format!(
            "POST /api/v1/stacks HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{lengths}\r\n{inside}"
        );
        let spoken = speak(broker.address(), request.as_bytes()).await?;
        let is_one = matches!(spoken.statuses[..], [400 | 401]);
        ensure!(is_one, "{lengths}: {spoken:?}");
    }
    Ok(())
}

async fn a_body_that_is_too_large_or_too_slow_is_cut_off(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let (address, key) = (
        broker.address(),
        std::fs::read_to_string(broker.key_file())?,
    );
    let post = |headers: &str| {
        let key = key.trim();
        let kind = "content-type: application/json";
        format!(
            "POST /api/v1/stacks HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n{kind}\r\n{headers}\r\n"
        )
    };
    let slow = tokio::spawn({
        let request = post("content-length: 100\r\n") + "{";
        async move { speak(address, request.as_bytes()).await }
    });
    let before = broker.process().memory()?;
    let refused = |name: &str, spoken: &Spoken, most: u64| {
        let is_refused = spoken.statuses == [413] && spoken.text.contains("too_large");
        ensure!(
            is_refused && spoken.taken as u64 <= most,
            "{name}: {spoken:?}"
        );
        Ok(())
    };
    for length in [MEGABYTE + 1, 1024 * MEGABYTE] {
        let head = post(&format!("content-length: {length}\r\n"));
        refused(
            "announced",
            &speak(address, head.as_bytes()).await?,
            MEGABYTE,
        )?;
        let head = post(&format!(
            "content-length: {length}\r\nexpect: 100-continue\r\n"
        ));
        refused(
            "announced with care",
            &speak(address, head.as_bytes()).await?,
            MEGABYTE,
        )?;
    }
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(64 * 1024));
    let head = post("transfer-encoding: chunked\r\n");
    let spoken = speak_again(address, head.as_bytes(), chunk.as_bytes(), 16 * 1024).await?;
    // What the limit takes, and what lies in the buffers of both sides.
    refused("in chunks", &spoken, 16 * MEGABYTE)?;
    let more = broker.process().memory()?.saturating_sub(before);
    ensure!(more < 8 * MEGABYTE, "{more} bytes more than before");

    let slow = slow.await??;
    ensure!(
        slow.statuses == [408] && slow.text.contains("too_slow"),
        "{slow:?}"
    );
    Ok(())
}

async fn who_is_refused_while_sending_hears_why(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let length = usize::try_from(20 * MEGABYTE)?;
    let post = format!(
        "POST /api/v1/stacks/shop/deployment-objects HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{}",
        " ".repeat(length)
    );
    let get = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let spoken = speak(broker.address(), (post + get).as_bytes()).await?;
    // The same connection goes on.
    ensure!(spoken.statuses == [401, 200], "{:?}", spoken.statuses);
    ensure!(spoken.text.contains("a valid key is needed"), "{spoken:?}");
    Ok(())
}
