//! A network between a daemon and its database that can drop a connection without a word.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Passes bytes on, until it is cut.
pub(super) struct Proxy {
    /// Its port on the loopback address.
    pub(super) port: u16,
    /// Odd: cut. A connection carries bytes only in the state in which it was made.
    state: Arc<AtomicU64>,
}

impl Proxy {
    /// Listens for connections to `server`, which is `ADDRESS:PORT`.
    pub(super) fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("no free port");
        let port = listener.local_addr().expect("a bound port has an address").port();
        let state = Arc::<AtomicU64>::default();
        let theirs = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let made_in = theirs.load(Ordering::SeqCst);
                let Ok(server) = TcpStream::connect(&server) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { continue };
                    let state = Arc::clone(&theirs);
                    std::thread::spawn(move || pass(from, to, made_in, &state));
                }
            }
        });
        Self { port, state }
    }

    /// Nothing passes any more, on connections that stand or are made.
    pub(super) fn cut(&self) {
        self.state.fetch_or(1, Ordering::SeqCst);
    }

    /// Connections that are made from now on carry bytes again; the old ones stay silent.
    pub(super) fn mend(&self) {
        self.state.fetch_add(1, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, made_in: u64, state: &AtomicU64) {
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let silent = made_in % 2 == 1 || state.load(Ordering::SeqCst) != made_in;
        if !silent && to.write_all(buffer.get(..read).unwrap_or_default()).is_err() {
            break;
        }
    }
    // What the other end has closed is closed; a cut network would not even tell that.
    if state.load(Ordering::SeqCst) == made_in {
        drop(to.shutdown(Shutdown::Both));
    }
}
