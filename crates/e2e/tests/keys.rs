//! Keys from the command line: several of them, in and out of use, without anybody being locked out.

use anyhow::{Context, Result, ensure};
use brokkr_core::ambient::{Ambient, System};
use brokkr_core::pak::{Pak, Role};
use brokkr_core::wire::{Code, Key, KeyState, RotateKey};
use brokkr_e2e::{Broker, Cli, PATIENCE, Stage, eventually};
use tokio::time::timeout;

on_both_engines!(without a cluster:
    a_person_rotates_keys_and_loses_none,
    a_lost_admin_key_is_replaced_on_the_host,
    a_key_that_others_may_know_is_no_key_to_begin_with,
);

fn key_in(stage: &Stage, file: &str) -> Result<String> {
    let text = std::fs::read_to_string(stage.directory().join(file))?;
    Ok(text.trim().to_owned())
}

async fn is_dead(broker: &Broker, key: &str) -> Result<()> {
    eventually("the old key is dead", PATIENCE, async || {
        let answer = broker.client(key)?.me().await;
        let code = answer.err().context("it still opens")?.code();
        ensure!(code == Some(Code::Unauthenticated), "{code:?}");
        Ok(())
    })
    .await
}

async fn a_person_rotates_keys_and_loses_none(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let cli = stage.operator(&broker).await?;
    cli.does(&["agent", "create", "edge", "--key-file", "edge.key"])
        .await?;
    cli.does(&[
        "key",
        "create",
        "spare",
        "--agent",
        "edge",
        "--expires-in",
        "90d",
        "--key-file",
        "spare.key",
    ])
    .await?;
    let keys: Vec<Key> = cli.reads(&["key", "list", "--agent", "edge"]).await?;
    ensure!(
        keys.len() == 2 && keys[1].expires_in == Some(90 * 86_400),
        "{keys:?}"
    );

    // The agent's own key, in its file.
    let old = key_in(stage, "edge.key")?;
    cli.does(&["rotate-key", "--key-file", "edge.key"]).await?;
    let new = key_in(stage, "edge.key")?;
    ensure!(new != old && !stage.directory().join("edge.key.new").exists());
    broker.client(&new)?.me().await?;
    is_dead(&broker, &old).await?;

    // The admin's own, in the context; with an overlap both are good.
    let before = std::fs::read_to_string(broker.key_file())?;
    cli.does(&["rotate-key", "--overlap", "1h"]).await?;
    broker.client(&before)?.me().await?;
    cli.does(&["whoami"]).await?;
    let admins: Vec<Key> = cli.reads(&["key", "list", "--role", "admin"]).await?;
    let states: Vec<_> = admins.iter().map(|key| key.state).collect();
    ensure!(states == [KeyState::Replaced, KeyState::Good], "{admins:?}");

    // One that was cut short before the new key had its place is finished by the next.
    let old = key_in(stage, "edge.key")?;
    let client = broker.client(&old)?;
    let rotated = client.rotate_own_key(&RotateKey::default()).await?;
    std::fs::write(stage.directory().join("edge.key.new"), rotated.pak)?;
    let again = cli.does(&["rotate-key", "--key-file", "edge.key"]).await?;
    ensure!(again.stderr.contains("cut short"), "{again:?}");
    is_dead(&broker, &old).await?;
    broker.client(&key_in(stage, "edge.key")?)?.me().await?;

    // Any key, by an admin; and the end of one.
    let spare: Vec<Key> = cli.reads(&["key", "list", "--agent", "edge"]).await?;
    let spare = spare
        .iter()
        .find(|key| key.name.as_str() == "spare")
        .context("spare")?;
    let id = spare.id.to_string();
    let rotated = cli.does(&["key", "rotate", &id]).await?;
    broker.client(&rotated.stdout)?.me().await?;
    is_dead(&broker, &key_in(stage, "spare.key")?).await?;
    let new: Pak = rotated.stdout.trim().parse()?;
    let id = new.id().to_string();
    let unasked = cli.ends(&["key", "revoke", &id], 2).await?;
    ensure!(unasked.stderr.contains("--yes"), "{unasked:?}");
    cli.does(&["key", "revoke", &id, "--yes"]).await?;
    ensure!(broker.client(&rotated.stdout)?.me().await.is_err());
    let shown: Key = cli.reads(&["key", "show", &id]).await?;
    ensure!(shown.state == KeyState::Revoked, "{shown:?}");

    let last = admins[1].id.to_string();
    let refused = cli.ends(&["key", "revoke", &last, "--yes"], 1).await?;
    ensure!(
        refused.stderr.contains("code last_admin_key"),
        "{refused:?}"
    );
    Ok(())
}

async fn a_lost_admin_key_is_replaced_on_the_host(stage: &Stage) -> Result<()> {
    let broker = stage.broker("broker").await?;
    let cli = Cli::new(stage.directory());
    let database = stage.database().url();
    cli.does(&[
        "broker",
        "admin-key",
        "--database",
        database,
        "--out",
        "another.key",
    ])
    .await?;
    let key = key_in(stage, "another.key")?;
    eventually("the running broker knows it", PATIENCE, async || {
        let me = broker.client(&key)?.me().await?;
        ensure!(me.role == Role::Admin, "{me:?}");
        Ok(())
    })
    .await?;
    // The first one is as good as it was, and an existing file is left alone.
    broker.admin().me().await?;
    cli.ends(
        &[
            "broker",
            "admin-key",
            "--database",
            database,
            "--out",
            "another.key",
        ],
        1,
    )
    .await?;
    let once = cli
        .does(&[
            "broker",
            "admin-key",
            "--database",
            database,
            "--name",
            "alice",
        ])
        .await?;
    let pak: Pak = once.stdout.trim().parse()?;
    eventually("that one, too", PATIENCE, async || {
        let key = broker.admin().key(pak.id()).await?;
        ensure!(key.name.as_str() == "alice", "{key:?}");
        Ok(())
    })
    .await
}

/// A generator of randomness that somebody made up.
struct Zeros;

impl Ambient for Zeros {
    fn now(&self) -> jiff::Timestamp {
        System.now()
    }

    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

async fn a_key_that_others_may_know_is_no_key_to_begin_with(stage: &Stage) -> Result<()> {
    let cli = Cli::new(stage.directory());
    let file = stage.directory().join("given.key");
    let begin = [
        "broker",
        "--listen",
        "127.0.0.1:0",
        "--database",
        stage.database().url(),
        "--admin-key-file",
        "given.key",
    ];
    let good = Pak::generate(Role::Admin, &System).expose().to_owned();
    for (what, key) in [
        ("nothing", String::new()),
        (
            "made up",
            Pak::generate(Role::Admin, &Zeros).expose().to_owned(),
        ),
        (
            "an agent's",
            Pak::generate(Role::Agent, &System).expose().to_owned(),
        ),
        ("mistyped", good[..good.len() - 1].to_owned() + "?"),
    ] {
        std::fs::write(&file, &key)?;
        let said = timeout(PATIENCE, cli.ends(&begin, 78)).await;
        let said = said.with_context(|| format!("{what}: it serves"))??;
        ensure!(said.stderr.contains("given.key"), "{said:?}");
        ensure!(
            key.is_empty() || !said.stderr.contains(&key),
            "{what} is shown"
        );
        ensure!(
            std::fs::read_to_string(&file)? == key,
            "{what} is left alone"
        );
    }
    Ok(())
}
