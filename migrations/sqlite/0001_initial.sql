-- The whole state. Blobs named `data` are versioned and check-summed by src/state/codec.
pragma application_id = 1398361676; -- 'SYNL'

create table meta (
  name text primary key,
  value blob not null
) strict, without rowid;

create table counters (
  name text primary key,
  value integer not null
) strict, without rowid;
insert into counters (name, value) values ('commit', 0), ('batch', 0);

create table syncs (
  id integer primary key autoincrement,
  name text not null unique,
  uuid blob not null unique,
  target text not null,
  mapping text,
  previous_mapping text,
  first_run_closed integer not null default 0,
  created_at integer not null,
  last_ok_at integer,
  last_removal_at integer,
  invalid integer not null default 0,
  paused integer not null default 0
) strict;

create table pages (
  id integer primary key,
  sync integer not null references syncs (id),
  space integer not null, -- 0 entries, 1 match owners, 2 record id owners
  first blob not null,
  entries integer not null,
  live integer not null,
  data blob not null,
  unique (sync, space, first)
) strict;

-- What the pages add up to, so that a lost page is noticed.
create table extents (
  sync integer not null references syncs (id),
  space integer not null,
  pages integer not null,
  entries integer not null,
  live integer not null,
  version integer not null default 1, -- counts replacements, so that a scan beside them is noticed
  primary key (sync, space)
) strict, without rowid;

create table journal (
  seq integer primary key autoincrement,
  sync integer not null references syncs (id),
  entries integer not null,
  data blob not null,
  unique (sync, seq)
) strict;

create table intents (
  batch integer primary key,
  sync integer not null references syncs (id),
  run integer not null references runs (id),
  epoch integer not null,
  send_before integer not null,
  attempted_at integer,
  members integer not null,
  data blob not null
) strict;
create index intents_sync on intents (sync);

create table dirty (
  sync integer not null references syncs (id),
  key blob not null,
  batch integer not null,
  position integer not null,
  since integer not null,
  data blob not null,
  primary key (sync, key, batch, position)
) strict, without rowid;
create index dirty_intent on dirty (sync, batch, position);

create table rejected (
  sync integer not null references syncs (id),
  key blob not null,
  data blob not null,
  primary key (sync, key)
) strict, without rowid;

create table quiet (
  sync integer not null references syncs (id),
  key blob not null,
  until integer not null,
  data blob not null,
  primary key (sync, key)
) strict, without rowid;
create index quiet_until on quiet (sync, until);

create table invalid (
  sync integer not null references syncs (id),
  position integer not null,
  run integer not null references runs (id),
  data blob not null,
  primary key (sync, position)
) strict, without rowid;

create table runs (
  id integer primary key autoincrement,
  sync integer not null references syncs (id),
  started_by text not null,
  status text not null,
  started_at integer not null,
  ended_at integer,
  counts text not null default '{}',
  summary text not null default 'null',
  error text
) strict;
create index runs_sync on runs (sync, id);

create table leases (
  sync integer primary key references syncs (id),
  epoch integer not null,
  holder text not null,
  expires_at integer
) strict;

create table guarded_sets (
  run integer primary key references runs (id),
  sync integer not null references syncs (id),
  first_run integer not null,
  of_invalid integer not null,
  entries integer not null,
  created_at integer not null
) strict;

create table guarded (
  id integer primary key autoincrement,
  run integer not null references guarded_sets (run) on delete cascade,
  data blob not null
) strict;
create index guarded_run on guarded (run, id);

create table approvals (
  sync integer primary key references syncs (id),
  run integer not null references guarded_sets (run),
  approved_at integer not null,
  expires_at integer not null
) strict;

create table removal_log (
  id integer primary key autoincrement,
  sync integer not null references syncs (id),
  run integer not null references runs (id),
  at integer not null,
  removals integer not null
) strict;
create index removal_log_sync on removal_log (sync, at);

create table accounts (
  account text primary key,
  grants blob,
  hold blob
) strict, without rowid;

create table identities (
  credential blob primary key,
  account text not null,
  seen_at integer not null
) strict, without rowid;

create table operator_requests (
  id integer primary key autoincrement,
  kind text not null,
  sync integer references syncs (id),
  args text not null,
  posted_at integer not null,
  finished_at integer,
  result text
) strict;
create index operator_requests_open on operator_requests (finished_at, id);

-- Jobs of asynchronous destinations, with members and sent fingerprints.
create table jobs (
  id integer primary key autoincrement,
  sync integer not null references syncs (id),
  batch integer not null,
  account text not null,
  handle text not null,
  posted_at integer not null,
  data blob not null
) strict;

-- Sealed refresh tokens.
create table tokens (
  account text primary key,
  generation integer not null,
  data blob not null
) strict, without rowid;

-- Share of nulls per field of the last complete run, for `max_emptied`.
create table null_shares (
  sync integer not null references syncs (id),
  field text not null,
  read integer not null,
  nulls integer not null,
  primary key (sync, field)
) strict, without rowid;

-- Keyed hashes of forgotten keys, so that they do not come back.
create table suppressed (
  model text not null,
  hash blob not null,
  since integer not null,
  primary key (model, hash)
) strict, without rowid;
