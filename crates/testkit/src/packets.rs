//! Packets from a seed.
