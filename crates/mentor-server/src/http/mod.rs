//! What any page of mentor needs of HTTP: a server with limits, bodies, refusals, files of a page, counts.
//!
//! [`HttpServer::start`] serves an axum `Router` and holds the [`HttpLimits`] around every route. A handler
//! takes the body by [`read_body`], refuses by a [`Problem`], and gives a file that is compiled in as an
//! [`Asset`].

mod admission;
mod asset;
mod body;
mod connection;
mod limits;
mod metrics;
mod problem;
mod server;

pub use asset::Asset;
pub use body::{Received, read_body};
pub use limits::HttpLimits;
pub use metrics::HttpMetrics;
pub use problem::Problem;
pub use server::HttpServer;
