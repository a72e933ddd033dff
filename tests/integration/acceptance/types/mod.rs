//! Every column type of the three databases with its extreme values: read, mapped, delivered by the real binary, and
//! compared with what the vendor then holds. What is tested is what `docs/types.md` says, and the other way round.

mod check;
mod documented;
mod mariadb;
mod postgres;
mod sqlite;
