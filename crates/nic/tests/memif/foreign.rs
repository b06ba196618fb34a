//! A mapping that is none of memif's, as any library may have one.
#![allow(unsafe_code, reason = "mapping a file, to see who gets the signal when it has gone")]

use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap};

use crate::raw::memory;

/// Touches the page of a file that has become shorter: SIGBUS.
pub(crate) fn touch_what_has_gone() {
    let file = memory(4096);
    // SAFETY: without an address of our own to be mapped at, a new mapping replaces nothing.
    let mapped = unsafe { mmap(ptr::null_mut(), 4096, ProtFlags::READ, MapFlags::SHARED, &file, 0) };
    let byte = mapped.unwrap().cast::<u8>();
    rustix::fs::ftruncate(&file, 0).unwrap();
    // SAFETY: the first byte of a mapping that is never unmapped. That its file has gone is what this is about: the signal
    // comes instead of a value.
    let _never = unsafe { byte.read_volatile() };
}
