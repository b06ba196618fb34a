//! Peers that do what the protocol forbids.
