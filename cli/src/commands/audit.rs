//! `looksee audit`: the rows of an index that are probably wrong, to be looked at.

use std::io::Write;
use std::path::Path;

use looksee::audit::{self, Options, Report};
use looksee::index::Gone;
use looksee::{Error, Result};

use crate::args::{AuditArgs, AuditFormat};
use crate::console::Console;
use crate::outcome::{Failure, Outcome, Status};
use crate::render::csv::Formulas;
use crate::render::{audit as table, audit_html};
use crate::{folders, output};

pub(crate) fn run(args: &AuditArgs, console: &mut Console) -> Outcome {
    let format = format(args.format, console.json)?;
    super::expect_csv(args.raw, format == AuditFormat::Csv)?;
    args.output.as_deref().map(expect_page).transpose()?;
    let index = folders::index_at(&args.index, args.root.as_deref())?;
    let options = Options {
        top: args.top.get(),
        kind: args.kind.map(Into::into),
        seed: console.seed,
        ..Options::default()
    };
    let report = console.watch(|stop, listener| audit::run(&index, &options, stop, listener))?;
    if let Some(file) = &args.output {
        audit_html::write(file, &args.index.to_string_lossy(), &report)?;
        console.note(&format!("page in {}", file.display()));
    }
    let mut gone = Gone::of(&index);
    let better = report.findings.iter().filter_map(|finding| finding.better.as_ref());
    gone.look(report.findings.iter().map(|finding| &finding.image));
    gone.look(better.map(|better| &better.image));
    folders::tell_gone(&gone, console);
    print(&report, format, Formulas::of(args.raw))?;
    Ok(if report.findings.is_empty() { Status::NothingFound } else { Status::Done })
}

fn format(asked: Option<AuditFormat>, json: bool) -> Result<AuditFormat> {
    match (asked, json) {
        (None, false) => Ok(AuditFormat::Table),
        (None, true) => Ok(AuditFormat::Json),
        (Some(format @ (AuditFormat::Table | AuditFormat::Csv)), true) => {
            let name = if format == AuditFormat::Csv { "csv" } else { "table" };
            Err(Error::invalid(format!("--json and --format {name} ask for different formats")))
        }
        (Some(format), _) => Ok(format),
    }
}

/// Refuses a page that could not be written: before the work, not after it.
fn expect_page(file: &Path) -> Result<()> {
    let ending = file.extension().unwrap_or_default().to_ascii_lowercase();
    if !matches!(ending.to_str(), Some("html" | "htm")) {
        return Err(Error::invalid("the page is an .html file").at_file(file));
    }
    output::expect_place_for(file)
}

fn print(report: &Report, format: AuditFormat, formulas: Formulas) -> Result<(), Failure> {
    let mut out = output::stdout();
    match format {
        AuditFormat::Table => table::write(&mut out, report)?,
        AuditFormat::Json => output::write_document(&mut out, report)?,
        AuditFormat::Jsonl => {
            for finding in &report.findings {
                output::write_json_line(&mut out, finding)?;
            }
        }
        AuditFormat::Csv => table::write_csv(&mut out, report, formulas)?,
    }
    Ok(out.flush()?)
}
