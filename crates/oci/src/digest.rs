//! Content digests as text (image-spec, "Descriptor", digests). They are computed where the bytes are.

use crate::text::validated_text;
use strum::VariantArray;

/// A digest algorithm that this registry computes and verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray)]
pub enum Algorithm {
    /// SHA-256, which is almost always used.
    Sha256,
    /// SHA-512, optional in the specification.
    Sha512,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The name before the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// The number of hexadecimal digits after the colon.
    pub fn hex_length(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.as_str() == name)
    }
}

impl std::str::FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::from_name(name).ok_or_else(|| DigestError::Algorithm(name.to_owned()))
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is not a valid digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no colon.
    #[error("a digest is written algorithm:hex, for example sha256: followed by 64 hexadecimal digits")]
    Shape,
    /// The algorithm is neither sha256 nor sha512.
    #[error("digests of the algorithm {0:?} are not supported; use sha256 or sha512")]
    Algorithm(String),
    /// The number of digits is wrong.
    #[error("a {algorithm} digest has {} hexadecimal digits, this one has {length}", .algorithm.hex_length())]
    Length {
        algorithm: Algorithm,
        /// The number of characters after the colon.
        length: usize,
    },
    /// There are characters other than `0-9a-f`.
    #[error("a digest has lower-case hexadecimal digits (0-9, a-f) only")]
    Digits,
}

/// A digest: `sha256:<64 hex>` or `sha512:<128 hex>`, lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);
validated_text!(Digest, DigestError);

pub(crate) fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl Digest {
    fn check(text: &str) -> Result<(), DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or(DigestError::Shape)?;
        let algorithm = Algorithm::from_name(algorithm)
            .ok_or_else(|| DigestError::Algorithm(algorithm.chars().take(32).collect()))?;
        if hex.len() != algorithm.hex_length() {
            return Err(DigestError::Length { algorithm, length: hex.chars().count() });
        }
        if is_lower_hex(hex) { Ok(()) } else { Err(DigestError::Digits) }
    }

    /// Makes a digest from the output of a hash function, whose length must fit the algorithm.
    pub fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Result<Self, DigestError> {
        Self::checked(format!("{algorithm}:{}", hex::encode(hash)))
    }

    /// Makes a SHA-256 digest from its 32 bytes.
    pub fn sha256(hash: [u8; 32]) -> Self {
        Self(format!("sha256:{}", hex::encode(hash)))
    }

    /// The part before the colon.
    pub fn algorithm(&self) -> Algorithm {
        if self.0.starts_with("sha256") { Algorithm::Sha256 } else { Algorithm::Sha512 }
    }

    /// The part after the colon.
    pub fn hex(&self) -> &str {
        &self.0[self.algorithm().as_str().len() + 1..]
    }

    /// The first twelve hexadecimal digits, for people.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_digest_has_an_algorithm_and_digits() {
        let digest: Digest = format!("sha256:{}", "0123456789abcdef".repeat(4)).parse().unwrap();
        assert_eq!(digest.algorithm(), Algorithm::Sha256);
        assert_eq!(digest.short(), "0123456789ab");
        assert_eq!(digest.hex().len(), 64);
    }

    #[test]
    fn the_error_says_why_a_digest_is_invalid() {
        assert_eq!("abc".parse::<Digest>(), Err(DigestError::Shape));
        assert_eq!("md5:abc".parse::<Digest>(), Err(DigestError::Algorithm("md5".into())));
        assert!(matches!("sha256:abc".parse::<Digest>(), Err(DigestError::Length { length: 3, .. })));
        let upper = format!("sha256:{}", "A".repeat(64));
        assert_eq!(upper.parse::<Digest>(), Err(DigestError::Digits));
    }

    proptest! {
        #[test]
        fn the_digest_of_a_hash_can_be_parsed(hash: [u8; 32], long in proptest::collection::vec(any::<u8>(), 64)) {
            let digest = Digest::sha256(hash);
            prop_assert_eq!(digest.as_str().parse::<Digest>().unwrap(), digest);
            let digest = Digest::from_hash(Algorithm::Sha512, &long).unwrap();
            prop_assert_eq!(digest.algorithm(), Algorithm::Sha512);
        }

        #[test]
        fn no_text_causes_a_panic(text in "(sha256:|sha512:)?\\PC{0,130}") {
            let _ = text.parse::<Digest>();
        }
    }
}
