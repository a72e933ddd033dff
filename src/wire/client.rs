//! The HTTP client of one destination.

use super::{
    fault::{Fault, FaultKind, Sent},
    request::{Request, Response},
    settings::{ClientSettings, SettingsError},
};

pub(super) struct Client {
    http: reqwest::Client,
}

impl Client {
    pub(super) fn new(_settings: ClientSettings) -> Result<Self, SettingsError> {
        let http = reqwest::Client::builder().build().map_err(SettingsError::Client)?;
        Ok(Self { http })
    }

    pub(super) async fn transmit(&self, request: &Request) -> Result<Response, Fault> {
        let failed = |error: reqwest::Error| Fault::new(FaultKind::Dropped, Sent::Maybe).because(error.without_url());
        let request = self.http.request(request.method.clone(), request.url.clone()).body(request.body.clone());
        let answer = request.send().await.map_err(failed)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok(Response::new(status, headers, answer.bytes().await.map_err(failed)?))
    }
}
