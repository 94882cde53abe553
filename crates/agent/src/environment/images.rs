//! Where an image comes from, as container runtimes resolve what is written.

const DOCKER_HUB: &str = "docker.io";
/// What comes from outside and goes into a message is kept short.
const LONGEST: usize = 200;

/// The repository of an image with its registry, without tag and digest: `nginx:1.29` is `docker.io/library/nginx`.
pub(super) fn repository(image: &str) -> String {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    // A colon before the last slash is that of a port.
    let name = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    match name.split_once('/') {
        Some((registry, path)) if is_registry(registry) => {
            let registry = registry.to_ascii_lowercase();
            match registry.as_str() {
                DOCKER_HUB | "index.docker.io" => on_docker_hub(path),
                registry => format!("{registry}/{path}"),
            }
        }
        _ => on_docker_hub(name),
    }
}

/// Whether the first part of a name is that of a machine.
pub(super) fn is_registry(part: &str) -> bool {
    let is_upper = |c: char| c.is_ascii_uppercase();
    part.contains(['.', ':']) || part == "localhost" || part.contains(is_upper)
}

/// An image for a message.
pub(super) fn shown(image: &str) -> String {
    image
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect()
}

fn on_docker_hub(path: &str) -> String {
    if path.contains('/') {
        format!("{DOCKER_HUB}/{path}")
    } else {
        format!("{DOCKER_HUB}/library/{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_where_a_runtime_gets_it() {
        for (image, expected) in [
            ("nginx", "docker.io/library/nginx"),
            ("nginx:1.29", "docker.io/library/nginx"),
            ("nginx@sha256:abc", "docker.io/library/nginx"),
            ("nginx:1.29@sha256:abc", "docker.io/library/nginx"),
            ("team/app:1", "docker.io/team/app"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("index.docker.io/team/app", "docker.io/team/app"),
            ("Docker.IO/team/app", "docker.io/team/app"),
            ("registry.example/app", "registry.example/app"),
            (
                "registry.example:5000/a/b/c:1",
                "registry.example:5000/a/b/c",
            ),
            ("registry.example:5000/app", "registry.example:5000/app"),
            ("localhost/app:1", "localhost/app"),
            ("REGISTRY/app", "registry/app"),
            ("host:5000", "docker.io/library/host"),
            ("", "docker.io/library/"),
        ] {
            assert_eq!(repository(image), expected, "{image}");
        }
    }

    #[test]
    fn what_is_resolved_stays_as_it_is() {
        for image in [
            "nginx",
            "team/app",
            "registry.example:5000/a:1",
            "localhost/x@sha256:1",
            "a/b/c",
        ] {
            let once = repository(image);
            assert_eq!(repository(&once), once);
        }
    }
}
