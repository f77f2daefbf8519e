//! Access over a real database: signing in, being slowed down, sessions, tokens, permissions.

#![allow(clippy::unwrap_used)]

mod permissions;
mod scene;
mod sessions;
mod sign_in;
mod tokens;
