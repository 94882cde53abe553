use std::os::unix::fs::PermissionsExt;

use crate::harness::*;

/// Manifests may hold secrets: the database, what lies beside it, and the admin key are the owner's alone.
#[tokio::test]
async fn what_a_broker_writes_only_its_owner_reads() {
    let database = Database::create(Engine::Sqlite).await;
    let broker = database.start().await;
    create_stack(&broker.client(&database.admin_key()), "shop").await;
    let mut files = 0;
    for entry in std::fs::read_dir(database.folder())
        .expect("a folder")
        .flatten()
    {
        let mode = entry.metadata().expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
        files += 1;
    }
    assert!(files >= 5, "database, log, index, lock, key: {files}");
    broker.stop().await;
}
