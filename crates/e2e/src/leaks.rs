//! No key lies anywhere but where it was put: every story ends with a search for whole keys in its logs, in its
//! database and in whatever else its processes wrote.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::Database;

/// Files in which keys are meant to lie.
const KEY_FILES: [&str; 2] = ["key", "toml"];
/// How much of a key makes it one; its whole is longer.
const TELLING: usize = 40;

/// Refuses keys in what a story left behind.
pub(crate) async fn search(directory: &Path, database: &Database) -> Result<()> {
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let extension = path.extension().and_then(|extension| extension.to_str());
            if !extension.is_some_and(|extension| KEY_FILES.contains(&extension)) {
                let content = std::fs::read(&path)?;
                ensure!(!has_key(&content), "a key is in {}", path.display());
            }
        }
    }
    for (table, row) in database.texts().await? {
        ensure!(!has_key(row.as_bytes()), "a key is in the table {table}");
    }
    Ok(())
}

/// Whether a key stands in it: `brokkr_`, a role's letter, and enough of what follows.
fn has_key(content: &[u8]) -> bool {
    const BEGINNING: &[u8] = b"brokkr_";
    content
        .windows(BEGINNING.len() + 2 + TELLING)
        .filter(|window| window.starts_with(BEGINNING))
        .any(|window| {
            let [role, underscore, rest @ ..] = &window[BEGINNING.len()..] else {
                return false;
            };
            let is_of_key = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            b"agn".contains(role) && *underscore == b'_' && rest.iter().all(is_of_key)
        })
}

#[cfg(test)]
mod tests {
    use brokkr_core::ambient::System;
    use brokkr_core::pak::{Pak, Role};

    use super::*;

    #[test]
    fn a_key_is_found_and_a_word_is_not() {
        for role in [Role::Admin, Role::Agent, Role::Generator] {
            let pak = Pak::generate(role, &System);
            assert!(has_key(format!("key={} ", pak.expose()).as_bytes()));
        }
        assert!(!has_key(
            b"brokkr_agent_events and brokkr_a_ short, brokkr_n_<id>_<secret> of the help text"
        ));
    }
}
