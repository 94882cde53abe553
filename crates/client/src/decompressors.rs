//! What contents are decompressed with.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zstd::bulk::Decompressor;
use zstd::zstd_safe::get_frame_content_size;

/// Decompressors that are used again: to make one takes longer than a small content. There are as many as were at work at once.
#[derive(Default)]
pub(crate) struct Decompressors(Mutex<Vec<Decompressor<'static>>>);

impl Decompressors {
    /// The bytes that were compressed; nothing if they are more than `most`.
    pub(crate) fn restore(&self, compressed: &[u8], most: usize) -> io::Result<Option<Vec<u8>>> {
        let said = get_frame_content_size(compressed).map_err(|_| io::ErrorKind::InvalidData)?;
        let size = said.map_or(Ok(most), usize::try_from);
        let Some(size) = size.ok().filter(|size| *size <= most) else {
            return Ok(None);
        };
        let kept = self.idle().pop();
        let mut decompressor = kept.map_or_else(Decompressor::new, Ok)?;
        let mut restored = decompressor.decompress(compressed, size)?;
        self.idle().push(decompressor);
        restored.shrink_to_fit();
        Ok(Some(restored))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Decompressor<'static>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Decompressors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Decompressors")
            .field(&self.idle().len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_was_compressed_is_restored_up_to_a_limit() {
        let text = "apiVersion: v1\n".repeat(1_000).into_bytes();
        let compressed = zstd::bulk::compress(&text, 0).expect("bytes");
        let decompressors = Decompressors::default();
        for _ in 0..2 {
            let restored = decompressors
                .restore(&compressed, text.len())
                .expect("zstd");
            assert_eq!(restored.as_ref(), Some(&text));
        }
        let longer = decompressors.restore(&compressed, text.len() - 1);
        assert_eq!(longer.expect("zstd"), None);
        assert!(decompressors.restore(b"no zstd", 1_000).is_err());
        let cut = &compressed[..compressed.len() - 1];
        assert!(decompressors.restore(cut, text.len()).is_err());
        // A server may leave out how long it is.
        let mut encoder = zstd::Encoder::new(Vec::new(), 0).expect("bytes");
        encoder.include_contentsize(false).expect("an option");
        encoder.write_all(&text).expect("bytes");
        let streamed = encoder.finish().expect("bytes");
        assert_eq!(
            decompressors.restore(&streamed, 20_000).expect("zstd"),
            Some(text)
        );
        assert!(decompressors.restore(&streamed, 1_000).is_err());
    }
}
