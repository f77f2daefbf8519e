//! Things under way, counted by a gauge for as long as they are.

use metrics::Gauge;

/// One thing under way; it counts until it is dropped.
pub struct InFlight(Gauge);

impl InFlight {
    /// One more.
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
