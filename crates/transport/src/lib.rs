//! Between the network and the router: accepts connections, makes TLS of them, speaks HTTP on them, and enforces the
//! limits that protect the server from clients that misbehave.

mod in_flight;
mod limits;
mod listener;
pub mod tls;

pub use in_flight::InFlight;
pub use limits::{Admitted, Arrived, LimitSettings, Limits, Upload};
pub use listener::{Connected, Ending, Server};
pub use tls::{Acceptor, Tls, TlsSettings, TlsSource};
