//! A model of two-valued rows: few values, so that A -> B -> A is common.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use crate::support::pair::Content;

/// A row: who, which of two addresses, which of two plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    person: u32,
    address: bool,
    plan: bool,
    /// The vendor refuses its address.
    refused: bool,
}

/// The rows of a table `m (id, email, plan)`.
pub(crate) struct Rows {
    rng: Rng,
    now: Stand,
    next: u32,
}

/// What the table holds at one time.
#[derive(Clone, Default)]
pub(crate) struct Stand {
    rows: BTreeMap<u32, Row>,
    /// People whose rows were deleted: a new row may bring them back.
    gone: Vec<u32>,
}

impl Rows {
    /// So many rows.
    pub(crate) fn new(count: u32, seed: u64) -> Self {
        let mut rows = Self { rng: Rng::with_seed(seed), now: Stand::default(), next: 1 };
        (0..count).for_each(|_| rows.insert());
        rows
    }

    /// The statements that make the table.
    pub(crate) fn table(&self) -> String {
        format!("create table m (id bigint primary key, email text, plan text); {}", self.statements(&Stand::default()))
    }

    /// What the table holds now.
    pub(crate) fn stand(&self) -> Stand {
        self.now.clone()
    }

    /// Flips 40 % of the rows, gives 3 % the other address, deletes 3 % and inserts as many; the statements that do it.
    pub(crate) fn mutate(&mut self) -> String {
        let before = self.stand();
        let mut deleted = 0;
        for (id, row) in &before.rows {
            let mut row = *row;
            row.refused = false;
            match self.rng.u32(0..100) {
                0..40 => row.plan = !row.plan,
                40..43 => row.address = !row.address,
                43..46 => {
                    self.now.gone.push(row.person);
                    self.now.rows.remove(id);
                    deleted += 1;
                    continue;
                }
                _ => {}
            }
            self.now.rows.insert(*id, row);
        }
        (0..deleted).for_each(|_| self.insert());
        self.statements(&before)
    }

    /// Gives so many rows an address that the vendor refuses, until the next change; the statements that do it.
    pub(crate) fn spoil(&mut self, count: usize) -> String {
        let before = self.stand();
        self.now.rows.values_mut().take(count).for_each(|row| row.refused = true);
        self.statements(&before)
    }

    /// Goes back to what the table once held; the statements that do it.
    pub(crate) fn restore(&mut self, stand: Stand) -> String {
        let before = std::mem::replace(&mut self.now, stand);
        self.statements(&before)
    }

    /// What the vendor is to hold.
    pub(crate) fn content(&self) -> BTreeMap<u32, Content> {
        self.now.rows.iter().map(|(id, row)| (*id, content(row))).collect()
    }

    fn insert(&mut self) {
        let id = self.next;
        self.next += 1;
        let old = if self.rng.bool() { self.now.gone.pop() } else { None };
        let row = Row { person: old.unwrap_or(id), address: self.rng.bool(), plan: self.rng.bool(), refused: false };
        self.now.rows.insert(id, row);
    }

    /// One transaction from `before` to now.
    fn statements(&self, before: &Stand) -> String {
        let ids = before.rows.keys().chain(self.now.rows.keys()).copied().collect::<BTreeSet<u32>>();
        let touched: Vec<u32> = ids.into_iter().filter(|id| before.rows.get(id) != self.now.rows.get(id)).collect();
        if touched.is_empty() {
            return String::new();
        }
        let row = |id: &u32| {
            let (email, plan) = content(self.now.rows.get(id)?);
            Some(format!("({id}, '{email}', '{plan}')"))
        };
        let rows = touched.iter().filter_map(row).collect::<Vec<_>>().join(", ");
        let insert = if rows.is_empty() { rows } else { format!("insert into m values {rows};") };
        let ids = touched.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        format!("begin; delete from m where id in ({ids}); {insert} commit;")
    }
}

fn content(row: &Row) -> Content {
    let address = if row.address { "home" } else { "work" };
    let at = if row.refused { "." } else { "@" };
    (format!("p{}.{address}{at}example.com", row.person), if row.plan { "gold" } else { "free" }.to_owned())
}
