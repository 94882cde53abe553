use std::path::Path;

use kube::config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig};

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
    if is_impersonating(&config.auth_info) {
        return Err(Error::Setup(
            "the kubeconfig has its user act as another one (`as`), which would take the place of the service accounts that stacks act as: give the agent credentials of its own"
                .to_owned(),
        ));
    }
    // How often a request is repeated is decided in one place, `send`.
    config.default_retry = false;
    kube::Client::try_from(config)
        .map_err(|error| Error::Setup(format!("no client for the cluster can be made: {error}")))
}

fn is_impersonating(user: &AuthInfo) -> bool {
    user.impersonate.is_some()
        || user.impersonate_uid.is_some()
        || user.impersonate_groups.is_some()
        || user.impersonate_user_extra.is_some()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_acts_as_another_one_cannot_act_as_accounts() {
        let folder = tempfile::tempdir().expect("a folder");
        let connect_by = async |user: &str| {
            let file = folder.path().join("kubeconfig");
            let text = format!(
                "{{apiVersion: v1, kind: Config, current-context: a, clusters: [{{name: a, cluster: {{server: 'http://127.0.0.1:1'}}}}], users: [{{name: a, user: {{{user}}}}}], contexts: [{{name: a, context: {{cluster: a, user: a}}}}]}}"
            );
            std::fs::write(&file, text).expect("a kubeconfig");
            connect(Some(&file), None).await
        };
        connect_by("token: x").await.map(drop).expect("a client");
        for user in ["as: somebody", "as-groups: [some]", "as-uid: '1'"] {
            let refused = connect_by(&format!("token: x, {user}")).await;
            let reason = refused.map(drop).expect_err(user).to_string();
            assert!(reason.contains("(`as`)"), "{reason}");
        }
    }
}
