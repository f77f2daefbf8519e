//! argon2id in the PHC string format, in memory that goes back to the operating system. Which passwords are
//! accepted, and how many are hashed at once, is decided in `password`.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version, password_hash};

/// So many blocks are asked for, however few are used: glibc gives what is larger than 32 MiB
/// (`M_MMAP_THRESHOLD` of mallopt(3)) back as soon as it is free, while of what is smaller each thread that
/// ever hashed a password would keep its share. What is not used costs addresses, not memory.
const BLOCKS: usize = 33 * 1024 * 1024 / Block::SIZE;

/// Hashes a new password.
///
/// # Errors
/// A salt or parameters that argon2 does not take.
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

/// Whether this is the password behind a hash, whatever its parameters are.
///
/// # Errors
/// A hash that cannot be read.
pub(crate) fn verify(password: &[u8], stored: &str) -> password_hash::Result<bool> {
    let stored = PasswordHash::new(stored)?;
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else { return Ok(false) };
    let algorithm = Algorithm::try_from(stored.algorithm.as_str())?;
    let version = stored.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let argon2 = Argon2::new(algorithm, version, Params::try_from(&stored)?);
    // Compared in constant time.
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
    fn hashes_are_those_of_the_library() {
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
    fn a_hash_is_compared_by_the_parameters_it_was_made_with() {
        let stored =
            hash(b"correct horse", b"sixteen letters!", &Params::new(128, 3, 2, Some(24)).unwrap()).unwrap();
        assert!(verify(b"correct horse", &stored).unwrap());
        assert!(!verify(b"correct house", &stored).unwrap());
        assert!(verify(b"correct horse", "not a hash").is_err());
    }
}
