use serde_json::{Map, Value};

use super::{MAX_OBJECTS, Manifest, ManifestError, Place, shape};

/// What is kept of a text, document by document: objects, or only their identities.
pub(super) struct Reading<const WHOLE: bool> {
    documents: usize,
    kept: Vec<(Place, Manifest)>,
    /// The first document that has not the shape of objects. A text that is no YAML is refused for that.
    refused: Option<ManifestError>,
}

impl<const WHOLE: bool> Default for Reading<WHOLE> {
    fn default() -> Self {
        Self {
            documents: 0,
            kept: Vec::new(),
            refused: None,
        }
    }
}

impl<const WHOLE: bool> Reading<WHOLE> {
    pub(super) fn finish(self) -> Result<Vec<(Place, Manifest)>, ManifestError> {
        self.refused.map_or(Ok(self.kept), Err)
    }

    /// Takes the next document, which begins in this line.
    fn take(&mut self, line: u64, document: Value) {
        self.documents += 1;
        if document.is_null() || self.refused.is_some() {
            return;
        }
        let place = Place {
            document: self.documents,
            line,
        };
        self.refused = self.keep(place, document).err();
    }

    fn keep(&mut self, place: Place, document: Value) -> Result<(), ManifestError> {
        for mut manifest in shape::read(place, document)? {
            if !WHOLE {
                manifest.object = Map::new();
            }
            self.kept.push((place, manifest));
        }
        if self.kept.len() > MAX_OBJECTS {
            return Err(ManifestError::whole(format!(
                "there are more than {MAX_OBJECTS} objects, the most that a stack may have: split the stack"
            )));
        }
        Ok(())
    }
}

impl<const WHOLE: bool> Extend<(u64, Value)> for Reading<WHOLE> {
    fn extend<D: IntoIterator<Item = (u64, Value)>>(&mut self, documents: D) {
        for (line, document) in documents {
            self.take(line, document);
        }
    }
}
