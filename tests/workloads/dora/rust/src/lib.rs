// SPDX-License-Identifier: MIT
//! What the nodes share.

/// Nanoseconds of CLOCK_MONOTONIC, the same for all processes.
pub fn now() -> i64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec * 1_000_000_000 + t.tv_nsec
}

/// The byte that a message of this size is full of.
pub fn filling(size: usize) -> u8 {
    (size % 251) as u8
}
