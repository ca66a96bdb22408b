//! A read-only mapped file (mmap).

use std::fs::File;
use std::io;
use std::path::Path;

/// A file mapped for reading; as fast as memory once the operating system has read it.
///
/// looksee never changes a file in place (files are written anew and renamed), so a mapping keeps
/// its content for as long as it lives, even after the name was given to a newer file. Another
/// program may still cut the file short in place; reading what is gone then ends the process.
#[derive(Debug)]
pub struct Mapped {
    // `None` for an empty file, which cannot be mapped.
    map: Option<memmap2::Mmap>,
}

impl Mapped {
    /// Maps the whole file.
    ///
    /// # Errors
    /// Whatever the operating system says about opening or mapping the file.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of(&File::open(path)?)
    }

    /// Maps the whole of an open file.
    ///
    /// # Errors
    /// Whatever the operating system says about mapping the file.
    pub fn of(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self { map: None });
        }
        // SAFETY: the file is one of looksee's own, which are replaced by rename and never
        // written in place; the mapping is read-only.
        let map = unsafe { memmap2::Mmap::map(file)? };
        Ok(Self { map: Some(map) })
    }

    /// All bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }

    /// The bytes from `offset` on, `count` values of `f32`; `None` when they are not all there
    /// or `offset` is not a multiple of 4. Little-endian machines only.
    pub fn f32s(&self, offset: usize, count: usize) -> Option<&[f32]> {
        let bytes = self.bytes().get(offset..offset.checked_add(count.checked_mul(4)?)?)?;
        // SAFETY: every bit pattern is a valid f32; `align_to` puts misaligned bytes in the head.
        let (head, values, tail) = unsafe { bytes.align_to::<f32>() };
        (head.is_empty() && tail.is_empty()).then_some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_seen_only_when_whole_and_aligned() {
        let path = std::env::temp_dir().join(format!("looksee-mapped-{}", std::process::id()));
        std::fs::write(&path, [1.5f32.to_le_bytes(), 2.5f32.to_le_bytes()].concat()).unwrap();
        let mapped = Mapped::open(&path).unwrap();
        assert_eq!(mapped.f32s(0, 2), Some([1.5, 2.5].as_slice()));
        assert_eq!(mapped.f32s(4, 1), Some([2.5].as_slice()));
        assert_eq!(mapped.f32s(4, 2), None);
        assert_eq!(mapped.f32s(2, 1), None);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_empty_file_has_no_bytes() {
        let path = std::env::temp_dir().join(format!("looksee-empty-{}", std::process::id()));
        std::fs::write(&path, []).unwrap();
        assert_eq!(Mapped::open(&path).unwrap().bytes(), b"");
        std::fs::remove_file(&path).unwrap();
    }
}
