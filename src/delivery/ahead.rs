//! Batches whose intents are written before a worker is free for them.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::model::Timestamp;

use super::{batcher::Formed, item::Item};

/// A batch whose intents are durable.
pub(super) struct Intended {
    pub(super) batch: i64,
    pub(super) items: Vec<Item>,
    pub(super) idempotency: u128,
    pub(super) send_before: Timestamp,
    pub(super) since: Instant,
    pub(super) ahead: CountedAhead,
}

/// Counts one batch as written ahead until it is dropped, however its run ends.
pub(super) struct CountedAhead(Arc<AtomicU32>);

impl CountedAhead {
    pub(super) fn new(counter: &Arc<AtomicU32>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter.clone())
    }
}

impl Drop for CountedAhead {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The batches whose intents are written before a worker is free for them: more where workers have to wait for them, so that
/// many share a commit.
pub(super) struct Ahead {
    ready: VecDeque<Intended>,
    /// Batches, and rows in them, whose intents are being written or are durable.
    batches: usize,
    rows: usize,
    /// How many batches there may be with those being sent, however large.
    least: usize,
    /// How many there may be with those while they have few rows.
    most: usize,
    /// How often a worker was free and had to wait.
    waits: usize,
}

impl Ahead {
    const MOST: usize = 20;
    /// What is written ahead is sent again after a crash, so it only grows where the waiting goes on: after so many waits
    /// by one batch, and then by one more each time that they were so many.
    const WAITS: (usize, usize) = (64, 8);
    /// Where a batch waits for a worker for longer than this, less is written ahead again.
    const LONG: Duration = Duration::from_secs(1);
    const FEW_ROWS: usize = 2_000;

    /// For each worker one to send and one ahead, but that a worker alone has none ahead.
    pub(super) fn new(workers: usize) -> Self {
        let least = (2 * workers).saturating_sub(1).max(1);
        Self { ready: VecDeque::new(), batches: 0, rows: 0, least, most: least, waits: 0 }
    }

    pub(super) const fn has_room(&self, working: usize) -> bool {
        let batches = self.batches + working;
        batches < self.least || batches < self.most && self.rows < Self::FEW_ROWS
    }

    pub(super) fn begin(&mut self, formed: &Formed) {
        self.batches += 1;
        self.rows += formed.items.len();
    }

    pub(super) fn push(&mut self, intended: Intended) {
        self.ready.push_back(intended);
    }

    pub(super) fn take(&mut self) -> Option<Intended> {
        let ready = self.ready.pop_front()?;
        self.batches -= 1;
        self.rows -= ready.items.len();
        if ready.since.elapsed() > Self::LONG {
            (self.most, self.waits) = (self.least, 0);
        }
        Some(ready)
    }

    /// The intents of a batch cannot be written.
    pub(super) const fn fail(&mut self) {
        self.batches -= 1;
    }

    /// A worker is free: it waits where intents are still being written.
    pub(super) fn widen_if_awaited(&mut self) {
        if self.ready.is_empty() && self.batches > 0 && self.most < Self::MOST {
            let (first, then) = Self::WAITS;
            self.waits += 1;
            self.most += usize::from(self.waits >= first && self.waits.is_multiple_of(then));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formed() -> Formed {
        Formed { items: Vec::new(), again: None }
    }

    fn intended() -> Intended {
        let ahead = CountedAhead::new(&Arc::default());
        let send_before = Timestamp::from_micros(0);
        Intended { batch: 1, items: Vec::new(), idempotency: 1, send_before, since: Instant::now(), ahead }
    }

    /// How many batches there may be with those being sent, when a worker has waited so often.
    fn most_after(ahead: &mut Ahead, waits: usize) -> usize {
        ahead.begin(&formed());
        (0..waits).for_each(|_| ahead.widen_if_awaited());
        ahead.fail();
        (0..).find(|&working| !ahead.has_room(working)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn more_is_written_ahead_where_workers_go_on_waiting_and_less_where_batches_do() {
        let mut ahead = Ahead::new(4);
        assert_eq!(most_after(&mut ahead, 63), 7, "one for each worker, and one ahead but for the last");
        assert_eq!(most_after(&mut ahead, 1), 8);
        assert_eq!(most_after(&mut ahead, 7), 8);
        assert_eq!(most_after(&mut ahead, 1), 9);
        assert_eq!(most_after(&mut ahead, 1_000), 20);
        for (waited, most) in [(1_000, 20), (1_001, 7)] {
            ahead.begin(&formed());
            ahead.push(intended());
            tokio::time::advance(Duration::from_millis(waited)).await;
            assert!(ahead.take().is_some());
            assert_eq!(most_after(&mut ahead, 0), most, "after {waited} ms");
        }
    }

    #[tokio::test]
    async fn a_worker_alone_has_nothing_written_ahead_and_never_waits() {
        let mut ahead = Ahead::new(1);
        assert!(ahead.has_room(0) && !ahead.has_room(1));
        (0..1_000).for_each(|_| ahead.widen_if_awaited());
        assert!(!ahead.has_room(1));
    }

    #[tokio::test]
    async fn a_batch_that_is_ready_keeps_no_worker_waiting() {
        let mut ahead = Ahead::new(2);
        ahead.begin(&formed());
        ahead.push(intended());
        (0..1_000).for_each(|_| ahead.widen_if_awaited());
        assert!(ahead.take().is_some());
        assert_eq!(most_after(&mut ahead, 0), 3);
    }
}
