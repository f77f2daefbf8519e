//! The network side of the server: accepts connections, performs TLS handshakes, speaks HTTP, and enforces limits that
//! protect the server from misbehaving clients.

mod in_flight;
mod limits;
mod listener;
pub mod tls;

pub use in_flight::InFlight;
pub use limits::{Admitted, Arrived, LimitSettings, Limits, Upload};
pub use listener::{Connected, Ending, Server};
pub use tls::{Acceptor, Tls, TlsSettings, TlsSource};
