//! The models of a server, which can be replaced while it runs.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use mentor_data::shown;

use crate::models::metrics::ModelMetrics;
use crate::models::model_thread::ModelThread;
use crate::models::served_model::ServedModel;

/// The models of a server. Requests that came before they are replaced are answered by the old ones.
pub struct ModelSet {
    current: RwLock<Arc<[ModelThread]>>,
}

/// Models that cannot be served together.
#[derive(Debug, thiserror::Error)]
pub enum ModelSetError {
    /// There is none.
    #[error("there is no model to serve")]
    Empty,
    /// A request could not say which it means.
    #[error("two models are called {}", shown(name))]
    SameName {
        /// The name.
        name: String,
    },
    /// The system gives no thread.
    #[error("a model gets no thread")]
    NoThread(#[source] io::Error),
}

impl ModelSet {
    /// The first model answers requests that name none.
    ///
    /// # Errors
    ///
    /// If there is no model, or two have one name.
    pub fn new(models: Vec<Arc<dyn ServedModel>>) -> Result<Self, ModelSetError> {
        let threads = start(models, &BTreeMap::new())?;
        Ok(Self { current: RwLock::new(threads) })
    }

    /// Puts other models in their place.
    ///
    /// # Errors
    ///
    /// As [`ModelSet::new`]; then the models stay.
    pub fn replace(&self, models: Vec<Arc<dyn ServedModel>>) -> Result<(), ModelSetError> {
        let counts: BTreeMap<String, Arc<ModelMetrics>> = (self.current().iter())
            .map(|thread| (thread.model.description().name.clone(), Arc::clone(&thread.metrics)))
            .collect();
        let threads = start(models, &counts)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = threads;
        Ok(())
    }

    /// Those of now.
    pub(crate) fn current(&self) -> Arc<[ModelThread]> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A thread for each model; counts of earlier models of the name go on.
fn start(
    models: Vec<Arc<dyn ServedModel>>,
    counts: &BTreeMap<String, Arc<ModelMetrics>>,
) -> Result<Arc<[ModelThread]>, ModelSetError> {
    if models.is_empty() {
        return Err(ModelSetError::Empty);
    }
    let names: Vec<&str> = models.iter().map(|model| model.description().name.as_str()).collect();
    if let Some(name) = (1..names.len())
        .map(|index| names[index])
        .find(|name| names.iter().filter(|other| *other == name).count() > 1)
    {
        return Err(ModelSetError::SameName { name: name.to_owned() });
    }
    models
        .into_iter()
        .map(|model| {
            let counts = counts.get(&model.description().name).cloned().unwrap_or_default();
            ModelThread::start(model, counts).map_err(ModelSetError::NoThread)
        })
        .collect()
}
