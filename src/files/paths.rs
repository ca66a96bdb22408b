//! File paths as bytes: every path that the system can name survives the way through a file of ours.

pub(crate) use system::{from_bytes, relative_to_bytes, to_bytes};

#[cfg(unix)]
mod system {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    /// The path's own bytes.
    pub(crate) fn to_bytes(path: &Path) -> Vec<u8> {
        path.as_os_str().as_bytes().to_vec()
    }

    /// The same, of a path that may be read on another system.
    pub(crate) fn relative_to_bytes(path: &Path) -> Vec<u8> {
        to_bytes(path)
    }

    /// The path that [`to_bytes`] was given.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> PathBuf {
        OsString::from_vec(bytes).into()
    }
}

#[cfg(not(unix))]
mod system {
    use std::path::{Path, PathBuf};

    /// The path as UTF-8; what is no Unicode is replaced.
    pub(crate) fn to_bytes(path: &Path) -> Vec<u8> {
        path.to_string_lossy().into_owned().into_bytes()
    }

    /// The same with slashes, which every system understands.
    pub(crate) fn relative_to_bytes(path: &Path) -> Vec<u8> {
        path.to_string_lossy().replace('\\', "/").into_bytes()
    }

    /// The path that [`to_bytes`] was given.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> PathBuf {
        String::from_utf8_lossy(&bytes).into_owned().into()
    }
}
