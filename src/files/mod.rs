//! How looksee touches the disk: whole files or none, one writer at a time, checked bytes, and
//! nothing that is not its own.
//!
//! Every file that another program may read is written beside its place under a temporary name,
//! flushed to the disk and renamed. A reader thus sees the old file or the new one, and a full
//! disk or a killed process leaves the old one (`whole`).
//!
//! What lies in a folder is a claim of whoever sent it. A name is therefore opened only as what it
//! must be: a regular file, never a pipe or a device that would block or never end (`regular`); and
//! it is removed or written over only when it is a regular file of a name and a beginning that are
//! ours, never through a link (`own`). What else has bytes is named by a [`Blob`]: a file, or a range
//! of one.

mod blob;
mod own;
mod paths;
mod regular;
mod sums;
mod whole;

pub use blob::{Blob, Stamp};
pub use own::{
    Beginning, Cut, FolderLock, Made, begins, is_left_over, is_of_the_system, make_own_folder,
    refuse_link, remove_own, tidy,
};
pub(crate) use paths::{from_bytes as path_from_bytes, to_bytes as path_bytes};
pub use regular::{FileKind, kind, open, open_stream, read, read_at_most, read_text};
pub use sums::{checksum, checksum_of_parts, f32_bytes, f32_values, fingerprint};
pub use whole::{fill_folder, flush_folder, make_folder, replace, replace_bytes};
