-- How far a sync of mode `append` has read, as JSON.
alter table syncs add column cursor text;
