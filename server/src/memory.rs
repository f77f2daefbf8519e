//! How much freed memory is kept for reuse. Memory that must be returned immediately is handled where it is allocated
//! (passwords, in `access`).

use std::hint::black_box;

/// The size of a block that is allocated and freed once. glibc takes the largest freed block of up to 32 MiB as a
/// threshold: smaller blocks are kept by their thread, up to twice the threshold, instead of being returned to the
/// operating system (`M_MMAP_THRESHOLD` and `M_TRIM_THRESHOLD` of mallopt(3)). Otherwise the buffers of uploads would
/// be returned and allocated again, with a page fault for each 4 KiB. Has no effect with other C libraries.
const MEASURE: usize = 2 * 1024 * 1024;

/// Lets threads keep the buffers of uploads and downloads. Must be called after the start, so that memory used only for
/// starting is returned.
pub(crate) fn keep_freed() {
    drop(black_box(Vec::<u8>::with_capacity(MEASURE)));
}
