//! Secret keys encrypted under a passphrase or a key-encryption key: PKCS#8 with PBES2 (RFC 8018), as
//! openssl reads it too.
//!
//! ```text
//! content of a secret file ─▶ Sealing ─▶ key derivation (scrypt | PBKDF2) ─▶ AES-256-CBC
//! ```
//!
//! A passphrase is guessed, so each guess is made to cost memory and time. A key-encryption key has
//! 32 random bytes, which nobody guesses however cheap a guess is.
//!
//! Nothing here draws a salt or reads a file. The derived AES key is on the stack of the library that
//! derives it and is not wiped there; a process that has it has the key itself.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::{Decode as _, Encode as _};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{
    EncryptionScheme as Cipher, Kdf, Parameters, Pbkdf2Params, Pbkdf2Prf, Salt, ScryptParams,
};
use pkcs8::{EncryptedPrivateKeyInfo, EncryptedPrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::secret::{PKCS8_BYTES, SecretKey, SecretPem};
use super::{KeyError, SecretBytes};

/// The shortest passphrase, in bytes.
pub const PASSPHRASE_BYTES_MIN: usize = 8;

/// The longest passphrase, in bytes: what openssl reads of a file.
pub const PASSPHRASE_BYTES_MAX: usize = 1_023;

/// The longest file of a key, in bytes.
pub const KEY_FILE_BYTES_MAX: usize = 4_096;

/// Random bytes that every sealed key needs for itself: 16 of salt and 16 of the cipher's start.
pub const SEALING_RANDOM_BYTES: usize = 32;

const PEM_BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n";
const PEM_END: &str = "-----END ENCRYPTED PRIVATE KEY-----\n";
/// Characters on a line of PEM (RFC 7468).
const PEM_LINE: usize = 64;

/// Bytes of an AES block, by which a padded key is longer at most.
const BLOCK: usize = 16;

/// scrypt's cost for a passphrase: 16 MiB five times over. With less memory and more rounds than is
/// usual, because openssl refuses to spend more than 32 MiB.
const SCRYPT_N: u64 = 1 << 14;
const SCRYPT_R: u16 = 8;
const SCRYPT_P: u16 = 5;
/// The most that a file may ask for: eight times as much memory, and as many rounds.
const SCRYPT_N_MAX: u64 = 1 << 17;
const SCRYPT_P_MAX: u16 = 16;

/// Rounds of PBKDF2 for a key-encryption key, the fewest that standards allow: there is nothing to
/// guess.
const PBKDF2_ROUNDS: u32 = 1_000;
/// The most that a file may ask for.
const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;

/// Why the content of a secret file does not seal keys. Never says anything of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealingError {
    /// Too short to be worth anything.
    #[error("a passphrase has at least {PASSPHRASE_BYTES_MIN} bytes")]
    TooShort,
    /// Longer than other programs read.
    #[error("a passphrase has at most {PASSPHRASE_BYTES_MAX} bytes")]
    TooLong,
    /// Other programs would take the first line only.
    #[error("a passphrase is one line, without control characters")]
    NotOneLine,
    /// Not 32 bytes in hexadecimal.
    #[error(
        "a key-encryption key is 64 hexadecimal digits in lower case, as `openssl rand -hex 32` \
         prints them"
    )]
    NotKeyEncryptionKey,
}

/// How a sealed key's password is made harder to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Passphrase,
    KeyEncryptionKey,
}

/// What key files are encrypted under. Wiped when dropped; its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Sealing {
    kind: Kind,
    password: Zeroizing<Vec<u8>>,
}

impl Sealing {
    /// Takes the content of a passphrase file: one line, with or without its end.
    ///
    /// # Errors
    ///
    /// [`SealingError`]
    pub fn from_passphrase(content: &[u8]) -> Result<Self, SealingError> {
        let line = content.strip_suffix(b"\n").unwrap_or(content);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().any(u8::is_ascii_control) {
            return Err(SealingError::NotOneLine);
        }
        match line.len() {
            ..PASSPHRASE_BYTES_MIN => Err(SealingError::TooShort),
            PASSPHRASE_BYTES_MIN..=PASSPHRASE_BYTES_MAX => Ok(Self {
                kind: Kind::Passphrase,
                password: Zeroizing::new(line.to_vec()),
            }),
            _ => Err(SealingError::TooLong),
        }
    }

    /// Takes the content of a key-encryption key file: 64 hexadecimal digits, with or without the end
    /// of the line.
    ///
    /// # Errors
    ///
    /// [`SealingError::NotKeyEncryptionKey`]
    pub fn from_key_encryption_key(content: &[u8]) -> Result<Self, SealingError> {
        let line = content.strip_suffix(b"\n").unwrap_or(content);
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if line.len() != 64 || !line.iter().all(is_digit) {
            return Err(SealingError::NotKeyEncryptionKey);
        }
        // The digits themselves are the password, so that openssl reads the same file.
        Ok(Self {
            kind: Kind::KeyEncryptionKey,
            password: Zeroizing::new(line.to_vec()),
        })
    }

    fn derivation(&self, salt: &[u8; 16]) -> Result<Kdf, KeyError> {
        match self.kind {
            Kind::Passphrase => Ok(Kdf::Scrypt(ScryptParams {
                salt: Salt::new(salt).map_err(|_| KeyError::Sealing)?,
                cost_parameter: SCRYPT_N,
                block_size: SCRYPT_R,
                parallelization: SCRYPT_P,
                key_length: None,
            })),
            Kind::KeyEncryptionKey => Pbkdf2Params::hmac_sha256(PBKDF2_ROUNDS, salt)
                .map(Kdf::Pbkdf2)
                .map_err(|_| KeyError::Sealing),
        }
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing")
    }
}

/// Whether the content of a key file is an encrypted key. A key may still not be in it.
#[must_use]
pub fn is_sealed(content: &[u8]) -> bool {
    content.starts_with(PEM_BEGIN.as_bytes())
}

impl SecretKey {
    /// The key in encrypted PKCS#8 PEM. `random` is drawn for this one call.
    ///
    /// # Errors
    ///
    /// [`KeyError::Sealing`], which no input brings about.
    pub fn to_sealed_pem(
        &self,
        sealing: &Sealing,
        random: &[u8; SEALING_RANDOM_BYTES],
    ) -> Result<SecretPem, KeyError> {
        let (salt, iv) = random.split_at(BLOCK);
        let salt = salt.try_into().map_err(|_| KeyError::Sealing)?;
        let iv = iv.try_into().map_err(|_| KeyError::Sealing)?;
        let parameters = Parameters {
            kdf: sealing.derivation(salt)?,
            encryption: Cipher::Aes256Cbc { iv },
        };
        let mut buffer = Zeroizing::new([0_u8; PKCS8_BYTES + BLOCK]);
        self.write_der(&mut buffer[..]);
        let sealed = parameters
            .encrypt_in_place(sealing.password.as_slice(), &mut buffer[..], PKCS8_BYTES)
            .map_err(|_| KeyError::Sealing)?;
        let der = EncryptedPrivateKeyInfo {
            encryption_algorithm: EncryptionScheme::Pbes2(parameters),
            encrypted_data: OctetStringRef::new(sealed).map_err(|_| KeyError::Sealing)?,
        };
        let der = der.to_der().map_err(|_| KeyError::Sealing)?;
        Ok(SecretPem::new(pem(&der)))
    }

    /// Reads an encrypted key, also one that openssl has encrypted: scrypt or PBKDF2 with SHA-256, and
    /// AES-256-CBC.
    ///
    /// # Errors
    ///
    /// [`KeyError::SealedEncoding`] if it is none; [`KeyError::SealedOtherwise`] if this does not open
    /// it.
    pub fn from_sealed_pem(text: &str, sealing: &Sealing) -> Result<Self, KeyError> {
        let der = unframed(text).ok_or(KeyError::SealedEncoding)?;
        let info = EncryptedPrivateKeyInfoRef::from_der(&der);
        let info = info.map_err(|_| KeyError::SealedEncoding)?;
        let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
            return Err(KeyError::SealedEncoding);
        };
        if !is_known(parameters) {
            return Err(KeyError::SealedEncoding);
        }
        let mut buffer = SecretBytes::of(info.encrypted_data.as_bytes());
        let plain = parameters
            .decrypt_in_place(sealing.password.as_slice(), buffer.as_mut_bytes())
            .map_err(|_| KeyError::SealedOtherwise)?;
        // Behind a wrong password there is noise, whose padding may happen to fit.
        Self::from_der(plain).ok_or(KeyError::SealedOtherwise)
    }
}

/// Whether these are ways of sealing that are taken here, at a price that is worth paying.
fn is_known(parameters: &Parameters) -> bool {
    let is_cipher = matches!(parameters.encryption, Cipher::Aes256Cbc { .. });
    let is_derivation = if let Some(scrypt) = parameters.kdf.scrypt() {
        let n = scrypt.cost_parameter;
        (2..=SCRYPT_N_MAX).contains(&n)
            && n.is_power_of_two()
            && scrypt.block_size == SCRYPT_R
            && (1..=SCRYPT_P_MAX).contains(&scrypt.parallelization)
    } else if let Some(pbkdf2) = parameters.kdf.pbkdf2() {
        pbkdf2.prf == Pbkdf2Prf::HmacWithSha256
            && (1..=PBKDF2_ROUNDS_MAX).contains(&pbkdf2.iteration_count)
    } else {
        false
    };
    is_cipher && is_derivation
}

/// PEM around bytes that are no secret.
fn pem(der: &[u8]) -> Zeroizing<String> {
    let body = STANDARD.encode(der);
    let mut text = String::from(PEM_BEGIN);
    for line in body.as_bytes().chunks(PEM_LINE) {
        text.push_str(str::from_utf8(line).unwrap_or_default());
        text.push('\n');
    }
    text.push_str(PEM_END);
    Zeroizing::new(text)
}

/// The bytes in a PEM that is framed as [`pem`] frames it.
fn unframed(text: &str) -> Option<Vec<u8>> {
    if text.len() > KEY_FILE_BYTES_MAX {
        return None;
    }
    let body = text.strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?;
    let der = STANDARD.decode(body.replace('\n', "")).ok()?;
    (*pem(&der) == text).then_some(der)
}
