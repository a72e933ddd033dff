//! Access tokens over a scripted token endpoint, under paused time.

mod kit;
mod settle;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::{sync::Semaphore, time::Instant};

use self::kit::{Memory, Script, client, fixed, header, installed, issued, settings, trouble};
use super::{ClientStyle, OAuth, OAuthGrant, Tokens};
use crate::wire::{
    FaultKind, GrantKey, NoStore, SavedToken, SecretError, SecretProvider, Sent, StoreError, TokenStore, locked,
};

#[tokio::test(start_paused = true)]
async fn a_hundred_requests_at_once_ask_for_one_token() {
    let script = Arc::new(Script { gate: Some(Semaphore::new(0)), ..Script::default() });
    let tokens = client(&script);
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let tokens = tokens.clone();
            tokio::spawn(async move { header(&tokens).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(script.asked(), 1);
    script.gate.as_ref().unwrap().add_permits(100);
    for asking in asking {
        assert_eq!(asking.await.unwrap(), "Bearer access-1");
    }
    assert_eq!(script.asked(), 1);
    assert_eq!(script.form(0), "grant_type=client_credentials&scope=a+b&client_id=client&client_secret=hush");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shared_by_those_who_waited_for_it_and_the_next_one_asks_again() {
    let script = Script::of(&[Err(FaultKind::TimedOut)]);
    let tokens = client(&script);
    let failed = futures_util::future::join_all((0..100).map(|_| trouble(&tokens))).await;
    for trouble in failed {
        assert_eq!((trouble.fault.kind, trouble.fault.sent, trouble.dead), (FaultKind::TimedOut, Sent::No, false));
    }
    assert_eq!(script.asked(), 1);
    assert_eq!(header(&tokens).await, "Bearer access-2");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_refreshed_before_its_end_and_nobody_waits_for_that() {
    let script = Arc::new(Script { gate: Some(Semaphore::new(1)), ..Script::default() });
    let (tokens, begin) = (client(&script), Instant::now());
    assert_eq!(header(&tokens).await, "Bearer access-1");
    // Life 1000 s: at the earliest 90 s before its end, at the latest 60 s.
    tokio::time::advance(Duration::from_secs(909)).await;
    header(&tokens).await;
    assert_eq!(script.asked(), 1);
    tokio::time::advance(Duration::from_secs(32)).await;
    assert_eq!(header(&tokens).await, "Bearer access-1");
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(script.asked(), 2, "the refresh is under way");
    assert_eq!(header(&tokens).await, "Bearer access-1", "the old one holds still");
    assert!(begin.elapsed() < Duration::from_secs(942));
    script.gate.as_ref().unwrap().add_permits(1);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(header(&tokens).await, "Bearer access-2");
    assert_eq!(script.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_early_refresh_costs_nothing_while_the_token_holds() {
    let body = issued("short", 100, None);
    let script = Script::of(&[Ok((200, &body)), Ok((500, "")), Ok((500, "")), Err(FaultKind::Connect)]);
    let tokens = client(&script);
    header(&tokens).await;
    tokio::time::advance(Duration::from_secs(81)).await;
    for _ in 0..50 {
        assert_eq!(header(&tokens).await, "Bearer short");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(script.asked() <= 3, "a failed refresh is not repeated at once: {}", script.asked());
    tokio::time::advance(Duration::from_secs(10)).await;
    while script.asked() < 4 {
        trouble(&tokens).await;
    }
    assert_eq!(header(&tokens).await, "Bearer access-5");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once_for_all_who_sent_it() {
    let script = Script::of(&[]);
    let tokens = client(&script);
    let old = tokens.get().await.unwrap().generation;
    let renewed = futures_util::future::join_all((0..50).map(|_| tokens.newer_than(old))).await;
    for newer in renewed {
        assert_eq!(newer.unwrap().unwrap().header, "Bearer access-2");
    }
    // One that was sent long ago comes back refused: the newer token is there already.
    assert_eq!(tokens.newer_than(old).await.unwrap().unwrap().header, "Bearer access-2");
    assert_eq!(script.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_gives_the_same_token_again_has_no_newer_one() {
    let same = issued("same", 1000, None);
    let script = Script::of(&[Ok((200, &same)), Ok((200, &same))]);
    let tokens = client(&script);
    let generation = tokens.get().await.unwrap().generation;
    assert!(tokens.newer_than(generation).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_dead_grant_is_not_asked_for_again_until_a_secret_changes() {
    let (script, store) = (Script::of(&[Ok((400, r#"{"error": "invalid_grant"}"#))]), Arc::<Memory>::default());
    let tokens = installed(&script, &store);
    let first = trouble(&tokens).await;
    assert_eq!((&first.fault.kind, first.dead), (&FaultKind::Credentials, true));
    assert_eq!(first.fault.to_string(), "credentials refused (status 400, code `invalid_grant`)");
    assert!(trouble(&tokens).await.dead);
    assert_eq!(script.asked(), 1);
    *locked(&store.saved) = Some((1, "from another daemon".to_owned()));
    assert_eq!(header(&tokens).await, "Bearer access-2");
    assert!(script.form(1).contains("refresh_token=from+another+daemon"));
}

#[tokio::test(start_paused = true)]
async fn a_rotated_refresh_token_is_saved_before_its_access_token_is_used() {
    let rotated = [issued("a", 10, Some("second")), issued("b", 10, Some("third")), issued("c", 10, Some("fourth"))];
    let script = Script::of(&[Ok((200, &rotated[0])), Ok((200, &rotated[1])), Ok((200, &rotated[2]))]);
    let store = Arc::<Memory>::default();
    let tokens = installed(&script, &store);
    assert_eq!(header(&tokens).await, "Bearer a");
    assert_eq!(*locked(&store.saved), Some((1, "second".to_owned())));
    assert!(script.form(0).starts_with("grant_type=refresh_token&refresh_token=first&"));

    *locked(&store.broken) = true;
    tokio::time::advance(Duration::from_secs(10)).await;
    let fault = trouble(&tokens).await.fault;
    assert_eq!(fault.kind, FaultKind::Credentials);
    assert!(std::error::Error::source(&fault).unwrap().to_string().contains("cannot be saved"), "{fault:?}");
    // The vendor has voided `second`: what could not be saved is saved and used once it can.
    *locked(&store.broken) = false;
    assert_eq!(header(&tokens).await, "Bearer c");
    assert!(script.form(1).contains("refresh_token=second") && script.form(2).contains("refresh_token=third"));
    assert_eq!(*locked(&store.saved), Some((3, "fourth".to_owned())));

    // A restart goes on with what was saved.
    let script = Script::of(&[]);
    assert_eq!(header(&installed(&script, &store)).await, "Bearer access-1");
    assert!(script.form(0).contains("refresh_token=fourth"));
}

#[tokio::test(start_paused = true)]
async fn of_two_daemons_the_one_that_saved_first_wins() {
    let gate = Some(Semaphore::new(0));
    let answers = Mutex::new(VecDeque::from([Ok((200, issued("mine", 10, Some("my-second"))))]));
    let script = Arc::new(Script { gate, answers, ..Script::default() });
    let store = Arc::<Memory>::default();
    let tokens = installed(&script, &store);
    let asking = {
        let tokens = tokens.clone();
        tokio::spawn(async move { header(&tokens).await })
    };
    tokio::time::sleep(Duration::from_millis(1)).await;
    // Between our load and our save, the other daemon saves.
    *locked(&store.saved) = Some((1, "their-second".to_owned()));
    script.gate.as_ref().unwrap().add_permits(2);
    assert_eq!(asking.await.unwrap(), "Bearer mine");
    assert_eq!(*locked(&store.saved), Some((1, "their-second".to_owned())));
    tokio::time::advance(Duration::from_secs(10)).await;
    header(&tokens).await;
    assert!(script.form(1).contains("refresh_token=their-second"), "{}", script.form(1));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_another_daemon_has_just_traded_in_is_no_dead_grant() {
    let refused = r#"{"error": "invalid_grant"}"#;
    let script = Script::of(&[Ok((400, refused))]);
    let store = Arc::<Memory>::default();
    // The other daemon saves its successor only a second after ours was refused: at the third load.
    *locked(&store.other) = Some((3, 1, "their-second".to_owned()));
    let tokens = installed(&script, &store);
    assert_eq!(header(&tokens).await, "Bearer access-2");
    assert!(script.form(1).contains("refresh_token=their-second"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_rotating_refresh_is_asked_for_again_with_the_known_token() {
    let second = issued("a", 10, Some("second"));
    let script = Script::of(&[Err(FaultKind::Dropped), Ok((200, &second))]);
    let store = Arc::<Memory>::default();
    let tokens = installed(&script, &store);
    let lost = trouble(&tokens).await;
    assert_eq!((lost.fault.sent, lost.dead), (Sent::No, false), "the business request never left");
    assert_eq!(header(&tokens).await, "Bearer a");
    assert_eq!(script.form(0), script.form(1));
    // A vendor that allows no repeat answers `invalid_grant`: then a person must act.
    let script = Script::of(&[Err(FaultKind::Dropped), Ok((400, r#"{"error": "invalid_grant"}"#))]);
    let tokens = installed(&script, &Arc::default());
    assert!(!trouble(&tokens).await.dead);
    assert!(trouble(&tokens).await.dead);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_goes_on_when_its_request_is_given_up() {
    let gate = Some(Semaphore::new(0));
    let answers = Mutex::new(VecDeque::from([Ok((200, issued("a", 100, Some("second"))))]));
    let script = Arc::new(Script { gate, answers, ..Script::default() });
    let store = Arc::<Memory>::default();
    let tokens = installed(&script, &store);
    tokio::time::timeout(Duration::from_secs(1), tokens.get()).await.map(drop).unwrap_err();
    script.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(header(&tokens).await, "Bearer a");
    assert_eq!((script.asked(), locked(&store.saved).clone()), (1, Some((1, "second".to_owned()))));
}

/// Answers, what they mean, and whether they are dead.
#[tokio::test(start_paused = true)]
async fn answers_are_told_apart() {
    use FaultKind as K;
    let table: [(u16, &str, K, bool); 15] = [
        (200, "<html>", K::Protocol, false),
        (200, r#"{"access_token": ""}"#, K::Protocol, false),
        (200, r#"{"access_token": "a\nb"}"#, K::Protocol, false),
        (200, r#"{"access_token": "a", "token_type": "mac"}"#, K::Protocol, false),
        (302, "", K::Settings, false),
        (400, r#"{"error": "invalid_grant", "error_description": "canary"}"#, K::Credentials, true),
        (400, r#"{"status": "BAD_REFRESH_TOKEN", "message": "canary"}"#, K::Credentials, true),
        (400, r#"{"error": "invalid_scope"}"#, K::Settings, false),
        (400, r#"{"error": "temporarily_unavailable"}"#, K::Server, false),
        (401, r#"{"error": "invalid_client"}"#, K::Credentials, true),
        (401, "", K::Credentials, true),
        (404, "canary", K::Settings, false),
        (429, "", K::Throttled, false),
        (503, "canary", K::Server, false),
        (408, "", K::TimedOut, false),
    ];
    for (status, body, kind, dead) in table {
        let found = trouble(&client(&Script::of(&[Ok((status, body))]))).await;
        assert_eq!((&found.fault.kind, found.dead, found.fault.sent), (&kind, dead, Sent::No), "{status} {body}");
        let shown = format!("{:?} {}", found.fault, found.fault);
        assert!(!shown.contains("canary") && !shown.contains("hush"), "{shown}");
    }
    for (life, asked_again_after) in [("\"100\"", 100), ("3e30", 30 * 86_400), ("null", 3600)] {
        let body = format!(r#"{{"access_token": "t", "expires_in": {life}, "refresh_token": null}}"#);
        let script = Script::of(&[Ok((200, &body))]);
        let tokens = client(&script);
        header(&tokens).await;
        tokio::time::advance(Duration::from_secs(asked_again_after * 7 / 10)).await;
        header(&tokens).await;
        assert_eq!(script.asked(), 1, "{life}");
        tokio::time::advance(Duration::from_secs(asked_again_after)).await;
        header(&tokens).await;
        assert_eq!(script.asked(), 2, "{life}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_may_stand_in_the_header() {
    let script = Script::of(&[]);
    let settings = OAuth {
        client_id: fixed("id:1"),
        style: ClientStyle::Basic,
        audience: Some("api".to_owned()),
        ..settings(OAuthGrant::ClientCredentials)
    };
    let tokens = Arc::new(Tokens::new(settings, Box::new(script.clone()), Arc::new(NoStore)));
    header(&tokens).await;
    assert_eq!(script.form(0), "grant_type=client_credentials&scope=a+b&audience=api");
    // base64 of `id%3A1:hush`: RFC 6749 encodes the parts first.
    assert_eq!(locked(&script.authorizations)[0].as_deref(), Some("Basic aWQlM0ExOmh1c2g="));
}

/// Gives one secret after the other, then none.
struct Changing(Mutex<VecDeque<&'static str>>);

#[async_trait]
impl SecretProvider for Changing {
    async fn read(&self) -> Result<SecretString, SecretError> {
        let next = locked(&self.0).pop_front();
        next.map(SecretString::from).ok_or_else(|| SecretError { reference: "env `S`".to_owned(), source: None })
    }
}

#[tokio::test(start_paused = true)]
async fn secrets_are_read_again_for_each_refresh() {
    let script = Script::of(&[Ok((401, r#"{"error": "invalid_client"}"#))]);
    let changing = Changing(Mutex::new(VecDeque::from(["old", "new"])));
    let settings = OAuth { client_secret: Arc::new(changing), ..settings(OAuthGrant::ClientCredentials) };
    let tokens = Arc::new(Tokens::new(settings, Box::new(script.clone()), Arc::new(NoStore)));
    assert!(trouble(&tokens).await.dead);
    let old = tokens.get().await.unwrap().generation;
    assert!(script.form(1).ends_with("client_secret=new"));
    let unreadable = tokens.newer_than(old).await.map(drop).unwrap_err();
    assert_eq!((unreadable.fault.kind, unreadable.dead), (FaultKind::Credentials, false));
}
