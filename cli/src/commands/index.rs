//! `looksee index`: makes an index of a catalogue, or brings one up to date.

use looksee::Result;
use looksee::embed::{self, UpdateOptions, Updated};
use looksee::encoder::{ConvolutionalNetwork, Model, Pretrained};
use looksee::images::{Filter, Fit, Frame, Limits};
use looksee::index::Writer;
use serde_json::json;

use super::{keep_ledger, ledger_json};
use crate::args::IndexArgs;
use crate::console::Console;
use crate::outcome::{Outcome, Status};
use crate::{figures, folders, output};

/// Pixels of pictures for pretrained weights: half the side that they learned with keeps most of what
/// they know, in a third of the time.
const PICTURE_SIZE: (usize, usize) = (128, 128);

pub(crate) fn run(args: &IndexArgs, console: &mut Console) -> Outcome {
    let source = args.catalogue.source(&args.paths, args.format.format.as_deref(), console.seed)?;
    let model = model(args, console)?;
    let mut writer = Writer::open(&args.output, &embed::space_of(&model), &model)?;
    let options = options(args);
    let updated = console.watch(|stop, listener| {
        embed::update(&source, &model, &mut writer, &options, stop, listener)
    });
    let updated = match updated {
        Ok(updated) => updated,
        Err(error) => {
            writer.discard_if_empty(&model);
            return Err(error.into());
        }
    };
    report(args, &updated, console)
}

/// The model that was named or lies in the index, or the one that pretrained weights are by
/// themselves.
fn model(args: &IndexArgs, console: &mut Console) -> Result<Model> {
    let Some(path) = &args.weights else {
        let folder = folders::model_for_index(args.model.as_deref(), &args.output)?;
        return folders::model(&folder);
    };
    let pretrained = Pretrained::read(path)?;
    if let Some(name) = &args.image_tower {
        pretrained.expect(ConvolutionalNetwork::named(name)?).map_err(|e| e.at_file(path))?;
    }
    console.note(&format!("pretrained weights: {}", pretrained.origin()));
    let (width_px, height_px) = args.image_size.unwrap_or(PICTURE_SIZE);
    let frame = Frame { width_px, height_px, fit: Fit::Letterbox, filter: Filter::CatmullRom };
    Model::of_pictures(&pretrained, frame)
}

fn options(args: &IndexArgs) -> UpdateOptions {
    UpdateOptions {
        keep_missing: args.keep_missing,
        verify: args.verify,
        shard: args.shard,
        batch_size: args.batch_size.get(),
        limits: Limits::default(),
    }
}

fn report(args: &IndexArgs, updated: &Updated, console: &mut Console) -> Outcome {
    let ledger = keep_ledger(&updated.ledger, &args.output, console)?;
    if console.json {
        output::document(&json!({
            "index": args.output.to_string_lossy(),
            "added": updated.added,
            "changed": updated.changed,
            "unchanged": updated.unchanged,
            "removed": updated.removed,
            "mended": updated.mended,
            "ledger": ledger_json(&updated.ledger),
        }))?;
    } else {
        output::line(&format!("{}\n{ledger}", counts(updated)))?;
    }
    Ok(Status::Done)
}

fn counts(updated: &Updated) -> String {
    let counts = format!(
        "{} added, {} changed, {} unchanged, {} removed",
        figures::thousands(updated.added),
        figures::thousands(updated.changed),
        figures::thousands(updated.unchanged),
        figures::thousands(updated.removed)
    );
    match updated.mended {
        0 => counts,
        mended => format!("{counts}, {} were damaged and are mended", figures::thousands(mended)),
    }
}
