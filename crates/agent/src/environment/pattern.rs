use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use brokkr_core::ObjectKey;
use serde::{Deserialize, Deserializer};

use super::images;

/// A whole text, or the beginning of texts, of which `K` says what they name.
#[derive(Debug)]
pub(super) struct Pattern<K> {
    text: String,
    is_beginning: bool,
    names: PhantomData<K>,
}

/// What patterns name, and how it is written.
pub(super) trait Written {
    /// Refuses a pattern that cannot match what is meant by it.
    fn check(text: &str, is_beginning: bool) -> Result<(), String>;
}

#[derive(Debug)]
pub(super) enum Namespaces {}

#[derive(Debug)]
pub(super) enum Kinds {}

#[derive(Debug)]
pub(super) enum Repositories {}

impl<K> Pattern<K> {
    pub(super) fn matches(&self, text: &str) -> bool {
        if self.is_beginning {
            text.starts_with(&self.text)
        } else {
            text == self.text
        }
    }
}

impl Written for Namespaces {
    fn check(_: &str, _: bool) -> Result<(), String> {
        Ok(())
    }
}

impl Written for Kinds {
    fn check(text: &str, is_beginning: bool) -> Result<(), String> {
        let kind = text.rsplit_once('/').map_or(text, |(_, kind)| kind);
        let is_version =
            kind.starts_with('v') && kind[1..].starts_with(|c: char| c.is_ascii_digit());
        let is_kind = kind.starts_with(|c: char| c.is_ascii_uppercase());
        let is_group = is_beginning && !is_version;
        if text.matches('/').count() > 1 || !is_kind && !is_group {
            return Err(format!(
                "`{text}` is no kind: write `group/Kind` without a version, as in `apps/Deployment`, or `Kind` for the core group, as in `Secret`"
            ));
        }
        Ok(())
    }
}

impl Written for Repositories {
    fn check(text: &str, is_beginning: bool) -> Result<(), String> {
        if is_beginning && text.is_empty() {
            return Ok(());
        }
        match text.split_once('/') {
            // `registry.example*` would match `registry.example.of.somebody.else`, too.
            None => Err(format!(
                "`{text}` names no repository: write `{text}/*` for all of a registry, `docker.io/library/{text}` for an image of Docker Hub"
            )),
            Some((registry, _)) if !images::is_registry(registry) => Err(format!(
                "`{registry}` is no registry: repositories are written out, as in `docker.io/{text}`"
            )),
            Some(_) => Ok(()),
        }
    }
}

impl<K: Written> FromStr for Pattern<K> {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let (text, is_beginning) = match written.strip_suffix('*') {
            Some(beginning) => (beginning, true),
            None => (written, false),
        };
        if text.is_empty() && !is_beginning {
            return Err("an empty pattern matches nothing".to_owned());
        }
        if text.contains(|c: char| c == '*' || c.is_whitespace()) {
            return Err(format!(
                "`{written}` is no pattern: it may end with one `*`, and has none elsewhere"
            ));
        }
        K::check(text, is_beginning)?;
        Ok(Self {
            text: text.to_owned(),
            is_beginning,
            names: PhantomData,
        })
    }
}

impl<K> fmt::Display for Pattern<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.is_beginning { "*" } else { "" };
        write!(f, "{}{star}", self.text)
    }
}

impl<'de, K: Written> Deserialize<'de> for Pattern<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A kind as patterns have it.
pub(super) fn kind_of(key: &ObjectKey) -> String {
    match key.group.as_str() {
        "" => key.kind.clone(),
        group => format!("{group}/{}", key.kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_text_or_the_beginning_of_one() {
        for (pattern, text, expected) in [
            ("shop", "shop", true),
            ("shop", "shop-eu", false),
            ("shop", "sho", false),
            ("shop-*", "shop-eu", true),
            ("shop-*", "shop-", true),
            ("shop-*", "shop", false),
            ("shop-*", "workshop-eu", false),
            ("*", "anything", true),
        ] {
            let parsed: Pattern<Namespaces> = pattern.parse().expect("a pattern");
            assert_eq!(parsed.matches(text), expected, "{pattern} and {text}");
            assert_eq!(parsed.to_string(), pattern);
        }
        for odd in ["", "*-shop", "a*b", "**", "a b"] {
            assert!(odd.parse::<Pattern<Namespaces>>().is_err(), "{odd}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_mean_anything_is_refused() {
        for fine in [
            "Secret",
            "apps/Deployment",
            "rbac.authorization.k8s.io/*",
            "Cluster*",
            "example.*",
            "*",
        ] {
            assert!(fine.parse::<Pattern<Kinds>>().is_ok(), "{fine}");
        }
        for odd in [
            "apps/v1",
            "v1/Secret*x",
            "apps/v1/Deployment",
            "secret",
            "apps/v1*",
            "apps/deployments",
        ] {
            assert!(odd.parse::<Pattern<Kinds>>().is_err(), "{odd}");
        }
        for fine in [
            "registry.example/*",
            "localhost:5000/a",
            "docker.io/library/nginx",
            "*",
            "ghcr.io/team-*",
        ] {
            assert!(fine.parse::<Pattern<Repositories>>().is_ok(), "{fine}");
        }
        for odd in [
            "nginx",
            "registry.example",
            "registry.example*",
            "library/nginx",
            "team/*",
        ] {
            assert!(odd.parse::<Pattern<Repositories>>().is_err(), "{odd}");
        }
    }
}
