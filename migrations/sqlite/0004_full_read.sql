-- The last read of the whole model that left nothing open, for `changed_when`: a keyed hash of the answer and of the
-- configuration, and when its run closed.
alter table syncs add column full_read_answer blob;
alter table syncs add column full_read_at integer;
