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

/// More parts, and more threads, than any machine has a use for.
const MOST_PARTS: usize = 100_000;
const MOST_THREADS: usize = 1024;
/// Pictures in memory at a time; a batch of so many is no faster than one of a hundred.
const MOST_IN_A_BATCH: usize = 4096;
/// More items than an index or a catalogue has.
const MOST_ITEMS: usize = 1_000_000_000;
/// A year.
const MOST_MINUTES: f64 = 525_600.0;

/// A number of items or iterations, which may be 0.
pub(super) fn number(text: &str) -> Result<usize, String> {
    whole(text, 0, MOST_ITEMS)
}

/// A number of items, at least 1.
pub(super) fn items(text: &str) -> Result<NonZeroUsize, String> {
    above_zero(text, MOST_ITEMS)
}

/// Pictures a batch.
pub(super) fn batch(text: &str) -> Result<NonZeroUsize, String> {
    above_zero(text, MOST_IN_A_BATCH)
}

pub(super) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    above_zero(text, MOST_THREADS)
}

/// A budget in minutes.
pub(super) fn minutes(text: &str) -> Result<f64, String> {
    match positive(text)? {
        minutes if minutes <= MOST_MINUTES => Ok(minutes),
        _ => Err(format!("expected at most {MOST_MINUTES} minutes, which are a year")),
    }
}

/// A share of a whole, of which something is left on both sides.
pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("expected a number between 0 and 1, such as 0.1".to_owned()),
    }
}

fn whole(text: &str, least: usize, most: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number from {least} to {most}")),
    }
}

fn above_zero(text: &str, most: usize) -> Result<NonZeroUsize, String> {
    match text.parse::<NonZeroUsize>() {
        Ok(number) if number.get() <= most => Ok(number),
        _ => Err(format!("expected a whole number from 1 to {most}")),
    }
}

/// `3/8`: part 3 of 8.
pub(super) fn shard(text: &str) -> Result<(usize, usize), String> {
    let parts = text
        .split_once('/')
        .and_then(|(part, of)| Some((part.parse::<usize>().ok()?, of.parse::<usize>().ok()?)));
    match parts {
        Some((part, of)) if of <= MOST_PARTS && (1..=of).contains(&part) => Ok((part, of)),
        _ => Err(format!("expected a part such as 3/8, counted from 1, of at most {MOST_PARTS}")),
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
        for wrong in ["0/8", "9/8", "3", "a/b", "", "1/18446744073709551615"] {
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
    fn a_share_leaves_something_on_both_sides() {
        assert_eq!(share("0.1"), Ok(0.1));
        assert!(["0", "1", "-0.1", "nan", "x"].iter().all(|wrong| share(wrong).is_err()));
    }

    #[test]
    fn a_budget_is_finite_and_above_zero() {
        assert_eq!(positive("2.5"), Ok(2.5));
        assert!(positive("0").is_err() && positive("inf").is_err());
        assert_eq!(minutes("525600"), Ok(525_600.0));
        assert!(minutes("1e300").unwrap_err().contains("at most 525600 minutes"));
    }

    #[test]
    fn every_number_has_an_upper_bound_that_is_said() {
        assert_eq!(number("0"), Ok(0));
        assert_eq!(items("1000000000").map(NonZeroUsize::get), Ok(1_000_000_000));
        for wrong in ["0", "-1", "18446744073709551615", "1e300", "nan", "inf", "", "1.5"] {
            for bound in [items, batch, threads] {
                assert!(bound(wrong).unwrap_err().starts_with("expected a whole number from 1 to"));
            }
        }
        for wrong in ["-1", "1000000001", "18446744073709551615", "1e300"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
