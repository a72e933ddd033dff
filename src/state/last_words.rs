//! What a journal says of each key, in the order of the keys.

use std::{iter::Peekable, vec};

use crate::model::Key;

/// Words about keys. Taken in as they come, and put in order at once: a sorted vector takes a third of a tree's memory and time.
#[derive(Debug)]
pub(super) struct LastWords<V> {
    words: Vec<(Key, V)>,
    /// The words up to here are in order, one for each key.
    sorted: usize,
}

impl<V> Default for LastWords<V> {
    fn default() -> Self {
        Self { words: Vec::new(), sorted: 0 }
    }
}

impl<V> LastWords<V> {
    /// Takes in a newer word. It shows after [`LastWords::sort`].
    pub(super) fn add(&mut self, key: Key, value: V) {
        self.words.push((key, value));
    }

    /// Puts what was taken in into order; of several words about a key the last one stays.
    pub(super) fn sort(&mut self) {
        if self.sorted < self.words.len() {
            // Stable, and quick with stretches that are in order already.
            self.words.sort_by(|(a, _), (b, _)| a.cmp(b));
            self.words.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    std::mem::swap(&mut later.1, &mut earlier.1);
                }
                same
            });
            self.sorted = self.words.len();
        }
    }

    /// The last word about a key.
    pub(super) fn take(&mut self, key: &Key) -> Option<V> {
        let place = self.words.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        self.sorted -= 1;
        Some(self.words.remove(place).1)
    }

    /// The words about keys that begin with `prefix`.
    pub(super) fn beginning_with<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = &'a (Key, V)> {
        let from = self.words.partition_point(|(key, _)| key.as_bytes() < prefix);
        self.words.iter().skip(from).take_while(move |(key, _)| key.as_bytes().starts_with(prefix))
    }
}

impl<V> IntoIterator for LastWords<V> {
    type Item = (Key, V);
    type IntoIter = vec::IntoIter<(Key, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.words.into_iter()
    }
}

/// The words of a journal, one after the other.
pub(super) type Words<V> = Peekable<vec::IntoIter<(Key, V)>>;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_says_what_a_map_says(stretches in proptest::collection::vec(proptest::collection::vec((any::<u8>(), any::<u16>()), 0..40), 0..5)) {
            let (mut words, mut map) = (LastWords::default(), BTreeMap::new());
            for stretch in stretches {
                for (key, value) in stretch {
                    words.add(Key::from_encoded(&[key]), value);
                    map.insert(Key::from_encoded(&[key]), value);
                }
                words.sort();
                for key in 0..=u8::MAX {
                    let found: Vec<u16> = words.beginning_with(&[key]).map(|(_, value)| *value).collect();
                    prop_assert_eq!(found, map.get(&Key::from_encoded(&[key])).copied().into_iter().collect::<Vec<_>>());
                }
            }
            let some = Key::from_encoded(&[7]);
            prop_assert_eq!(words.take(&some), map.remove(&some));
            prop_assert_eq!(words.into_iter().collect::<Vec<_>>(), map.into_iter().collect::<Vec<_>>());
        }
    }
}
