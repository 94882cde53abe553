use brokkr_core::ObjectKey;
use bytes::Bytes;

use super::resource::escape;
use super::{Cluster, Resource};
use crate::Error;

/// Which part of a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogPart {
    /// Of the run before the present one.
    pub previous: bool,
    /// So many of the last lines.
    pub lines: u32,
    /// Of these the first bytes, no more than so many.
    pub bytes: usize,
}

impl Cluster {
    /// What a container of a pod wrote.
    pub(crate) async fn log(
        &self,
        pod: &ObjectKey,
        container: &str,
        part: LogPart,
    ) -> Result<Bytes, Error> {
        let pods = Resource::new("", "v1", "pods");
        let LogPart {
            previous,
            lines,
            bytes,
        } = part;
        let path = format!(
            "{}/log?container={}&previous={previous}&tailLines={lines}&limitBytes={bytes}",
            pods.object(pod),
            escape(container)
        );
        // The log itself is plain text, a refusal is not.
        self.ask(&path, "application/json, */*").await
    }
}
