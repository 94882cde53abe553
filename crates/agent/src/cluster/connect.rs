use std::path::Path;

use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use crate::Error;

/// Connects to the cluster of a kubeconfig, or to the one that this process runs in.
///
/// No file is ever found by itself: a context that happens to be current may be somebody's production.
pub async fn connect(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> Result<kube::Client, Error> {
    // The answer to a second caller's installation is the first one's provider: the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = match kubeconfig {
        Some(path) => from_file(path, context).await?,
        None => Config::incluster().map_err(|_| {
            Error::Setup(
                "this process does not run in a cluster: say which one to manage with --kubeconfig FILE"
                    .to_owned(),
            )
        })?,
    };
    // How often a request is repeated is decided in one place, `send`.
    config.default_retry = false;
    kube::Client::try_from(config)
        .map_err(|error| Error::Setup(format!("no client for the cluster can be made: {error}")))
}

async fn from_file(path: &Path, context: Option<&str>) -> Result<Config, Error> {
    let unusable = |error: &dyn std::fmt::Display| {
        Error::Setup(format!(
            "the kubeconfig {} cannot be used: {error}",
            path.display()
        ))
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| unusable(&error))
}
