-- Entries that were settled by this run or an earlier one count as dirty.
alter table syncs add column resync_through integer;
-- No run has delivered every key since.
alter table syncs add column resync_open integer not null default 0;
-- The same of the last resync that an operator asked for, as long as it is open.
alter table syncs add column asked_through integer;
-- The state was restored or lost writes, and no complete resync has confirmed it: removals wait.
alter table syncs add column suspect integer not null default 0;
