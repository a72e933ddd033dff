//! `token` and `auth` of a destination.

use super::{
    destination::{allow_private, parsed_url, reachable},
    reader::Reader,
    secret::{secret, text_or_secret},
    tree::{Item, Node},
};
use crate::model::spec::{AuthSpec, OAuthSpec, OAuthStyle};

/// HubSpot: the token of a private app, or an OAuth app.
pub(super) fn hubspot(reader: &Reader<'_>) -> Option<AuthSpec> {
    either(reader, |node| {
        let auth = Reader::of(node, format!("`auth` of {}", reader.what), reader.sink)?;
        auth.require(
            &["oauth"],
            "{ client_id = \"…\", client_secret = { env = \"…\" }, refresh_token = { env = \"…\" } }",
        );
        let spec = auth.get("oauth").and_then(|node| hubspot_oauth(&auth, node));
        auth.finish();
        spec
    })
}

/// Any API: none, a bearer token, or one of the kinds of `auth`.
pub(super) fn http(reader: &Reader<'_>) -> Option<AuthSpec> {
    if !reader.has("token") && !reader.has("auth") {
        // Asked for, so that a misspelt one is recognised.
        return [reader.get("token"), reader.get("auth")].iter().all(Option::is_none).then_some(AuthSpec::None);
    }
    either(reader, |node| kind(reader, node))
}

/// `token` or `auth`, not both.
fn either<'a>(reader: &Reader<'a>, auth: impl FnOnce(&'a Node) -> Option<AuthSpec>) -> Option<AuthSpec> {
    match (reader.get("token"), reader.get("auth")) {
        (Some(_), Some(node)) => {
            reader.refuse("auth", node, "got `token` and `auth`, expected one", "remove `token` or `auth`");
            None
        }
        (Some(_), None) => secret(reader, "token").map(AuthSpec::Bearer),
        (None, Some(node)) => auth(node),
        (None, None) => None,
    }
}

fn kind(outer: &Reader<'_>, node: &Node) -> Option<AuthSpec> {
    const HINT: &str = "write one of { basic = { … } }, { header = { … } }, { query = { … } }, { oauth2 = { … } }";
    let reader = Reader::of(node, format!("`auth` of {}", outer.what), outer.sink)?;
    let specs = [
        reader.get("basic").map(|node| basic(&reader, node)),
        reader.get("header").map(|node| header(&reader, node)),
        reader.get("query").map(|node| query(&reader, node)),
        reader.get("oauth2").map(|node| oauth2(&reader, node)),
    ];
    let mut given: Vec<_> = specs.into_iter().flatten().collect();
    match given.len() {
        0 => reader.missing(&["basic", "header", "query", "oauth2"], "{ user = \"…\", password = { env = \"…\" } }"),
        1 => {}
        several => {
            let cause = format!("got {several} kinds of authentication, expected one");
            outer.refuse("auth", node, cause, HINT);
            given.clear();
        }
    }
    reader.finish();
    given.pop().flatten()
}

fn basic(outer: &Reader<'_>, node: &Node) -> Option<AuthSpec> {
    let reader = Reader::of(node, format!("`basic` in {}", outer.what), outer.sink)?;
    reader.require(&["user"], "\"…\"");
    reader.require(&["password"], "{ env = \"…\" }");
    let (user, password) = (text_or_secret(&reader, "user"), secret(&reader, "password"));
    reader.finish();
    Some(AuthSpec::Basic { user: user?, password: password? })
}

fn header(outer: &Reader<'_>, node: &Node) -> Option<AuthSpec> {
    let reader = Reader::of(node, format!("`header` in {}", outer.what), outer.sink)?;
    let name = reader.required_text(&["name"], "\"X-Api-Key\"");
    reader.require(&["value"], "{ env = \"…\" }");
    let value = secret(&reader, "value");
    let valid = name.filter(|name| {
        let valid = name.parse::<http::HeaderName>().is_ok();
        if let (false, Some(node)) = (valid, reader.get("name")) {
            reader.refuse("name", node, format!("got `{name}`, expected a header name"), "use \"X-Api-Key\"");
        }
        valid
    });
    reader.finish();
    Some(AuthSpec::Header { name: valid?, value: value? })
}

fn query(outer: &Reader<'_>, node: &Node) -> Option<AuthSpec> {
    let reader = Reader::of(node, format!("`query` in {}", outer.what), outer.sink)?;
    let name = reader.required_text(&["name"], "\"api_key\"");
    reader.require(&["value"], "{ env = \"…\" }");
    let value = secret(&reader, "value");
    reader.finish();
    Some(AuthSpec::Query { name: name?, value: value? })
}

fn oauth2(outer: &Reader<'_>, node: &Node) -> Option<AuthSpec> {
    let reader = Reader::of(node, format!("`oauth2` in {}", outer.what), outer.sink)?;
    reader.require(&["token_url"], "\"https://auth.example.com/oauth/token\"");
    let spec = client(&reader);
    let refresh_token = secret(&reader, "refresh_token");
    let styles = [("body", OAuthStyle::Body), ("basic", OAuthStyle::Basic)];
    let style = reader.choice("style", &styles, &[]).unwrap_or(OAuthStyle::Body);
    let (scope, audience) = (reader.text("scope"), reader.text("audience"));
    let complete = reader.has("token_url") && (refresh_token.is_some() || !reader.has("refresh_token"));
    reader.finish();
    let spec = spec.filter(|spec| complete && spec.token_url.is_some())?;
    Some(AuthSpec::OAuth(Box::new(OAuthSpec { refresh_token, scope, audience, style, ..spec })))
}

fn hubspot_oauth(outer: &Reader<'_>, node: &Node) -> Option<AuthSpec> {
    let reader = Reader::of(node, format!("`oauth` in {}", outer.what), outer.sink)?;
    let spec = client(&reader);
    reader.require(&["refresh_token"], "{ env = \"…\" }");
    let refresh_token = secret(&reader, "refresh_token");
    let complete = spec.as_ref().is_some_and(|spec| spec.token_url.is_some()) == reader.has("token_url");
    reader.finish();
    let spec = spec.filter(|_| complete)?;
    Some(AuthSpec::OAuth(Box::new(OAuthSpec { refresh_token: Some(refresh_token?), ..spec })))
}

/// The keys that every OAuth client has.
fn client(reader: &Reader<'_>) -> Option<OAuthSpec> {
    let allowed = allow_private(reader);
    let token_url = token_url(reader, &allowed);
    reader.require(&["client_id"], "\"…\"");
    reader.require(&["client_secret"], "{ env = \"…\" }");
    let (client_id, client_secret) = (text_or_secret(reader, "client_id"), secret(reader, "client_secret"));
    let allow_private = allowed.iter().map(ToString::to_string).collect();
    Some(OAuthSpec { token_url, allow_private, ..OAuthSpec::new(client_id?, client_secret?) })
}

fn token_url(reader: &Reader<'_>, allowed: &[ipnet::IpNet]) -> Option<String> {
    let node = reader.get("token_url")?;
    let text = match &node.value {
        Item::Table(_) => {
            reader.wrong("token_url", node, "a text", "the token endpoint's address is no secret; write it out");
            return None;
        }
        _ => reader.text("token_url")?,
    };
    let url = parsed_url(reader, "token_url", &text, node)?;
    reachable(reader, "token_url", node, &url, allowed)?;
    if url.scheme() == "http" && allowed.is_empty() {
        let cause = "plain `http` would send the client's secret unencrypted";
        reader.refuse("token_url", node, cause, "use `https`");
        return None;
    }
    Some(text)
}
