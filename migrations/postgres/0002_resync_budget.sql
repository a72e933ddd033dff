-- Entries that were settled by this run or an earlier one count as dirty.
alter table syncs add column resync_through bigint;
-- No run has delivered every key since.
alter table syncs add column resync_open boolean not null default false;
-- The state was restored or lost writes, and no complete resync has confirmed it: removals wait.
alter table syncs add column suspect boolean not null default false;
-- What the daemons that share an account have reserved and used, as JSON.
alter table accounts add column budget text;
