//! Five syncs of one model that are due together, against one.

use sqlx::Row as _;

use crate::{
    Group,
    arguments::Arguments,
    bed::{Bed, DESTINATION, Warehouse},
    sample::in_turns,
    table::{Line, Table},
    wait,
};

pub(crate) const GROUP: Group =
    Group { name: "shared", about: "five syncs of one model, against one", run: five_against_one };

const SYNCS: [&str; 5] = ["one", "two", "three", "four", "five"];

fn five_against_one(arguments: &Arguments, table: &mut Table) {
    let rows = arguments.rows;
    let bed = Bed::customers(Warehouse::postgres(), rows);
    bed.configure(&configuration().replace("URL", &bed.sink.url));
    SYNCS.iter().for_each(|sync| drop(bed.backfill(sync, rows)));
    let before = reads(&bed);
    let together = bed.sync(&SYNCS);
    let read = reads(&bed) - before;
    assert!(together.reports.iter().all(|report| report["counts"]["unchanged"] == rows), "nothing has changed");
    table.add(Line::new("reads of the model by five syncs", read.to_string()).aim("1", read == 1));
    let mut five = |_| bed.sync(&SYNCS).sample;
    let mut one = |_| bed.sync(&SYNCS[..1]).sample;
    let [five, one] = in_turns(arguments.rounds, [&mut five, &mut one]);
    table.add(Line::versus(format!("five syncs of one model of {rows} rows"), &five, "one sync", &one, Some(1.3)));
    table.add(Line::at_most("peak memory of five syncs", five.peak(), 5.0 * 32.0, "MiB"));
}

/// Five objects of one account, with all columns each.
fn configuration() -> String {
    let mut body = format!(
        "{DESTINATION}
[models.customers]
source = \"warehouse\"
primary_key = \"id\"
table = \"customers\"
"
    );
    for sync in SYNCS {
        body += &format!(
            r#"
[syncs.{sync}]
model = "customers"
destination = "crm"
object = "p1_{sync}"
match = "email"
mode = "mirror"
[syncs.{sync}.fields]
email = "email"
"*" = {{ except = ["id"] }}
"#
        );
    }
    body
}

/// How often the table has been read since it was made; the server knows it once the reading connection is closed.
fn reads(bed: &Bed) -> i64 {
    let Warehouse::Postgres(database) = &bed.warehouse else { panic!("PostgreSQL counts reads") };
    wait(async {
        let mut connection = database.connect().await;
        let sql = "select seq_scan + coalesce(idx_scan, 0) from pg_stat_user_tables where relname = 'customers'";
        sqlx::query(sql).fetch_one(&mut connection).await.and_then(|row| row.try_get(0)).expect("a number of reads")
    })
}
