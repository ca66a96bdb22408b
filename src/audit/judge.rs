//! From measures to suspects: which rows stand out, of which kind, in which order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use looksee_kernels::search::scan::dot;

use super::measure::Measured;
use super::texts::Texts;
use super::{Finding, Found, Kind, Options, Partner};
use crate::index::{Record, Rows};
use crate::units::ItemId;

/// Rows that it takes for one to stand out.
pub(super) const FEWEST: usize = 20;
/// Robust deviations from the median beyond which a value stands out.
const FAR: f32 = 3.5;
/// Times the median deviation is the standard deviation of normal values.
const MAD_TO_DEVIATION: f32 = 1.4826;
/// Cosines are not known better than this; without it, rows that are all alike stand out by their
/// last digit.
const LEAST_SPREAD: f32 = 0.01;
/// A picture fits a text when it goes this share of the way from the cosine of the text's own
/// picture to that of the nearest pictures.
const FITS: f32 = 0.8;
/// How unlike the pictures of one text must be for it to be generic: 0 as neighbours, 1 as random
/// pictures. One wrong row among six that share a text leaves them at about 0.6.
const UNLIKE: f32 = 0.75;
/// Other rows that a finding names.
const NAMED: usize = 20;

/// A finding before its records are read.
#[derive(Clone, Debug)]
pub(super) struct Suspect {
    kind: Kind,
    rank: usize,
    row: u32,
    score: Option<f32>,
    cosines: Option<Cosines>,
    better: Option<Better>,
    others: Vec<u32>,
    why: Why,
}

#[derive(Clone, Copy, Debug)]
struct Cosines {
    own: f32,
    expected: f32,
}

#[derive(Clone, Copy, Debug)]
struct Better {
    row: u32,
    cosine: f32,
    suspicious: bool,
    swapped: bool,
}

/// What was seen.
#[derive(Clone, Copy, Debug)]
enum Why {
    NoText,
    Disagrees,
    NearNoPicture,
    SharedByUnlike,
    SameFile,
    NearlySamePicture,
}

/// How many rows of each kind stand out, and the worst of each kind that are to be listed.
pub(super) fn choose(
    vectors: &dyn Rows,
    measured: &[Measured],
    texts: &Texts,
    options: &Options,
) -> (Found, Vec<Suspect>) {
    let judge = Judge::new(vectors, measured, texts);
    let mut found = Found::default();
    let mut chosen = Vec::new();
    for kind in Kind::ALL {
        let mut suspects = judge.suspects(kind);
        *match kind {
            Kind::WrongPicture => &mut found.wrong_picture,
            Kind::SamePicture => &mut found.same_picture,
            Kind::GenericText => &mut found.generic_text,
            Kind::EmptyText => &mut found.empty_text,
        } = suspects.len();
        if options.kind.is_some_and(|wanted| wanted != kind) {
            continue;
        }
        // Of equals the first; the sort is stable.
        suspects.sort_by(|a, b| b.score.unwrap_or(0.0).total_cmp(&a.score.unwrap_or(0.0)));
        suspects.truncate(options.top);
        for (rank, suspect) in (1..).zip(&mut suspects) {
            suspect.rank = rank;
            judge.find_better(suspect);
        }
        chosen.append(&mut suspects);
    }
    (found, chosen)
}

/// What is usual in this collection.
struct Judge<'a> {
    vectors: &'a dyn Rows,
    measured: &'a [Measured],
    texts: &'a Texts,
    disagreement: Usual,
    text_to_pictures: Usual,
    pictures: Between,
    alike_texts: Between,
    /// Rows whose text says nothing.
    generic: BTreeSet<u32>,
}

impl<'a> Judge<'a> {
    fn new(vectors: &'a dyn Rows, measured: &'a [Measured], texts: &'a Texts) -> Self {
        let of = |value: &dyn Fn(&Measured) -> f32| Usual::of(measured.iter().map(value).collect());
        let picture = |one: &Measured| vectors.picture(one.row as usize);
        let text = |one: &Measured| vectors.text(one.row as usize).unwrap_or_default();
        let mut judge = Self {
            vectors,
            measured,
            texts,
            disagreement: of(&Measured::disagreement),
            text_to_pictures: of(&|one| one.text_to_pictures),
            pictures: Between {
                random: centre_square(measured.iter().map(picture)),
                near: of(&|one| one.pictures).median,
            },
            alike_texts: Between {
                random: centre_square(measured.iter().map(text)),
                near: of(&|one| one.texts).median,
            },
            generic: BTreeSet::new(),
        };
        judge.generic = judge.generic_rows();
        judge
    }

    fn suspects(&self, kind: Kind) -> Vec<Suspect> {
        match kind {
            Kind::WrongPicture => self.wrong_pictures(),
            Kind::SamePicture => self.same_pictures(),
            Kind::GenericText => self.generic_texts(),
            Kind::EmptyText => {
                let empty = self.texts.empty.iter();
                empty.map(|&row| self.suspect(Kind::EmptyText, Why::NoText, row, None)).collect()
            }
        }
    }

    fn suspect(&self, kind: Kind, why: Why, row: u32, score: Option<f32>) -> Suspect {
        let own = self.of(row);
        let cosines = own.map(|one| Cosines { own: one.own, expected: one.expected() });
        Suspect { kind, rank: 0, row, score, cosines, better: None, others: Vec::new(), why }
    }

    fn of(&self, row: u32) -> Option<&Measured> {
        let place = self.measured.binary_search_by_key(&row, |one| one.row).ok()?;
        Some(&self.measured[place])
    }

    fn disagrees(&self, one: &Measured) -> bool {
        self.disagreement.far_above(one.disagreement())
    }

    fn wrong_pictures(&self) -> Vec<Suspect> {
        let outliers = self.measured.iter().filter(|one| self.disagrees(one));
        let wrong = outliers.filter(|one| !self.generic.contains(&one.row));
        wrong
            .map(|one| {
                let score = Some(one.disagreement());
                self.suspect(Kind::WrongPicture, Why::Disagrees, one.row, score)
            })
            .collect()
    }

    /// One finding a text that many unlike pictures have, and one a text that is near no picture.
    fn generic_texts(&self) -> Vec<Suspect> {
        let mut suspects: Vec<Suspect> = self
            .unlike_groups()
            .map(|(rows, score)| Suspect {
                others: rows[1..].to_vec(),
                ..self.suspect(Kind::GenericText, Why::SharedByUnlike, rows[0], Some(score))
            })
            .collect();
        let grouped: BTreeSet<u32> =
            self.unlike_groups().flat_map(|(rows, _)| rows).copied().collect();
        let alone = self
            .measured
            .iter()
            .filter(|one| self.generic.contains(&one.row) && !grouped.contains(&one.row));
        suspects.extend(alone.map(|one| {
            let score = Some(one.disagreement());
            self.suspect(Kind::GenericText, Why::NearNoPicture, one.row, score)
        }));
        suspects
    }

    fn generic_rows(&self) -> BTreeSet<u32> {
        let vague = self.measured.iter().filter(|one| {
            self.disagrees(one) && self.text_to_pictures.far_below(one.text_to_pictures)
        });
        let shared = self.unlike_groups().flat_map(|(rows, _)| rows).copied();
        shared.chain(vague.map(|one| one.row)).collect()
    }

    /// Rows that share a text while their pictures are rather random than neighbours, with how
    /// unlike these are: 0 as neighbours, 1 as random pictures.
    fn unlike_groups(&self) -> impl Iterator<Item = (&'a [u32], f32)> {
        let measured = !self.measured.is_empty();
        let groups = self.texts.shared.iter().filter(move |_| measured);
        let with_spread = groups.map(|rows| {
            let pictures = rows.iter().map(|&row| self.vectors.picture(row as usize));
            (&rows[..], 1.0 - self.pictures.share(mean_cosine(pictures)))
        });
        with_spread.filter(|&(_, unlike)| unlike > UNLIKE)
    }

    /// One finding a picture that stands under clearly different texts.
    fn same_pictures(&self) -> Vec<Suspect> {
        let mut files: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for one in self.measured {
            files.entry(self.vectors.content(one.row as usize)).or_default().push(one.row);
        }
        let mut named = BTreeSet::new();
        let mut suspects = Vec::new();
        for one in self.measured {
            let copies = &files[&self.vectors.content(one.row as usize)];
            let twins = copies.iter().chain(&one.twins).copied().filter(|&row| row != one.row);
            let twins: BTreeSet<u32> = twins.collect();
            if named.contains(&one.row) || twins.is_empty() {
                continue;
            }
            if let Some(suspect) = self.under_different_texts(one.row, &twins) {
                named.extend(twins);
                suspects.push(suspect);
            }
        }
        suspects
    }

    fn under_different_texts(&self, row: u32, twins: &BTreeSet<u32>) -> Option<Suspect> {
        let text = self.vectors.text(row as usize)?;
        let cosine = |other: u32| Some(dot(text, self.vectors.text(other as usize)?));
        let cosines = twins.iter().filter_map(|&other| Some((other, cosine(other)?)));
        let different: Vec<(u32, f32)> =
            cosines.filter(|&(_, cosine)| self.alike_texts.share(cosine) < 0.5).collect();
        let least = different.iter().map(|&(_, cosine)| cosine).min_by(f32::total_cmp)?;
        let content = |row: u32| self.vectors.content(row as usize);
        let copy = different.iter().any(|&(other, _)| content(other) == content(row));
        let why = if copy { Why::SameFile } else { Why::NearlySamePicture };
        Some(Suspect {
            others: different.into_iter().map(|(other, _)| other).collect(),
            ..self.suspect(Kind::SamePicture, why, row, Some(1.0 - least))
        })
    }

    /// The picture that the text of a wrong row fits best: that of another suspicious row where
    /// one fits nearly as well as neighbours do, because rows are often swapped, else the nearest.
    fn find_better(&self, suspect: &mut Suspect) {
        if !matches!(suspect.why, Why::Disagrees) {
            return;
        }
        let (Some(one), Some(text)) =
            (self.of(suspect.row), self.vectors.text(suspect.row as usize))
        else {
            return;
        };
        let cosine = |row: u32| dot(text, self.vectors.picture(row as usize));
        let others = self.measured.iter().filter(|other| other.row != one.row);
        let others = others.filter(|other| self.disagrees(other));
        let fitting = others.filter(|other| one.fits(cosine(other.row)));
        let nearest = |a: &&Measured, b: &&Measured| {
            cosine(a.row).total_cmp(&cosine(b.row)).then(b.row.cmp(&a.row))
        };
        let better = match fitting.max_by(nearest) {
            Some(other) => Better {
                row: other.row,
                cosine: cosine(other.row),
                suspicious: true,
                swapped: self.fits_back(other, one),
            },
            None => Better {
                row: one.best,
                cosine: cosine(one.best),
                suspicious: false,
                swapped: false,
            },
        };
        suspect.better = (better.cosine > one.own).then_some(better);
    }

    /// Whether the text of `other` fits the picture of `one`, too.
    fn fits_back(&self, other: &Measured, one: &Measured) -> bool {
        let text = self.vectors.text(other.row as usize);
        text.is_some_and(|text| other.fits(dot(text, self.vectors.picture(one.row as usize))))
    }
}

impl Measured {
    /// Whether a picture at this cosine from the row's text fits it nearly as well as neighbours do.
    fn fits(&self, cosine: f32) -> bool {
        cosine >= self.own + FITS * (self.text_to_pictures - self.own)
    }
}

/// The median of many values and how far they usually lie from it.
#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    median: f32,
    spread: f32,
}

impl Usual {
    fn of(mut values: Vec<f32>) -> Self {
        let Some(median) = median(&mut values) else { return Self::default() };
        for value in &mut values {
            *value = (*value - median).abs();
        }
        let deviation = MAD_TO_DEVIATION * self::median(&mut values).unwrap_or_default();
        Self { median, spread: deviation.max(LEAST_SPREAD) }
    }

    fn far_above(self, value: f32) -> bool {
        value > self.median + FAR * self.spread
    }

    fn far_below(self, value: f32) -> bool {
        value < self.median - FAR * self.spread
    }
}

fn median(values: &mut [f32]) -> Option<f32> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f32::total_cmp).1)
}

/// Cosines of one side: of random rows and of neighbours.
#[derive(Clone, Copy, Debug)]
struct Between {
    random: f32,
    near: f32,
}

impl Between {
    /// Where a cosine lies: 0 as random rows, 1 as neighbours.
    fn share(self, cosine: f32) -> f32 {
        (cosine - self.random) / (self.near - self.random).max(LEAST_SPREAD)
    }
}

/// The squared length of the mean row: the mean cosine of two rows drawn at random.
fn centre_square<'a>(rows: impl Iterator<Item = &'a [f32]>) -> f32 {
    let (square, count) = sum_square(rows);
    if count == 0 { 0.0 } else { (square / (count * count) as f64) as f32 }
}

/// The mean cosine of two different rows.
fn mean_cosine<'a>(rows: impl Iterator<Item = &'a [f32]>) -> f32 {
    let (square, count) = sum_square(rows);
    if count < 2 { 1.0 } else { ((square - count as f64) / (count * (count - 1)) as f64) as f32 }
}

/// The squared length of the sum of rows, and their number.
fn sum_square<'a>(rows: impl Iterator<Item = &'a [f32]>) -> (f64, usize) {
    let mut sums: Vec<f64> = Vec::new();
    let mut count = 0;
    for row in rows {
        sums.resize(row.len(), 0.0);
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
        count += 1;
    }
    (sums.iter().map(|sum| sum * sum).sum(), count)
}

impl Suspect {
    /// The rows whose records are shown.
    pub(super) fn shown(&self) -> impl Iterator<Item = u32> {
        [Some(self.row), self.better.map(|better| better.row)].into_iter().flatten()
    }

    /// What is shown of it, given the records of the rows in [`Suspect::shown`].
    pub(super) fn finding(
        &self,
        vectors: &dyn Rows,
        records: &HashMap<ItemId, Record>,
    ) -> Option<Finding> {
        let record = records.get(&vectors.id(self.row as usize))?;
        let named = self.others.iter().take(NAMED);
        let better = self.better.and_then(|better| better.partner(vectors, records));
        Some(Finding {
            rank: self.rank,
            kind: self.kind,
            id: record.id.clone(),
            image: record.image.clone(),
            reason: self.reason(&record.texts, better.as_ref()),
            title: record.texts.first().cloned(),
            score: self.score,
            cosine: self.cosines.map(|cosines| cosines.own),
            expected: self.cosines.map(|cosines| cosines.expected),
            others: named.map(|&row| vectors.id(row as usize)).collect(),
            better,
        })
    }

    fn reason(&self, texts: &[String], better: Option<&Partner>) -> String {
        let rows =
            |count: usize| format!("{count} other {}", if count == 1 { "row" } else { "rows" });
        let others = rows(self.others.len());
        match self.why {
            Why::NoText if texts.is_empty() => "it has no text".to_owned(),
            Why::NoText => "its text has no letter and no number".to_owned(),
            Why::Disagrees => self.disagreement(better),
            Why::NearNoPicture => "its text is near no picture in particular".to_owned(),
            Why::SharedByUnlike => {
                format!("{others} with pictures of other things have the same text")
            }
            Why::SameFile => format!("the same file stands in {others} under another text"),
            Why::NearlySamePicture => {
                format!("nearly the same picture stands in {others} under another text")
            }
        }
    }

    fn disagreement(&self, better: Option<&Partner>) -> String {
        let (own, expected) = self.cosines.map_or((0.0, 0.0), |c| (c.own, c.expected));
        let seen = format!("its cosine is {own:.2} where neighbours have {expected:.2}");
        match better {
            None => seen,
            Some(Partner { id, cosine, swapped: true, .. }) => format!(
                "{seen}; its text fits the picture of {id} ({cosine:.2}), whose text fits this \
                 picture: they may have been swapped"
            ),
            Some(Partner { id, cosine, suspicious: true, .. }) => format!(
                "{seen}; its text fits the picture of {id} ({cosine:.2}), which disagrees with its \
                 own text as well"
            ),
            Some(Partner { id, cosine, .. }) => {
                format!("{seen}; its text fits the picture of {id} best ({cosine:.2})")
            }
        }
    }
}

impl Better {
    fn partner(self, vectors: &dyn Rows, records: &HashMap<ItemId, Record>) -> Option<Partner> {
        let record = records.get(&vectors.id(self.row as usize))?;
        Some(Partner {
            id: record.id.clone(),
            image: record.image.clone(),
            title: record.texts.first().cloned(),
            cosine: self.cosine,
            suspicious: self.suspicious,
            swapped: self.swapped,
        })
    }
}
