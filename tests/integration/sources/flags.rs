//! Conditions as flag columns: what lets several syncs of one model share a read.

use syncline::{
    model::Value,
    source::{ModelBody, ModelQuery, Source},
};

use super::harness::{each_row, mysql_source, postgres_source, query, sqlite_source};
use crate::support::{mariadb, postgres, sqlite_file};

const ROWS: &str = "create table t (id integer primary key, name text); \
                    insert into t values (1, 'a'), (2, null), (3, 'b;c'), (4, 'd');";

/// The ids and flags of every row.
async fn flagged(source: &dyn Source, query: &ModelQuery) -> Vec<(String, Vec<bool>)> {
    let schema = source.describe(query).await.expect("describe");
    let (mut rows, width) = (Vec::new(), schema.columns.len());
    let flag = |value: Value<'_>| match value {
        Value::Int(0) => false,
        Value::Int(1) => true,
        _ => panic!("a flag is 0 or 1"),
    };
    each_row(source, query, &schema, |row| {
        let flags = (width - query.flags.len()..width).map(|at| flag(row.cell(at))).collect();
        rows.push((super::harness::show(row.cell(0)), flags));
    })
    .await
    .expect("read");
    rows
}

async fn check(source: &dyn Source) {
    // A null condition holds for nobody, and comments swallow nothing.
    let flags = ["name <> 'a' -- not a", "id in (1, 4) /* ends */"].map(str::to_owned).to_vec();
    let bodies = [
        ModelBody::Table("t".into()),
        ModelBody::Sql("select id, name from t where name is null or name <> ';' -- all;".into()),
    ];
    for body in bodies {
        let query =
            ModelQuery { body, flags: flags.clone(), filter: Some("id < 4 or id in (4)".into()), ..query("", &["id"]) };
        let expected = [(1, [false, true]), (2, [false, false]), (3, [true, false]), (4, [true, true])];
        let expected = expected.map(|(id, flags)| (format!("integer {id}"), flags.to_vec())).to_vec();
        assert_eq!(flagged(source, &query).await, expected);
    }
}

#[tokio::test]
async fn postgres_tells_which_conditions_hold() {
    let database = postgres().await;
    database.execute(ROWS).await;
    check(postgres_source(&database.url).as_ref()).await;
}

#[tokio::test]
async fn mariadb_tells_which_conditions_hold() {
    let database = mariadb().await;
    database.execute(ROWS).await;
    check(mysql_source(&database.url).as_ref()).await;
}

#[tokio::test]
async fn sqlite_tells_which_conditions_hold() {
    let file = sqlite_file();
    file.execute(ROWS).await;
    check(sqlite_source(&file.path).as_ref()).await;
}
