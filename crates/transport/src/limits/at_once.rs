//! Limits how many things of one user or address run concurrently.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// The number of running things per key; `None` means no limit.
pub(super) struct AtOnce<K>(Option<Counts<K>>);

struct Counts<K> {
    most: usize,
    counts: Arc<Mutex<HashMap<K, usize>>>,
}

/// One running thing; counted until it is dropped.
pub(super) struct Counted<K: Hash + Eq>(Option<(Arc<Mutex<HashMap<K, usize>>>, K)>);

impl<K: Hash + Eq + Clone> AtOnce<K> {
    /// At most `most` per key; 0 means no limit.
    pub(super) fn new(most: usize) -> Self {
        Self(Some(most).filter(|most| *most > 0).map(|most| Counts { most, counts: Arc::default() }))
    }

    /// Counts one more, or returns the limit if it is reached.
    pub(super) fn begin(&self, key: K) -> Result<Counted<K>, usize> {
        let Some(Counts { most, counts }) = &self.0 else { return Ok(Counted(None)) };
        let mut of = locked(counts);
        let count = of.entry(key.clone()).or_default();
        if *count >= *most {
            return Err(*most);
        }
        *count += 1;
        Ok(Counted(Some((counts.clone(), key))))
    }
}

impl<K: Hash + Eq> Drop for Counted<K> {
    fn drop(&mut self) {
        let Some((counts, key)) = self.0.take() else { return };
        let mut counts = locked(&counts);
        if let Some(count) = counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&key);
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_applies_per_key_and_an_ended_thing_frees_a_place() {
        let uploads = AtOnce::new(2);
        let first = uploads.begin("ada").ok().unwrap();
        let _second = uploads.begin("ada").ok().unwrap();
        assert_eq!(uploads.begin("ada").err(), Some(2));
        let _other = uploads.begin("grace").ok().unwrap();
        drop(first);
        assert!(uploads.begin("ada").is_ok());
    }

    #[test]
    fn keys_are_forgotten_when_nothing_runs_and_zero_means_no_limit() {
        let limited = AtOnce::new(1);
        drop(limited.begin("ada"));
        assert!(limited.0.unwrap().counts.lock().is_empty());
        let unlimited = AtOnce::new(0);
        let held: Vec<_> = (0..9).map(|_| unlimited.begin("ada")).collect();
        assert!(held.iter().all(Result::is_ok));
    }
}
