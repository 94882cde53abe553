//! How much memory the process may use.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// The limit of the process's control group, as containers have one, in bytes.
pub fn limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    lowest(Path::new("/sys/fs/cgroup"), &groups)
}

/// The lowest limit from a process's groups up to their roots. `groups` is what `/proc/PID/cgroup` says: `NUMBER:CONTROLLERS:PATH`
/// (cgroups(7)). A container sees the root of its own group where the path of the host would lead.
fn lowest(mounted: &Path, groups: &str) -> Option<u64> {
    let limits = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let (root, file) = if controllers.is_empty() {
            (mounted.to_owned(), "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            (mounted.join("memory"), "memory.limit_in_bytes")
        } else {
            return Vec::new();
        };
        let group = root.join(path.trim_start_matches('/'));
        let groups = group
            .ancestors()
            .take_while(|group| group.starts_with(&root));
        groups.filter_map(|group| read(&group.join(file))).collect()
    });
    limits.min()
}

/// Without a limit the file says `max`, or a number that no machine reaches.
fn read(file: &Path) -> Option<u64> {
    const NONE: u64 = 1 << 60;
    let limit = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (limit < NONE).then_some(limit)
}

/// Bytes as Kubernetes writes them: `256Mi`, `1G`, or a number.
pub fn quantity(text: &str) -> anyhow::Result<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit {
        "" => 1,
        "k" => 1000,
        "M" => 1000_u64.pow(2),
        "G" => 1000_u64.pow(3),
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => anyhow::bail!("`{unit}` is no unit: write Ki, Mi, Gi, k, M or G, as in 512Mi"),
    };
    let number: Option<u64> = number.parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(factor));
    bytes.with_context(|| format!("`{text}` is no number of bytes: write one such as 512Mi"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    #[test]
    fn the_lowest_limit_above_a_process_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let of = |groups| lowest(root, groups);
        assert_eq!(of("0::/pods/broker\n"), None);
        write(root, "pods/broker/memory.max", "max\n");
        assert_eq!(of("0::/pods/broker\n"), None);
        write(root, "pods/memory.max", "134217728\n");
        assert_eq!(of("0::/pods/broker\n"), Some(128 << 20));
        write(root, "pods/broker/memory.max", "1000\n");
        assert_eq!(of("0::/pods/broker\n"), Some(1000));
        assert_eq!(of("0::/../../elsewhere\n"), None);
        // The first version: with a folder of its own, and the path of the host.
        write(
            root,
            "memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        let first = "5:cpu:/pods\n4:hugetlb,memory:/host/pods/broker\n0::/\n";
        assert_eq!(of(first), None);
        write(root, "memory/memory.limit_in_bytes", "2000\n");
        assert_eq!(of(first), Some(2000));
    }

    #[test]
    fn quantities_are_those_of_kubernetes() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("128Mi", 128 << 20),
            ("2G", 2_000_000_000),
            ("1Gi", 1 << 30),
        ] {
            assert_eq!(quantity(text).ok(), Some(bytes), "{text}");
        }
        for text in ["", "Mi", "1.5Gi", "-1", "1 Gi", "1MB", "99999999999Gi"] {
            assert!(quantity(text).is_err(), "{text}");
        }
    }
}
