//! The admin site: pages, components and server functions.
//!
//! Compiled twice, with `ssr` for the server and with `hydrate` for the browser; both render the same first paint.
//! Everything a page shows or does is a use case of `longshore-admin`, called through a server function; no decisions
//! are made here.

#![recursion_limit = "512"]
#![allow(unreachable_pub, reason = "the macros of Leptos make public items inside of private modules")]

pub mod clock;
pub mod components;
pub mod error;
pub mod host;
pub mod live;
pub mod paths;
pub mod sentence;
pub mod server;
pub mod session;

mod app;
mod arrival;
mod layout;
mod pages;
mod pauses;
mod routes;
mod shell;
mod shortcuts;

pub use app::App;
pub use pages::addresses;
pub use shell::shell;
