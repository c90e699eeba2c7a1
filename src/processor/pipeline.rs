use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::{Chain, Processor, Setup};

/// Makes one kind of processor, once per call.
pub trait ProcessorFactory: Send + Sync {
    /// A processor for one call. Must not block.
    fn create(&self, setup: &Setup<'_>) -> Box<dyn Processor>;
}

/// A named list of processors that serves a call.
#[derive(Clone)]
pub struct Pipeline {
    name: Arc<str>,
    stages: Arc<[Arc<dyn ProcessorFactory>]>,
}

impl Pipeline {
    /// The pipeline's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The chain for one call.
    #[must_use]
    pub fn build(&self, setup: &Setup<'_>) -> Chain {
        let processors = self.stages.iter().map(|stage| stage.create(setup));
        Chain::new(processors.collect(), setup.rate)
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("name", &self.name)
            .field("stages", &self.stages.len())
            .finish()
    }
}

/// A pipeline that cannot be made.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PipelineError {
    /// No pipeline has this name.
    #[error("no pipeline {actual:?}; there are: {}", allowed.join(", "))]
    UnknownPipeline {
        /// The name asked for.
        actual: String,
        /// The names there are.
        allowed: Vec<String>,
    },
    /// A pipeline names a processor that does not exist.
    #[error("no processor {actual:?}; there are: {}", allowed.join(", "))]
    UnknownProcessor {
        /// The name asked for.
        actual: String,
        /// The names there are.
        allowed: Vec<String>,
    },
}

/// The processors that exist, by name, and the pipelines made of them.
#[derive(Clone, Default)]
pub struct Registry {
    factories: BTreeMap<String, Arc<dyn ProcessorFactory>>,
    pipelines: BTreeMap<String, Pipeline>,
}

impl Registry {
    /// Makes a kind of processor known under `name`; the last of a name counts.
    pub fn add_processor(&mut self, name: &str, factory: Arc<dyn ProcessorFactory>) {
        self.factories.insert(name.to_owned(), factory);
    }

    /// Makes a pipeline of known processors; the last of a name counts.
    ///
    /// # Errors
    /// [`PipelineError::UnknownProcessor`] for the first name that is not known.
    pub fn add_pipeline<S: AsRef<str>>(
        &mut self,
        name: &str,
        processors: &[S],
    ) -> Result<(), PipelineError> {
        let stages = processors
            .iter()
            .map(|processor| {
                self.factories.get(processor.as_ref()).cloned().ok_or_else(|| {
                    PipelineError::UnknownProcessor {
                        actual: processor.as_ref().to_owned(),
                        allowed: self.factories.keys().cloned().collect(),
                    }
                })
            })
            .collect::<Result<_, _>>()?;
        self.pipelines.insert(name.to_owned(), Pipeline { name: name.into(), stages });
        Ok(())
    }

    /// The pipeline of that name.
    ///
    /// # Errors
    /// [`PipelineError::UnknownPipeline`] where there is none.
    pub fn pipeline(&self, name: &str) -> Result<Pipeline, PipelineError> {
        self.pipelines.get(name).cloned().ok_or_else(|| PipelineError::UnknownPipeline {
            actual: name.to_owned(),
            allowed: self.pipelines.keys().cloned().collect(),
        })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("processors", &self.factories.keys())
            .field("pipelines", &self.pipelines.keys())
            .finish()
    }
}
