//! How the command line behaves where no broker is needed: exit codes, and what goes where.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const NOBODY_LISTENS: &str = "http://127.0.0.1:1";

/// The binary with an environment and a configuration of its own, and nobody at a terminal.
fn brokkr(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brokkr"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("BROKKR_CONFIG", folder.join("config.toml"))
        .stdin(Stdio::null());
    command
}

fn ends(command: &mut Command, code: i32) -> (String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary runs");
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).expect("text"));
    assert_eq!(status.code(), Some(code), "{stdout}{stderr}");
    (stdout, stderr)
}

#[test]
fn who_has_not_signed_in_is_told_how() {
    let folder = tempfile::tempdir().unwrap();
    let (stdout, stderr) = ends(&mut brokkr(folder.path(), &["status"]), 1);
    assert_eq!(stdout, "");
    insta::assert_snapshot!(stderr, @"error: no broker is known yet — sign in with `brokkr login --server URL`");
}

#[test]
fn an_agent_does_not_begin_with_rules_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.yaml");
    for (text, said) in [
        (
            "kinds:\n  denied: [Secret]\n",
            "agent.yaml:2:3: unknown field `denied`, expected one of allow, deny",
        ),
        (
            "rules: [{name: a, expression: 'object.', message: b}]",
            "agent.yaml:1:31: the expression cannot be read",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let arguments = [
            "agent",
            "--broker",
            NOBODY_LISTENS,
            "--config",
            "agent.yaml",
        ];
        let (_, stderr) = ends(&mut brokkr(folder.path(), &arguments), 78);
        assert!(stderr.contains(said), "{stderr}");
        let mut command = brokkr(folder.path(), &["agent", "--broker", NOBODY_LISTENS]);
        ends(command.env("BROKKR_AGENT_CONFIG", &file), 78);
    }
    let arguments = [
        "agent",
        "--broker",
        NOBODY_LISTENS,
        "--config",
        "nowhere.yaml",
    ];
    let (_, stderr) = ends(&mut brokkr(folder.path(), &arguments), 78);
    assert!(
        stderr.contains("nowhere.yaml: the configuration cannot be read"),
        "{stderr}"
    );
}

#[test]
fn two_brokers_at_once_are_a_mistake_of_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = brokkr(folder.path(), &["status", "--context", "eu"]);
    let (_, stderr) = ends(command.env("BROKKR_SERVER", NOBODY_LISTENS), 2);
    assert!(stderr.contains("--context"), "{stderr}");
}

#[test]
fn a_context_does_not_lend_its_key_to_another_server() {
    let folder = tempfile::tempdir().unwrap();
    let config = "current = \"eu\"\n[contexts.eu]\nserver = \"https://eu.example\"\nkey = \"k\"\n";
    fs::write(folder.path().join("config.toml"), config).unwrap();
    let mut command = brokkr(folder.path(), &["status"]);
    let (_, stderr) = ends(command.env("BROKKR_SERVER", NOBODY_LISTENS), 1);
    assert!(stderr.contains("BROKKR_KEY_FILE"), "{stderr}");
}

#[test]
fn what_cannot_be_read_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.yaml"), "kind: [\n").unwrap();
    let mut command = brokkr(
        folder.path(),
        &["apply", "-f", "bad.yaml", "--stack", "shop"],
    );
    let (stdout, stderr) = ends(command.env("BROKKR_SERVER", NOBODY_LISTENS), 1);
    assert_eq!(stdout, "");
    assert!(stderr.starts_with("error: bad.yaml:1:7: "), "{stderr}");
}

#[test]
fn nothing_is_taken_away_where_nobody_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[contexts.eu]\nserver = \"https://eu.example\"\nkey = \"k\"\n";
    let path = folder.path().join("config.toml");
    fs::write(&path, config).unwrap();
    let (_, stderr) = ends(&mut brokkr(folder.path(), &["context", "delete", "eu"]), 2);
    assert!(stderr.contains("--yes"), "{stderr}");
    assert_eq!(fs::read_to_string(&path).unwrap(), config);
    let delete = ["context", "delete", "eu", "--yes"];
    ends(&mut brokkr(folder.path(), &delete), 0);
    let list = ["context", "list", "-o", "name"];
    assert_eq!(ends(&mut brokkr(folder.path(), &list), 0).0, "");
}

#[test]
fn a_key_file_that_holds_no_key_is_named_without_its_content() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("no.key"), "brokkr_n_secret").unwrap();
    let login = ["login", "--server", NOBODY_LISTENS, "--key-file", "no.key"];
    let (_, stderr) = ends(&mut brokkr(folder.path(), &login), 1);
    assert!(
        stderr.contains("no.key") && !stderr.contains("secret"),
        "{stderr}"
    );
}

#[test]
fn shells_learn_every_command_and_a_reader_may_leave() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let (script, _) = ends(&mut brokkr(folder.path(), &["completion", shell]), 0);
        assert!(script.contains("rollback"), "{shell}");
    }
    let mut command = brokkr(folder.path(), &["completion", "bash"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn what_would_target_wrongly_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str]| ends(&mut brokkr(folder.path(), arguments), 2).1;
    let twice = [
        "agent",
        "set",
        "eu-1",
        "--label",
        "env=prod",
        "--remove-label",
        "env",
    ];
    insta::assert_snapshot!(refused(&twice), @"error: `env` is there twice: say which value it has");
    let facts = ["stack", "rule", "add", "shop", "--facts", "region=eu"];
    insta::assert_snapshot!(refused(&facts), @"error: `facts` alone would let an agent choose what it runs: add `labels`, `same`, `annotations`, `same_annotations` or `every_agent`");
    let negative = ["generator", "create", "ci", "--scope", "!prod"];
    insta::assert_snapshot!(refused(&negative), @"error: the scope only says what an agent must not have, so every new agent would be in it: add something that it must have");
    let unreadable = ["stack", "exclude", "add", "shop", "--labels", "tier in a"];
    let refused = refused(&unreadable);
    assert!(
        refused.contains("column 9: expected `(`, found `a`"),
        "{refused}"
    );
}

#[test]
fn nobody_lets_keys_travel_unencrypted_by_oversight() {
    let folder = tempfile::tempdir().unwrap();
    let broker = ["broker", "--listen", "0.0.0.0:0"];
    let (_, stderr) = ends(&mut brokkr(folder.path(), &broker), 2);
    assert!(
        stderr.contains("--tls-cert") && stderr.contains("--plain-http"),
        "{stderr}"
    );
    let half = [broker.as_slice(), &["--tls-cert", "tls.crt"]].concat();
    let (_, stderr) = ends(&mut brokkr(folder.path(), &half), 2);
    assert!(stderr.contains("--tls-key"), "{stderr}");
    let missing = [half.as_slice(), &["--tls-key", "tls.key"]].concat();
    let (_, stderr) = ends(&mut brokkr(folder.path(), &missing), 1);
    assert!(stderr.contains("tls.crt cannot be read"), "{stderr}");
    let (_, stderr) = ends(
        &mut brokkr(folder.path(), &["dev", "--listen", "0.0.0.0:0"]),
        2,
    );
    assert!(stderr.contains("loopback"), "{stderr}");
    assert!(!folder.path().join("brokkr.db").exists());
}

#[test]
fn whoever_has_postgresql_is_told_how_to_back_up_without_the_password() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, advice) in [
        (
            ["backup", "--to", "b.dump"],
            "pg_dump --format=custom --file=b.dump",
        ),
        (
            ["restore", "--from", "b.dump"],
            "pg_restore --exit-on-error",
        ),
    ] {
        let all = [&["broker"], &arguments[..]].concat();
        let mut command = brokkr(folder.path(), &all);
        command.env(
            "BROKKR_DATABASE",
            "postgres://brokkr:hidden@db.example/brokkr",
        );
        let (_, stderr) = ends(&mut command, 1);
        assert!(
            stderr.contains(advice) && !stderr.contains("hidden"),
            "{stderr}"
        );
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
