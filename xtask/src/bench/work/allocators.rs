//! Other programs on another allocator than the system's, as looksee has one of its own.
//!
//! `torch-jemalloc` is `torch` with jemalloc loaded before everything else. Where that library is not
//! installed, the program is left out with a sentence that says which package has it.

use std::path::{Path, PathBuf};

use crate::steps::Result;

/// Where systems keep shared libraries.
const FOLDERS: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
];

/// An allocator that can be loaded first.
struct Allocator {
    /// What a program's name ends with.
    ending: &'static str,
    /// Its files' names, the first that is there.
    files: &'static [&'static str],
    /// Who has it.
    package: &'static str,
}

const ALLOCATORS: [Allocator; 2] = [
    Allocator { ending: "-jemalloc", files: &["libjemalloc.so.2"], package: "libjemalloc2" },
    Allocator {
        ending: "-tcmalloc",
        files: &["libtcmalloc_minimal.so.4", "libtcmalloc.so.4"],
        package: "libtcmalloc-minimal4",
    },
];

/// The program without its allocator's name, and the words before its command that load that.
pub(super) fn preloaded(program: &str) -> Result<(&str, Vec<String>)> {
    preloaded_from(program, &FOLDERS.map(Path::new))
}

fn preloaded_from<'a>(program: &'a str, folders: &[&Path]) -> Result<(&'a str, Vec<String>)> {
    for allocator in &ALLOCATORS {
        if let Some(plain) = program.strip_suffix(allocator.ending) {
            let library = allocator.find(folders)?;
            let variable = format!("LD_PRELOAD={}", library.display());
            return Ok((plain, vec!["env".to_owned(), variable]));
        }
    }
    Ok((program, Vec::new()))
}

impl Allocator {
    fn find(&self, folders: &[&Path]) -> Result<PathBuf> {
        let paths = folders.iter().flat_map(|folder| self.files.iter().map(|f| folder.join(f)));
        paths.into_iter().find(|path| path.exists()).ok_or_else(|| {
            let (file, package) = (self.files[0], self.package);
            format!("there is no {file} here (Debian and Ubuntu: the package {package})")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocator_is_loaded_first_and_is_no_part_of_the_programs_name() {
        let folder = std::env::temp_dir().join(format!("allocators-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("libjemalloc.so.2"), "").unwrap();
        let folders = [Path::new("/nowhere"), folder.as_path()];
        let preload = format!("LD_PRELOAD={}", folder.join("libjemalloc.so.2").display());
        let found = preloaded_from("torch-channels-last-jemalloc", &folders).unwrap();
        assert_eq!(found, ("torch-channels-last", vec!["env".to_owned(), preload]));
        assert_eq!(preloaded_from("torch", &folders).unwrap(), ("torch", Vec::new()));
        let error = preloaded_from("torch-tcmalloc", &folders).unwrap_err();
        assert!(error.contains("libtcmalloc-minimal4"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
