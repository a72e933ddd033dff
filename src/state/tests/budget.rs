//! The budgets that daemons share, in PostgreSQL.

use std::{sync::Arc, time::Duration};

use super::support::Home;
use crate::wire::{BudgetStore, Message, Reply, SharedWindow, Want};

fn ask(holder: u64, up_to: u32) -> Message {
    Message {
        holder,
        windows: vec![SharedWindow { class: None, per: Duration::from_secs(60), limit: 100 }],
        want: Some(Want { scope: None, weight: 1, up_to }),
        ..Message::default()
    }
}

#[tokio::test]
async fn a_file_has_one_writer_and_nothing_to_share() {
    assert!(Home::new().runner().await.budget().is_none());
}

#[tokio::test]
async fn daemons_that_ask_at_once_never_get_more_than_there_is() {
    let home = Home::postgres().await;
    let states = [home.runner().await, home.elsewhere().runner().await, home.elsewhere().runner().await];
    let asking = |(holder, budget): (u64, Arc<dyn BudgetStore>)| {
        tokio::spawn(async move {
            let mut granted = 0;
            for _ in 0..30 {
                let Reply { granted: got, .. } = budget.exchange("hubspot:1", &ask(holder, 3)).await.unwrap();
                granted += got.map_or(0, |got| got.weight);
            }
            granted
        })
    };
    let tasks: Vec<_> = (1..).zip(states.iter().map(|state| state.budget().unwrap())).map(asking).collect();
    let mut granted = Vec::new();
    for task in tasks {
        granted.push(task.await.unwrap());
    }
    assert_eq!(granted.iter().sum::<u32>(), 100, "{granted:?}");
    let refused = states[0].budget().unwrap().exchange("hubspot:1", &ask(9, 1)).await.unwrap();
    assert!(refused.granted.is_none());
    // By the database's clock: 60 s, a validity of 2 s, and 10 s to arrive.
    let again = refused.again_in.unwrap();
    assert!((60..=73).contains(&again.as_secs()), "{again:?}");
    let other = states[0].budget().unwrap().exchange("hubspot:2", &ask(1, 60)).await.unwrap();
    assert_eq!(other.granted.unwrap().weight, 60, "another account has a book of its own");
}
