//! How many uploads of one user run at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use longshore_model::AccountId;
use metrics::gauge;

use crate::metrics::InFlight;

type Counts = Arc<Mutex<HashMap<AccountId, usize>>>;

/// All that run.
pub(super) struct Uploads {
    most: Option<usize>,
    counts: Counts,
}

/// One that runs, until it is dropped.
pub(crate) struct Upload {
    counted: Option<(Counts, AccountId)>,
    _in_flight: InFlight,
}

impl Uploads {
    pub(super) fn new(most: Option<usize>) -> Self {
        Self { most, counts: Counts::default() }
    }

    /// One more; when there are too many, how many there may be. Nobody's are not counted: the registry
    /// refuses them.
    pub(super) fn begin(&self, user: Option<AccountId>) -> Result<Upload, usize> {
        let counted = match (self.most, user) {
            (Some(most), Some(user)) => {
                let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
                let count = counts.entry(user).or_default();
                if *count >= most {
                    return Err(most);
                }
                *count += 1;
                Some((self.counts.clone(), user))
            }
            _ => None,
        };
        Ok(Upload { counted, _in_flight: InFlight::begin(gauge!("longshore_uploads_running")) })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some((counts, user)) = self.counted.take() else { return };
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&user) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&user);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_so_many_and_one_that_ends_makes_room() {
        let uploads = Uploads::new(Some(2));
        let (ada, grace) = (AccountId::new(), AccountId::new());
        let first = uploads.begin(Some(ada)).ok().unwrap();
        let _second = uploads.begin(Some(ada)).ok().unwrap();
        assert_eq!(uploads.begin(Some(ada)).err(), Some(2));
        let _other = uploads.begin(Some(grace)).ok().unwrap();
        drop(first);
        assert!(uploads.begin(Some(ada)).is_ok());
    }
}
