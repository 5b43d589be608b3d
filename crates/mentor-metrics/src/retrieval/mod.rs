//! Retrieval: how well nearest neighbours in an embedding share the query's class.
//!
//! [`evaluate`] gives precision at 1, R-precision, MAP@R (Musgrave, Belongie and Lim, 2020), recall at 1, 5
//! and 10 and the accuracy of k nearest neighbours; [`nearest`] the neighbours themselves. Both are exact:
//! the order of neighbours is that of distances in `f64`, equal ones by the lower index. Everything works on
//! plain slices.
//!
//! ```
//! use mentor_metrics::retrieval::{Embeddings, RetrievalOptions, evaluate};
//! // Two classes on a line; the sample at 4 is nearest to one of the other class.
//! let values = [0.0, 1.0, 4.0, 6.0, 7.0];
//! let embeddings = Embeddings::new(&values, 1)?;
//! let found = evaluate(&embeddings, &[0, 0, 0, 1, 1], None, &RetrievalOptions::default())?;
//! assert_eq!(found.precision_at_1, Some(0.8));
//! assert!(Embeddings::new(&[f32::NAN], 1).is_err());
//! # Ok::<(), mentor_metrics::retrieval::RetrievalError>(())
//! ```

mod bootstrap;
mod distance;
mod embeddings;
mod error;
mod evaluate;
mod keys;
mod measures;
mod nearest;
mod neighbourhoods;
mod rank;

pub use embeddings::{Embeddings, Metric};
pub use error::RetrievalError;
pub use evaluate::{evaluate, evaluate_until};
pub use measures::{Retrieval, RetrievalIntervals, RetrievalOptions};
pub use nearest::{Neighbour, distance_between, nearest};
pub use neighbourhoods::Neighbourhoods;
