use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn read(folder: &tempfile::TempDir) -> anyhow::Result<Snapshot> {
    Snapshot::read(&[folder.path().to_owned()])
}

const A: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n";
const B: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b";

#[test]
fn one_file_is_sent_as_it_is() {
    let folder = folder(&[("a.yaml", A)]);
    let file = folder.path().join("a.yaml");
    let snapshot = Snapshot::read(&[file]).unwrap();
    snapshot.check(None).unwrap();
    assert_eq!(snapshot.into_text(), A);
}

#[test]
fn a_folder_is_its_manifests_in_the_order_of_their_names() {
    let json = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}"#;
    let folder = folder(&[
        ("2.yml", B),
        ("1.yaml", A),
        ("3.json", json),
        ("README.md", "# not a manifest"),
    ]);
    fs::create_dir(folder.path().join("inner.yaml")).unwrap();
    let snapshot = read(&folder).unwrap();
    snapshot.check(None).unwrap();
    assert_eq!(snapshot.into_text(), format!("{A}---\n{B}\n---\n{json}\n"));
}

#[test]
fn json_may_be_indented_with_tabs() {
    let json = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"ConfigMap\",\n\t\"metadata\": {\n\t\t\"name\": \"c\"\n\t}\n}\n";
    read(&folder(&[("c.json", json)]))
        .unwrap()
        .check(None)
        .unwrap();
}

#[test]
fn a_mistake_is_named_with_its_file_and_line() {
    let error = |files: &[(&str, &str)]| {
        let folder = folder(files);
        let prefix = format!("{}/", folder.path().display());
        let error = read(&folder).unwrap().check(None).unwrap_err();
        format!("{error:#}").replace(&prefix, "")
    };
    insta::assert_snapshot!(
        error(&[("1.yaml", A), ("2.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [b\n")]),
        @"2.yaml:4:9: the YAML cannot be read: unclosed bracket '['"
    );
    insta::assert_snapshot!(
        error(&[("1.yaml", A), ("2.yaml", "# ours\n---\nkind: ConfigMap\nmetadata:\n  name: b\n")]),
        @"2.yaml:3: apiVersion is missing (at /apiVersion)"
    );
    insta::assert_snapshot!(error(&[("1.yaml", A), ("2.yaml", A)]), @"2.yaml:1: ConfigMap a stands in document 1 already: keep one of them (at /metadata/name)");
}

#[test]
fn duplicates_are_found_with_the_stacks_namespace() {
    let named = A.replace("name: a", "name: a\n  namespace: shop");
    let snapshot = read(&folder(&[("1.yaml", A), ("2.yaml", &named)])).unwrap();
    snapshot.check(None).unwrap();
    assert!(snapshot.check(Some("shop")).is_err());
}

#[test]
fn what_holds_no_manifests_is_refused() {
    let error = read(&folder(&[("README.md", "nothing")])).err().unwrap();
    assert!(error.to_string().contains(".yaml"), "{error}");
    let missing = folder(&[]).path().join("missing.yaml");
    let error = Snapshot::read(std::slice::from_ref(&missing))
        .err()
        .unwrap();
    assert!(error.to_string().contains("missing.yaml"), "{error}");
    assert!(
        read(&folder(&[("a.yaml", "# nothing\n")]))
            .unwrap()
            .check(None)
            .is_err()
    );
}
