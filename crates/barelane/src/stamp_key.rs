//! The key of authenticated STAMP, from its file: all bytes that the file has but a line end at its end. Hex is not
//! decoded, for a key of that text would be another one to whoever does not know that it is hex.
//!
//! Whoever has the key can make answers that a sender believes, so a file that others may read is refused, as ssh refuses
//! its own. The key is never shown: no complaint has any of it, and what holds it prints none.

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::Wrong;

/// The longest key that is read. HMAC makes 32 bytes of a longer one (RFC 2104 section 2); what is longer than this is
/// another file that was named by mistake.
const LEN_MAX: u64 = 4096;

/// What nobody but the file's owner may have.
const OTHERS: u32 = 0o077;

/// The bytes of the key in the file that `setting` names; at least one.
pub(crate) fn read(setting: impl Display, path: &Path) -> Result<Vec<u8>, Wrong> {
    read_at_most(setting, path, LEN_MAX)
}

/// The same of a file that may have so many bytes.
pub(crate) fn read_at_most(setting: impl Display, path: &Path, len_max: u64) -> Result<Vec<u8>, Wrong> {
    let wrong = || Wrong::new(&setting, path.display());
    let unreadable = |cause| wrong().because(cause).remedy("name a file that can be read");
    let file = File::open(path).map_err(unreadable)?;
    let facts = file.metadata().map_err(unreadable)?;
    if !facts.is_file() {
        return Err(wrong().because("it is no file").remedy("name a file that holds the key"));
    }
    if facts.mode() & OTHERS != 0 {
        let problem = format!("others may use it (mode {:03o})", facts.mode() & 0o777);
        return Err(wrong().because(problem).remedy(format!("chmod 600 {}", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(len_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > len_max {
        let problem = format!("longer than {len_max} bytes");
        return Err(wrong().because(problem).remedy("name a file that holds the key and nothing else"));
    }
    match without_line_end(&bytes) {
        [] => Err(wrong().because("it is empty").remedy("write a key into it, 32 random bytes or more")),
        key => Ok(key.to_vec()),
    }
}

/// What editors and `echo` end a file with is no part of the key.
fn without_line_end(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;
    use crate::config::keys::STAMP_KEY_FILE;

    /// A file of its own for each test, gone when dropped.
    struct KeyFile(PathBuf);

    impl KeyFile {
        fn new(name: &str, content: &[u8], mode: u32) -> Self {
            let path = std::env::temp_dir().join(format!("barelane-key-{name}-{}", std::process::id()));
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Self(path)
        }

        fn key(&self) -> Result<Vec<u8>, String> {
            key_of(&self.0)
        }
    }

    impl Drop for KeyFile {
        fn drop(&mut self) {
            fs::remove_file(&self.0).unwrap();
        }
    }

    fn key_of(path: &Path) -> Result<Vec<u8>, String> {
        read(STAMP_KEY_FILE, path).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn the_key_is_the_file_without_its_line_end() {
        for (name, content) in
            [("plain", &b"a secret"[..]), ("line", b"a secret\n"), ("dos", b"a secret\r\n")]
        {
            let file = KeyFile::new(name, content, 0o600);
            assert_eq!(file.key().unwrap(), b"a secret", "{name}");
        }
        let binary = KeyFile::new("binary", b"\x00\n\xff", 0o400);
        assert_eq!(binary.key().unwrap(), b"\x00\n\xff");
    }

    #[test]
    fn what_is_wrong_with_a_key_file_is_told_without_the_key() {
        for (name, content, mode, problem) in [
            ("open", &b"a secret"[..], 0o640, "others may use it (mode 640); chmod 600"),
            ("world", b"a secret", 0o604, "others may use it (mode 604)"),
            ("empty", b"", 0o600, "it is empty; write a key into it"),
            ("end", b"\n", 0o600, "it is empty"),
            ("long", &b"a secret".repeat(1_000), 0o600, "longer than 4096 bytes"),
        ] {
            let told = KeyFile::new(name, content, mode).key().unwrap_err();
            assert!(told.starts_with("stamp.key_file (--stamp-key) = \""), "{told}");
            assert!(told.contains(problem) && !told.contains("secret"), "{told}");
        }
        assert!(key_of(Path::new("/nowhere/key")).unwrap_err().contains("No such file"));
        assert!(key_of(Path::new("/")).unwrap_err().contains("it is no file"));
    }
}
