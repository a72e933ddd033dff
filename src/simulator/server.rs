//! Loopback connections that can be cut without an answer.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State, connect_info::Connected},
    response::Response,
    serve::IncomingStream,
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

use super::{Fault, VendorConfig, control, flow, state::Shared};
use crate::shutdown::Shutdown;

/// How long requests in flight may take to end after the shutdown.
const GRACE: Duration = Duration::from_secs(2);

/// A simulated account. Clones share it.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
}

/// Serves a fresh account on `listener` until `shutdown`.
///
/// # Errors
/// When the listener fails or is not bound to loopback.
pub async fn serve(listener: TcpListener, vendor: VendorConfig, shutdown: Shutdown) -> io::Result<()> {
    Simulator::new(vendor).serve(listener, shutdown).await
}

impl Simulator {
    /// An account without records.
    pub fn new(config: VendorConfig) -> Self {
        Self { shared: Shared::new(config) }
    }

    /// Serves the account on `listener` until `shutdown`; hanging requests are cut then.
    ///
    /// # Errors
    /// When the listener fails or is not bound to loopback: a simulator has no business on a network.
    pub async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> io::Result<()> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            let message = format!("got the address `{address}`, expected a loopback address");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let stopping = self.shared.stopping.clone();
        let app = Router::new().fallback(handle).with_state(self.shared);
        let app = app.into_make_service_with_connect_info::<Switch>();
        let asked = shutdown.clone();
        let asked = async move { asked.cancelled().await };
        let server = axum::serve(Listener(listener), app).with_graceful_shutdown(asked);
        let stopped = async {
            shutdown.cancelled().await;
            stopping.cancel();
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            result = server.into_future() => result,
            () = stopped => Ok(()),
        }
    }

    /// What `GET /_sim/report` answers.
    pub fn report(&self) -> Value {
        self.shared.lock().report()
    }

    /// Every record of `object` as one JSON array, as `GET /_sim/records/{object}` answers it.
    ///
    /// # Errors
    /// A sentence when the account has no such object.
    pub fn records(&self, object: &str) -> Result<String, String> {
        self.shared.lock().vendor.records(object, 0, usize::MAX)
    }

    /// Appends scripted faults.
    pub fn add_faults(&self, faults: Vec<Fault>) {
        self.shared.lock().faults.append(faults);
    }

    /// Removes every fault.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// Forgets requests, counts and quotas; records and faults stay.
    pub fn reset_requests(&self) {
        self.shared.lock().reset_requests();
        self.shared.arrivals.send_replace(0);
    }
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
) -> Response {
    if request.uri().path().starts_with("/_sim/") {
        control::respond(shared, request).await
    } else {
        flow::respond(shared, switch, request).await
    }
}

/// Cuts one connection: nothing more is written to it.
#[derive(Clone, Default)]
pub(super) struct Switch(Arc<AtomicBool>);

impl Switch {
    /// The next write fails, which closes the connection.
    pub(super) fn cut(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Connected<IncomingStream<'_, Listener>> for Switch {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.io().switch.clone()
    }
}

struct Listener(TcpListener);

impl axum::serve::Listener for Listener {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = axum::serve::Listener::accept(&mut self.0).await;
        // Best effort: without it answers are only later.
        stream.set_nodelay(true).ok();
        (Wire { stream, switch: Switch::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

struct Wire {
    stream: TcpStream,
    switch: Switch,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.switch.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.switch.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
