//! Files of rows: which format, which fields, and from each row an item.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::csv::CsvRows;
use super::json::{self, Dialect};
use super::layout::{Layout, Roles, Survey, no_picture_in_row, typed_cells, written_picture};
use super::pictures::{self, Lost, Pictures};
use super::rows::{Row, Rows};
use super::{Format, Found, Item, Place, Reason, Remote, Skip, Source, amazon, lines};
use crate::error::Result;
use crate::filter::Fields;
use crate::units::ItemId;

/// A catalogue file that is being read.
pub(super) struct Table {
    source: Arc<Source>,
    file: Arc<Path>,
    rows: Box<dyn Rows>,
    /// Rows that were read to find the layout.
    ahead: VecDeque<Row>,
    layout: Layout,
    /// Cells have no types of their own (CSV).
    untyped: bool,
    pictures: Pictures,
    broken_off: bool,
}

/// A picture as its row has it, and where it is.
type LookUp = (Option<String>, Result<PathBuf, Lost>);

impl Table {
    /// Opens a file and reads as many rows as it takes to know its fields.
    pub(super) fn open(path: &Path, format: Format, source: &Arc<Source>) -> Result<Self> {
        Self::open_unplaced(path, format, source).map_err(|e| e.at_file(path))
    }

    fn open_unplaced(path: &Path, format: Format, source: &Arc<Source>) -> Result<Self> {
        let text = lines::open(path)?;
        let mut rows: Box<dyn Rows> = match format {
            Format::Csv => Box::new(CsvRows::open(text, b',')?),
            Format::Tsv => Box::new(CsvRows::open(text, b'\t')?),
            Format::Amazon => json::open(text, Dialect::Python)?,
            Format::Json | Format::Folder => json::open(text, Dialect::Open)?,
        };
        let given = (format == Format::Amazon).then_some(Layout::Amazon);
        let may_be_amazon = format == Format::Json && source.format.is_none();
        let mut survey = Survey::new(source, may_be_amazon, given);
        survey.add_names(rows.header());
        let mut ahead = VecDeque::new();
        while let Some(row) = rows.next_row()? {
            survey.add(&row);
            ahead.push_back(row);
            if survey.is_done() {
                break;
            }
        }
        let layout = survey.finish()?;
        let beside = path.parent().unwrap_or(Path::new(""));
        Ok(Self {
            source: Arc::clone(source),
            file: path.into(),
            rows,
            ahead,
            layout,
            untyped: matches!(format, Format::Csv | Format::Tsv),
            pictures: Pictures::of(source.images.as_deref().unwrap_or(beside)),
            broken_off: false,
        })
    }

    fn next_row(&mut self) -> Result<Option<Row>> {
        match self.ahead.pop_front() {
            Some(row) => Ok(Some(row)),
            None => self.rows.next_row(),
        }
    }

    fn found(&mut self, row: Row) -> Result<Found> {
        let place = Place { file: Arc::clone(&self.file), line: Some(row.line) };
        match row.content {
            Ok(fields) => self.item(fields, place),
            Err(message) => {
                Ok(Found::Skip(Skip { place, id: None, reason: Reason::BadRow, message }))
            }
        }
    }

    fn item(&mut self, mut fields: Fields, place: Place) -> Result<Found> {
        if self.layout == Layout::Amazon {
            amazon::tidy(&mut fields);
        }
        let roles = Roles::find(&fields, &self.layout, &self.source);
        // Before the filter, so that a file name belongs to the same URL whatever is filtered.
        let (written, picture) = self.look_up(&fields, &roles)?;
        let cells = if self.source.whole_rows { fields.clone() } else { Fields::new() };
        if self.untyped {
            fields = typed_cells(fields);
        }
        if let Some(filter) = &self.source.filter
            && !filter.matches(&roles.view(fields.clone()))
        {
            return Ok(Found::Filtered);
        }
        let id = roles.id.clone().or(written).map(ItemId::from);
        let image = match picture {
            Ok(image) => image,
            Err(lost) => return Ok(self.lost(lost, place, id)),
        };
        let id = id.unwrap_or_else(|| ItemId::from(image.to_string_lossy()));
        let fields = if self.source.whole_rows {
            match roles.whole(fields, cells, &self.layout, &image, id.as_str()) {
                Some(fields) => fields,
                None => return Ok(unwritable(place, id)),
            }
        } else {
            roles.rest(fields, &self.layout)
        };
        let image = image.into();
        let group = roles.group.map(Arc::from);
        Ok(Found::Item(Item { id, image, texts: roles.texts, fields, group, place }))
    }

    fn lost(&self, lost: Lost, place: Place, id: Option<ItemId>) -> Found {
        match lost {
            Lost::Nowhere(message) => {
                Found::Skip(Skip { place, id, reason: Reason::BadRow, message })
            }
            Lost::Refused(message) => {
                Found::Refused(Skip { place, id, reason: Reason::BadRow, message })
            }
            Lost::ToFetch(remote) => {
                let message = self.not_fetched(&remote);
                Found::Absent(Skip { place, id, reason: Reason::Missing, message }, remote)
            }
        }
    }

    /// The row's picture, as written and where it is.
    fn look_up(&mut self, fields: &Fields, roles: &Roles) -> Result<LookUp> {
        match self.layout.clone() {
            Layout::Plain { image } => self.look_up_plain(fields, &image),
            Layout::Amazon => {
                let urls = amazon::picture_urls(fields, self.source.image_field.as_deref());
                let pictures = self.pictures.listed()?;
                let found = amazon::find_picture(roles.id.as_deref(), &urls, pictures);
                Ok((urls.into_iter().next(), found))
            }
        }
    }

    fn look_up_plain(&mut self, fields: &Fields, image: &str) -> Result<LookUp> {
        let Some(written) = fields.get(image).and_then(written_picture) else {
            return Ok((None, Err(Lost::Nowhere(no_picture_in_row(fields, image)))));
        };
        let picture = if pictures::is_url(written) {
            self.pictures.listed()?.fetched(written)
        } else {
            let path = written.strip_prefix("file://").unwrap_or(written);
            Ok(self.pictures.folder().join(path))
        };
        Ok((Some(written.to_owned()), picture))
    }

    fn not_fetched(&self, remote: &Remote) -> String {
        let folder = self.pictures.shown_folder().display();
        format!("{} is not in {folder}, to which it has to be fetched", remote.file)
    }
}

/// A row cannot hold a path that is no text.
pub(super) fn unwritable(place: Place, id: ItemId) -> Found {
    let message = "the path of its picture is not UTF-8 text, so no row can name it".to_owned();
    Found::Skip(Skip { place, id: Some(id), reason: Reason::BadRow, message })
}

impl Iterator for Table {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken_off {
            return None;
        }
        let found = self.next_row().and_then(|row| row.map(|row| self.found(row)).transpose());
        self.broken_off = !matches!(found, Ok(Some(_)));
        found.map_err(|e| e.at_file(&self.file)).transpose()
    }
}
