//! `log.jsonl`: a line a step and a line a validation.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::checkpoint::Best;
use crate::error::{Error, Result};
use crate::files;

/// The file's name.
pub(super) const NAME: &str = "log.jsonl";
/// What it begins with: a step or a validation, whose keys are in order.
pub(super) const BEGINNINGS: [&[u8]; 2] = [b"{\"active\":", b"{\"step\":"];

/// What one step looked like.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepLine {
    pub(super) step: u64,
    pub(super) epoch: u64,
    pub(super) loss: f32,
    pub(super) active: f32,
    pub(super) distance: f32,
    pub(super) rate: f32,
    pub(super) gradient: f32,
    pub(super) images_per_s: f64,
}

/// The open log of a run.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    out: std::io::BufWriter<fs_err::File>,
}

impl Log {
    /// Opens the log of `model` to go on after `step`: later lines of an interrupted run go.
    pub(super) fn open(model: &Path, step: u64) -> Result<Self> {
        let path = model.join(NAME);
        let old = if step > 0 && path.exists() { files::read(&path)? } else { Vec::new() };
        files::replace(&path, |out| {
            for line in old.split_inclusive(|&byte| byte == b'\n') {
                let at = serde_json::from_slice::<Value>(line).ok();
                if at.and_then(|line| line["step"].as_u64()).is_some_and(|at| at <= step) {
                    out.write_all(line).map_err(|e| Error::io("cannot write", e))?;
                }
            }
            Ok(())
        })?;
        let file = fs_err::OpenOptions::new().append(true).open(&path);
        let file = file.map_err(|e| Error::io("cannot open the log", e).at_file(&path))?;
        Ok(Self { path, out: std::io::BufWriter::new(file) })
    }

    /// Adds a step.
    pub(super) fn step(&mut self, line: &StepLine) -> Result<()> {
        self.line(&json!({
            "step": line.step,
            "epoch": line.epoch,
            "loss": line.loss,
            "active": line.active,
            "mean_distance": line.distance,
            "learning_rate": line.rate,
            "gradient_length": line.gradient,
            "images_per_s": (line.images_per_s * 10.0).round() / 10.0,
        }))
    }

    /// Adds a validation.
    pub(super) fn validation(&mut self, measured: &Best) -> Result<()> {
        self.line(&json!({
            "step": measured.step,
            "validation": {
                "score": measured.score,
                "text_to_image": measured.text_to_image,
                "image_to_text": measured.image_to_text,
                "image_to_image": measured.image_to_image,
                "training": measured.training,
                "short": measured.short,
            },
        }))
    }

    /// Hands everything to the operating system.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(|e| Error::io("cannot write", e).at_file(&self.path))
    }

    fn line(&mut self, line: &Value) -> Result<()> {
        writeln!(self.out, "{line}").map_err(|e| Error::io("cannot write", e).at_file(&self.path))
    }
}
