//! Every key arrives in its specification, and defaults are those of the reference.

use std::time::Duration;

use super::*;

#[test]
fn defaults_are_those_of_the_reference() {
    let loaded = whole();
    let Settings { state, http, log, scheduler } = loaded.settings;
    assert_eq!((state.url, state.key), (TextSpec::Plain("sqlite://data/syncline.db".to_owned()), None));
    assert_eq!(http.listen.unwrap().to_string(), "127.0.0.1:8417");
    assert_eq!((log.level.as_str(), log.format.as_str()), ("info", "auto"));
    assert_eq!((scheduler.max_runs, scheduler.workers_per_run), (4, 4));
    let specs = loaded.specs;
    assert_eq!(specs.source("w").unwrap().statement_timeout, Duration::from_secs(1800));
    assert_eq!(specs.model("m").unwrap().body, ModelBodySpec::Table("t".to_owned()));
    let destination = specs.destination("d").unwrap();
    assert_eq!(destination.auth, AuthSpec::Bearer(SecretSpec::Env("T".to_owned())));
    assert_eq!(destination.request_timeout, Duration::from_secs(60));
    assert_eq!(specs.destination("h").unwrap().auth, AuthSpec::None);
    let sync = specs.sync("s").unwrap();
    assert_eq!((sync.mode, sync.on_removed, sync.enabled), (Mode::Upsert, OnRemoved::Keep, true));
    assert_eq!(sync.schedule, Schedule::Every(Duration::from_secs(900)));
    assert_eq!(sync.max_plan_age, Duration::from_secs(3600));
    assert_eq!((sync.late_window, &sync.filter), (None, &None));
    assert_eq!(loaded.warnings, []);
}

#[test]
fn every_kind_of_authentication_arrives() {
    let env = |name: &str| SecretSpec::Env(name.to_owned());
    let plain = |text: &str| TextSpec::Plain(text.to_owned());
    let http = |auth: &str| {
        let loaded = changed("path = \"/x\"", &format!("path = \"/x\"\nauth = {auth}")).unwrap();
        loaded.specs.destination("h").unwrap().auth.clone()
    };
    let basic = AuthSpec::Basic { user: plain("u"), password: env("P") };
    assert_eq!(http(r#"{ basic = { user = "u", password = { env = "P" } } }"#), basic);
    let header = AuthSpec::Header { name: "X-Api-Key".to_owned(), value: env("K") };
    assert_eq!(http(r#"{ header = { name = "X-Api-Key", value = { env = "K" } } }"#), header);
    let query = AuthSpec::Query { name: "key".to_owned(), value: env("K") };
    assert_eq!(http(r#"{ query = { name = "key", value = { env = "K" } } }"#), query);
    let oauth = OAuthSpec {
        token_url: Some("https://a.b/t?x=1".to_owned()),
        scope: Some("a b".to_owned()),
        audience: Some("api".to_owned()),
        style: OAuthStyle::Basic,
        allow_private: vec!["10.0.0.0/8".to_owned()],
        ..OAuthSpec::new(TextSpec::Secret(env("I")), env("S"))
    };
    let text = r#"{ oauth2 = { token_url = "https://a.b/t?x=1", client_id = { env = "I" }, client_secret = { env = "S" },
        scope = "a b", audience = "api", style = "basic", allow_private = ["10.0.0.0/8"] } }"#;
    assert_eq!(http(&text.replace('\n', "")), AuthSpec::OAuth(Box::new(oauth)));
    let keys = r#"client_id = "i", client_secret = { env = "S" }, refresh_token = { env = "R" }"#;
    let hubspot = changed("token = { env = \"T\" }", &format!("auth = {{ oauth = {{ {keys} }} }}")).unwrap();
    let oauth = OAuthSpec { refresh_token: Some(env("R")), ..OAuthSpec::new(plain("i"), env("S")) };
    assert_eq!(hubspot.specs.destination("d").unwrap().auth, AuthSpec::OAuth(Box::new(oauth)));
}

#[test]
fn every_key_of_a_sync_arrives() {
    let text = format!(
        "{WHOLE}{}",
        r#"
[syncs.t]
model = "m"
where = "plan is not null"
destination = "d"
object = "companies"
mode = "mirror"
on_removed = "clear"
match = "domain"
first_run = "backfill"
schedule = "manual"
enabled = false
late_window = "5m"
max_plan_age = "2h"
when_null = "clear"
guard = { empty = "allow", max_removed = "2.5%", min_rows = 10, max_removed_rows = 7 }
[syncs.t.fields]
domain = "domain"
amount = { column = "a", as = "decimal", scale = 2, when_null = "error" }
"address.city" = "city"
one = { value = 1 }
"*" = { except = ["id"], when_null = "skip" }
"#
    );
    let loaded = load_text(&text).unwrap();
    let sync = loaded.specs.sync("t").unwrap();
    assert_eq!((sync.mode, sync.on_removed, sync.enabled), (Mode::Mirror, OnRemoved::Clear, false));
    assert_eq!((sync.schedule.clone(), sync.filter.as_deref()), (Schedule::Manual, Some("plan is not null")));
    assert_eq!((sync.late_window, sync.max_plan_age), (Some(Duration::from_secs(300)), Duration::from_secs(7200)));
    assert!(!sync.guard.stop_on_empty);
    assert_eq!((sync.guard.max_removed, sync.guard.max_changed, sync.guard.min_rows), (2.5, 50.0, 10));
    assert_eq!(sync.guard.max_removed_rows, Some(7));
    let names: Vec<_> = sync.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["address.city", "amount", "domain", "one"]);
    let cast = Some(Cast::Decimal { scale: Some(2) });
    assert_eq!(sync.fields[1].source, FieldSource::Column { column: "a".to_owned(), cast });
    assert_eq!(
        sync.fields.iter().map(|field| field.when_null).collect::<Vec<_>>()[..2],
        [WhenNull::Clear, WhenNull::Error]
    );
    assert_eq!(sync.star.as_ref().unwrap().except, ["id"]);
}

#[test]
fn every_source_of_a_field_arrives() {
    let fields = r#"
greeting = { template = "Hello {{ name | title }}", when_null = "error" }
interests = { column = "tags", join = ";" }
tags = { column = "tags", as = "list", separator = ", " }
em = { column = "email", normalise = "email_google", hash = "sha256", encoding = "base64" }
key = { column = "email", hash = { hmac-sha256 = { env = "KEY" } } }
zip = { column = "zip", normalise = "postal_code" }"#;
    let loaded = changed("name = \"name\"", fields).unwrap();
    let sources: Vec<_> = loaded.specs.sync("s").unwrap().fields.iter().map(|field| field.source.clone()).collect();
    let text = str::to_owned;
    let identifier = |column, normalise, hash| FieldSource::Identifier { column: text(column), normalise, hash };
    let hash = |function, encoding| Some(HashSpec { function, encoding });
    let keyed = HashFunction::HmacSha256(SecretSpec::Env(text("KEY")));
    let expected = [
        identifier("email", Some(Normalise::EmailGoogle), hash(HashFunction::Sha256, HashEncoding::Base64)),
        FieldSource::Column { column: text("email"), cast: None },
        FieldSource::Template(text("Hello {{ name | title }}")),
        FieldSource::Joined { column: text("tags"), separator: text(";") },
        identifier("email", None, hash(keyed, HashEncoding::Hex)),
        FieldSource::List { column: text("tags"), separator: Some(text(", ")) },
        identifier("zip", Some(Normalise::PostalCode), None),
    ];
    assert_eq!(sources, expected);
}

#[test]
fn defaults_hold_for_every_sync_that_does_not_say_otherwise() {
    let defaults = r#"[defaults]
schedule = "manual"
when_null = "error"
first_run = "backfill"
late_window = "5m"
max_plan_age = "2h"
full_every = "7d"
remap = "later"
guard = { max_emptied = "30%", max_remapped_rows = 9, fresh = { column = "at", within = "6h" } }
[sources.w]"#;
    let loaded = changed("[sources.w]", defaults).unwrap();
    let sync = loaded.specs.sync("s").unwrap();
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    assert_eq!((&sync.schedule, sync.first_run, sync.remap), (&Schedule::Manual, FirstRun::Backfill, Remap::Later));
    assert_eq!((sync.late_window, sync.max_plan_age), (Some(minutes(5)), minutes(120)));
    assert_eq!((sync.full_every, sync.fields[0].when_null), (minutes(7 * 1440), WhenNull::Error));
    assert_eq!((sync.guard.max_emptied, sync.guard.max_remapped_rows), (30.0, Some(9)));
    let fresh = FreshSpec { column: "at".to_owned(), within: minutes(360) };
    assert_eq!(sync.guard.fresh, Some(fresh));
    // What a sync says stands above them.
    let own = WHOLE.replace("[sources.w]", defaults).replace(
        "match = \"email\"",
        "match = \"email\"\nfirst_run = \"ask\"\nremap = \"now\"\nguard = { max_emptied = \"1%\" }",
    );
    let loaded = load_text(&own).unwrap();
    let sync = loaded.specs.sync("s").unwrap();
    assert_eq!((sync.first_run, sync.remap), (FirstRun::Ask, Remap::Now));
    assert_eq!((sync.guard.max_emptied, sync.guard.max_remapped_rows), (1.0, Some(9)));
}

#[test]
fn limits_are_one_table_or_a_list() {
    let with = |limits: &str| {
        let text = format!("token = {{ env = \"T\" }}\nlimits = {limits}");
        changed("token = { env = \"T\" }", &text).map(|loaded| loaded.specs.destination("d").unwrap().limits.clone())
    };
    let one = with(r#"{ requests = 100, per = "10s", daily = 250_000, reserve = "10%" }"#).unwrap();
    assert_eq!((one.windows[0].requests, one.windows[0].per), (100, Duration::from_secs(10)));
    assert_eq!((one.daily, one.reserve_percent, one.concurrent), (Some(250_000), Some(10), None));
    let list =
        with(r#"[{ requests = 1, per = "1s", smooth = true }, { requests = 9, per = "1m" }, { concurrent = 3 }]"#);
    let list = list.unwrap();
    assert_eq!((list.windows.len(), list.windows[0].smooth, list.concurrent), (2, true, Some(3)));
    for (wrong, expected) in [
        ("{ requests = 0, per = \"1s\" }", "expected 1 to"),
        ("{ requests = 1 }", "has no `per`"),
        ("{ per = \"1s\" }", "has no `requests`"),
        ("{ requests = 1, per = \"0s\" }", "expected 100ms to 1d"),
        ("{ reserve = \"100%\" }", "below 100 %"),
        ("{ requests = 1.5, per = \"1s\" }", "expected an integer"),
        ("[{ daily = 1 }, { daily = 2 }]", "another table of the list"),
        ("{ weight = 1 }", "unknown key `weight`"),
        ("\"100/10s\"", "is not a table"),
    ] {
        let error = with(wrong).unwrap_err();
        assert!(error.contains(expected), "{wrong}: {error}");
    }
}

#[test]
fn postgres_is_a_url_or_parts_and_holds_no_password() {
    let with = |keys: &str| {
        let loaded = changed("type = \"sqlite\"\npath = \"w.db\"", &format!("type = \"postgres\"\n{keys}"));
        loaded.map(|loaded| loaded.specs.source("w").unwrap().kind.clone())
    };
    let url = with("url = \"postgres://u@h/d\"").unwrap();
    assert_eq!(url, SourceKind::Postgres(ServerSpec::Url(TextSpec::Plain("postgres://u@h/d".to_owned()))));
    let parts = with("host = \"h\"\ndatabase = \"d\"\nuser = \"u\"\npassword = { file = \"p\" }").unwrap();
    let SourceKind::Postgres(ServerSpec::Parts { port, tls, password, .. }) = parts else { panic!("{parts:?}") };
    assert_eq!((port, tls.as_str(), password), (5432, "verify-full", Some(SecretSpec::File("p".into()))));
    for (keys, expected) in [
        ("url = \"postgres://u:canary@h/d\"", "holds a password"),
        ("url = \"postgres://u@h/d?sslmode=require&password=canary\"", "holds a password"),
        ("url = \"mysql://h/d\"", "expected a `postgres://` URL"),
        ("url = \"postgres://h/d\"\nhost = \"h\"", "has both `url` and `host`"),
        ("host = \"h\"\ndatabase = \"d\"", "has no `user`"),
        ("", "has no `url`"),
        ("url = { env = \"U\" }\ntls = \"on\"", "has both"),
        ("host = \"h\"\ndatabase = \"d\"\nuser = \"u\"\npassword = \"canary\"", "may not stand"),
    ] {
        let error = with(keys).unwrap_err();
        assert!(error.contains(expected) && !error.contains("canary"), "{keys}: {error}");
    }
}

#[test]
fn mysql_is_a_url_or_parts_like_postgres() {
    let with = |keys: &str| {
        let loaded = changed("type = \"sqlite\"\npath = \"w.db\"", keys);
        loaded.map(|loaded| loaded.specs.source("w").unwrap().kind.clone())
    };
    for url in ["mysql://u@h/d", "mariadb://u@h:3307/d"] {
        for kind in ["mysql", "mariadb"] {
            let found = with(&format!("type = \"{kind}\"\nurl = \"{url}\"")).unwrap();
            assert_eq!(found, SourceKind::Mysql(ServerSpec::Url(TextSpec::Plain(url.to_owned()))));
        }
    }
    let parts = with("type = \"mysql\"\nhost = \"h\"\ndatabase = \"d\"\nuser = \"u\"").unwrap();
    let SourceKind::Mysql(ServerSpec::Parts { port, tls, .. }) = parts else { panic!("{parts:?}") };
    assert_eq!((port, tls.as_str()), (3306, "verify-full"));
    for (keys, expected) in [
        ("url = \"mysql://u:canary@h/d\"", "holds a password"),
        ("url = \"postgres://u@h/d\"", "expected a `mysql://` URL"),
        ("url = \"mysql://h/d\"\nport = 1", "has both `url` and `port`"),
        ("", "has no `url`"),
    ] {
        let error = with(&format!("type = \"mysql\"\n{keys}")).unwrap_err();
        assert!(error.contains(expected) && !error.contains("canary"), "{keys}: {error}");
    }
}
