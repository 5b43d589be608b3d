//! HTTP for trained models: pictures in, classes, embeddings and neighbours out.
//!
//! ```text
//! connection ─▶ limits ─▶ route ─▶ body ─▶ decoded pictures ─▶ the model's thread ─▶ JSON
//! ```
//!
//! [`http`] is what any page of mentor needs of HTTP, and knows of no models: a page with routes of its own
//! is served by it as well. [`ModelSet`] holds the models, each a [`ServedModel`] with a thread of its own,
//! and [`models_router`] is the routes that ask them. This crate knows of no tensors and prints nothing.

pub mod http;
mod models;
mod routes;

pub use axum::Router;
pub use models::{Description, ModelSet, ModelSetError, Neighbour, ServedModel};
pub use routes::models_router;
