//! `looksee info`: what a model or an index is.

use std::path::Path;

use looksee::encoder::Model;
use looksee::index::{Collection, Index};
use looksee::{Error, Result};
use serde_json::{Value, json};

use crate::args::InfoArgs;
use crate::console::Console;
use crate::outcome::{Failure, Outcome, Status};
use crate::render::text;
use crate::{figures, folders, output};

pub(crate) fn run(args: &InfoArgs, console: &mut Console) -> Outcome {
    folders::expect_folder(&args.folder)?;
    if folders::is_model(&args.folder) {
        model(&args.folder, console)?;
    } else if folders::is_index(&args.folder) {
        index(&args.folder, console)?;
    } else {
        let what = "this is neither a model (no model.toml) nor an index (no index.sqlite)";
        return Err(Error::invalid(what).at_file(&args.folder).into());
    }
    Ok(Status::Done)
}

/// Shows `model.toml` of a model that is whole: everything is read and compared first.
fn model(folder: &Path, console: &Console) -> Result<(), Failure> {
    let model = Model::load(folder)?;
    model.verify()?;
    if console.json {
        return output::document(&toml_as_json(folder, &model.describe())?);
    }
    // Whoever made the model chose what its recipe is called.
    let lines: Vec<String> = model.describe().lines().map(text::visible).collect();
    output::line(lines.join("\n").trim_end())
}

fn toml_as_json(folder: &Path, text: &str) -> Result<Value> {
    let damaged = |e: String| Error::invalid(format!("this is no TOML: {e}")).at_file(folder);
    let table: toml::Table = toml::from_str(text).map_err(|e| damaged(e.to_string()))?;
    serde_json::to_value(table).map_err(|e| damaged(e.to_string()))
}

fn index(folder: &Path, console: &Console) -> Result<(), Failure> {
    let index = folders::index(folder)?;
    let facts = Facts::of(&index)?;
    if console.json {
        output::document(&facts.json(&index))
    } else {
        output::line(&facts.table(&index))
    }
}

/// What has to be looked up in an index.
struct Facts {
    fields: Vec<String>,
    bytes: u64,
    removed_rows: usize,
}

impl Facts {
    fn of(index: &Index) -> Result<Self> {
        let (bytes, removed_rows) = index.size()?;
        Ok(Self { fields: index.field_names()?, bytes, removed_rows })
    }

    fn json(&self, index: &Index) -> Value {
        json!({
            "items": index.len(),
            "dim": index.space().dim,
            "model": index.space().fingerprint,
            "root": index.root().map(Path::to_string_lossy),
            "fields": self.fields,
            "bytes": self.bytes,
            "removed_rows": self.removed_rows,
        })
    }

    fn table(&self, index: &Index) -> String {
        let space = index.space();
        let names: Vec<_> = self.fields.iter().map(|name| text::one_line(name)).collect();
        let fields = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let compact = if self.removed_rows > 0 { " (`looksee compact` frees them)" } else { "" };
        let root = index.root().map(|root| text::one_line(&root.to_string_lossy()));
        format!(
            "items         {}\nvectors       {} values each\nmodel         {}\npictures in   \
             {}\nfields        {fields}\non disk       {}\nremoved rows  {}{compact}",
            figures::thousands(index.len()),
            space.dim,
            text::one_line(&space.fingerprint),
            root.as_deref().unwrap_or("no one folder (whole paths are kept)"),
            figures::bytes(self.bytes),
            figures::thousands(self.removed_rows)
        )
    }
}
