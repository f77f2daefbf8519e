//! A TCP proxy that stops in the middle of a response.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::eventually::eventually;

/// The maximum wait for the given number of bytes.
const PATIENCE: Duration = Duration::from_secs(30);
const CHUNK: usize = 16 * 1024;

/// Forwards connections to a server. After the given number of bytes from the server, all connections wait until the
/// gate is opened.
pub struct Gate {
    address: SocketAddr,
    bytes: Arc<Bytes>,
    _passing: JoinSet<()>,
}

/// The number of bytes that may still pass; closed if all may.
struct Bytes {
    left: Semaphore,
    shut: AtomicBool,
}

impl Gate {
    /// A gate to `host` (`127.0.0.1:PORT`) that shuts after `bytes`.
    pub async fn after(bytes: usize, host: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let bytes = Arc::new(Bytes { left: Semaphore::new(bytes), shut: AtomicBool::new(false) });
        let (host, passes, mut passing) = (host.to_owned(), bytes.clone(), JoinSet::new());
        passing.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&host).await else { continue };
                let (mut asks, hears) = client.into_split();
                let (says, mut told) = server.into_split();
                connections.spawn(async move {
                    let _ = copy(&mut asks, &mut told).await;
                });
                connections.spawn(passes.clone().pass(says, hears));
            }
        });
        Self { address, bytes, _passing: passing }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until a connection waits at the gate.
    pub async fn is_shut(&self) {
        eventually("the gate is shut", PATIENCE, async || {
            let (shut, left) = (self.bytes.shut.load(Ordering::Relaxed), self.bytes.left.available_permits());
            if shut { Ok(()) } else { Err(format!("{left} bytes may still pass")) }
        })
        .await;
    }

    /// Lets everything pass from now on.
    pub fn open(&self) {
        self.bytes.left.close();
    }
}

impl Bytes {
    async fn pass(self: Arc<Self>, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut chunk = vec![0; CHUNK];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            let asked = u32::try_from(read).expect("a chunk is small");
            if self.left.try_acquire_many(asked).map(|some| some.forget()).is_err() {
                self.shut.store(true, Ordering::Relaxed);
                // An error means that it was opened permanently.
                if let Ok(some) = self.left.acquire_many(asked).await {
                    some.forget();
                }
            }
            if to.write_all(&chunk[..read]).await.is_err() {
                break;
            }
        }
    }
}
