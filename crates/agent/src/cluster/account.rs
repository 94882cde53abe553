//! By whose rights a request is judged: the agent's own, or those of the service account that a stack acts as.
//!
//! The agent asks the API server to take a request for the account's (impersonation). The connections stay the
//! agent's, one client for all accounts. The groups that a service account has are not named: the server adds them to one
//! that comes without, and would ask for the right to impersonate each of them.

use brokkr_core::ServiceAccount;
use brokkr_core::mutant::Mutant;
use http::{HeaderValue, Request, StatusCode};

use super::Cluster;
use crate::error::{Error, Refusal};

const IMPERSONATE_USER: &str = "impersonate-user";

impl Cluster {
    /// The same by the rights of this service account, and by no others; by the agent's own if it is none.
    pub(crate) fn acting_as(self, account: Option<&ServiceAccount>) -> Self {
        Self {
            account: account.cloned(),
            ..self
        }
    }

    /// The same by the agent's own rights.
    pub(crate) fn as_itself(&self) -> Self {
        self.clone().acting_as(None)
    }

    /// Has the server judge a request by the account's rights.
    pub(super) fn sign(&self, request: &mut Request<Vec<u8>>) -> Result<(), Error> {
        let Some(account) = &self.account else {
            return Ok(());
        };
        if Mutant::AccountIgnored.is_on() {
            return Ok(());
        }
        let user = HeaderValue::try_from(account.user())
            .map_err(|error| Error::Unreadable(error.to_string()))?;
        request.headers_mut().insert(IMPERSONATE_USER, user);
        Ok(())
    }

    /// Says of what the account has no right to, who may not do what, and how to let it.
    pub(super) fn explain(&self, error: Error) -> Error {
        match (error, &self.account) {
            (Error::Refused(refusal), Some(account)) => Error::Refused(explained(refusal, account)),
            (error, _) => error,
        }
    }
}

/// What the server would not let somebody do: `USER VERB RESOURCE PLACE`.
struct Denial<'a> {
    user: &'a str,
    verb: &'a str,
    resource: String,
    place: String,
}

impl<'a> Denial<'a> {
    /// Reads what Kubernetes' authorizers say: `User "U" cannot VERB resource "R" in API group "G" in the namespace "N"`. What
    /// is forbidden for other reasons, by an admission plugin or a quota, reads differently.
    fn read(message: &'a str) -> Option<Self> {
        let (_, denial) = message.split_once("User \"")?;
        let (user, denial) = denial.split_once("\" cannot ")?;
        let (verb, rest) = denial.split_once(" resource \"")?;
        let (resource, rest) = rest.split_once("\" in API group \"")?;
        let (group, rest) = rest.split_once('"')?;
        let resource = match group {
            "" => resource.to_owned(),
            group => format!("{resource}.{group}"),
        };
        let namespace = rest.strip_prefix(" in the namespace \"");
        let place = match namespace.and_then(|rest| rest.split_once('"')) {
            Some((namespace, _)) => format!("in the namespace {namespace}"),
            None => "in the whole cluster".to_owned(),
        };
        Some(Self {
            user,
            verb,
            resource,
            place,
        })
    }
}

fn explained(refusal: Refusal, account: &ServiceAccount) -> Refusal {
    if refusal.status != StatusCode::FORBIDDEN {
        return refusal;
    }
    let Some(denial) = Denial::read(&refusal.message) else {
        return refusal;
    };
    // How servers call the right to act as somebody depends on their version; whose it is to have it does not.
    let message = if denial.user == account.user() {
        let Denial {
            verb,
            resource,
            place,
            ..
        } = denial;
        format!(
            "the service account {account}, as which this stack acts, may not {verb} {resource} {place}: give it that right, as `brokkr agent rbac --stack STACK` prints it, or take the object out of the stack"
        )
    } else {
        format!(
            "this agent may not act as the service account {account}: give its own account the right `impersonate` for the serviceaccount {} in the namespace {}, as `brokkr agent rbac --stack STACK` prints it",
            account.name(),
            account.namespace()
        )
    };
    Refusal {
        message,
        is_of_rights: true,
        ..refusal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::scripted;

    fn account() -> ServiceAccount {
        "deployers/shop".parse().expect("an account")
    }

    fn request() -> Request<Vec<u8>> {
        Request::get("/api").body(Vec::new()).expect("a request")
    }

    #[tokio::test]
    async fn a_request_is_signed_for_the_account_and_only_while_there_is_one() {
        let (cluster, _) = scripted::cluster(&[]);
        let signed = |cluster: &Cluster| {
            let mut request = request();
            cluster.sign(&mut request).expect("a signature");
            let user = request.headers().get("impersonate-user");
            user.map(|user| user.to_str().expect("text").to_owned())
        };
        assert_eq!(signed(&cluster), None);
        let cluster = cluster.acting_as(Some(&account()));
        let user = Some("system:serviceaccount:deployers:shop".to_owned());
        assert_eq!(signed(&cluster), user);
        assert_eq!(signed(&cluster.as_itself()), None);
        assert_eq!(signed(&cluster.of_agent()), None);
        assert_eq!(signed(&cluster.acting_as(None)), None);
    }

    #[tokio::test]
    async fn what_the_account_may_not_do_is_said_with_who_what_and_where() {
        let status = |message: &str| serde_json::json!({ "message": message }).to_string();
        let said = async |message: &str, account: Option<&ServiceAccount>| {
            let body = status(message);
            let (cluster, _) = scripted::cluster(&[(403, body.as_str())]);
            let error = cluster.acting_as(account).send(request()).await;
            error.expect_err("a refusal").to_string()
        };
        let of_shop = r#"configmaps "a" is forbidden: User "system:serviceaccount:deployers:shop" cannot patch resource "configmaps" in API group "" in the namespace "shop""#;
        assert_eq!(
            said(of_shop, Some(&account())).await,
            "the service account deployers/shop, as which this stack acts, may not patch configmaps in the namespace shop: give it that right, as `brokkr agent rbac --stack STACK` prints it, or take the object out of the stack (403)"
        );
        let wide = r#"clusterroles.rbac.authorization.k8s.io "a" is forbidden: User "system:serviceaccount:deployers:shop" cannot get resource "clusterroles" in API group "rbac.authorization.k8s.io" at the cluster scope"#;
        let told = said(wide, Some(&account())).await;
        let words = "may not get clusterroles.rbac.authorization.k8s.io in the whole cluster";
        assert!(told.contains(words), "{told}");
        for of_agent in [
            r#"serviceaccounts "shop" is forbidden: User "system:serviceaccount:brokkr-system:brokkr" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "deployers""#,
            r#"configmaps "a" is forbidden: User "agent" cannot impersonate-on:serviceaccount:get resource "configmaps" in API group "" in the namespace "shop""#,
        ] {
            let told = said(of_agent, Some(&account())).await;
            let words = "`impersonate` for the serviceaccount shop in the namespace deployers";
            assert!(told.contains(words), "{told}");
        }
        // What is forbidden for another reason, or to the agent itself, is said in the server's words.
        for (message, account) in [
            (
                "pods \"a\" is forbidden: exceeded quota: q",
                Some(account()),
            ),
            (of_shop, None),
        ] {
            let told = said(message, account.as_ref()).await;
            assert_eq!(told, format!("{message} (403)"));
        }
    }
}
