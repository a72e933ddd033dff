-- A warehouse to try the default configuration with.
create table customers (id integer primary key, email text not null, first_name text, job_title text);
insert into customers values
  (1, 'ada@example.com', 'Ada', 'Engineer'),
  (2, 'grace@example.com', 'Grace', 'Admiral'),
  (3, 'edsger@example.com', 'Edsger', null);
