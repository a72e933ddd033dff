//! One read for several syncs of one model that start together.
//!
//! Each of them takes a [`Ticket`]. One that gets as far as reading joins with its query; one that ends before leaves by
//! dropping its ticket. The last to join or leave starts the reads: one for all whose rows can come from one statement.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{mpsc, oneshot};

use super::{Engine, RunError, prepare::Prepared};
use crate::{
    model::{Column, KeyKind, RowBatch, RowRef, Schema, Value},
    proof::{Boundary, reach},
    shutdown::Shutdown,
    source::{ModelQuery, RowStream, Source, SourceError},
};

/// Batches that a sync may be ahead of the slowest one.
const AHEAD: usize = 2;

/// Models whose last common read failed though the conditions of its syncs differ: one of them may be to blame, so they
/// read apart the next time, and only that one fails.
#[derive(Debug, Clone, Default)]
pub(super) struct Apart(Arc<Mutex<HashSet<String>>>);

impl Apart {
    fn insert(&self, model: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(model.to_owned());
    }

    fn take(&self, model: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(model)
    }
}

/// A place in a common read. Dropping it leaves the others to read without it.
pub struct Ticket {
    group: Arc<Group>,
    /// It has not joined yet.
    open: bool,
}

struct Group {
    gathering: Mutex<Gathering>,
    apart: Apart,
}

#[derive(Default)]
struct Gathering {
    outstanding: usize,
    joined: Vec<Joined>,
}

/// A sync that is ready to read.
struct Joined {
    source: Arc<dyn Source>,
    query: ModelQuery,
    schema: Arc<Schema>,
    rows: oneshot::Sender<Rows>,
}

impl Engine {
    /// Places in common reads for syncs that start together: those of one model share one. Each must be handed to the run
    /// of its sync, or dropped; else the others wait for it.
    pub fn tickets(&self, names: &[String]) -> Vec<Option<Ticket>> {
        let model = |name: &String| self.sync(name).map(|sync| sync.model.as_str());
        let mut groups: HashMap<&str, Vec<Ticket>> = HashMap::new();
        for model in names.iter().filter_map(model) {
            let members = names.iter().filter(|other| self.sync(other).is_some_and(|sync| sync.model == model)).count();
            groups.entry(model).or_insert_with(|| {
                if members > 1 && !self.apart.take(model) { Ticket::group(members, &self.apart) } else { Vec::new() }
            });
        }
        names.iter().map(|name| groups.get_mut(model(name)?)?.pop()).collect()
    }
}

/// The rows of a run: those of its place in a common read, or of a read of its own.
///
/// # Errors
/// When the process is asked to stop, or the common read ended before it began.
pub(super) async fn rows(
    prepared: &Prepared<'_>,
    ticket: Option<Ticket>,
    shutdown: &Shutdown,
) -> Result<Rows, RunError> {
    let (source, query, schema) = (&prepared.source, &prepared.query, &prepared.schema);
    let Some(ticket) = ticket else { return Ok(Rows::Own(source.read(query, schema))) };
    tokio::select! {
        rows = ticket.join(source.clone(), query.clone(), schema.clone()) => rows,
        () = shutdown.cancelled() => Err(RunError::Stopped),
    }
}

impl Ticket {
    /// `members` places in one group.
    fn group(members: usize, apart: &Apart) -> Vec<Self> {
        let gathering = Mutex::new(Gathering { outstanding: members, joined: Vec::new() });
        let group = Arc::new(Group { gathering, apart: apart.clone() });
        (0..members).map(|_| Self { group: group.clone(), open: true }).collect()
    }

    /// Joins, waits until every other member has joined or left, and gives this member's rows.
    ///
    /// # Errors
    /// When the common read ended before it began.
    async fn join(mut self, source: Arc<dyn Source>, query: ModelQuery, schema: Arc<Schema>) -> Result<Rows, RunError> {
        let (rows, mine) = oneshot::channel();
        self.open = false;
        self.group.settle(Some(Joined { source, query, schema, rows }));
        mine.await.map_err(|_| SourceError::Interrupted.into())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.open {
            self.group.settle(None);
        }
    }
}

impl Group {
    /// One member has joined or left; after the last one reading starts.
    fn settle(&self, joined: Option<Joined>) {
        let ready = {
            let mut gathering = self.gathering.lock().unwrap_or_else(PoisonError::into_inner);
            gathering.outstanding = gathering.outstanding.saturating_sub(1);
            gathering.joined.extend(joined);
            if gathering.outstanding > 0 {
                return;
            }
            std::mem::take(&mut gathering.joined)
        };
        start(ready, &self.apart);
    }
}

/// Sorts the members into those whose rows can come from one statement, and starts one read for each lot.
fn start(mut ready: Vec<Joined>, apart: &Apart) {
    while let Some(first) = ready.pop() {
        let (others, rest): (Vec<_>, Vec<_>) = ready.into_iter().partition(|other| first.reads_like(other));
        ready = rest;
        if others.is_empty() {
            let rows = Rows::Own(first.source.read(&first.query, &first.schema));
            // A run that was stopped meanwhile wants no rows.
            drop(first.rows.send(rows));
        } else {
            tokio::spawn(Common::of(first, others).pump(apart.clone()));
        }
    }
}

impl Joined {
    fn reads_like(&self, other: &Self) -> bool {
        let (a, b) = (&self.query, &other.query);
        let same = a.body == b.body
            && a.primary_key == b.primary_key
            && self.kinds() == other.kinds()
            && same_columns(&self.schema.columns, &other.schema.columns);
        // A sync that reads on from a place of its own reads alone.
        same && a.after.is_none() && b.after.is_none() && Arc::ptr_eq(&self.source, &other.source)
    }

    fn kinds(&self) -> Vec<Option<KeyKind>> {
        let kind = |name: &String| {
            let position = self.schema.position(name)?;
            self.schema.columns.get(position)?.key_kind
        };
        match &self.query.key_kinds {
            Some(kinds) => kinds.iter().copied().map(Some).collect(),
            None => self.query.primary_key.iter().map(kind).collect(),
        }
    }
}

/// Whether two descriptions are of the same columns; the source's own name of a type may differ in a wrapped statement.
fn same_columns(a: &[Column], b: &[Column]) -> bool {
    let kind = |column: &Column| (column.kind, column.key_kind);
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name == b.name && kind(a) == kind(b))
}

/// A read for several syncs.
struct Common {
    source: Arc<dyn Source>,
    query: ModelQuery,
    /// The columns that the members' mappings are bound to.
    schema: Arc<Schema>,
    /// Each member's rows, and which flag column says that a row is one of them.
    members: Vec<(oneshot::Sender<Rows>, Option<usize>)>,
}

impl Common {
    /// The statement that has all rows that any member wants. Where their conditions differ, each is a flag column.
    fn of(first: Joined, others: Vec<Joined>) -> Self {
        let (source, mut query, schema) = (first.source.clone(), first.query.clone(), first.schema.clone());
        let width = schema.columns.len();
        let lot: Vec<Joined> = std::iter::once(first).chain(others).collect();
        let filters: BTreeSet<Option<&str>> = lot.iter().map(|joined| joined.query.filter.as_deref()).collect();
        if filters.len() > 1 {
            query.flags = filters.iter().flatten().map(|&filter| filter.to_owned()).collect();
            let any = query.flags.iter().map(|flag| format!("(\n{flag}\n)")).collect::<Vec<_>>().join(" or ");
            query.filter = (!filters.contains(&None)).then_some(any);
        }
        let flag = |joined: &Joined| {
            let filter = joined.query.filter.as_ref()?;
            query.flags.iter().position(|flag| flag == filter).map(|flag| width + flag)
        };
        let flags: Vec<_> = lot.iter().map(flag).collect();
        let members = lot.into_iter().map(|joined| joined.rows).zip(flags).collect();
        Self { source, query, schema, members }
    }

    /// The model has other columns than the mappings are bound to: nothing of it may be sent.
    fn changed(&self) -> SourceError {
        let reason = "its columns changed while it was about to be read".to_owned();
        SourceError::Read { model: self.query.name.clone(), rows: 0, reason }
    }

    async fn pump(mut self, apart: Apart) {
        let mut senders = Vec::with_capacity(self.members.len());
        for (rows, flag) in std::mem::take(&mut self.members) {
            let (sender, pieces) = mpsc::channel(AHEAD);
            if rows.send(Rows::Shared(Shared { pieces, flag })).is_ok() {
                senders.push(sender);
            }
        }
        let end = match self.source.describe(&self.query).await {
            Ok(found) if self.schema.columns.len() + self.query.flags.len() != found.columns.len() => {
                Err(self.changed())
            }
            Ok(found)
                if !found
                    .columns
                    .get(..self.schema.columns.len())
                    .is_some_and(|own| same_columns(own, &self.schema.columns)) =>
            {
                Err(self.changed())
            }
            Ok(found) => distribute(self.source.read(&self.query, &found), &mut senders).await,
            Err(error) => Err(error),
        };
        if end.is_err() && !self.query.flags.is_empty() {
            apart.insert(&self.query.name);
        }
        let end = end.map_err(Arc::new);
        for sender in senders {
            let piece = end.as_ref().map_or_else(|error| Piece::Failed(error.clone()), |()| Piece::Complete);
            drop(sender.send(piece).await);
        }
    }
}

/// Hands each batch to every member that still wants rows. Ends when there is none.
async fn distribute(mut rows: RowStream, members: &mut Vec<mpsc::Sender<Piece>>) -> Result<(), SourceError> {
    let mut lent: VecDeque<Arc<RowBatch>> = VecDeque::new();
    while !members.is_empty() {
        let Some(batch) = rows.next().await? else { break };
        let batch = Arc::new(batch);
        let mut wanted = Vec::with_capacity(members.len());
        for member in members.drain(..) {
            if member.send(Piece::Batch(batch.clone())).await.is_ok() {
                wanted.push(member);
            }
        }
        *members = wanted;
        lent.push_back(batch);
        give_back(&rows, &mut lent);
    }
    Ok(())
}

/// Gives the memory of batches that nobody reads any more back to the source.
fn give_back(rows: &RowStream, lent: &mut VecDeque<Arc<RowBatch>>) {
    while let Some(oldest) = lent.pop_front() {
        match Arc::try_unwrap(oldest) {
            Ok(batch) => rows.recycle(batch),
            Err(oldest) => {
                lent.push_front(oldest);
                return;
            }
        }
    }
}

enum Piece {
    Batch(Arc<RowBatch>),
    Complete,
    Failed(Arc<SourceError>),
}

/// The rows of one run, from a read of its own or from a common one.
pub(super) enum Rows {
    Own(RowStream),
    Shared(Shared),
}

pub(super) struct Shared {
    pieces: mpsc::Receiver<Piece>,
    flag: Option<usize>,
}

/// Rows that arrived together.
pub(super) enum Lot {
    Own(RowBatch),
    Shared { batch: Arc<RowBatch>, flag: Option<usize> },
}

impl Rows {
    /// The next rows, or `None` once the source has said that the result is complete.
    ///
    /// # Errors
    /// When reading failed, or ended without "complete".
    pub(super) async fn next(&mut self) -> Result<Option<Lot>, RunError> {
        let lot = self.receive().await?;
        let reached = match &lot {
            Some(_) => reach(Boundary::ReadRow).await,
            None => reach(Boundary::ReadEnd).await,
        };
        reached.map_err(|_| SourceError::Interrupted)?;
        Ok(lot)
    }

    async fn receive(&mut self) -> Result<Option<Lot>, RunError> {
        match self {
            Self::Own(rows) => Ok(rows.next().await?.map(Lot::Own)),
            Self::Shared(shared) => match shared.pieces.recv().await {
                Some(Piece::Batch(batch)) => Ok(Some(Lot::Shared { batch, flag: shared.flag })),
                Some(Piece::Complete) => Ok(None),
                Some(Piece::Failed(error)) => Err(RunError::Source(error)),
                None => Err(SourceError::Interrupted.into()),
            },
        }
    }

    /// Gives the memory of rows back to the source.
    pub(super) fn recycle(&self, lot: Lot) {
        match (self, lot) {
            (Self::Own(rows), Lot::Own(batch)) => rows.recycle(batch),
            // The common read takes it back once no member holds it.
            (Self::Own(_) | Self::Shared(_), Lot::Own(_) | Lot::Shared { .. }) => {}
        }
    }
}

impl Lot {
    /// The rows that this run wants.
    pub(super) fn rows(&self) -> impl Iterator<Item = RowRef<'_>> {
        let (batch, flag) = match self {
            Self::Own(batch) => (batch, None),
            Self::Shared { batch, flag } => (batch.as_ref(), *flag),
        };
        batch.rows().filter(move |row| flag.is_none_or(|flag| matches!(row.cell(flag), Value::Int(1))))
    }
}
