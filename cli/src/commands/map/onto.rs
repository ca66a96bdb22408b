//! New points on an earlier map, whose points stay where they are.

use std::collections::HashMap;
use std::path::Path;

use looksee::map::{Map, Method, Times, place};
use looksee::units::Stop;
use looksee::{Error, ErrorKind, Result};
use serde::Deserialize;

use super::{Subject, kind_name};
use crate::npy;
use crate::render::map::Kind;

/// The perplexity of new points, which has fewer of them pulled away by far relatives.
const PERPLEXITY: f32 = 5.0;

/// Where points lay on an earlier map; `None` for new ones.
#[derive(Debug)]
pub(super) struct Earlier(Vec<Option<[f32; 2]>>);

/// What is read of a map's JSON.
#[derive(Deserialize)]
struct Document {
    points: Vec<Point>,
}

#[derive(Deserialize)]
struct Point {
    id: String,
    kind: String,
    x: f32,
    y: f32,
}

/// Finds the subject's points on the map in `file`: by name and kind in a .json, by row number in a
/// .npy, whose rows are the first ones of the vectors.
pub(super) fn read(file: &Path, subject: &Subject) -> Result<Earlier> {
    let is_array = file.extension().is_some_and(|ending| ending == "npy");
    let earlier = if is_array { from_array(file, subject)? } else { from_document(file, subject)? };
    if earlier.0.iter().any(Option::is_some) {
        return Ok(earlier);
    }
    let message = "none of the points to draw is on this map; draw a new one without --onto";
    Err(Error::new(ErrorKind::Mismatch, message).at_file(file))
}

fn from_array(file: &Path, subject: &Subject) -> Result<Earlier> {
    let (values, dim) = npy::read_rows(file)?;
    if dim != 2 {
        let message = format!("rows of {dim} values are no map; expected [n, 2]");
        return Err(Error::new(ErrorKind::Mismatch, message).at_file(file));
    }
    let old = values.as_chunks::<2>().0;
    if subject.points.first().is_some_and(|point| point.kind != Kind::Vector) {
        let message = "the points of a .npy have no names; give the .json of the earlier map";
        return Err(Error::invalid(message).at_file(file));
    }
    // The name of a vector is its row in the file, also where only a sample of the rows is drawn.
    let find = |place: &super::subject::Place| {
        let row: usize = subject.items[place.item as usize].id.parse().ok()?;
        old.get(row).copied()
    };
    Ok(Earlier(subject.points.iter().map(find).collect()))
}

fn from_document(file: &Path, subject: &Subject) -> Result<Earlier> {
    let text = looksee::files::read_text(file)?;
    let document: Document = serde_json::from_str(&text).map_err(|e| {
        Error::invalid(format!("this is no map that looksee wrote: {e}")).at_file(file)
    })?;
    let points = document.points.iter();
    let old: HashMap<(&str, &str), [f32; 2]> =
        points.map(|p| ((p.id.as_str(), p.kind.as_str()), [p.x, p.y])).collect();
    let find = |place: &super::subject::Place| {
        let id = subject.items[place.item as usize].id.as_str();
        old.get(&(id, kind_name(place.kind))).copied()
    };
    Ok(Earlier(subject.points.iter().map(find).collect()))
}

impl Earlier {
    /// The map with the new points placed among the old.
    pub(super) fn extend(&self, subject: &Subject, stop: &Stop) -> Result<Map> {
        let row = |at: usize| &subject.rows[at * subject.dim..][..subject.dim];
        let known = |is: bool| (0..self.0.len()).filter(move |&at| self.0[at].is_some() == is);
        let rows = |is: bool| known(is).flat_map(row).copied().collect::<Vec<f32>>();
        let old: Vec<[f32; 2]> = self.0.iter().flatten().copied().collect();
        let mut new =
            place(&rows(true), subject.dim, &old, &rows(false), PERPLEXITY, stop)?.into_iter();
        let positions =
            self.0.iter().map(|old| old.or_else(|| new.next()).unwrap_or_default()).collect();
        Ok(Map {
            positions,
            kl: f64::NAN,
            iterations: 0,
            stopped: false,
            perplexity: PERPLEXITY,
            method: Method::Exact,
            recall: None,
            times: Times::default(),
        })
    }
}
