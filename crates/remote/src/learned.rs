//! Quirks of a registry that were learned from its responses. They only save requests: everything here could be
//! confirmed by one more request.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use http::StatusCode;
use longshore_model::remote::Quirks;

/// A 403 or 404 to a HEAD is believed after a GET has agreed so often, and never once one has not.
const AGREED: u32 = 3;
const NEVER: u32 = u32::MAX;
/// Means that the registry does not accept `n` at all.
const NO_SIZE: u32 = 0;

/// Shared by all handles of one registry.
#[derive(Debug)]
pub(crate) struct Learned {
    heads_fail: AtomicBool,
    /// Of digests that are no SHA-256.
    digests_mislead: AtomicBool,
    /// GETs that confirmed the 403 of a HEAD; [`NEVER`] once one answered something else.
    forbidden_agreed: AtomicU32,
    /// The same of its 404.
    missing_agreed: AtomicU32,
    longest_page: AtomicU64,
    ignores_last: AtomicBool,
    /// The largest `n` that it takes where it refused a larger one; [`NO_SIZE`] where it takes none.
    largest_page: AtomicU32,
    wants_content_apart: AtomicBool,
}

impl Learned {
    /// What is known of a registry from its kind, before anything was learned.
    pub(crate) fn of(quirks: &Quirks) -> Self {
        Self {
            heads_fail: AtomicBool::default(),
            digests_mislead: AtomicBool::default(),
            forbidden_agreed: AtomicU32::default(),
            missing_agreed: AtomicU32::default(),
            longest_page: AtomicU64::default(),
            ignores_last: AtomicBool::default(),
            largest_page: AtomicU32::new(u32::MAX),
            wants_content_apart: AtomicBool::new(quirks.content_apart),
        }
    }

    /// Whether HEAD is of no use here: it is refused, or says nothing (right) of the digest.
    pub(crate) fn heads_fail(&self) -> bool {
        self.heads_fail.load(Ordering::Relaxed)
    }

    pub(crate) fn note_heads_fail(&self) {
        self.heads_fail.store(true, Ordering::Relaxed);
    }

    /// Whether digests that are no SHA-256 lead nowhere here, though the registry tells them.
    pub(crate) fn digests_mislead(&self) -> bool {
        self.digests_mislead.load(Ordering::Relaxed)
    }

    pub(crate) fn note_digests_mislead(&self) {
        self.digests_mislead.store(true, Ordering::Relaxed);
        self.note_heads_fail();
    }

    /// Whether the registry says the same to HEAD and GET where it refuses a HEAD so.
    pub(crate) fn believes_head(&self, refusal: StatusCode) -> bool {
        self.agreed(refusal).is_some_and(|agreed| (AGREED..NEVER).contains(&agreed.load(Ordering::Relaxed)))
    }

    /// Whether a GET after a HEAD that was refused so was refused in the same way.
    pub(crate) fn note_refused_head(&self, refusal: StatusCode, get_agreed: bool) {
        let step = |seen: u32| match (seen, get_agreed) {
            (NEVER, _) | (_, false) => Some(NEVER),
            (seen, true) => Some((seen + 1).min(AGREED)),
        };
        if let Some(agreed) = self.agreed(refusal) {
            // The step always gives a value.
            let _ = agreed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        }
    }

    /// Other refusals may pass, and are asked about every time.
    fn agreed(&self, refusal: StatusCode) -> Option<&AtomicU32> {
        match refusal {
            StatusCode::FORBIDDEN => Some(&self.forbidden_agreed),
            StatusCode::NOT_FOUND => Some(&self.missing_agreed),
            _ => None,
        }
    }

    /// The most names that a page of this registry has had.
    pub(crate) fn longest_page(&self) -> u64 {
        self.longest_page.load(Ordering::Relaxed)
    }

    pub(crate) fn note_page(&self, names: u64) {
        self.longest_page.fetch_max(names, Ordering::Relaxed);
    }

    /// Whether the registry answers `last=` with the first page again.
    pub(crate) fn ignores_last(&self) -> bool {
        self.ignores_last.load(Ordering::Relaxed)
    }

    pub(crate) fn note_ignores_last(&self) {
        self.ignores_last.store(true, Ordering::Relaxed);
    }

    /// How many names may be asked for on a page, where so many are wanted; `None`: nothing is to be said of it.
    pub(crate) fn page_size(&self, wanted: u32) -> Option<u32> {
        let size = self.largest_page.load(Ordering::Relaxed).min(wanted);
        (size != NO_SIZE).then_some(size)
    }

    /// The registry took a page of this size where so many were wanted.
    pub(crate) fn note_page_size(&self, wanted: u32, taken: Option<u32>) {
        if taken != Some(wanted) {
            self.largest_page.fetch_min(taken.unwrap_or(NO_SIZE), Ordering::Relaxed);
        }
    }

    /// Whether the registry takes no content with the request that ends an upload.
    pub(crate) fn wants_content_apart(&self) -> bool {
        self.wants_content_apart.load(Ordering::Relaxed)
    }

    pub(crate) fn note_wants_content_apart(&self) {
        self.wants_content_apart.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_head_is_believed_after_three_gets_agreed_and_never_after_one_did_not() {
        for (refusal, other) in
            [(StatusCode::FORBIDDEN, StatusCode::NOT_FOUND), (StatusCode::NOT_FOUND, StatusCode::FORBIDDEN)]
        {
            let learned = Learned::of(&Quirks::NONE);
            for _ in 0..2 {
                learned.note_refused_head(refusal, true);
            }
            assert!(!learned.believes_head(refusal));
            learned.note_refused_head(refusal, true);
            learned.note_refused_head(refusal, true);
            assert!(learned.believes_head(refusal) && !learned.believes_head(other));
            learned.note_refused_head(refusal, false);
            for _ in 0..9 {
                learned.note_refused_head(refusal, true);
            }
            assert!(!learned.believes_head(refusal));
        }
    }
}
