//! `looksee split`: a part to learn from and one to measure on.

use serde_json::json;

use super::{keep_ledger, ledger_json};
use crate::args::SplitArgs;
use crate::console::Console;
use crate::outcome::{Outcome, Status};
use crate::render::text;
use crate::{figures, output};

pub(crate) fn run(args: &SplitArgs, console: &mut Console) -> Outcome {
    let source = args.catalogue.source(&args.paths, args.format.format.as_deref(), console.seed)?;
    let parts = source.split_into(args.held_out, console.seed, &args.output)?;
    let [training, held_out] = ["train.jsonl", "held-out.jsonl"].map(|name| args.output.join(name));
    let ledger = keep_ledger(&parts.ledger, &args.output, console)?;
    if console.json {
        output::document(&json!({
            "train": { "path": training.to_string_lossy(), "items": parts.training },
            "held_out": { "path": held_out.to_string_lossy(), "items": parts.held_out },
            "ledger": ledger_json(&parts.ledger),
        }))?;
    } else {
        let [training, held_out] =
            [training, held_out].map(|path| text::one_line(&path.to_string_lossy()));
        output::line(&format!(
            "{} to learn from in {training}\n{} to measure on in {held_out}\n{ledger}",
            figures::count(parts.training, "item"),
            figures::count(parts.held_out, "item"),
        ))?;
    }
    Ok(Status::Done)
}
