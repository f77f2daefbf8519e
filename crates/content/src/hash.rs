//! Digests that are computed piece by piece and survive a restart: the state of a hash can be stored and restored.

use longshore_oci::{Algorithm, Digest};
use sha2::Digest as _;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};

/// A digest that is being computed.
#[derive(Clone)]
pub(crate) enum Hasher {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(sha2::Sha512::new()),
        }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        let algorithm = self.algorithm();
        let hash = match self {
            Self::Sha256(hash) => hash.finalize().to_vec(),
            Self::Sha512(hash) => hash.finalize().to_vec(),
        };
        Digest::from_hash(algorithm, &hash).expect("a hash has the length of its algorithm")
    }

    /// The state as bytes, for [`Hasher::restore`]. It depends only on the hashed bytes.
    pub(crate) fn state(&self) -> Vec<u8> {
        match self {
            Self::Sha256(hash) => hash.serialize().to_vec(),
            Self::Sha512(hash) => hash.serialize().to_vec(),
        }
    }

    /// Restores a hash from [`Hasher::state`]; `None` if the bytes are not a valid state.
    pub(crate) fn restore(algorithm: Algorithm, state: &[u8]) -> Option<Self> {
        fn read<H: SerializableState>(state: &[u8]) -> Option<H> {
            H::deserialize(&SerializedState::<H>::try_from(state).ok()?).ok()
        }
        match algorithm {
            Algorithm::Sha256 => read(state).map(Self::Sha256),
            Algorithm::Sha512 => read(state).map(Self::Sha512),
        }
    }
}

/// The digest of a complete byte string.
pub(crate) fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_empty_content_is_the_well_known_one() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest_of(Algorithm::Sha256, b""), empty);
    }

    #[test]
    fn a_hash_continues_from_its_stored_state_at_any_offset() {
        let bytes: Vec<u8> = (0..1000u32).flat_map(u32::to_le_bytes).collect();
        for &algorithm in Algorithm::ALL {
            for cut in [0, 1, 63, 64, 65, 127, 128, 129, 3999, 4000] {
                let mut first = Hasher::new(algorithm);
                first.update(&bytes[..cut]);
                let mut second = Hasher::restore(algorithm, &first.state()).unwrap();
                second.update(&bytes[cut..]);
                assert_eq!(second.finish(), digest_of(algorithm, &bytes), "{algorithm} cut at {cut}");
            }
        }
    }

    #[test]
    fn bytes_that_are_not_a_state_are_not_restored() {
        assert!(Hasher::restore(Algorithm::Sha256, b"nonsense").is_none());
        assert!(Hasher::restore(Algorithm::Sha512, &Hasher::new(Algorithm::Sha256).state()).is_none());
    }
}
