//! A net for canaries: secrets and row values that are easy to find again.

use std::{fs, path::Path};

use super::{Finished, TOKEN};

/// Looks for canaries in everything that is said or written.
pub(crate) struct Net {
    words: Vec<String>,
    number: i64,
    caught: Vec<String>,
    looked: usize,
}

impl Net {
    /// For these words, in any letter case, the token, and this number as databases and encodings store it.
    pub(crate) fn new(words: &[&str], number: i64) -> Self {
        let words = words.iter().chain([&TOKEN]).map(|word| word.to_lowercase()).collect();
        Self { words, number, caught: Vec::new(), looked: 0 }
    }

    /// Looks through the bytes of a place.
    pub(crate) fn look(&mut self, place: &str, bytes: &[u8]) {
        self.looked += bytes.len();
        let lower = bytes.to_ascii_lowercase();
        for canary in &self.words {
            if contains(&lower, canary.as_bytes()) {
                let text = String::from_utf8_lossy(&lower).into_owned();
                let at = text.find(canary.as_str()).unwrap_or(0);
                let before = text.get(..at).map_or(0, |text| text.chars().count());
                let around: String = text.chars().skip(before.saturating_sub(200)).take(400).collect();
                self.caught.push(format!("`{canary}` in {place}: {around}"));
            }
        }
        for (order, number) in [("big", self.number.to_be_bytes()), ("little", self.number.to_le_bytes())] {
            if contains(bytes, &number) {
                self.caught.push(format!("the first number, {order} endian, in {place}"));
            }
        }
    }

    /// What a command said.
    pub(crate) fn finished(&mut self, command: &str, finished: &Finished) {
        self.look(&format!("the output of `{command}`"), finished.stdout.as_bytes());
        self.look(&format!("the log or error output of `{command}`"), finished.stderr.as_bytes());
    }

    /// Every file of a folder.
    pub(crate) fn folder(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                self.folder(&path);
            } else if let Ok(bytes) = fs::read(&path) {
                // A running daemon may have removed it meanwhile.
                self.look(&path.display().to_string(), &bytes);
            }
        }
    }

    /// Bytes looked at so far.
    pub(crate) fn looked(&self) -> usize {
        self.looked
    }

    /// Where canaries were found.
    pub(crate) fn caught(&self) -> &[String] {
        &self.caught
    }

    #[track_caller]
    pub(crate) fn assert_empty(&self) {
        println!("  {} bytes looked at, {} canaries", self.looked, self.caught.len());
        assert!(self.caught.is_empty(), "{}", self.caught.join("\n"));
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
