//! From the coordinates of a map to a square of any size.

use super::Point;

/// The square around all points: the longer side of their extent, the shorter one in its middle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ground {
    left: f32,
    top: f32,
    side: f32,
}

impl Ground {
    /// Points that are not finite take no part.
    pub(super) fn of(points: &[Point]) -> Self {
        let (left, right) = extent(points.iter().map(|point| point.x));
        let (top, bottom) = extent(points.iter().map(|point| point.y));
        let side = (right - left).max(bottom - top);
        let side = if side > 0.0 && side.is_finite() { side } else { 1.0 };
        Self {
            left: f32::midpoint(left, right - side),
            top: f32::midpoint(top, bottom - side),
            side,
        }
    }

    /// Where a point lies, 0 to 1 from left to right and from top to bottom; the middle for one
    /// that is not finite.
    pub(super) fn place(&self, point: &Point) -> (f32, f32) {
        let part = |value: f32, from: f32| {
            let part = (value - from) / self.side;
            if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.5 }
        };
        (part(point.x, self.left), part(point.y, self.top))
    }
}

fn extent(values: impl Iterator<Item = f32>) -> (f32, f32) {
    let bounds = values
        .filter(|value| value.is_finite())
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if bounds.0 <= bounds.1 { bounds } else { (0.0, 0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::map::Kind;

    fn points(places: &[(f32, f32)]) -> Vec<Point> {
        places.iter().map(|&(x, y)| Point { x, y, kind: Kind::Vector, item: 0 }).collect()
    }

    #[test]
    fn the_shorter_side_lies_in_the_middle_of_the_square() {
        let points = points(&[(-2.0, 0.0), (2.0, 0.0), (0.0, 2.0)]);
        let ground = Ground::of(&points);
        let places: Vec<_> = points.iter().map(|point| ground.place(point)).collect();
        assert_eq!(places, [(0.0, 0.25), (1.0, 0.25), (0.5, 0.75)]);
    }

    #[test]
    fn points_in_one_place_and_no_points_at_all_have_a_ground() {
        let one = points(&[(3.0, 4.0), (3.0, 4.0)]);
        assert_eq!(Ground::of(&one).place(&one[0]), (0.5, 0.5));
        assert!(Ground::of(&[]).side > 0.0);
    }

    #[test]
    fn a_point_that_is_not_finite_moves_no_other() {
        let points = points(&[(0.0, 0.0), (1.0, 1.0), (f32::NAN, f32::INFINITY)]);
        let ground = Ground::of(&points);
        assert_eq!(ground.place(&points[1]), (1.0, 1.0));
        assert_eq!(ground.place(&points[2]), (0.5, 0.5));
    }
}
