//! What a file is, told by its first bytes; names are not trusted.
//!
//! Half of the "broken pictures" of a scraped catalogue are something else: an error page, a
//! vector drawing, a format of a newer camera. The sentence says which, so that the user knows
//! whether to fetch again or to convert.
//!
//! A row of a stranger's catalogue may name any file of the machine, and the list of what was
//! skipped may go back to the stranger. So the sentence says what kind of file it is and never
//! quotes a text; of other bytes it gives the four that tell one format from another.

use image::ImageFormat;

use crate::error::{Error, ErrorKind, Result};

/// The format to decode as, or an error that says what the file seems to be.
pub(super) fn format(bytes: &[u8]) -> Result<ImageFormat> {
    if bytes.is_empty() {
        return Err(Error::invalid("the file is empty"));
    }
    image::guess_format(bytes).ok().filter(|format| is_read(*format)).ok_or_else(|| refuse(bytes))
}

/// The format's name in a sentence.
pub(super) fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Gif => "GIF",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        _ => "picture",
    }
}

fn is_read(format: ImageFormat) -> bool {
    name(format) != "picture"
}

fn refuse(bytes: &[u8]) -> Error {
    if let Some(name) = picture_of_another_kind(bytes) {
        return Error::new(
            ErrorKind::Unsupported,
            format!("{name} is not supported; convert it to JPEG or PNG"),
        );
    }
    if let Some(what) = no_picture(bytes) {
        return Error::invalid(format!("the file is {what}, not a picture"));
    }
    Error::invalid(format!(
        "the file is not a picture that is read here (JPEG, PNG, WebP, GIF, BMP, TIFF); \
         it begins {}",
        beginning(bytes)
    ))
}

fn picture_of_another_kind(bytes: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(&[u8], &str); 14] = [
        (b"\xFF\x0A", "JPEG XL"),
        (b"\0\0\0\x0CJXL ", "JPEG XL"),
        (b"\0\0\0\x0CjP  ", "JPEG 2000"),
        (b"\xFF\x4F\xFF\x51", "JPEG 2000"),
        (b"\0\0\x01\0", "ICO"),
        (b"8BPS", "Photoshop's PSD"),
        (b"DDS ", "DDS"),
        (b"qoif", "QOI"),
        (b"#?RADIANCE", "Radiance HDR"),
        (b"\x76\x2F\x31\x01", "OpenEXR"),
        (b"farbfeld", "farbfeld"),
        (b"P5\n", "PGM"),
        (b"P6\n", "PPM"),
        (b"%!PS", "PostScript"),
    ];
    if is_svg(bytes) {
        return Some("SVG");
    }
    match bytes.get(4..12) {
        Some(b"ftypavif" | b"ftypavis") => return Some("AVIF"),
        Some(b"ftypheic" | b"ftypheix" | b"ftyphevc" | b"ftypmif1" | b"ftypmsf1") => {
            return Some("HEIC");
        }
        _ => {}
    }
    SIGNATURES.iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, name)| *name)
}

fn no_picture(bytes: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(&[u8], &str); 9] = [
        (b"%PDF", "a PDF"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1F\x8B", "gzip-compressed"),
        (b"\x1A\x45\xDF\xA3", "a video"),
        (b"version https://git-lfs", "a Git LFS pointer (run `git lfs pull`)"),
        (b"{", "JSON text"),
        (b"[", "JSON text"),
        (b"<?xml", "XML text"),
        (b"<Error", "XML text"),
    ];
    if is_html(bytes) {
        return Some("a web page (HTML; the download may have failed)");
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some("a video");
    }
    if bytes.iter().all(|&byte| byte == 0) {
        return Some("nothing but zeros");
    }
    let text = bytes.trim_ascii_start();
    SIGNATURES.iter().find(|(start, _)| text.starts_with(start)).map(|(_, what)| *what)
}

fn is_html(bytes: &[u8]) -> bool {
    let start = text_start(bytes);
    ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| start.starts_with(tag))
}

fn is_svg(bytes: &[u8]) -> bool {
    let start = text_start(bytes);
    start.starts_with("<svg") || (start.starts_with("<?xml") && start.contains("<svg"))
}

/// The first kilobyte as lower-case text, without a byte-order mark and leading blanks.
fn text_start(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_ascii_lowercase()
}

/// How a file of an unknown kind begins.
fn beginning(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(16)];
    if start.iter().any(|&byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) {
        let bytes: Vec<_> = start.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        return format!("with the bytes {}", bytes.join(" "));
    }
    match std::str::from_utf8(start) {
        Err(error) if error.error_len().is_some() => "like no format that is known here".to_owned(),
        _ => "as texts do".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stranger_is_called_by_its_name() {
        for (bytes, sentence) in [
            (b"".as_slice(), "the file is empty"),
            (b"\n<!DOCTYPE HTML><html>", "web page (HTML"),
            (b"<?xml version='1.0'?>\n<svg width='3'>", "SVG is not supported; convert it"),
            (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "XML text, not a picture"),
            (b"%PDF-1.7", "a PDF, not a picture"),
            (b"\0\0\0\x20ftypavif\0\0\0\0", "AVIF is not supported; convert it to JPEG or PNG"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC is not supported; convert it to JPEG or PNG"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0", "a video, not a picture"),
            (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
            (b"\0\0\0\0", "nothing but zeros"),
            (b"hello world", "begins as texts do"),
            (b"\x01\x02\xFE", "begins with the bytes 01 02 fe"),
            (b"gr\xFCn", "begins like no format"),
        ] {
            let error = format(bytes).unwrap_err().to_string();
            assert!(error.contains(sentence), "{error}");
        }
    }

    #[test]
    fn what_a_file_holds_is_not_told() {
        for (bytes, told) in [
            (b"root:x:0:0:root:/root:/bin/sh\n".as_slice(), "root"),
            (b"pass\tword\n", "pass"),
            ("gr\u{fc}n ist geheim".as_bytes(), "67 72"),
            (b"\x01\x02\x03\x04\x05\x06\x07\x08", "05"),
            (b"{\"key\": \"secret\"}", "secret"),
        ] {
            let error = format(bytes).unwrap_err().to_string();
            assert!(!error.contains(told), "{error}");
        }
    }

    #[test]
    fn formats_are_known_by_content() {
        for (bytes, expected) in [
            (b"\xFF\xD8\xFF\xE0".as_slice(), ImageFormat::Jpeg),
            (b"\x89PNG\r\n\x1a\n", ImageFormat::Png),
            (b"RIFF\x01\x02\x03\x04WEBPVP8 ", ImageFormat::WebP),
            (b"GIF89a", ImageFormat::Gif),
            (b"BM", ImageFormat::Bmp),
            (b"II*\0", ImageFormat::Tiff),
        ] {
            assert_eq!(format(bytes).unwrap(), expected);
        }
    }
}
