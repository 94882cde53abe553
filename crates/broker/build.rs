//! Puts the console into the broker, if it was built: `make console`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> io::Result<()> {
    let console = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../console/dist");
    println!("cargo::rerun-if-changed={}", console.display());
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo names no folder"))?;
    let mut table = fs::File::create(PathBuf::from(out).join("console.rs"))?;
    writeln!(table, "&[")?;
    let page = console.join("page");
    if page.is_dir() {
        write_files(&page, "", &mut table)?;
    }
    writeln!(table, "]")
}

/// Writes an entry for each file below a folder, in the order of their names.
fn write_files(folder: &Path, path: &str, table: &mut fs::File) -> io::Result<()> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries: Vec<_> = entries.collect::<io::Result<_>>()?;
    entries.sort();
    for entry in entries {
        let name = entry.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| io::Error::other("a file's name is no text"))?;
        let path = format!("{path}/{name}");
        if entry.is_dir() {
            write_files(&entry, &path, table)?;
        } else {
            let file = entry.to_str();
            let file = file.ok_or_else(|| io::Error::other("a folder's name is no text"))?;
            writeln!(table, "({path:?}, include_bytes!({file:?}).as_slice()),")?;
        }
    }
    Ok(())
}
