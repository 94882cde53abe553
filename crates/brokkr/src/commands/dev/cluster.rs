//! The cluster that a kubeconfig means, looked at before anything connects to it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use brokkr_core::name::Name;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

/// A cluster, as the kubeconfig describes it.
pub struct Cluster {
    /// The context.
    pub context: String,
    /// The API server's address.
    pub server: String,
    host: String,
    has_proxy: bool,
}

impl Cluster {
    /// Reads the kubeconfig; nothing connects yet.
    pub async fn find(kubeconfig: &Path, context: Option<&str>) -> anyhow::Result<Self> {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).with_context(|| {
            format!(
                "the kubeconfig {} cannot be used — name another with --kubeconfig FILE",
                kubeconfig.display()
            )
        })?;
        let context = context
            .map(str::to_owned)
            .or_else(|| kubeconfig.current_context.clone())
            .context("the kubeconfig has no current context — name one with --context NAME")?;
        let options = KubeConfigOptions {
            context: Some(context.clone()),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .with_context(|| format!("context {context} cannot be used"))?;
        Ok(Self {
            context,
            server: config.cluster_url.to_string(),
            host: config.cluster_url.host().unwrap_or_default().to_owned(),
            has_proxy: config.proxy_url.is_some(),
        })
    }

    /// Whether the API server is on loopback, where test clusters are and production is not.
    pub fn is_on_this_machine(&self) -> bool {
        let host = self.host.trim_matches(['[', ']']);
        let is_local = host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback() || address.is_unspecified());
        is_local && !self.has_proxy
    }

    /// A name for the agent of this cluster.
    pub fn agent_name(&self) -> anyhow::Result<Name> {
        let name: String = self
            .context
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(63)
            .collect();
        let name = name.trim_matches('-').parse();
        Ok(name.or_else(|_| "dev".parse())?)
    }
}

/// The kubeconfig that `kubectl` would take.
pub fn usual_kubeconfig() -> anyhow::Result<PathBuf> {
    if let Some(files) = env::var_os("KUBECONFIG").filter(|files| !files.is_empty()) {
        let mut files = env::split_paths(&files);
        return match (files.next(), files.next()) {
            (Some(file), None) => Ok(file),
            _ => bail!("KUBECONFIG names several files — name one with --kubeconfig FILE"),
        };
    }
    let home = env::home_dir().context("there is no home folder — name a --kubeconfig FILE")?;
    Ok(home.join(".kube").join("config"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(context: &str, host: &str) -> Cluster {
        Cluster {
            context: context.to_owned(),
            server: format!("https://{host}:6443"),
            host: host.to_owned(),
            has_proxy: false,
        }
    }

    #[test]
    fn only_loopback_is_this_machine() {
        for host in ["127.0.0.1", "localhost", "[::1]", "0.0.0.0"] {
            assert!(cluster("c", host).is_on_this_machine(), "{host}");
        }
        for host in ["10.0.0.1", "localhost.example", "prod.example", ""] {
            assert!(!cluster("c", host).is_on_this_machine(), "{host}");
        }
        let proxied = Cluster {
            has_proxy: true,
            ..cluster("c", "127.0.0.1")
        };
        assert!(!proxied.is_on_this_machine());
    }

    #[test]
    fn a_context_of_any_name_has_an_agent() {
        for (context, agent) in [
            ("kind-kind", "kind-kind"),
            ("admin@Prod/eu", "admin-prod-eu"),
            ("@", "dev"),
        ] {
            let name = cluster(context, "localhost").agent_name().unwrap();
            assert_eq!(name.as_str(), agent);
        }
    }
}
