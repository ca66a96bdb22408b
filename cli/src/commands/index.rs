//! `looksee index`: makes an index of a catalogue, or brings one up to date.

use looksee::embed::{self, UpdateOptions, Updated};
use looksee::images::Limits;
use looksee::index::Writer;
use serde_json::json;

use super::{keep_ledger, ledger_json};
use crate::args::IndexArgs;
use crate::console::Console;
use crate::outcome::{Outcome, Status};
use crate::{figures, folders, output};

pub(crate) fn run(args: &IndexArgs, console: &mut Console) -> Outcome {
    let source = args.catalogue.source(&args.paths, args.format.format.as_deref(), console.seed)?;
    let folder = folders::model_for_index(args.model.as_deref(), &args.output)?;
    let model = folders::model(&folder)?;
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
