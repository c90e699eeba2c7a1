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
#[derive(Clone, Default)]
pub struct Pipeline {
    name: Arc<str>,
    stages: Arc<[PipelineStage]>,
}

struct PipelineStage {
    /// As the pipeline names it.
    name: Arc<str>,
    /// All names of the same processor.
    aliases: Vec<String>,
    factory: Arc<dyn ProcessorFactory>,
}

impl PipelineStage {
    fn is(&self, name: &str) -> bool {
        let of_kind = self.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        of_kind || self.aliases.iter().any(|alias| alias == name)
    }
}

impl Pipeline {
    /// The pipeline's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The processors' names, in order.
    pub fn processors(&self) -> impl Iterator<Item = &Arc<str>> {
        self.stages.iter().map(|stage| &stage.name)
    }

    /// The stages that `name` stands for: each by the name that it has in the pipeline, or another
    /// name of the same processor; and all of a kind by what stands before the dot, as `stt` does for
    /// `stt.NAME`.
    pub(crate) fn stages(&self, name: &str) -> impl Iterator<Item = (usize, &Arc<str>)> {
        let stages = self.stages.iter().enumerate().filter(move |(_, stage)| stage.is(name));
        stages.map(|(index, stage)| (index, &stage.name))
    }

    /// The chain for one call.
    #[must_use]
    pub fn build(&self, setup: &Setup<'_>) -> Chain {
        let processors = self.stages.iter().map(|stage| stage.factory.create(setup));
        Chain::new(processors.collect(), setup.rate)
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("name", &self.name)
            .field("processors", &self.processors().collect::<Vec<_>>())
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
            .map(|processor| self.stage(processor.as_ref()))
            .collect::<Result<_, _>>()?;
        self.pipelines.insert(name.to_owned(), Pipeline { name: name.into(), stages });
        Ok(())
    }

    fn stage(&self, name: &str) -> Result<PipelineStage, PipelineError> {
        let unknown = || PipelineError::UnknownProcessor {
            actual: name.to_owned(),
            allowed: self.factories.keys().cloned().collect(),
        };
        let factory = self.factories.get(name).ok_or_else(unknown)?;
        let same = self.factories.iter().filter(|(_, other)| Arc::ptr_eq(other, factory));
        let aliases = same.map(|(alias, _)| alias.clone()).collect();
        Ok(PipelineStage { name: name.into(), aliases, factory: Arc::clone(factory) })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::{DtmfFactory, EchoFactory};

    #[test]
    fn a_stage_is_found_by_every_name_of_its_processor_and_by_its_kind() {
        let mut registry = Registry::default();
        registry.add_processor("echo", Arc::new(EchoFactory::default()));
        let vosk: Arc<dyn ProcessorFactory> = Arc::new(DtmfFactory);
        registry.add_processor("stt", Arc::clone(&vosk));
        registry.add_processor("stt.vosk", vosk);
        registry.add_processor("stt.other", Arc::new(DtmfFactory));
        let processors = ["stt", "echo", "stt.other", "echo"];
        registry.add_pipeline("all", &processors).unwrap();
        let pipeline = registry.pipeline("all").unwrap();
        assert!(pipeline.processors().map(|name| &**name).eq(processors));
        let found = |name| pipeline.stages(name).map(|(index, _)| index).collect::<Vec<_>>();
        assert_eq!(found("echo"), [1, 3]);
        assert_eq!((found("stt.vosk"), found("stt.other")), (vec![0], vec![2]));
        assert_eq!(found("stt"), [0, 2]);
        for name in ["", "ech", "stt.", "st", "stt.vosk.x"] {
            assert_eq!(found(name), [0; 0], "{name:?}");
        }
    }
}
