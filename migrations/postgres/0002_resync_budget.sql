-- Entries that were settled by this run or an earlier one count as dirty.
alter table syncs add column resync_through bigint;
-- No run has delivered every key since.
alter table syncs add column resync_open boolean not null default false;
-- The state was restored or lost writes, and no complete resync has confirmed it: removals wait.
alter table syncs add column suspect boolean not null default false;
-- What the daemons that share an account have reserved and used, as JSON.
alter table accounts add column budget text;
-- The last read of the whole model that left nothing open, for `changed_when`: a keyed hash of the answer and of the
-- configuration, and when its run closed.
alter table syncs add column full_read_answer bytea;
alter table syncs add column full_read_at bigint;
