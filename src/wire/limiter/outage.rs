//! When a vendor seems to be down, one request at a time finds out whether it is back.

/// Failures in a row that make an outage.
const FAILURES: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Outage {
    failures: u32,
    probing: bool,
}

impl Outage {
    fn is_on(&self) -> bool {
        self.failures >= FAILURES
    }

    pub(super) fn may_pass(&self) -> bool {
        !(self.is_on() && self.probing)
    }

    /// A request passes; whether it is the probe.
    pub(super) fn pass(&mut self) -> bool {
        self.probing |= self.is_on();
        self.is_on()
    }

    /// The probe is over, whatever came of it.
    pub(super) fn probe_over(&mut self) {
        self.probing = false;
    }

    /// A request ended; whether the account should now be on hold.
    pub(super) fn ended(&mut self, failed: bool) -> bool {
        self.failures = if failed { self.failures.saturating_add(1) } else { 0 };
        self.is_on()
    }
}
