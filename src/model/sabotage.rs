//! Test-only switches that break single safety rules, so that the proof harness can show that it would notice.

/// Which rules are broken. Exists only with the `sabotage` feature, which no release has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sabotage {
    /// Nothing is noted before a send: after a crash nobody knows what was in flight.
    pub no_intents: bool,
}

impl Sabotage {
    /// The switch of that name.
    pub fn named(name: &str) -> Option<Self> {
        (name == "no-intents").then_some(Self { no_intents: true })
    }
}
