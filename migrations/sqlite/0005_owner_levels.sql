-- An owner index has four levels: spaces 1, 3, 5 and 7 by match, 2, 4, 6 and 8 by record id, the oldest first. What is there
-- already is the oldest level. A program that does not know the others refuses the state by the number of this migration.
select 1;
