//! Labels and annotations on the command line.

use std::collections::BTreeMap;

use brokkr_core::labels::{
    AnnotationValue, Annotations, InvalidTrait, Key, LabelValue, Labels, Pair, Traits,
};
use brokkr_core::wire::PatchTraits;
use clap::Args;

use crate::failure::Usage;

/// What something new carries.
#[derive(Args)]
pub struct GivenTraits {
    /// A label, by which rules choose; several may be given
    #[arg(long = "label", value_name = "KEY[=VALUE]")]
    labels: Vec<Pair<LabelValue>>,

    /// An annotation, whose value may be any text; several may be given
    #[arg(long = "annotation", value_name = "KEY[=VALUE]")]
    annotations: Vec<Pair<AnnotationValue>>,
}

impl GivenTraits {
    pub fn labels(&self) -> Result<Labels, Usage> {
        given(&self.labels)
    }

    pub fn annotations(&self) -> Result<Annotations, Usage> {
        given(&self.annotations)
    }
}

/// What changes of what something carries; the rest stays.
#[derive(Args)]
pub struct ChangedTraits {
    /// A label to set; several may be given
    #[arg(long = "label", value_name = "KEY[=VALUE]")]
    labels: Vec<Pair<LabelValue>>,

    /// A label to take away; several may be given
    #[arg(long = "remove-label", value_name = "KEY")]
    no_labels: Vec<Key>,

    /// An annotation to set; several may be given
    #[arg(long = "annotation", value_name = "KEY[=VALUE]")]
    annotations: Vec<Pair<AnnotationValue>>,

    /// An annotation to take away; several may be given
    #[arg(long = "remove-annotation", value_name = "KEY")]
    no_annotations: Vec<Key>,
}

impl ChangedTraits {
    pub fn labels(&self) -> Result<PatchTraits<LabelValue>, Usage> {
        changed(&self.labels, &self.no_labels)
    }

    pub fn annotations(&self) -> Result<PatchTraits<AnnotationValue>, Usage> {
        changed(&self.annotations, &self.no_annotations)
    }
}

fn given<V: Clone>(pairs: &[Pair<V>]) -> Result<Traits<V>, Usage> {
    let patch = changed(pairs, &[])?;
    let traits = patch.applied_to(Traits::new());
    traits.map_err(|why| Usage(why.to_string()))
}

/// A key that is named twice would have its value decided by the order of flags.
fn changed<V: Clone>(set: &[Pair<V>], taken: &[Key]) -> Result<PatchTraits<V>, Usage> {
    let mut changes = BTreeMap::new();
    let set = set.iter().map(|pair| (&pair.key, Some(&pair.value)));
    for (key, value) in set.chain(taken.iter().map(|key| (key, None))) {
        if changes.insert(key.clone(), value.cloned()).is_some() {
            return Err(Usage(InvalidTrait::Twice(key.clone()).to_string()));
        }
    }
    Ok(PatchTraits(changes))
}
