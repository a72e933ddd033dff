//! The connection to the source is cut at row k of the model.

use sqlx::{Connection as _, Row as _};

use super::{
    Plan,
    stage::{Stage, Warehouse, wait},
};
use crate::{
    report::Report,
    support::{
        MariaDatabase, TestDatabase,
        pair::{Audit, Options, SYNC},
    },
};

/// Looks for the reading session, each with a short wait of the server's.
const LOOKS: u32 = 3_000;

/// The read stops at the rows of `gate`, behind all that come before them, until somebody ends it.
const POSTGRES: &str = "create table gate (k bigint primary key);
    create function pause(bigint) returns boolean language plpgsql volatile as $$
      begin if exists (select 1 from gate where k = $1) then perform pg_sleep(600); end if; return true; end $$;
    create or replace view m as select id, email, plan from base where pause(id);
    do $$ begin
      execute format('alter database %I set jit = off', current_database());
      execute format('alter database %I set enable_seqscan = off', current_database());
      execute format('alter database %I set enable_bitmapscan = off', current_database());
      execute format('alter database %I set enable_sort = off', current_database());
    end $$";
const MARIADB: &str = "create table gate (k bigint);
    create or replace view m as select id, email, plan from base force index (primary)
      where case when id in (select k from gate) then sleep(600) else 0 end = 0";

/// How a server ends a read.
#[derive(Clone, Copy)]
enum Cut {
    Connection,
    Statement,
}

pub(super) fn postgres(plan: &Plan) -> Report {
    let database = wait(crate::support::postgres());
    let reader = Reader::Postgres(TestDatabase { url: database.url.clone() });
    run(plan, Warehouse::Postgres(database), &reader, POSTGRES)
}

pub(super) fn mariadb(plan: &Plan) -> Report {
    let database = wait(crate::support::mariadb());
    let reader = Reader::MariaDb(MariaDatabase { url: database.url.clone() });
    run(plan, Warehouse::MariaDb(database), &reader, MARIADB)
}

fn run(plan: &Plan, warehouse: Warehouse, reader: &Reader, gate: &str) -> Report {
    let mut stage = Stage::new(plan, plan.rows, warehouse, &Options::default());
    stage.sql(gate);
    let mut report = Report::new();
    stage.settle();
    stage.judge(0, &mut report);
    let last = plan.rows;
    for round in 0..plan.rounds + 2 {
        stage.mutate();
        let at = match round {
            0 => last / 2,
            1 => 1,
            2 => last,
            _ => stage.rng.u32(1..=last),
        };
        // That row may have been deleted by now.
        let first = format!("select coalesce(min(id), 1) from base where id >= {at}");
        stage.sql(&format!("delete from gate; insert into gate {first}"));
        let cut = if round % 3 == 2 { Cut::Statement } else { Cut::Connection };
        cut_once(plan, &stage, reader, cut, &mut report);
        stage.sql("delete from gate");
        report.add("cuts", 1);
        stage.ends_right(0, &mut report);
    }
    report
}

/// A run whose read is cut: it fails, says so, and neither sends nor removes anything.
fn cut_once(plan: &Plan, stage: &Stage, reader: &Reader, cut: Cut, report: &mut Report) {
    let before = stage.pair.audit(&stage.model());
    report.demand(before != Audit::default(), "nothing has changed before the cut");
    let running = stage.pair.workspace.start(&plan.arguments(&["sync", SYNC]));
    let found = wait(reader.end(cut));
    report.demand(found, "the read was never seen to wait");
    if !found {
        running.signal("KILL");
    }
    let ended = running.wait();
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let told = said.lines().find(|line| line.contains("failed after")).unwrap_or(&said).trim().to_owned();
    let name = match cut {
        Cut::Connection => "said_of_connection",
        Cut::Statement => "said_of_statement",
    };
    report.say(name, &told);
    report.demand(ended.code == Some(1), format!("exit code {:?}: {told}", ended.code));
    report.demand(told.contains("failed after"), format!("no clear message: {told}"));
    stage.sent_nothing("of an incomplete read", report);
    report.demand(stage.pair.audit(&stage.model()) == before, "the vendor's records are not as before the cut");
}

/// Who ends the session that reads.
enum Reader {
    Postgres(TestDatabase),
    MariaDb(MariaDatabase),
}

impl Reader {
    /// Waits until a session stands at the gate and ends it.
    async fn end(&self, cut: Cut) -> bool {
        match self {
            Self::Postgres(database) => end_postgres(database, cut).await,
            Self::MariaDb(database) => end_mariadb(database, cut).await,
        }
    }
}

async fn end_postgres(database: &TestDatabase, cut: Cut) -> bool {
    let end = match cut {
        Cut::Connection => "pg_terminate_backend(pid)",
        Cut::Statement => "pg_cancel_backend(pid)",
    };
    let sql = format!(
        "select {end} from pg_stat_activity
          where datname = current_database() and wait_event = 'PgSleep' and pid <> pg_backend_pid()"
    );
    let mut connection = database.connect().await;
    for _ in 0..LOOKS {
        let ended = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).fetch_all(&mut connection).await.expect("a look");
        if !ended.is_empty() {
            return true;
        }
        sqlx::query("select pg_sleep(0.02)").execute(&mut connection).await.expect("a wait");
    }
    false
}

async fn end_mariadb(database: &MariaDatabase, cut: Cut) -> bool {
    let mut connection = database.connect().await;
    let sql = "select cast(id as signed) from information_schema.processlist
                where db = database() and state = 'User sleep' and id <> connection_id()";
    for _ in 0..LOOKS {
        let found = sqlx::query(sql).fetch_optional(&mut connection).await.expect("a look");
        if let Some(row) = found {
            let id: i64 = row.get(0);
            let what = match cut {
                Cut::Connection => "connection",
                Cut::Statement => "query",
            };
            let kill = format!("kill {what} {id}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(kill)).execute(&mut connection).await.expect("a session to end");
            connection.close().await.expect("a good-bye");
            return true;
        }
        sqlx::query("do sleep(0.02)").execute(&mut connection).await.expect("a wait");
    }
    false
}
