//! The loop.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::batches::{self, Batch, Batches, Material};
use super::checkpoint::{self, Best, State};
use super::log::{Log, StepLine};
use super::loss::{LossKind, Measured, Pairs};
use super::optimiser::{Diverged, Learner};
use super::recipe::TextChoice;
use super::watch::Watch;
use super::{Job, calibrate, diagnose};
use crate::encoder::parameters::{Mode, Pass};
use crate::encoder::towers::Towers;
use crate::encoder::{self, About, Calibration};
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::images::ImageBatch;
use crate::metrics::{self, Summary};
use crate::ops::values_of;
use crate::units::{Event, Listener, Stop};
use crate::vectors::Vectors;

/// A checkpoint is due after this long, at the next step.
const CHECKPOINT_EVERY: Duration = Duration::from_mins(5);
/// Share of a wall-clock budget between two validations, when epochs are shorter.
const VALIDATIONS: f64 = 12.0;
/// A year.
const MINUTES_MOST: f64 = 525_600.0;
/// Pairs that pass through the towers together in a validation.
const VALIDATION_BATCH: usize = 64;

/// The time a run has used and may use.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    budget: Option<Duration>,
}

impl Clock {
    /// The time that runs from now on; the budget must be between no time and a year.
    pub(super) fn start(minutes: Option<f64>) -> Result<Self> {
        let budget = match minutes {
            Some(minutes) if !(0.0..=MINUTES_MOST).contains(&minutes) => {
                return Err(Error::invalid(format!(
                    "a budget of {minutes} minutes cannot be kept; it must lie between 0 and \
                     {MINUTES_MOST}, which is a year"
                )));
            }
            minutes => minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0)),
        };
        Ok(Self { started: Instant::now(), budget })
    }
}

/// A run in progress.
#[derive(Debug)]
pub(super) struct Trainer<'a> {
    pub(super) job: &'a Job,
    pub(super) towers: Towers,
    pub(super) material: &'a Material,
    pub(super) learner: Learner,
    pub(super) state: State,
    pub(super) clock: Clock,
}

impl Trainer<'_> {
    /// Trains to the end of the recipe or the budget; returns what the run came to.
    pub(super) fn fit(&mut self, stop: &Stop, listener: Listener<'_>) -> Result<String> {
        let batches = Batches::new(self.material, &self.job.recipe, self.job.seed);
        let (size, per_epoch) = (batches.size(), batches.per_epoch());
        let before = Duration::from_secs_f64(self.state.elapsed_s);
        if self.state.step == 0 {
            let untrained = self.validate()?;
            self.state.untrained = untrained.map(|(best, _)| best.text_to_image);
            // Before the log and before any model: from here on there is something to go on from.
            self.write_checkpoint()?;
        }
        let mut log = Log::open(&self.job.output, self.state.step)?;
        let mut run = Run {
            log: &mut log,
            watch: Watch::default(),
            before,
            size,
            per_epoch,
            validation_took: Duration::ZERO,
            validated: (self.state.step, Instant::now()),
            saved: Instant::now(),
            first: (self.state.step, Instant::now()),
        };
        let first = self.state.step;
        batches::ahead(batches, first, stop, |receiver| {
            self.steps(&mut run, receiver, stop, listener)
        })?;
        if self.state.step > run.validated.0 || self.state.best.is_none() {
            self.validate_and_keep(&mut run, listener)?;
        }
        if let Err(error) = self.save_checkpoint(&mut run) {
            listener(Event::Warning(&format!(
                "the last checkpoint cannot be written ({}); the model is whole, but training it \
                 for longer will begin at an earlier step",
                error.whole()
            )));
        }
        Ok(self.summary())
    }

    fn steps(
        &mut self,
        run: &mut Run<'_>,
        batches: &Receiver<Batch>,
        stop: &Stop,
        listener: Listener<'_>,
    ) -> Result<()> {
        while !self.finished(run) {
            if stop.asked() {
                return self.interrupted(run);
            }
            let Ok(batch) = batches.recv() else { return self.interrupted(run) };
            let progress = self.progress(run);
            let rate = self.job.recipe.schedule.rate(progress, &self.state.plateau);
            let line = self.learn(&batch, rate, run)?;
            run.log.step(&line)?;
            self.look_at(&line, run, listener);
            if self.validation_is_due(run) {
                self.validate_and_keep(run, listener)?;
                run.log.flush()?;
            }
            if run.saved.elapsed() > CHECKPOINT_EVERY {
                self.save_checkpoint(run)?;
            }
        }
        Ok(())
    }

    /// One step: forward, backward, update.
    fn learn(&mut self, batch: &Batch, rate: f32, run: &Run<'_>) -> Result<StepLine> {
        let (recipe, step) = (&self.job.recipe, self.state.step);
        let pass = self.learner.pass(Mode::Training);
        let measured = self.measure(&pass, batch);
        let loss = values_of(measured.loss.clone())[0];
        if !loss.is_finite() {
            let what = format!("the loss of step {} is {loss}", step + 1);
            return Err(self.not_finite(&what, batch, &BTreeMap::new()));
        }
        let gradient =
            self.learner.descend(pass, &measured.loss, &recipe.schedule, rate, step + 1).map_err(
                |Diverged { error, gradients }| self.not_finite(error.message(), batch, &gradients),
            )?;
        self.state.step += 1;
        self.state.elapsed_s = (run.before + self.clock.started.elapsed()).as_secs_f64();
        let done = (self.state.step - run.first.0) as f64 * run.size as f64;
        Ok(StepLine {
            step: self.state.step,
            epoch: step / run.per_epoch,
            loss,
            active: measured.active,
            distance: measured.distance,
            rate,
            gradient,
            images_per_s: done / run.first.1.elapsed().as_secs_f64().max(1e-9),
        })
    }

    /// Both towers and the loss of the batch of the step that comes next.
    fn measure(&self, pass: &Pass, batch: &Batch) -> Measured {
        let mut chance = self.job.seed.stream("dropout", self.state.step);
        let negatives = batch.negatives.as_ref();
        let pairs = Pairs {
            images: self.towers.images(pass, &batch.images, &mut chance),
            texts: self.towers.texts(pass, &batch.texts, &mut chance),
            negatives: negatives.map(|texts| self.towers.texts(pass, texts, &mut chance)),
            groups: &batch.groups,
        };
        self.job.recipe.loss.measure(pass, pairs)
    }

    /// The error of a step that left the finite numbers, with the layer where it began.
    fn not_finite(
        &self,
        what: &str,
        batch: &Batch,
        gradients: &BTreeMap<String, Vec<f32>>,
    ) -> Error {
        diagnose::not_finite(what, self.learner.parameters(), gradients, |pass| {
            self.measure(pass, batch);
        })
    }

    fn look_at(&self, line: &StepLine, run: &mut Run<'_>, listener: Listener<'_>) {
        let loss = &self.job.recipe.loss;
        let resting = match loss.kind {
            LossKind::Triplet => loss.margin,
            LossKind::InfoNce => (run.size as f32).ln(),
        };
        if let Some(warning) = run.watch.see(loss.kind, line.loss, line.distance, resting) {
            listener(Event::Suspicion(&warning, Fact::Collapsed));
        }
        let done = self.state.step as usize * run.size;
        let progress = self.progress(run);
        let total = match self.clock.budget {
            Some(_) if progress > 0.0 => (done as f64 / progress) as usize,
            _ => {
                let steps = self.job.recipe.schedule.epochs as u64 * run.per_epoch;
                (steps as usize).saturating_mul(run.size)
            }
        };
        listener(Event::Progress { what: "training", done, total });
    }

    /// Share of the run that is done, 0 to 1.
    fn progress(&self, run: &Run<'_>) -> f64 {
        if let Some(budget) = self.clock.budget {
            let used = run.before + self.clock.started.elapsed();
            return (used.as_secs_f64() / budget.as_secs_f64().max(1e-9)).min(1.0);
        }
        let steps = self.job.recipe.schedule.epochs as u64 * run.per_epoch;
        (self.state.step as f64 / steps.max(1) as f64).min(1.0)
    }

    fn finished(&self, run: &Run<'_>) -> bool {
        match self.clock.budget {
            Some(budget) => {
                run.before + self.clock.started.elapsed() + run.validation_took >= budget
            }
            None => self.state.step >= self.job.recipe.schedule.epochs as u64 * run.per_epoch,
        }
    }

    /// At the end of an epoch; under a budget not more often than a share of it.
    fn validation_is_due(&self, run: &Run<'_>) -> bool {
        let Some(budget) = self.clock.budget else {
            return self.state.step.is_multiple_of(run.per_epoch);
        };
        run.validated.1.elapsed() >= budget.div_f64(VALIDATIONS)
    }

    fn validate_and_keep(&mut self, run: &mut Run<'_>, listener: Listener<'_>) -> Result<()> {
        let started = Instant::now();
        match self.validate()? {
            Some((measured, calibration)) => {
                run.log.validation(&measured)?;
                self.job.recipe.schedule.validated(measured.score, &mut self.state.plateau);
                listener(Event::Note(&self.note(&measured, run)));
                let best = self.state.best.as_ref().map_or(f64::NEG_INFINITY, |best| best.score);
                if measured.score > best {
                    self.state.best = Some(measured);
                    self.save_model(calibration)?;
                }
            }
            // Nothing to measure on: the newest model is the one to keep.
            None => self.save_model(Calibration::default())?,
        }
        run.validated = (self.state.step, Instant::now());
        run.validation_took = started.elapsed();
        Ok(())
    }

    /// Recall on the pairs that were put aside; `None` when there are none.
    fn validate(&self) -> Result<Option<(Best, Calibration)>> {
        let members = &self.material.validation;
        if members.is_empty() {
            return Ok(None);
        }
        let (images, texts) = self.embed(members)?;
        let never = |_, _| false;
        let own = |query: usize, row: usize| query == row;
        let seed = self.job.seed;
        let summarised = |queries, gallery| {
            let ranks = metrics::ranks(queries, gallery, &own, &never);
            metrics::summarise(&ranks.into_iter().flatten().collect::<Vec<_>>(), seed)
        };
        let (Some(text_to_image), Some(image_to_text)) =
            (summarised(&texts, &images), summarised(&images, &texts))
        else {
            return Ok(None);
        };
        let groups: Vec<u32> =
            members.iter().map(|&member| self.material.pairs[member].group).collect();
        let calibration = calibrate::fit(&images, &texts, &groups).unwrap_or_default();
        let score = f64::midpoint(text_to_image.mrr, image_to_text.mrr);
        let measured = Best { step: self.state.step, score, text_to_image, image_to_text };
        Ok(Some((measured, calibration)))
    }

    fn embed(&self, members: &[usize]) -> Result<(Vectors, Vectors)> {
        let (recipe, material) = (&self.job.recipe, self.material);
        let pass = self.learner.pass(Mode::Inference);
        let mut images = Vectors::empty(recipe.dim);
        let mut texts = Vectors::empty(recipe.dim);
        // `any` has no one text to measure with; all of them together say most.
        let preprocessing = &self.towers.preprocessing().texts;
        let choice = if recipe.text == TextChoice::Any { TextChoice::All } else { recipe.text };
        for chunk in members.chunks(VALIDATION_BATCH) {
            let mut rng = self.job.seed.stream("validation", 0);
            let mut batch = ImageBatch::new(recipe.frame());
            let mut words = Vec::with_capacity(chunk.len());
            for &member in chunk {
                let pair = &material.pairs[member];
                batch.push(material.cache.get(pair.picture).unwrap_or_default());
                words.push(batches::chosen_text(pair, choice, preprocessing, &mut rng));
            }
            let tokens = material.vocabulary.batch(&words, preprocessing.longest);
            let embedded = |pass: &Pass| {
                let images = self.towers.embed_images(pass, &batch)?;
                Ok((images, self.towers.embed_texts(pass, &tokens)?))
            };
            let (of_images, of_texts) = embedded(&pass).map_err(|error: Error| {
                // A pass that fails was watched up to there.
                let again = |pass: &Pass| drop(embedded(pass));
                diagnose::validation(error, self.state.step, self.learner.parameters(), again)
            })?;
            images.append(&of_images)?;
            texts.append(&of_texts)?;
        }
        Ok((images, texts))
    }

    fn save_model(&self, calibration: Calibration) -> Result<()> {
        let recipe = &self.job.recipe;
        let about = About {
            architecture: recipe.architecture(),
            calibration,
            data: self.data_table(),
            metrics: self.metrics_table(),
            recipe: recipe.to_toml().parse().unwrap_or_default(),
        };
        let parameters = self.learner.parameters();
        encoder::save(&self.job.output, parameters, &self.material.vocabulary, about)?;
        Ok(())
    }

    fn data_table(&self) -> toml::Table {
        let count = |n: usize| toml::Value::Integer(n as i64);
        toml::Table::from_iter([
            ("training_pairs".to_owned(), count(self.material.training.len())),
            ("validation_pairs".to_owned(), count(self.material.validation.len())),
            ("tokens".to_owned(), count(self.material.vocabulary.len())),
            ("seed".to_owned(), toml::Value::String(self.job.seed.0.to_string())),
            ("steps".to_owned(), toml::Value::Integer(self.state.step as i64)),
        ])
    }

    fn metrics_table(&self) -> toml::Table {
        let mut table = toml::Table::new();
        let mut put = |name: &str, summary: Option<&Summary>| {
            if let Some(summary) = summary.and_then(|s| toml::Value::try_from(s).ok()) {
                table.insert(name.to_owned(), summary);
            }
        };
        put("text_to_image", self.state.best.as_ref().map(|best| &best.text_to_image));
        put("image_to_text", self.state.best.as_ref().map(|best| &best.image_to_text));
        put("untrained", self.state.untrained.as_ref());
        put("chance", self.chance().as_ref());
        table
    }

    fn chance(&self) -> Option<Summary> {
        let gallery = self.material.validation.len();
        metrics::chance(&vec![1; gallery], gallery)
    }

    fn save_checkpoint(&self, run: &mut Run<'_>) -> Result<()> {
        run.log.flush()?;
        run.saved = Instant::now();
        self.write_checkpoint()
    }

    fn write_checkpoint(&self) -> Result<()> {
        let (parameters, optimiser) = (self.learner.parameters(), self.learner.optimiser());
        checkpoint::save(&self.job.output, &self.state, parameters, optimiser)
    }

    fn interrupted(&self, run: &mut Run<'_>) -> Result<()> {
        self.save_checkpoint(run)?;
        Err(Error::new(ErrorKind::Interrupted, format!("stopped after step {}", self.state.step))
            .with_fact(Fact::Stopped { step: self.state.step }))
    }

    fn note(&self, measured: &Best, run: &Run<'_>) -> String {
        let rate = (self.state.step - run.first.0) as f64 * run.size as f64
            / run.first.1.elapsed().as_secs_f64().max(1e-9);
        format!(
            "epoch {:.1}: text finds its picture among {}: {}; {rate:.0} pictures/s",
            self.state.step as f64 / run.per_epoch as f64,
            measured.text_to_image.queries,
            recalls(&measured.text_to_image),
        )
    }

    /// What the run came to, beside chance and the untrained model.
    fn summary(&self) -> String {
        let Some(best) = &self.state.best else {
            return "no pairs were put aside to measure on; the model of the last step was kept"
                .to_owned();
        };
        let mut lines = vec![format!(
            "text finds its own picture among {} that were put aside (best at step {}):",
            best.text_to_image.queries, best.step
        )];
        let mut line = |name: &str, summary: Option<&Summary>| {
            if let Some(summary) = summary {
                lines.push(format!("  {name:<10} {}", recalls(summary)));
            }
        };
        line("trained", Some(&best.text_to_image));
        line("untrained", self.state.untrained.as_ref());
        line("chance", self.chance().as_ref());
        lines.join("\n")
    }
}

/// What the loop keeps beside the trainer's state.
#[derive(Debug)]
struct Run<'a> {
    log: &'a mut Log,
    watch: Watch,
    /// Time used in earlier sittings.
    before: Duration,
    /// Pictures a step.
    size: usize,
    /// Steps an epoch.
    per_epoch: u64,
    validation_took: Duration,
    /// Step and time of the last validation.
    validated: (u64, Instant),
    saved: Instant,
    /// Step and time at which this sitting began.
    first: (u64, Instant),
}

fn recalls(summary: &Summary) -> String {
    format!(
        "R@1 {:.1} %, R@5 {:.1} %, R@10 {:.1} %, median rank {:.0}",
        100.0 * summary.r1,
        100.0 * summary.r5,
        100.0 * summary.r10,
        summary.median_rank
    )
}
