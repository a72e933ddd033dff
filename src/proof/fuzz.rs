//! A target of the fuzzer. Modules whose decoders are their own hold targets beside them; `crate::fuzz` lists all.

/// Something that reads bytes, and what must hold whatever the bytes are.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, also that of its folder of seeds.
    pub name: &'static str,
    /// Panics when a property is broken.
    pub run: fn(&[u8]),
    /// Binary seeds, made by the real encoders. Texts lie in the repository.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

impl Target {
    pub(crate) const fn new(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Self {
        Self { name, run, seeds }
    }

    /// A target whose seeds are all texts.
    pub(crate) const fn of_text(name: &'static str, run: fn(&[u8])) -> Self {
        Self { name, run, seeds: Vec::new }
    }
}
