-- A warehouse to try the default configuration with.
create table customers (id integer primary key, email text not null, first_name text, plan text);
insert into customers values
  (1, 'ada@example.com', 'Ada', 'pro'),
  (2, 'grace@example.com', 'Grace', 'free'),
  (3, 'edsger@example.com', 'Edsger', null);
