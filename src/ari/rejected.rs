use thiserror::Error;

use super::arguments::ArgumentError;
use crate::processor::PipelineError;
use crate::runtime::OpenError;

/// Why a caller was turned away.
#[derive(Debug, Error)]
pub(super) enum Rejected {
    #[error("Stasis(): {0}")]
    Arguments(#[from] ArgumentError),
    #[error("Stasis(): {0}")]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Media(#[from] OpenError),
    #[error("the server is stopping")]
    Stopping,
}
