//! The server at a bound port, asked through sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod abuse;
mod browser;
mod client;
mod lifecycle;
mod limits;
mod model;
mod routes;
