-- The whole state, in the schema `syncline`. Blobs named `data` are versioned and check-summed by src/state/codec; times are
-- microseconds since 1970 by the clock of the process that wrote them, except those of type timestamptz: these are by the
-- database's clock.
create table meta (
  name text primary key,
  value bytea not null
);

create table counters (
  name text primary key,
  value bigint not null
);
insert into counters (name, value) values ('commit', 0), ('batch', 0);

create table syncs (
  id bigint generated always as identity primary key,
  name text not null unique,
  uuid bytea not null unique,
  target text not null,
  mapping text,
  previous_mapping text,
  first_run_closed boolean not null default false,
  created_at bigint not null,
  last_ok_at bigint,
  last_removal_at bigint,
  invalid bigint not null default 0,
  paused boolean not null default false,
  -- The last read of the whole model that left nothing open, for `changed_when`: a keyed hash of the answer and of the
  -- configuration, and when its run closed.
  full_read_answer bytea,
  full_read_at bigint,
  -- Entries that were settled by this run or an earlier one count as dirty.
  resync_through bigint,
  -- No run has delivered every key since.
  resync_open boolean not null default false,
  -- The same of the last resync that an operator asked for, as long as it is open.
  asked_through bigint,
  -- The state was restored or lost writes, and no complete resync has confirmed it: removals wait.
  suspect boolean not null default false,
  -- How far a sync of mode `append` has read, as JSON.
  cursor text
);

create table pages (
  id bigint generated always as identity primary key,
  sync bigint not null references syncs (id),
  space bigint not null, -- 0 entries, 1 match owners, 2 record id owners
  first bytea not null,
  entries bigint not null,
  live bigint not null,
  data bytea not null,
  unique (sync, space, first)
);
-- Packed bytes do not compress further.
alter table pages alter column data set storage external;

-- What the pages add up to, so that a lost page is noticed.
create table extents (
  sync bigint not null references syncs (id),
  space bigint not null,
  pages bigint not null,
  entries bigint not null,
  live bigint not null,
  version bigint not null default 1, -- counts replacements, so that a scan beside them is noticed
  primary key (sync, space)
);

create table journal (
  seq bigint generated always as identity primary key,
  sync bigint not null references syncs (id),
  entries bigint not null,
  data bytea not null
);
create index journal_sync on journal (sync, seq);

create table runs (
  id bigint generated always as identity primary key,
  sync bigint not null references syncs (id),
  started_by text not null,
  status text not null,
  started_at bigint not null,
  ended_at bigint,
  counts text not null default '{}',
  summary text not null default 'null',
  error text
);
create index runs_sync on runs (sync, id);

create table intents (
  batch bigint primary key,
  sync bigint not null references syncs (id),
  run bigint not null references runs (id),
  epoch bigint not null,
  send_before bigint not null,
  attempted_at bigint,
  members bigint not null,
  data bytea not null
);
create index intents_sync on intents (sync);

create table dirty (
  sync bigint not null references syncs (id),
  key bytea not null,
  batch bigint not null,
  position bigint not null,
  since bigint not null,
  data bytea not null,
  primary key (sync, key, batch, position)
);
create index dirty_intent on dirty (sync, batch, position);

create table rejected (
  sync bigint not null references syncs (id),
  key bytea not null,
  data bytea not null,
  primary key (sync, key)
);

create table quiet (
  sync bigint not null references syncs (id),
  key bytea not null,
  until bigint not null,
  data bytea not null,
  primary key (sync, key)
);
create index quiet_until on quiet (sync, until);

create table invalid (
  sync bigint not null references syncs (id),
  position bigint not null,
  run bigint not null references runs (id),
  data bytea not null,
  primary key (sync, position)
);

-- Who runs a sync. `expires_at` is null between runs, and in the past when the holder died in one.
create table leases (
  sync bigint primary key references syncs (id),
  epoch bigint not null,
  holder text not null,
  expires_at timestamptz
);

-- Processes that run syncs on this state.
create table instances (
  id text primary key,
  command text not null,
  started_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null
);

create table guarded_sets (
  run bigint primary key references runs (id),
  sync bigint not null references syncs (id),
  first_run boolean not null,
  of_invalid boolean not null,
  entries bigint not null,
  created_at bigint not null
);

create table guarded (
  id bigint generated always as identity primary key,
  run bigint not null references guarded_sets (run) on delete cascade,
  data bytea not null
);
create index guarded_run on guarded (run, id);

create table approvals (
  sync bigint primary key references syncs (id),
  run bigint not null references guarded_sets (run),
  approved_at bigint not null,
  expires_at bigint not null
);

create table removal_log (
  id bigint generated always as identity primary key,
  sync bigint not null references syncs (id),
  run bigint not null references runs (id),
  at bigint not null,
  removals bigint not null
);
create index removal_log_sync on removal_log (sync, at);

create table accounts (
  account text primary key,
  grants bytea,
  hold bytea,
  -- What the daemons that share the account have reserved and used, as JSON.
  budget text
);

create table identities (
  credential bytea primary key,
  account text not null,
  seen_at bigint not null
);

create table operator_requests (
  id bigint generated always as identity primary key,
  kind text not null,
  sync bigint references syncs (id),
  args text not null,
  posted_at bigint not null,
  finished_at bigint,
  result text,
  claimed_by text, -- an instance
  claimed_until timestamptz
);
create index operator_requests_open on operator_requests (finished_at, id);

-- Jobs of asynchronous destinations, with members and sent fingerprints.
create table jobs (
  id bigint generated always as identity primary key,
  sync bigint not null references syncs (id),
  batch bigint not null,
  account text not null,
  handle text not null,
  posted_at bigint not null,
  data bytea not null
);

-- Sealed refresh tokens.
create table tokens (
  account text primary key,
  generation bigint not null,
  data bytea not null
);

-- Share of nulls per field of the last complete run, for `max_emptied`.
create table null_shares (
  sync bigint not null references syncs (id),
  field text not null,
  read bigint not null,
  nulls bigint not null,
  primary key (sync, field)
);

-- Keyed hashes of forgotten keys, so that they do not come back.
create table suppressed (
  model text not null,
  hash bytea not null,
  since bigint not null,
  primary key (model, hash)
);
