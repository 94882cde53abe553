use std::time::Duration;

use brokkr_core::ambient::Ambient;

/// From 0 to 1, any as likely as another.
pub fn fraction(ambient: &dyn Ambient) -> f64 {
    let mut random = [0; 4];
    ambient.fill(&mut random);
    f64::from(u32::from_ne_bytes(random)) / f64::from(u32::MAX)
}

/// The duration give or take a half of it.
pub fn about(duration: Duration, ambient: &dyn Ambient) -> Duration {
    duration.mul_f64(0.5 + fraction(ambient))
}
