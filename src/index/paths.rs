//! File paths as bytes: every path that the system can name survives the way through the database.

pub(super) use system::{from_bytes, to_bytes};

#[cfg(unix)]
mod system {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    /// The path's own bytes.
    pub(in super::super) fn to_bytes(path: &Path) -> Vec<u8> {
        path.as_os_str().as_bytes().to_vec()
    }

    /// The path that [`to_bytes`] was given.
    pub(in super::super) fn from_bytes(bytes: Vec<u8>) -> PathBuf {
        OsString::from_vec(bytes).into()
    }
}

#[cfg(not(unix))]
mod system {
    use std::path::{Path, PathBuf};

    /// The path as UTF-8; what is no Unicode is replaced.
    pub(in super::super) fn to_bytes(path: &Path) -> Vec<u8> {
        path.to_string_lossy().into_owned().into_bytes()
    }

    /// The path that [`to_bytes`] was given.
    pub(in super::super) fn from_bytes(bytes: Vec<u8>) -> PathBuf {
        String::from_utf8_lossy(&bytes).into_owned().into()
    }
}
