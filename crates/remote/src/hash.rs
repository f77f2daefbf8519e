//! Digests of whole answers that fit in memory.

use longshore_oci::{Algorithm, Digest};
use sha2::{Digest as _, Sha256, Sha512};

/// The digest of `bytes`.
pub(crate) fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    match algorithm {
        Algorithm::Sha256 => Digest::sha256(Sha256::digest(bytes).into()),
        Algorithm::Sha512 => Digest::from_hash(algorithm, &Sha512::digest(bytes))
            .expect("SHA-512 puts out as many bytes as its digest has"),
    }
}
