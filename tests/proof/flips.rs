//! A model of few distinct values that changes all the time: A -> B -> A is common, match values change, people come back.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use crate::support::pair::Content;

/// The statement that makes the model's table.
pub(crate) const TABLE: &str = "create table m (id bigint primary key, email text, plan text)";

/// A row: who, which of two addresses, which of two plans.
#[derive(Clone, Copy)]
struct Row {
    person: u32,
    address: bool,
    plan: bool,
}

/// The model.
pub(crate) struct Flips {
    rows: BTreeMap<u32, Row>,
    next: u32,
    /// People whose rows were deleted: a new row may bring them back.
    gone: Vec<u32>,
}

impl Flips {
    /// A model of so many rows, and the statements that store it in an empty table.
    pub(crate) fn new(rows: u32, rng: &mut Rng) -> (Self, String) {
        let mut flips = Self { rows: BTreeMap::new(), next: 1, gone: Vec::new() };
        let first: BTreeSet<u32> = (0..rows).map(|_| flips.insert(rng)).collect();
        let statements = flips.store(&first);
        (flips, statements)
    }

    /// Flips 40 % of the rows, gives 3 % the other address, deletes 3 % and inserts as many; the statements for that.
    pub(crate) fn mutate(&mut self, rng: &mut Rng) -> String {
        let ids: Vec<u32> = self.rows.keys().copied().collect();
        let mut touched = BTreeSet::new();
        let mut deleted = 0;
        for id in ids {
            let Some(row) = self.rows.get_mut(&id) else { continue };
            match rng.u32(0..100) {
                0..40 => row.plan = !row.plan,
                40..43 => row.address = !row.address,
                43..46 => {
                    self.gone.push(row.person);
                    self.rows.remove(&id);
                    deleted += 1;
                }
                _ => continue,
            }
            touched.insert(id);
        }
        touched.extend((0..deleted).map(|_| self.insert(rng)).collect::<Vec<_>>());
        self.store(&touched)
    }

    /// What the vendor has to hold.
    pub(crate) fn wanted(&self) -> BTreeMap<u32, Content> {
        self.rows.iter().map(|(id, row)| (*id, content(row))).collect()
    }

    fn insert(&mut self, rng: &mut Rng) -> u32 {
        let id = self.next;
        self.next += 1;
        let old = if rng.bool() { self.gone.pop() } else { None };
        let row = Row { person: old.unwrap_or(id), address: rng.bool(), plan: rng.bool() };
        self.rows.insert(id, row);
        id
    }

    fn store(&self, touched: &BTreeSet<u32>) -> String {
        let ids = touched.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let row = |id: &u32| {
            let (email, plan) = content(self.rows.get(id)?);
            Some(format!("({id}, '{email}', '{plan}')"))
        };
        let rows = touched.iter().filter_map(row).collect::<Vec<_>>().join(", ");
        format!("begin; delete from m where id in ({ids}); insert into m values {rows}; commit;")
    }
}

fn content(row: &Row) -> Content {
    let address = if row.address { "home" } else { "work" };
    (format!("p{}.{address}@example.com", row.person), if row.plan { "gold" } else { "free" }.to_owned())
}
