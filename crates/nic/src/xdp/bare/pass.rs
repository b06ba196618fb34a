//! `bpf/pass.c` as clang-14 compiles it. Written by `cargo xtask bpf`; never by hand.

/// The instructions, as `struct bpf_insn` lies in a little-endian machine's memory.
#[rustfmt::skip]
pub(super) const INSTRUCTIONS: [u64; 2] = [
    0x0000_0002_0000_00b4, 0x0000_0000_0000_0095,
];
