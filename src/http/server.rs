//! Accepts connections and bounds each of them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

use super::{Health, routes};
use crate::{
    shutdown::Shutdown,
    telemetry::{event, events},
};

/// A request's headers must have arrived by then.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// A connection carries one request and ends by then.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// Bytes of request line and headers.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// Further connections wait in the system's queue.
const MAX_CONNECTIONS: usize = 32;
/// Pause after a failed accept (no file descriptor left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// The health server could not be started.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The listener's address is not known.
    #[error("the health server's address is not known")]
    Address(#[from] io::Error),
    /// The listener is open to other machines.
    #[error("the health server listens on `{got}`, expected a loopback address")]
    NotLoopback {
        /// Where it listens.
        got: SocketAddr,
    },
}

/// Answers `/healthz` and `/readyz` until `shutdown`; then no connection is accepted, those open end within 10 s.
///
/// # Errors
/// The listener is not on a loopback address.
pub async fn serve(listener: TcpListener, health: Arc<Health>, shutdown: Shutdown) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback { got: address });
    }
    event!(events::HTTP_STARTED, address = %address);
    let mut connections = JoinSet::new();
    accept_all(&listener, &routes::router(health), &shutdown, &mut connections).await;
    drop(listener);
    while connections.join_next().await.is_some() {}
    event!(events::HTTP_STOPPED);
    Ok(())
}

async fn accept_all(listener: &TcpListener, router: &Router, shutdown: &Shutdown, connections: &mut JoinSet<()>) {
    loop {
        let has_room = connections.len() < MAX_CONNECTIONS;
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ended = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if has_room => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(answer(stream, router.clone(), shutdown.clone()));
                }
                Err(_) => {
                    event!(events::HTTP_REFUSED, reason = "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// Answers one request. What goes wrong on the way (timeouts, garbage, a closed connection) concerns the client alone.
async fn answer(stream: TcpStream, router: Router, shutdown: Shutdown) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .keep_alive(false)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let serving = async {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    };
    let _client_gone = timeout(CONNECTION_TIME, serving).await.is_err();
}
