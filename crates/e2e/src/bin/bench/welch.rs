use std::fmt;

/// Between the means of two samples, by Welch's t-test.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// How much more the second has.
    pub nanos: f64,
    /// In standard errors.
    pub statistic: f64,
    /// How many of each were compared.
    samples: usize,
}

/// What lies above is the machine's doing, and would hide the rest.
const KEPT: f64 = 0.9;

impl Difference {
    /// Compares what is below one bound of both together.
    pub fn between(first: &[f64], second: &[f64]) -> Self {
        let bound = bound(first, second);
        let (first, second) = (Sample::of(first, bound), Sample::of(second, bound));
        let error = (first.error_squared() + second.error_squared()).sqrt();
        let nanos = second.mean - first.mean;
        Self {
            nanos,
            statistic: nanos / error,
            samples: first.kept.min(second.kept),
        }
    }

    /// How likely a difference as large is if there is none: with so many samples, the normal distribution's.
    pub fn chance(&self) -> f64 {
        both_tails(self.statistic.abs())
    }
}

struct Sample {
    mean: f64,
    variance: f64,
    kept: usize,
}

impl Sample {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 samples")]
    fn of(all: &[f64], bound: f64) -> Self {
        let kept: Vec<_> = all
            .iter()
            .copied()
            .filter(|nanos| *nanos <= bound)
            .collect();
        let count = kept.len() as f64;
        let mean = kept.iter().sum::<f64>() / count;
        let squares: f64 = kept.iter().map(|nanos| (nanos - mean).powi(2)).sum();
        Self {
            mean,
            variance: squares / (count - 1.0),
            kept: kept.len(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 samples")]
    fn error_squared(&self) -> f64 {
        self.variance / self.kept as f64
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index"
)]
fn bound(first: &[f64], second: &[f64]) -> f64 {
    let mut all = [first, second].concat();
    all.sort_by(f64::total_cmp);
    let index = (all.len() as f64 * KEPT) as usize;
    all.get(index).copied().unwrap_or(f64::INFINITY)
}

/// 2 (1 - Φ(z)), to seven digits (Abramowitz and Stegun, 26.2.17).
fn both_tails(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let coefficients = [
        1.330_274_429,
        -1.821_255_978,
        1.781_477_937,
        -0.356_563_782,
        0.319_381_530,
    ];
    let series = coefficients
        .iter()
        .fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    2.0 * density * series
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:+.0} ns, t = {:+.2}, p = {:.3}, {} requests of each",
            self.nanos,
            self.statistic,
            self.chance(),
            self.samples
        )
    }
}
