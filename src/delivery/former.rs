//! Batches on demand.

use std::collections::VecDeque;

use crate::spool::SpoolError;

use super::{
    batcher::{Batcher, Caps, Formed},
    context::Context,
    item::Item,
    pass::DeliveryError,
};

/// Forms batches on demand; once a stop is requested it only counts what is left.
pub(super) struct Former<'a, N> {
    context: &'a Context,
    next: N,
    batcher: Option<Batcher>,
    queue: VecDeque<Formed>,
}

impl<'a, N: FnMut() -> Result<Option<Item>, SpoolError>> Former<'a, N> {
    pub(super) fn new(context: &'a Context, next: N) -> Self {
        let capabilities = context.destination.capabilities(&context.object);
        let caps = Caps { max_rows: capabilities.max_rows, max_bytes: capabilities.max_bytes };
        Self { context, next, batcher: Some(Batcher::new(caps)), queue: VecDeque::new() }
    }

    /// The next batch; `None`: there is none any more.
    ///
    /// # Errors
    /// When the plan cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Formed>, DeliveryError> {
        loop {
            if self.context.must_stop() {
                self.count_left_over()?;
                return Ok(None);
            }
            if let Some(formed) = self.queue.pop_front() {
                return Ok(Some(formed));
            }
            let Some(batcher) = self.batcher.as_mut() else { return Ok(None) };
            let mut out = Vec::new();
            match (self.next)()? {
                Some(item) => batcher.push(item, &mut out),
                None => self.batcher.take().into_iter().for_each(|batcher| batcher.finish(&mut out)),
            }
            self.queue.extend(out);
        }
    }

    fn count_left_over(&mut self) -> Result<(), DeliveryError> {
        let mut out: Vec<Formed> = self.queue.drain(..).collect();
        let unfinished = self.batcher.take().map(|batcher| batcher.finish(&mut out)).is_some();
        let leave = |item: &Item| self.context.tally.add(|tally| tally.leave(item));
        out.iter().flat_map(|formed| &formed.items).for_each(leave);
        while unfinished && let Some(item) = (self.next)()? {
            leave(&item);
        }
        Ok(())
    }
}
