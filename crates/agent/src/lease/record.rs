//! The Lease as the API server keeps it.

use std::time::Duration;

use brokkr_core::ObjectKey;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Error;
use crate::apply::create_namespace;
use crate::cluster::{Cluster, Resource};

pub(crate) const NAME: &str = "brokkr-agent";

/// Where it lies: in the agent's namespace, which is made if it is missing.
pub(super) struct Shelf {
    cluster: Cluster,
    namespace: String,
}

/// A Lease.
#[derive(Debug, Clone)]
pub(super) struct Record(Value);

impl Shelf {
    pub(super) const fn new(cluster: Cluster, namespace: String) -> Self {
        Self { cluster, namespace }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    fn key(&self) -> ObjectKey {
        ObjectKey {
            group: "coordination.k8s.io".to_owned(),
            kind: "Lease".to_owned(),
            namespace: Some(self.namespace.clone()),
            name: NAME.to_owned(),
        }
    }

    fn resource() -> Resource {
        Resource::new("coordination.k8s.io", "v1", "leases")
    }

    pub(super) async fn find(&self) -> Result<Option<Record>, Error> {
        let found = self.cluster.get(&Self::resource(), &self.key()).await?;
        Ok(found.map(Record))
    }

    pub(super) fn blank(&self) -> Record {
        Record(json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "name": NAME, "namespace": self.namespace },
        }))
    }

    /// Creates it, or replaces the one with the same resourceVersion.
    pub(super) async fn put(&self, record: &Record) -> Result<Record, Error> {
        let resource = Self::resource();
        if !record.version().is_empty() {
            let path = resource.object(&self.key());
            return self.send(Method::PUT, &path, record).await;
        }
        let path = resource.collection(Some(&self.namespace));
        match self.send(Method::POST, &path, record).await {
            Err(error) if error.is_not_found() => {
                create_namespace(&self.cluster, &self.namespace).await?;
                self.send(Method::POST, &path, record).await
            }
            answer => answer,
        }
    }

    async fn send(&self, method: Method, path: &str, record: &Record) -> Result<Record, Error> {
        let body = self.cluster.write(method, path, &record.0).await?;
        let written = serde_json::from_slice(&body);
        written
            .map(Record)
            .map_err(|error| Error::Unreadable(format!("{:?} error", error.classify())))
    }
}

impl Record {
    #[cfg(test)]
    pub(super) fn of_version(version: &str) -> Self {
        Self(json!({ "metadata": { "resourceVersion": version } }))
    }

    pub(super) fn version(&self) -> &str {
        self.0["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
    }

    /// Who holds it; nobody if it was released.
    pub(super) fn holder(&self) -> Option<&str> {
        let holder = self.0["spec"]["holderIdentity"].as_str();
        holder.filter(|holder| !holder.is_empty())
    }

    pub(super) fn duration(&self) -> Duration {
        let seconds = self.0["spec"]["leaseDurationSeconds"].as_u64();
        Duration::from_secs(seconds.unwrap_or_default())
    }

    pub(super) fn take(&mut self, holder: &str, duration: Duration, now: Timestamp) {
        let transitions = self.0["spec"]["leaseTransitions"].as_u64();
        self.0["spec"] = json!({
            "holderIdentity": holder,
            // Whole seconds, and no fewer.
            "leaseDurationSeconds": duration.as_millis().div_ceil(1_000),
            "leaseTransitions": transitions.map_or(0, |transitions| transitions + 1),
            "acquireTime": micro_time(now),
            "renewTime": micro_time(now),
        });
    }

    pub(super) fn renew(&mut self, now: Timestamp) {
        self.0["spec"]["renewTime"] = micro_time(now).into();
    }

    pub(super) fn release(&mut self, now: Timestamp) {
        self.0["spec"]["holderIdentity"] = "".into();
        self.renew(now);
    }
}

/// As Kubernetes reads it: with six digits behind the second, no more and no fewer.
pub(crate) fn micro_time(time: Timestamp) -> String {
    format!("{time:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_written_as_kubernetes_reads_it() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
        let mut record = Record::of_version("7");
        record.take("me", Duration::from_millis(2_500), now);
        assert_eq!(record.version(), "7");
        assert_eq!(
            (record.holder(), record.duration()),
            (Some("me"), Duration::from_secs(3))
        );
        assert_eq!(record.0["spec"]["renewTime"], "2026-01-02T03:04:05.000000Z");
        record.take("you", Duration::from_secs(3), now);
        assert_eq!(record.0["spec"]["leaseTransitions"], 1);
        record.release(now);
        assert_eq!(record.holder(), None);
    }
}
