//! The manifests to publish: files, folders or stdin, joined into one multi-document text that
//! still knows which line came from where.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use brokkr_core::manifest::{self, MAX_BYTES};

/// One text, made of parts.
pub struct Snapshot {
    text: String,
    parts: Vec<Part>,
}

struct Part {
    source: String,
    /// The part's first line in the whole text, from 1.
    first_line: u64,
}

const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

impl Snapshot {
    /// Reads files, the manifests of folders (by name, not of folders inside), and `-`, which is stdin.
    pub fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut snapshot = Self {
            text: String::new(),
            parts: Vec::new(),
        };
        for path in paths {
            if path == Path::new("-") {
                let text = read_bounded(io::stdin()).context("stdin cannot be read")?;
                snapshot.add("stdin".to_owned(), &text);
            } else if path.is_dir() {
                for file in manifests_in(path)? {
                    snapshot.add_file(&file)?;
                }
            } else {
                snapshot.add_file(path)?;
            }
        }
        Ok(snapshot)
    }

    fn add_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let text = File::open(path)
            .map_err(anyhow::Error::from)
            .and_then(read_bounded)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        self.add(path.display().to_string(), &text);
        Ok(())
    }

    fn add(&mut self, source: String, text: &str) {
        if !self.parts.is_empty() {
            self.text.push_str("---\n");
        }
        let lines_before = self.text.bytes().filter(|&byte| byte == b'\n').count();
        self.parts.push(Part {
            source,
            first_line: u64::try_from(lines_before).unwrap_or(u64::MAX - 1) + 1,
        });
        self.text.push_str(text.trim_start_matches('\u{feff}'));
        if !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// Reads it as the broker will, so that what cannot be published is not sent.
    pub fn check(&self, default_namespace: Option<&str>) -> anyhow::Result<()> {
        manifest::parse(&self.text, default_namespace)
            .map(drop)
            .map_err(|error| {
                let place = self.place(error.line, error.column);
                let pointer = error.pointer.filter(|pointer| !pointer.is_empty());
                let at = pointer.map_or_else(String::new, |pointer| format!(" (at {pointer})"));
                anyhow!("{place}{}{at}", error.reason)
            })
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        self.text
    }

    /// `file:line:column: `, as far as it is known.
    fn place(&self, line: Option<u64>, column: Option<u64>) -> String {
        let Some(line) = line else {
            return String::new();
        };
        let Some(part) = self.parts.iter().rfind(|part| part.first_line <= line) else {
            return String::new();
        };
        let line = line - part.first_line + 1;
        let column = column.map_or_else(String::new, |column| format!(":{column}"));
        format!("{}:{line}{column}: ", part.source)
    }
}

/// More than a snapshot may have need not be read to be refused.
fn read_bounded(source: impl Read) -> anyhow::Result<String> {
    let mut text = Vec::new();
    let limit = u64::try_from(MAX_BYTES)? + 1;
    source.take(limit).read_to_end(&mut text)?;
    if text.len() > MAX_BYTES {
        bail!("it has more than the {MAX_BYTES} bytes that a stack may have — split the stack");
    }
    String::from_utf8(text).context("it is no UTF-8 text")
}

/// The manifests of a folder in the order of their names, so that the same folder is the same text everywhere.
fn manifests_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || format!("{} cannot be read", folder.display());
    let entries: Vec<_> = fs::read_dir(folder)
        .and_then(Iterator::collect)
        .with_context(cannot)?;
    let mut files: Vec<PathBuf> = entries
        .into_iter()
        .map(|entry: fs::DirEntry| entry.path())
        .filter(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) && path.is_file()
        })
        .collect();
    if files.is_empty() {
        bail!(
            "{} has no manifests — files that end in .yaml, .yml or .json are read",
            folder.display()
        );
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
