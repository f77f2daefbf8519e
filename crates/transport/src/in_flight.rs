//! Counts things that are in progress in a gauge.

use metrics::Gauge;

/// One thing in progress; counted until it is dropped.
pub struct InFlight(Gauge);

impl InFlight {
    /// Starts counting.
    pub fn begin(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
