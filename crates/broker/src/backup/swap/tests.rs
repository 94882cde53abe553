use std::collections::BTreeSet;

use tempfile::TempDir;

use super::*;

/// A folder with a database of some files, each with its own name as its content, and a new one.
fn folder_with(files: &[&str]) -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for file in files.iter().chain(&["db.part"]) {
        fs::write(folder.path().join(file), file).unwrap();
    }
    let (database, new) = (folder.path().join("db"), folder.path().join("db.part"));
    (folder, database, new)
}

fn texts(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

const CASES: [&[&str]; 4] = [
    &[],
    &["db"],
    &["db", "db-wal", "db-shm", "db-journal"],
    &["db-wal"],
];

/// Nothing is ever lost, and nothing of the old database lies beside the new one, wherever it is cut short.
#[test]
fn after_each_step_the_old_or_the_new_one_is_there() {
    for files in CASES {
        let count = {
            let (_folder, database, new) = folder_with(files);
            let aside = aside(&database, "T");
            steps(&database, &new, &present(&database), &aside).len()
        };
        for taken in 0..=count {
            let (folder, database, new) = folder_with(files);
            let before = texts(folder.path());
            let aside = aside(&database, "T");
            let steps = steps(&database, &new, &present(&database), &aside);
            for step in &steps[..taken] {
                step.take(&database).unwrap();
            }
            assert_eq!(texts(folder.path()), before, "{files:?} after {taken}");
            let sides = present(&database).len() > 1;
            match fs::read_to_string(&database).ok().as_deref() {
                Some("db.part") => assert!(!sides, "{files:?} after {taken}"),
                found => assert_eq!(found, files.contains(&"db").then_some("db"), "{taken}"),
            }
            if taken == count {
                assert_eq!(fs::read_to_string(&database).unwrap(), "db.part");
                for file in files {
                    let kept = folder.path().join(file.replacen("db", "db.replaced-T", 1));
                    assert_eq!(fs::read_to_string(kept).unwrap(), *file);
                }
            }
        }
    }
}

#[test]
fn what_was_cut_short_leaves_no_second_name() {
    let (folder, database, new) = folder_with(&["db", "db-wal"]);
    let steps = steps(&database, &new, &present(&database), &aside(&database, "T"));
    for step in steps.iter().take_while(|step| **step != Step::Flush) {
        step.take(&database).unwrap();
    }
    let earlier = folder.path().join("db.replaced-earlier");
    fs::write(&earlier, "earlier").unwrap();
    forget_second_names(&database).unwrap();
    assert!(earlier.exists(), "what was put aside before stays");
    assert!(!aside(&database, "T").exists() && !aside(&database, "T-wal").exists());
    assert_eq!(fs::read_to_string(&database).unwrap(), "db");
}
