//! The end of the process: no rotated refresh token is lost.

use super::*;

fn rotating(gate: Option<Semaphore>) -> Arc<Script> {
    let answers = Mutex::new(VecDeque::from([Ok((200, issued("a", 1000, Some("second"))))]));
    Arc::new(Script { gate, answers, ..Script::default() })
}

#[tokio::test(start_paused = true)]
async fn a_refresh_under_way_is_waited_for_and_none_begins_after_it() {
    let (script, store) = (rotating(Some(Semaphore::new(0))), Arc::<Memory>::default());
    let tokens = installed(&script, &store);
    tokio::time::timeout(Duration::from_secs(1), tokens.get()).await.map(drop).unwrap_err();
    let settling = {
        let tokens = tokens.clone();
        tokio::spawn(async move { tokens.settle().await })
    };
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!settling.is_finished() && locked(&store.saved).is_none());
    script.gate.as_ref().unwrap().add_permits(5);
    settling.await.unwrap();
    assert_eq!(*locked(&store.saved), Some((1, "second".to_owned())));
    assert_eq!(header(&tokens).await, "Bearer a", "what is there can still be used");
    tokio::time::advance(Duration::from_secs(1000)).await;
    assert_eq!(trouble(&tokens).await.fault.kind, FaultKind::Stopped);
    assert_eq!(script.asked(), 1);
}

/// A store with a defect.
struct Defective;

#[async_trait]
impl TokenStore for Defective {
    async fn load_token(&self, _grant: &GrantKey) -> Result<Option<SavedToken>, StoreError> {
        panic!("a defect")
    }

    async fn save_token(&self, _grant: &GrantKey, _after: i64, _token: &SecretString) -> Result<bool, StoreError> {
        panic!("a defect")
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_ends_in_a_defect_is_not_taken_for_a_stop() {
    let settings = settings(OAuthGrant::RefreshToken(fixed("first")));
    let tokens = Arc::new(Tokens::new(settings, Box::new(rotating(None)), Arc::new(Defective)));
    assert_eq!(trouble(&tokens).await.fault.kind, FaultKind::Credentials);
    assert_eq!(trouble(&tokens).await.fault.kind, FaultKind::Credentials, "another one is begun");
    tokens.settle().await;
    assert_eq!(trouble(&tokens).await.fault.kind, FaultKind::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_whose_save_failed_is_saved_at_the_next_chance() {
    for again in [false, true] {
        let (script, store) = (rotating(None), Arc::<Memory>::default());
        let tokens = installed(&script, &store);
        *locked(&store.broken) = true;
        trouble(&tokens).await;
        trouble(&tokens).await;
        assert_eq!(script.asked(), 1, "a token that is not saved is not traded in");
        *locked(&store.broken) = false;
        if again {
            assert_eq!(header(&tokens).await, "Bearer access-2");
            assert!(script.form(1).contains("refresh_token=second"));
        } else {
            tokens.settle().await;
        }
        assert_eq!(*locked(&store.saved), Some((1, "second".to_owned())));
    }
}
