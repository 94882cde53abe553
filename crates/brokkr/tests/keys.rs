//! What the commands about keys do where no broker answers: nothing is lost, and each refusal says what to do.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use brokkr_core::ambient::System;
use brokkr_core::pak::{Pak, Role};

const NOBODY_LISTENS: &str = "http://127.0.0.1:1";

fn ends(folder: &Path, arguments: &[&str], variables: &[(&str, &str)], code: i32) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brokkr"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("BROKKR_CONFIG", folder.join("config.toml"))
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary runs");
    let stderr = String::from_utf8(stderr).expect("text");
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert_eq!(String::from_utf8(stdout).expect("text"), "");
    stderr
}

#[test]
fn a_key_in_a_variable_cannot_be_rotated_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("BROKKR_SERVER", NOBODY_LISTENS), ("BROKKR_KEY", "k")];
    let stderr = ends(folder.path(), &["rotate-key"], &variables, 2);
    insta::assert_snapshot!(stderr, @"error: a key in a variable cannot be replaced: put it into a file, and name it with --key-file");
    let both = ["rotate-key", "--context", "eu"];
    let stderr = ends(folder.path(), &both, &variables, 2);
    insta::assert_snapshot!(stderr, @"error: both a context and a server say which broker: leave one of them out");
}

#[test]
fn a_rotation_that_nobody_answers_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let key = Pak::generate(Role::Agent, &System).expose().to_owned();
    fs::write(folder.path().join("eu-1.key"), &key).unwrap();
    let rotate = [
        "rotate-key",
        "--key-file",
        "eu-1.key",
        "--server",
        NOBODY_LISTENS,
    ];
    let stderr = ends(folder.path(), &rotate, &[], 1);
    assert!(stderr.contains("cannot be reached"), "{stderr}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(
        fs::read_to_string(folder.path().join("eu-1.key")).unwrap(),
        key
    );
    // A key that was not tried yet is kept for when somebody answers.
    let new = Pak::generate(Role::Agent, &System).expose().to_owned();
    fs::write(folder.path().join("eu-1.key.new"), &new).unwrap();
    ends(folder.path(), &rotate, &[], 1);
    assert_eq!(
        fs::read_to_string(folder.path().join("eu-1.key.new")).unwrap(),
        new
    );
    let missing = [
        "rotate-key",
        "--key-file",
        "no.key",
        "--server",
        NOBODY_LISTENS,
    ];
    let stderr = ends(folder.path(), &missing, &[], 1);
    assert!(stderr.contains("no.key"), "{stderr}");
}

#[test]
fn a_key_is_for_one_owner_and_has_one_end() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in [
        &["key", "create", "spare"][..],
        &["key", "create", "spare", "--admin", "--agent", "eu-1"],
        &[
            "key",
            "create",
            "spare",
            "--admin",
            "--expires-in",
            "1d",
            "--expires-at",
            "2030-01-01T00:00:00Z",
        ],
        &["key", "create", "spare", "--admin", "--expires-in", "0s"],
        &["key", "list", "--agent", "eu-1", "--generator", "ci"],
        &["key", "show", "spare"],
    ] {
        ends(folder.path(), wrong, &[], 2);
    }
    let signed_out = [
        "key",
        "create",
        "spare",
        "--admin",
        "--key-file",
        "spare.key",
    ];
    let stderr = ends(folder.path(), &signed_out, &[], 1);
    insta::assert_snapshot!(stderr, @"error: no broker is known yet — sign in with `brokkr login --server URL`");
    assert!(!folder.path().join("spare.key").exists(), "no key, no file");
}

#[test]
fn another_admin_key_needs_the_brokers_database() {
    let folder = tempfile::tempdir().unwrap();
    let host = [
        "broker",
        "admin-key",
        "--database",
        "sqlite:none.db",
        "--out",
        "new.key",
    ];
    let stderr = ends(folder.path(), &host, &[], 1);
    assert!(
        stderr.starts_with(
            "error: there is no database in none.db: name the broker's own with --database"
        ),
        "{stderr}"
    );
    assert_eq!(
        stderr.matches("there is no database").count(),
        1,
        "{stderr}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
