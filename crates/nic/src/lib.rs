//! Cards behind one trait.
pub mod queue;
