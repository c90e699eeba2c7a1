//! What the benches share.

// Every bench uses its own part of this module.
#![allow(dead_code)]

pub(crate) mod bars;
pub(crate) mod counting;
pub(crate) mod document;
pub(crate) mod machine;
pub(crate) mod panel;
pub(crate) mod recycling;
