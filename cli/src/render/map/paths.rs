//! Links from the page to the picture files.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::Item;

/// The path from the root of the disk; the folder need not exist.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The address of a picture for a page that lies in `folder`, which is absolute.
///
/// Relative where the picture lies below the page, so that both can be moved together, else a
/// `file:` address. Whatever the file is called, the result has only letters, digits, `/%-_.~`
/// and, in a `file:` address, colons: it can be neither markup nor another kind of address.
pub(super) fn href(image: &Path, folder: &Path) -> String {
    let image = absolute(image);
    if let Ok(below) = image.strip_prefix(folder) {
        return encode(below, Colons::Encoded);
    }
    let path = encode(&image, Colons::Kept);
    if path.starts_with("//") {
        format!("file:{path}")
    } else if path.starts_with('/') {
        format!("file://{path}")
    } else {
        format!("file:///{path}")
    }
}

/// A file name as part of a relative address.
pub(super) fn encode_name(name: &Path) -> String {
    encode(name, Colons::Encoded)
}

/// The longest beginning, up to a slash, that the addresses of all pictures share.
pub(super) fn common_root(items: &[Item], folder: &Path) -> String {
    let mut hrefs =
        items.iter().filter_map(|item| item.image.as_ref()).map(|p| href(p.path(), folder));
    let Some(mut root) = hrefs.next() else { return String::new() };
    root.truncate(root.rfind('/').map_or(0, |slash| slash + 1));
    for href in hrefs {
        while !href.starts_with(&root) {
            root.truncate(root.len().saturating_sub(1));
            root.truncate(root.rfind('/').map_or(0, |slash| slash + 1));
        }
    }
    root
}

/// Whether a colon stands for itself: in `C:/`, not in a relative address, where it would end the
/// name of a scheme.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Colons {
    Kept,
    Encoded,
}

fn encode(path: &Path, colons: Colons) -> String {
    let mut out = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'\\' if cfg!(windows) => out.push('/'),
            b':' if colons == Colons::Kept => out.push(':'),
            b'/' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_below_the_page_has_a_relative_address() {
        let folder = Path::new("/shop");
        assert_eq!(href(Path::new("/shop/a/1.jpg"), folder), "a/1.jpg");
        assert_eq!(href(Path::new("/shopping/1.jpg"), folder), "file:///shopping/1.jpg");
    }

    #[test]
    fn a_name_can_be_neither_markup_nor_another_kind_of_address() {
        let folder = Path::new("/shop");
        let name = Path::new("/shop/javascript:alert(1)\"><b>#?ä%.jpg");
        assert_eq!(href(name, folder), "javascript%3Aalert%281%29%22%3E%3Cb%3E%23%3F%C3%A4%25.jpg");
    }

    #[test]
    fn the_root_ends_where_addresses_part_and_at_a_slash() {
        let items = |paths: &[&str]| -> Vec<Item> {
            let item = |path: &&str| Item { image: Some((*path).into()), ..Item::default() };
            paths.iter().map(item).collect()
        };
        let root = |paths: &[&str]| common_root(&items(paths), Path::new("/page"));
        assert_eq!(root(&["/a/bc/1.jpg", "/a/bd/2.jpg"]), "file:///a/");
        assert_eq!(root(&["/a/b/1.jpg"]), "file:///a/b/");
        assert_eq!(root(&["/page/1.jpg", "/b/1.jpg"]), "");
        assert_eq!(root(&["/page/x/1.jpg", "/page/x/y/1.jpg"]), "x/");
        assert_eq!(root(&[]), "");
    }
}
