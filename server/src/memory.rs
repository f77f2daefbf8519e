//! How much memory that was freed is kept to be used again. Memory that must go back at once is the business of
//! those who ask for it (passwords, in `access`).

use std::hint::black_box;

/// So many bytes are asked for and freed once. glibc takes the largest block that was freed, of up to 32 MiB, as
/// a measure: what is smaller is kept with its thread, up to twice as much, instead of going back to the
/// operating system (`M_MMAP_THRESHOLD` and `M_TRIM_THRESHOLD` of mallopt(3)). The parts of an upload would go
/// back and forth otherwise, at the price of a page fault for each 4 KiB. Other C libraries do as they please.
const MEASURE: usize = 2 * 1024 * 1024;

/// Lets threads keep what uploads and downloads need over and over. To be called when the server has started:
/// what it took to start goes back.
pub(crate) fn keep_freed() {
    drop(black_box(Vec::<u8>::with_capacity(MEASURE)));
}
