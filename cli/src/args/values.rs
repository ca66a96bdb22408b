//! Values of flags that have a form of their own.

use std::num::NonZeroUsize;

/// `224` or `192x256` (width, height) in pixels.
pub(super) fn image_size(text: &str) -> Result<(usize, usize), String> {
    let (width, height) = text.split_once(['x', 'X']).unwrap_or((text, text));
    match (width.parse::<NonZeroUsize>(), height.parse::<NonZeroUsize>()) {
        (Ok(width), Ok(height)) => Ok((width.get(), height.get())),
        _ => Err("expected pixels such as 224, or width and height such as 192x256".to_owned()),
    }
}

/// `3/8`: part 3 of 8.
pub(super) fn shard(text: &str) -> Result<(usize, usize), String> {
    let parts = text
        .split_once('/')
        .and_then(|(part, of)| Some((part.parse::<usize>().ok()?, of.parse::<usize>().ok()?)));
    match parts {
        Some((part, of)) if (1..=of).contains(&part) => Ok((part, of)),
        _ => Err("expected a part such as 3/8, counted from 1".to_owned()),
    }
}

/// `image.tower=resnet18`.
pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("expected KEY=VALUE such as schedule.epochs=20".to_owned()),
    }
}

/// A chance, 0 to 1.
pub(super) fn probability(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

/// A finite number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err("expected a number above 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_a_square_and_two_are_width_and_height() {
        assert_eq!(image_size("224"), Ok((224, 224)));
        assert_eq!(image_size("192x256"), Ok((192, 256)));
        assert!(image_size("0").is_err() && image_size("192x").is_err());
    }

    #[test]
    fn a_shard_lies_between_one_and_its_number() {
        assert_eq!(shard("3/8"), Ok((3, 8)));
        for wrong in ["0/8", "9/8", "3", "a/b", ""] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_setting_may_hold_further_equals_signs() {
        assert_eq!(key_value("a.b = c=d"), Ok(("a.b".to_owned(), "c=d".to_owned())));
        assert!(key_value("=x").is_err() && key_value("x").is_err());
    }

    #[test]
    fn a_chance_beyond_one_is_refused() {
        assert_eq!(probability("0.5"), Ok(0.5));
        assert!(probability("1.5").is_err() && probability("nan").is_err());
    }

    #[test]
    fn a_budget_is_finite_and_above_zero() {
        assert_eq!(positive("2.5"), Ok(2.5));
        assert!(positive("0").is_err() && positive("inf").is_err());
    }
}
