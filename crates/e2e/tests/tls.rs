//! A broker that speaks TLS is believed only when it proves who it is, and nothing older is spoken.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use brokkr_client::{Authorities, Client, PlainHttp};
use brokkr_core::pak::Pak;
use brokkr_e2e::{Authority, Cli, Issued, PATIENCE, Process, Stage, Tunnel, eventually};
use reqwest::header::SET_COOKIE;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

mod on_sqlite {
    test!(an_authority_of_ones_own_is_believed_when_it_is_given on Sqlite);
    test!(a_simulation_speaks_tls on Sqlite);
    test!(a_browsers_sign_in_stays_with_tls on Sqlite);
    test!(what_proves_nothing_is_refused on Sqlite);
    test!(a_renewed_certificate_is_taken_while_clients_connect on Sqlite);
    test!(what_is_too_old_or_silent_gets_nowhere on Sqlite);
    test!(proxies_are_used_where_they_should_be on Sqlite);
    test!(plain_http_and_tls_do_not_mix on Sqlite);
}

const HOST: &str = "127.0.0.1";

/// A broker with the certificate in the stage's folder, and where it listens.
async fn start(stage: &Stage, issued: &Issued) -> Result<(Process, SocketAddr)> {
    issued.write(stage.directory())?;
    let tls = ["--tls-cert", "tls.crt", "--tls-key", "tls.key"];
    start_with(stage, "https", &tls).await
}

async fn start_with(stage: &Stage, scheme: &str, more: &[&str]) -> Result<(Process, SocketAddr)> {
    let folder = stage.directory();
    let path = |name: &str| folder.join(name).display().to_string();
    let more: Vec<_> = more
        .iter()
        .map(|word| {
            if word.starts_with("tls") {
                path(word)
            } else {
                (*word).to_owned()
            }
        })
        .collect();
    let key_file = path("admin.key");
    // One SQLite file is for one broker.
    let database = format!("sqlite:{}", path(&format!("{scheme}.db")));
    let mut arguments = vec!["broker", "--listen", "127.0.0.1:0", "--database", &database];
    arguments.extend(["--admin-key-file", &key_file]);
    arguments.extend(more.iter().map(String::as_str));
    let mut process = Process::brokkr(&format!("broker-{scheme}"), &arguments, folder)?;
    let address = process.says(&format!("listening on {scheme}://")).await?;
    Ok((process, address.trim().parse()?))
}

async fn an_authority_of_ones_own_is_believed_when_it_is_given(stage: &Stage) -> Result<()> {
    let authority = Authority::new()?;
    let ca = authority.write(stage.directory())?.display().to_string();
    let (_broker, address) = start(stage, &authority.issue(HOST)?).await?;
    let server = format!("https://{address}");
    let login = ["login", "--server", &server, "--key-file", "admin.key"];

    let unknown = Cli::new(stage.directory()).ends(&login, 1).await?;
    ensure!(unknown.stderr.contains("--ca-file"), "{unknown:?}");
    Cli::new(stage.directory())
        .with("BROKKR_CA_FILE", &ca)
        .does(&login)
        .await?;

    let cli = Cli::new(stage.directory());
    cli.does(&["context", "delete", "default", "--yes"]).await?;
    cli.does(&[login.as_slice(), &["--ca-file", "ca.crt"]].concat())
        .await?;
    // The context remembers it, wherever the command runs.
    cli.does(&["whoami"]).await?;
    let config = std::fs::read_to_string(stage.directory().join("config.toml"))?;
    ensure!(config.contains(&ca), "no absolute path: {config}");
    Ok(())
}

async fn a_simulation_speaks_tls(stage: &Stage) -> Result<()> {
    let authority = Authority::new()?;
    authority.write(stage.directory())?;
    let (_broker, address) = start(stage, &authority.issue(HOST)?).await?;
    let server = format!("https://{address}");
    let cli = Cli::new(stage.directory());
    let login = ["login", "--server", &server, "--key-file", "admin.key"];
    cli.does(&[&login[..], &["--ca-file", "ca.crt"]].concat())
        .await?;
    let how = [
        "simulate",
        "--agents",
        "10",
        "--warm-up",
        "0s",
        "--duration",
        "2s",
    ];
    let report: Value = cli.reads(&how).await?;
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64);
    ensure!(number("/wrong") == Some(0), "{report:#}");
    ensure!(number("/deliveries/count") > Some(0), "{report:#}");
    Ok(())
}

async fn a_browsers_sign_in_stays_with_tls(stage: &Stage) -> Result<()> {
    let authority = Authority::new()?;
    let ca = authority.write(stage.directory())?;
    let (_broker, address) = start(stage, &authority.issue(HOST)?).await?;
    let ca = reqwest::Certificate::from_pem(&std::fs::read(ca)?)?;
    let http = reqwest::Client::builder()
        .add_root_certificate(ca)
        .build()?;
    let key = std::fs::read_to_string(stage.directory().join("admin.key"))?;
    let request = http.post(format!("https://{address}/api/v1/session"));
    let answer = request.bearer_auth(key.trim()).send().await?;
    let cookie = answer.error_for_status()?.headers()[SET_COOKIE]
        .to_str()?
        .to_owned();
    // No other host and no other port sets a cookie of this name, and it goes nowhere unencrypted.
    ensure!(cookie.starts_with("__Host-"), "{cookie}");
    ensure!(cookie.split("; ").any(|part| part == "Secure"), "{cookie}");
    Ok(())
}

async fn what_proves_nothing_is_refused(stage: &Stage) -> Result<()> {
    let (authority, other) = (Authority::new()?, Authority::new()?);
    let ca = authority.write(stage.directory())?.display().to_string();
    for (name, issued, word) in [
        ("another authority's", other.issue(HOST)?, "--ca-file"),
        ("signed by itself", Issued::by_itself(HOST)?, "--ca-file"),
        (
            "expired",
            authority.issue_expired(HOST)?,
            "has expired (2021-01-01",
        ),
        (
            "another host's",
            authority.issue("broker.example")?,
            "is for broker.example, not for 127.0.0.1",
        ),
    ] {
        let (_broker, address) = start(stage, &issued).await?;
        let server = format!("https://{address}");
        let login = [
            "login",
            "--server",
            &server,
            "--key-file",
            "admin.key",
            "--ca-file",
            &ca,
        ];
        let said = Cli::new(stage.directory())
            .ends(&login, 1)
            .await
            .context(name)?;
        let is_told = said.stderr.contains("not to be trusted") && said.stderr.contains(word);
        ensure!(is_told, "{name}: {said:?}");
    }
    Ok(())
}

async fn a_renewed_certificate_is_taken_while_clients_connect(stage: &Stage) -> Result<()> {
    let (old, new) = (Authority::new()?, Authority::new()?);
    let old_ca = std::fs::read_to_string(old.write(stage.directory())?)?;
    let (broker, address) = start(stage, &old.issue(HOST)?).await?;
    let ca = new.write(stage.directory())?;
    let only_new = Authorities::read(&ca)?;
    std::fs::write(&ca, format!("{old_ca}{}", std::fs::read_to_string(&ca)?))?;
    let both = Authorities::read(&ca)?;
    let key = std::fs::read_to_string(stage.directory().join("admin.key"))?;
    let key: Pak = key.trim().parse()?;
    let connect = move |authorities: &Authorities| {
        let server = format!("https://{address}");
        Client::trusting(&server, key.clone(), PlainHttp::LoopbackOnly, authorities)
    };

    let mut load = JoinSet::new();
    for _ in 0..4 {
        let (connect, both) = (connect.clone(), both.clone());
        load.spawn(async move {
            loop {
                // Each with a handshake of its own.
                if let Err(error) = connect(&both)?.me().await {
                    anyhow::bail!("a client was turned away: {error}");
                }
            }
        });
    }
    ensure!(
        connect(&only_new)?.me().await.is_err(),
        "the new certificate is there too early"
    );
    std::fs::write(stage.directory().join("tls.key"), "half a key")?;
    // Long enough for the broker to look.
    tokio::time::sleep(Duration::from_secs(3)).await;
    new.issue(HOST)?.write(stage.directory())?;
    eventually("the new certificate is in use", PATIENCE, async || {
        Ok(connect(&only_new)?.me().await?)
    })
    .await?;
    if let Some(ended) = load.try_join_next() {
        ended??;
    }
    load.shutdown().await;
    broker.memory().context("the broker lives")?;
    let log = std::fs::read_to_string(stage.directory().join("broker-https.log"))?;
    ensure!(
        log.matches("the old certificate stays in use").count() == 1,
        "{log}"
    );
    Ok(())
}

async fn what_is_too_old_or_silent_gets_nowhere(stage: &Stage) -> Result<()> {
    let (_broker, address) = start(stage, &Issued::by_itself(HOST)?).await?;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(address).await?);
    }
    for version in [[3, 1], [3, 2]] {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(&hello(version)).await?;
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await??;
        // An alert (21) that is fatal (2), and nothing else.
        let is_alert =
            answer.first() == Some(&21) && answer.get(5) == Some(&2) && answer.len() == 7;
        ensure!(is_alert, "{version:?}: {answer:?}");
    }
    for mut stream in silent {
        let closed = timeout(PATIENCE, stream.read(&mut [0])).await;
        ensure!(
            matches!(closed, Ok(Ok(0) | Err(_))),
            "a silent client is kept: {closed:?}"
        );
    }
    Ok(())
}

/// The first message of a client that speaks this version at most.
fn hello(version: [u8; 2]) -> Vec<u8> {
    let body = [
        &version[..],
        &[7; 32],
        &[0],
        &[0, 4, 0xc0, 0x13, 0, 0x2f],
        &[1, 0],
    ]
    .concat();
    let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length], body.as_slice()].concat()
}

async fn proxies_are_used_where_they_should_be(stage: &Stage) -> Result<()> {
    let authority = Authority::new()?;
    authority.write(stage.directory())?;
    let (_secure, address) = start(stage, &authority.issue(HOST)?).await?;
    let (_plain, plain) = start_with(stage, "http", &[]).await?;
    let tunnel = Tunnel::start().await?;
    let key_file = stage.directory().join("admin.key").display().to_string();
    let whoami = async |server: String, variables: &[(&'static str, &str)]| {
        let cli = Cli::new(stage.directory()).with("BROKKR_SERVER", &server);
        let cli = cli
            .with("BROKKR_KEY_FILE", &key_file)
            .with("BROKKR_CA_FILE", "ca.crt");
        let with = |cli: Cli, (name, value): &(&'static str, &str)| cli.with(name, value);
        variables.iter().fold(cli, with).does(&["whoami"]).await
    };
    let proxy = tunnel.url();
    let (secure, plain) = (format!("https://{address}"), format!("http://{plain}"));

    whoami(secure.clone(), &[("HTTPS_PROXY", &proxy)]).await?;
    ensure!(tunnel.opened() == 1, "HTTPS_PROXY was not used");
    whoami(secure.clone(), &[("ALL_PROXY", &proxy)]).await?;
    ensure!(tunnel.opened() == 2, "ALL_PROXY was not used");
    whoami(
        secure,
        &[("HTTPS_PROXY", &proxy), ("NO_PROXY", "127.0.0.1")],
    )
    .await?;
    whoami(plain, &[("HTTP_PROXY", &proxy), ("ALL_PROXY", &proxy)]).await?;
    ensure!(tunnel.opened() == 2, "a proxy was used that should not be");
    Ok(())
}

async fn plain_http_and_tls_do_not_mix(stage: &Stage) -> Result<()> {
    let (_secure, secure) = start(stage, &Issued::by_itself(HOST)?).await?;
    let (_plain, plain) = start_with(stage, "http", &[]).await?;
    for (server, word) in [
        (
            format!("http://{secure}"),
            "this port speaks TLS: write https://",
        ),
        (format!("https://{plain}"), "does not speak TLS"),
        ("http://broker.example".to_owned(), "--plain-http"),
    ] {
        let login = ["login", "--server", &server, "--key-file", "admin.key"];
        let said = Cli::new(stage.directory()).ends(&login, 1).await?;
        ensure!(said.stderr.contains(word), "{server}: {said:?}");
    }
    Ok(())
}
