//! The layers of one attempt that need to know nothing of its content, as a tower stack around the client.

use std::{error::Error, io, pin::Pin, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use tower::{BoxError, Service, ServiceBuilder, timeout::error::Elapsed, util::BoxCloneSyncService};

use super::{
    address::Refused,
    fault::{Fault, FaultKind, Sent},
    limiter::Grant,
    request::Response,
};

/// Sends one request and reads the whole answer.
pub(super) type Stack = BoxCloneSyncService<reqwest::Request, Response, Fault>;

/// Longest wait for an answer's headers, unless half of the request timeout is more.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(30);

/// From the outside in: fault mapping, total timeout, body with its cap, headers timeout, client.
pub(super) fn stack<C>(client: C, request_timeout: Duration, max_body: usize) -> Stack
where
    C: Service<reqwest::Request, Response = reqwest::Response, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    let headers_timeout = HEADERS_TIMEOUT.max(request_timeout / 2).min(request_timeout);
    let read = move |answer| -> BoxFuture<'static, Result<Response, BoxError>> { Box::pin(read(answer, max_body)) };
    let service = ServiceBuilder::new()
        .map_err(|error: BoxError| fault(error))
        .timeout(request_timeout)
        .and_then(read)
        .timeout(headers_timeout)
        .service(client);
    BoxCloneSyncService::new(service)
}

/// An answer larger than the cap.
#[derive(Debug, thiserror::Error)]
#[error("the answer is larger than {0} bytes")]
struct BodyTooLarge(usize);

async fn read(mut answer: reqwest::Response, max_body: usize) -> Result<Response, BoxError> {
    let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > max_body {
            return Err(Box::new(BodyTooLarge(max_body)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response::new(status, headers, body.freeze()))
}

/// What an error of the stack means. Only an error before there is a connection is certainly unsent.
fn fault(error: BoxError) -> Fault {
    let error = match error.downcast::<reqwest::Error>() {
        Ok(error) => return client_fault(*error),
        Err(error) => error,
    };
    #[cfg(any(test, feature = "proof"))]
    if let Some(fault) = error.downcast_ref::<super::transport::NetworkFault>() {
        return fault.fault();
    }
    let kind = if error.is::<Elapsed>() { FaultKind::TimedOut } else { FaultKind::Protocol };
    Fault::new(kind, Sent::Maybe).because(error)
}

fn client_fault(error: reqwest::Error) -> Fault {
    let error = error.without_url();
    let (kind, sent) = if find::<Refused>(&error).is_some() {
        (FaultKind::Blocked, Sent::No)
    } else if error.is_builder() {
        (FaultKind::Settings, Sent::No)
    } else if error.is_connect() {
        let tls = find::<rustls::Error>(&error).is_some();
        (if tls { FaultKind::Tls } else { FaultKind::Connect }, Sent::No)
    } else if error.is_timeout() {
        (FaultKind::TimedOut, Sent::Maybe)
    } else {
        (FaultKind::Dropped, Sent::Maybe)
    };
    Fault::new(kind, sent).because(error)
}

/// The first cause of type `E`, also inside I/O errors, which do not count their content as a cause.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let found = error.downcast_ref().or_else(|| inner.and_then(|inner| find::<E>(inner)));
        if found.is_some() {
            return found;
        }
        next = error.source();
    }
    None
}

/// A request body that tells its grant when the client begins to write it.
pub(super) struct StampedBody {
    content: Option<Bytes>,
    grant: Grant,
}

impl StampedBody {
    pub(super) fn new(content: Bytes, grant: Grant) -> Self {
        Self { content: Some(content), grant }
    }
}

impl Body for StampedBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let content = self.content.take();
        if content.is_some() {
            self.grant.leaves();
        }
        std::task::Poll::Ready(content.map(|content| Ok(Frame::data(content))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_none()
    }

    /// Exact, so that the request carries a `content-length`.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.as_ref().map_or(0, |content| content.len() as u64))
    }
}

/// Sends one request through a fresh handle of the stack.
pub(super) async fn call(stack: &Stack, request: reqwest::Request) -> Result<Response, Fault> {
    tower::ServiceExt::ready(&mut stack.clone()).await?.call(request).await
}
