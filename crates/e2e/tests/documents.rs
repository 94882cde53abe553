//! What the documents say of the code is so.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every test that `docs/seed.md` names is there.
#[test]
fn every_proof_exists() {
    let seed = std::fs::read_to_string(root().join("docs/seed.md")).expect("docs/seed.md");
    let proofs = proofs(&seed);
    assert!(proofs >= 30, "{proofs} proofs");
}

/// Every test that stands beside a bad input, or a fault, is there.
#[test]
fn every_bad_input_and_every_fault_has_its_proof() {
    let text = std::fs::read_to_string(root().join("docs/reliability.md"));
    let text = text.expect("docs/reliability.md");
    for (title, least) in [("Bad input", 45), ("Faults", 25)] {
        let from = text.split(&format!("\n## {title}\n")).nth(1);
        let list = from.expect(title).split("\n## ").next();
        let proofs = proofs(list.unwrap_or_default());
        assert!(proofs >= least, "{proofs} proofs in {title}");
    }
}

/// Counts the tests that a table's last column names, each of which is there: a path in back quotes, then the
/// tests of that file.
fn proofs(text: &str) -> usize {
    let mut proofs = 0;
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let mut file = String::new();
        for quoted in row.split('`').skip(1).step_by(2) {
            if quoted.starts_with("crates/") {
                file = std::fs::read_to_string(root().join(quoted))
                    .unwrap_or_else(|_| panic!("{quoted} does not exist: {row}"));
            } else if !file.is_empty() {
                assert!(
                    file.contains(&format!("fn {quoted}(")),
                    "there is no test {quoted}: {row}"
                );
                proofs += 1;
            }
        }
        let last = row
            .trim_end_matches(['|', ' '])
            .rsplit('|')
            .next()
            .unwrap_or_default();
        let is_head = last.trim() == "proof";
        assert!(
            is_head || last.contains('`') || last.contains("not yet"),
            "no proof: {row}"
        );
    }
    proofs
}

/// Every link from one document to another, or to a file, leads somewhere.
#[test]
fn no_link_is_dead() {
    let mut links = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("a document");
        let folder = document.parent().expect("a folder");
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            assert!(
                folder.join(path).exists(),
                "{}: {target} leads nowhere",
                document.display()
            );
            links += 1;
        }
    }
    assert!(links >= 10, "{links} links");
}

fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root(), root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() && path.starts_with(root().join("docs")) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}
