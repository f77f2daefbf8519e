//! Access over a real database: signing in, throttling, sessions, tokens, permissions.

#![allow(clippy::unwrap_used)]

mod permissions;
mod scene;
mod sessions;
mod sign_in;
mod tokens;
