use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::manifest::is_dns_label;

/// Kubernetes lets no name be longer.
const LONGEST_NAME: usize = 253;

/// A service account of Kubernetes, written `namespace/name`: by whose rights an agent may act for a stack.
///
/// Both parts stand in one word, so that neither can be changed without the other, and no namespace is ever put in for
/// one that was left out.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    value_type = String,
    max_length = 317,
    pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
    examples("deployers/shop")
)]
pub struct ServiceAccount(String);

/// Why a text is no service account.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a service account is NAMESPACE/NAME, as Kubernetes names both, such as deployers/shop")]
pub struct NoServiceAccount;

impl ServiceAccount {
    /// The namespace that it lies in.
    pub fn namespace(&self) -> &str {
        self.parts().0
    }

    /// Its name there.
    pub fn name(&self) -> &str {
        self.parts().1
    }

    /// Its name as a user, as API servers know it.
    pub fn user(&self) -> String {
        let (namespace, name) = self.parts();
        format!("system:serviceaccount:{namespace}:{name}")
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once('/').unwrap_or_default()
    }
}

impl FromStr for ServiceAccount {
    type Err = NoServiceAccount;

    fn from_str(text: &str) -> Result<Self, NoServiceAccount> {
        match text.split_once('/') {
            Some((namespace, name)) if is_dns_label(namespace) && is_name(name) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(NoServiceAccount),
        }
    }
}

/// A DNS subdomain, as RFC 1123 has it.
fn is_name(text: &str) -> bool {
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let is_inner = |byte: &u8| is_alphanumeric(byte) || *byte == b'-';
        bytes.iter().all(is_inner)
            && bytes.first().is_some_and(is_alphanumeric)
            && bytes.last().is_some_and(is_alphanumeric)
    };
    text.len() <= LONGEST_NAME && text.split('.').all(is_label)
}

impl TryFrom<String> for ServiceAccount {
    type Error = NoServiceAccount;

    fn try_from(text: String) -> Result<Self, NoServiceAccount> {
        text.parse()
    }
}

impl fmt::Display for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_parts_are_as_kubernetes_has_them() {
        let longest = format!("a/{}", "x".repeat(LONGEST_NAME));
        for good in ["shop/deployer", "0/a", "a-b/c-d.e1.f", &longest] {
            let account: ServiceAccount = good.parse().expect(good);
            assert_eq!(account.to_string(), good);
        }
        let account: ServiceAccount = "deployers/shop".parse().expect("an account");
        assert_eq!(account.user(), "system:serviceaccount:deployers:shop");
        assert_eq!((account.namespace(), account.name()), ("deployers", "shop"));
        for bad in [
            "",
            "shop",
            "/shop",
            "shop/",
            "a/b/c",
            "A/b",
            "a/B",
            "a.b/c",
            "a/b..c",
            "a/.b",
            "a/b.",
            "a/-b",
            "a/b-",
            "a/b_c",
            "a/b:c",
            "a/b\n",
            " a/b",
            "a/é",
            &format!("{}/a", "x".repeat(64)),
            &format!("a/{}", "x".repeat(LONGEST_NAME + 1)),
        ] {
            assert_eq!(
                bad.parse::<ServiceAccount>(),
                Err(NoServiceAccount),
                "{bad:?}"
            );
        }
    }

    proptest! {
        /// Whatever is taken goes into a header and into a user's name, and means there what it says.
        #[test]
        fn what_is_taken_is_one_user(text in "[a-z0-9./:\\-\r\nA ]{1,12}|\\PC{0,12}") {
            if let Ok(account) = text.parse::<ServiceAccount>() {
                prop_assert_eq!(account.to_string(), text);
                let user = account.user();
                let parts: Vec<_> = user.split(':').collect();
                prop_assert_eq!(parts, ["system", "serviceaccount", account.namespace(), account.name()]);
                let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:".contains(&b);
                prop_assert!(user.bytes().all(is_plain));
            }
        }

        #[test]
        fn what_is_written_is_read_again(
            text in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?){0,3}"
        ) {
            let account: ServiceAccount = text.parse().expect("an account");
            let json = serde_json::to_value(&account).expect("JSON");
            prop_assert_eq!(&json, &serde_json::json!(text));
            let read: ServiceAccount = serde_json::from_value(json).expect("an account");
            prop_assert_eq!(read, account);
        }
    }
}
