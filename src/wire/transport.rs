//! A stand-in for the network, for simulations: everything of this module but the last step is the program's own.

use std::{cell::RefCell, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use http_body_util::BodyExt as _;
use tower::{BoxError, service_fn, util::BoxCloneSyncService};

use super::fault::{Fault, FaultKind, Sent};

/// What the network did instead of carrying an answer. One that never answers is a future that never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFault {
    /// There was no connection: nothing was sent.
    #[error("the simulated network refuses the connection")]
    Refused,
    /// The connection was lost before the answer.
    #[error("the simulated network lost the connection")]
    Lost,
}

impl NetworkFault {
    /// What the client makes of it.
    pub(super) fn fault(self) -> Fault {
        let (kind, sent) = match self {
            Self::Refused => (FaultKind::Connect, Sent::No),
            Self::Lost => (FaultKind::Dropped, Sent::Maybe),
        };
        Fault::new(kind, sent).because(self)
    }
}

/// Answers requests in the network's place. A caller that gives up drops the future.
pub trait Transport: Send + Sync {
    /// One request, read to its end, to its answer.
    fn carry(&self, request: http::Request<Bytes>) -> BoxFuture<'static, Result<http::Response<Bytes>, NetworkFault>>;
}

thread_local! {
    static INSTALLED: RefCell<Option<Arc<dyn Transport>>> = const { RefCell::new(None) };
}

/// Clients that this thread makes from now on send through `transport`; `None` gives the network back.
pub fn install_transport(transport: Option<Arc<dyn Transport>>) {
    INSTALLED.with(|installed| *installed.borrow_mut() = transport);
}

/// The last step of a request.
pub(super) type Carrier = BoxCloneSyncService<reqwest::Request, reqwest::Response, BoxError>;

/// The transport of this thread, if there is one, in the place of a client.
pub(super) fn installed() -> Option<Carrier> {
    let transport = INSTALLED.with(|installed| installed.borrow().clone())?;
    Some(BoxCloneSyncService::new(service_fn(move |mut request: reqwest::Request| {
        let transport = transport.clone();
        async move {
            // Polling the body tells the limiter that the request leaves.
            let body = match request.body_mut().take() {
                Some(body) => body.collect().await?.to_bytes(),
                None => Bytes::new(),
            };
            let request = http::Request::<reqwest::Body>::try_from(request)?.map(|_| body);
            let answer = transport.carry(request).await?;
            Ok::<_, BoxError>(answer.map(reqwest::Body::from).into())
        }
        .boxed()
    })))
}
