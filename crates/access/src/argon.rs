//! argon2id in the PHC string format, with memory that is returned to the operating system. `password` decides which
//! passwords are accepted, and `line` how many are hashed at once.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version, password_hash};

/// The number of blocks to allocate, even if fewer are used. glibc returns allocations larger than 32 MiB
/// (`M_MMAP_THRESHOLD` of mallopt(3)) to the operating system as soon as they are freed; smaller ones would stay with
/// each thread that ever hashed a password. Unused blocks cost address space, not memory.
const BLOCKS: usize = 33 * 1024 * 1024 / Block::SIZE;

/// Hashes a new password.
///
/// # Errors
/// argon2 does not accept the salt or the parameters.
pub(crate) fn hash(password: &[u8], salt: &[u8], params: &Params) -> password_hash::Result<String> {
    let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
    let hash = PasswordHash {
        algorithm: algorithm.ident(),
        version: Some(version.into()),
        params: ParamsString::try_from(params)?,
        salt: Some(Salt::new(salt)?),
        hash: Some(output(&Argon2::new(algorithm, version, params.clone()), password, salt)?),
    };
    Ok(hash.to_string())
}

/// Whether the password matches a hash, with the parameters of the hash.
///
/// # Errors
/// The hash cannot be parsed.
pub(crate) fn verify(password: &[u8], stored: &str) -> password_hash::Result<bool> {
    let stored = PasswordHash::new(stored)?;
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else { return Ok(false) };
    let algorithm = Algorithm::try_from(stored.algorithm.as_str())?;
    let version = stored.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let argon2 = Argon2::new(algorithm, version, Params::try_from(&stored)?);
    Ok(output(&argon2, password, salt)? == *expected)
}

fn output(argon2: &Argon2<'_>, password: &[u8], salt: &[u8]) -> password_hash::Result<Output> {
    let used = argon2.params().block_count();
    let mut memory = Vec::with_capacity(used.max(BLOCKS));
    memory.resize(used, Block::new());
    let mut bytes = [0; Output::MAX_LENGTH];
    let length = argon2.params().output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let bytes = bytes.get_mut(..length).ok_or(password_hash::Error::OutputSize)?;
    argon2.hash_password_into_with_memory(password, salt, bytes, memory.as_mut_slice())?;
    Ok(Output::new(bytes)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use argon2::{PasswordHasher, PasswordVerifier};

    #[test]
    fn hashes_equal_those_of_the_library() {
        let params = Params::new(64, 2, 1, None).unwrap();
        let theirs = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let ours = hash(b"correct horse", b"sixteen letters!", &params).unwrap();
        assert_eq!(
            ours,
            theirs.hash_password_with_salt(b"correct horse", b"sixteen letters!").unwrap().to_string()
        );
        theirs.verify_password(b"correct horse", &*ours).unwrap();
    }

    #[test]
    fn a_hash_is_verified_with_its_own_parameters() {
        let stored =
            hash(b"correct horse", b"sixteen letters!", &Params::new(128, 3, 2, Some(24)).unwrap()).unwrap();
        assert!(verify(b"correct horse", &stored).unwrap());
        assert!(!verify(b"correct house", &stored).unwrap());
        assert!(verify(b"correct horse", "not a hash").is_err());
    }
}
