//! The loop.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use burn::tensor::Tensor;

use super::batches::{self, Batch, Batches, Material, Pictures};
use super::budget::{self, Clock, Plan, Rate};
use super::checkpoint::{self, Best, State};
use super::curves::Curves;
use super::log::{Log, StepLine};
use super::loss::{LossKind, Measured, Pairs};
use super::miner::Miner;
use super::optimiser::{Diverged, Learner, Optimiser};
use super::phase::Phase;
use super::recipe::Recipe;
use super::schedule::Validations;
use super::verdict::{self, Engine, Seen, Verdict};
use super::watch::Watch;
use super::{Job, baseline, calibrate, diagnose};
use crate::catalogue::{Learnt, as_typed};
use crate::encoder::parameters::{Mode, Parameters, Pass};
use crate::encoder::towers::Towers;
use crate::encoder::{self, About, Architecture, Calibration, Freeze};
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::metrics::{self, Answers, Summary};
use crate::ops::values_of;
use crate::short::{self, OfKind};
use crate::units::{Event, Listener, Stop};
use crate::vectors::Vectors;

/// A checkpoint is due after this long, at the next step.
const CHECKPOINT_EVERY: Duration = Duration::from_mins(5);
/// Pairs that pass through the towers together in a validation.
const VALIDATION_BATCH: usize = 64;

/// A run in progress.
#[derive(Debug)]
pub(super) struct Trainer<'a> {
    pub(super) job: &'a Job,
    /// The job's recipe; a budget of time becomes its number of steps.
    pub(super) recipe: Recipe,
    /// The recipe's, with what pretrained weights demand of pictures.
    pub(super) architecture: Architecture,
    /// The part of the run that is under way.
    pub(super) phase: Phase,
    pub(super) towers: Towers,
    pub(super) material: &'a Material,
    pub(super) learner: Learner,
    pub(super) state: State,
    pub(super) clock: Clock<'a>,
}

impl Trainer<'_> {
    /// Trains to the end of the recipe or the budget; returns what the run came to, its steps, and
    /// those in which the network was tuned.
    pub(super) fn run(
        &mut self,
        stop: &Stop,
        listener: Listener<'_>,
    ) -> Result<(String, u64, u64)> {
        self.enter(Phase::learning(&self.job.recipe, self.job.minutes));
        self.measure_baseline(stop, listener)?;
        let first_look_s = self.look_first()?;
        self.tell_what_to_beat(listener);
        let learned = self.fit(first_look_s, stop, listener)?;
        let mut steps = learned;
        if self.job.recipe.tunes(self.job.minutes) {
            self.enter(Phase::tuning(&self.job.recipe, learned));
            listener(Event::Note("the head has learned; now the network itself is tuned"));
            steps = self.fit(0.0, stop, listener)?;
        }
        if let Err(error) = self.write_checkpoint() {
            listener(Event::Warning(&format!(
                "the last checkpoint cannot be written ({}); the model is whole, but training it \
                 for longer will begin at an earlier step",
                error.whole()
            )));
        }
        Ok((self.summary(), learned, steps - learned))
    }

    /// Begins a part of the run, or goes on in it.
    fn enter(&mut self, phase: Phase) {
        let mut parameters = Parameters::clone(self.learner.parameters());
        self.towers.freeze(&mut parameters, phase.freeze);
        let begins = phase.tunes && self.state.step <= phase.first;
        let optimiser =
            if begins { Optimiser::default() } else { self.learner.optimiser().clone() };
        self.learner = Learner::new(parameters, optimiser);
        self.state.tunes |= phase.tunes;
        self.phase = phase;
    }

    /// Trains to the end of a part; returns the steps of the run up to there.
    fn fit(&mut self, first_look_s: f64, stop: &Stop, listener: Listener<'_>) -> Result<u64> {
        // Of the material alone, so that the trainer can change meanwhile.
        let batches = Batches::new(self.material, &self.job.recipe, &self.phase, self.job.seed);
        let (size, per_epoch) = (batches.size(), batches.per_epoch());
        let seen = self.material.validation.len().div_ceil(size.max(1));
        let validations = Validations { closest: seen.max(1) as u64 };
        match self.clock.budget {
            Some(budget) => {
                let budget = budget.mul_f64(self.phase.until);
                self.plan(budget, first_look_s, validations, stop, listener)?;
            }
            None => self.forget_plan(per_epoch, listener),
        }
        let mut log = Log::open(&self.job.output, self.state.step)?;
        let (step, now) = (self.state.step, self.clock.now());
        let schedule = &self.phase.schedule;
        let mut run = Run {
            log: &mut log,
            watch: Watch::default(),
            size,
            per_epoch,
            length: self.phase.first + schedule.length(per_epoch),
            validate_every: schedule.validate_every(per_epoch, validations),
            validated: step,
            saved: now,
            first: (step, now),
        };
        if step < run.length {
            batches::ahead(batches, step, stop, |receiver| {
                self.steps(&mut run, receiver, stop, listener)
            })?;
        }
        if self.state.step > run.validated || self.state.best.is_none() {
            self.validate_and_keep(&mut run, listener)?;
        }
        run.log.flush()?;
        Ok(run.length)
    }

    /// What a budget came to, of the part that is under way.
    fn plan_of_the_phase(&mut self) -> &mut Option<Plan> {
        if self.phase.tunes { &mut self.state.tune_plan } else { &mut self.state.plan }
    }

    /// Before anything is learned, measures a linear model on the same pairs.
    fn measure_baseline(&mut self, stop: &Stop, listener: Listener<'_>) -> Result<()> {
        if self.state.step > 0 || self.state.linear.is_some() || self.material.validation.is_empty()
        {
            return Ok(());
        }
        if let Some((images, texts)) =
            baseline::embed(self.material, self.job.seed, stop, listener)?
        {
            let titles = self.titles(&self.material.validation);
            self.state.linear = self.summarised(&texts, &images, &titles);
        }
        Ok(())
    }

    /// Says what figures mean nothing without, before the first of them.
    fn tell_what_to_beat(&self, listener: Listener<'_>) {
        let (State { step, untrained, linear, .. }, chance) = (&self.state, self.chance());
        let lines = [("chance", &chance), ("the untrained model", untrained)];
        for (name, summary) in lines.into_iter().chain([("a linear baseline", linear)]) {
            if let Some(summary) = summary.as_ref().filter(|_| *step == 0) {
                let (among, recalls) = (summary.queries, recalls(summary));
                listener(Event::Note(&format!(
                    "to compare with, by {name}, among {among}: {recalls}"
                )));
            }
        }
    }

    /// Before the first step, measures the untrained model and writes a checkpoint; returns the
    /// seconds of both.
    fn look_first(&mut self) -> Result<f64> {
        let started = self.clock.now();
        if self.state.step == 0 {
            let untrained = self.validate()?;
            self.state.untrained = untrained.map(|(best, _)| best.text_to_image);
            self.state.elapsed_s = self.clock.used().as_secs_f64();
            // Before the log and before any model: from here on there is something to go on from.
            self.write_checkpoint()?;
        }
        Ok(self.clock.since(started))
    }

    /// Makes the budget a number of steps, unless an earlier sitting did.
    fn plan(
        &mut self,
        budget: Duration,
        first_look_s: f64,
        validations: Validations,
        stop: &Stop,
        listener: Listener<'_>,
    ) -> Result<()> {
        let plan = if let Some(plan) = *self.plan_of_the_phase() {
            plan.under(budget, self.state.step, validations)
        } else {
            let Some(rate) = self.rate(budget, first_look_s, stop, listener)? else {
                return self.stopped();
            };
            Plan::new(budget, self.clock.used(), self.state.step, rate, validations)
        };
        if *self.plan_of_the_phase() != Some(plan) {
            *self.plan_of_the_phase() = Some(plan);
            self.state.elapsed_s = self.clock.used().as_secs_f64();
            self.write_checkpoint()?;
        }
        let steps = plan.steps.saturating_sub(self.phase.first).max(1);
        self.phase.schedule.steps = steps;
        if self.phase.tunes {
            self.recipe.tune.steps = steps;
        } else {
            self.recipe.schedule.steps = steps;
        }
        tell(&plan, &self.phase, listener);
        Ok(())
    }

    /// A run that goes on without its budget has the length of its recipe.
    fn forget_plan(&mut self, per_epoch: u64, listener: Listener<'_>) {
        let steps = self.phase.first + self.phase.schedule.length(per_epoch);
        if let Some(plan) = self.plan_of_the_phase().take_if(|plan| plan.steps != steps) {
            listener(Event::Note(&format!(
                "no budget is given any more: the run has the {steps} steps of its recipe, not the \
                 {} that its budget came to",
                plan.steps
            )));
        }
    }

    /// How long steps and validations take; `None` when a stop was asked for.
    fn rate(
        &mut self,
        budget: Duration,
        first_look_s: f64,
        stop: &Stop,
        listener: Listener<'_>,
    ) -> Result<Option<Rate>> {
        let validation_s = if self.state.step == 0 && first_look_s > 0.0 {
            first_look_s
        } else {
            // A run of an earlier build, or one that had no budget so far.
            let started = self.clock.now();
            self.validate()?;
            self.clock.since(started)
        };
        let left = budget.saturating_sub(self.clock.used());
        let kept = (self.learner.clone(), self.state.step);
        // Of the material alone, so that the learner can change meanwhile.
        let batches = Batches::new(self.material, &self.job.recipe, &self.phase, self.job.seed);
        let step_s = batches::ahead(batches, self.state.step, stop, |receiver| {
            self.trial(receiver, left, stop, listener)
        })?;
        (self.learner, self.state.step) = kept;
        Ok(step_s.map(|step_s| Rate { step_s, validation_s }))
    }

    /// Seconds of a step, from a few; `None` when a stop was asked for.
    fn trial(
        &mut self,
        batches: &Receiver<Batch>,
        left: Duration,
        stop: &Stop,
        listener: Listener<'_>,
    ) -> Result<Option<f64>> {
        let rate = self.phase.schedule.rate(0.0, &self.state.plateau);
        let mut started = self.clock.now();
        for steps in 0.. {
            let Ok(batch) = batches.recv() else { break };
            if stop.asked() {
                break;
            }
            self.learn(&batch, rate)?;
            let took = self.clock.now().saturating_sub(started);
            listener(Event::Progress { what: "measuring", done: steps as usize, total: 0 });
            if steps == 0 {
                // Fills buffers and caches, and takes longer.
                started = self.clock.now();
            } else if budget::is_enough(steps, took, left) {
                return Ok(Some(took.as_secs_f64() / f64::from(steps)));
            }
        }
        Ok(None)
    }

    fn steps(
        &mut self,
        run: &mut Run<'_>,
        batches: &Receiver<Batch>,
        stop: &Stop,
        listener: Listener<'_>,
    ) -> Result<()> {
        while self.state.step < run.length {
            if stop.asked() {
                return self.interrupted(run);
            }
            let Ok(batch) = batches.recv() else { return self.interrupted(run) };
            let first = self.phase.first;
            let progress = (self.state.step - first) as f64 / (run.length - first) as f64;
            let rate = self.phase.schedule.rate(progress, &self.state.plateau);
            let learned = self.learn(&batch, rate)?;
            self.state.elapsed_s = self.clock.used().as_secs_f64();
            run.log.step(&self.line(&learned, rate, run))?;
            self.look_at(&learned, run, listener);
            if self.validation_is_due(run) {
                self.validate_and_keep(run, listener)?;
                run.log.flush()?;
            }
            if self.clock.now().saturating_sub(run.saved) > CHECKPOINT_EVERY {
                self.save_checkpoint(run)?;
            }
        }
        Ok(())
    }

    /// One step: forward, backward, update.
    fn learn(&mut self, batch: &Batch, rate: f32) -> Result<Learned> {
        let step = self.state.step;
        // A network that is tuned goes on from the moments that its weights belong to.
        let pass = self.learner.pass(Mode::Training).with_fixed_moments(self.phase.tunes);
        let measured = self.measure(&pass, batch);
        let loss = values_of(measured.loss.clone())[0];
        if !loss.is_finite() {
            let what = format!("the loss of step {} is {loss}", step + 1);
            return Err(self.not_finite(&what, batch, &BTreeMap::new()));
        }
        let Self { towers, phase, learner, .. } = self;
        let rate = |name: &str| rate * phase.share_of_the_rate(towers.below_the_top(name));
        let gradient = learner
            .descend(pass, &measured.loss, &phase.schedule, rate, step + 1 - phase.first)
            .map_err(|Diverged { error, gradients }| {
                self.not_finite(error.message(), batch, &gradients)
            })?;
        self.state.step += 1;
        Ok(Learned { loss, active: measured.active, distance: measured.distance, gradient })
    }

    /// The log's line about the step that was done last.
    fn line(&self, learned: &Learned, rate: f32, run: &Run<'_>) -> StepLine {
        StepLine {
            step: self.state.step,
            epoch: (self.state.step - 1 - self.phase.first) / run.per_epoch,
            loss: learned.loss,
            active: learned.active,
            distance: learned.distance,
            rate,
            gradient: learned.gradient,
            images_per_s: self.images_per_s(run),
        }
    }

    /// Pictures a second in this sitting.
    fn images_per_s(&self, run: &Run<'_>) -> f64 {
        let (step, began) = run.first;
        (self.state.step - step) as f64 * run.size as f64 / self.clock.since(began).max(1e-9)
    }

    /// Both towers and the loss of the batch of the step that comes next.
    fn measure(&self, pass: &Pass, batch: &Batch) -> Measured {
        let mut chance = self.job.seed.stream("dropout", self.state.step);
        let negatives = batch.negatives.as_ref();
        let images = self.images(pass, &batch.pictures, &mut chance);
        let pairs = Pairs {
            images: images.clone(),
            texts: self.towers.texts(pass, &batch.texts, &mut chance),
            negatives: negatives.map(|texts| self.towers.texts(pass, texts, &mut chance)),
            truth: &batch.truth,
        };
        let progress = self.progress();
        let of_texts = self.recipe.loss.measure(pass, pairs, progress);
        let Some(alike) = &batch.alike else { return of_texts };
        // As texts are to pictures, so are other pictures of their label.
        let alike = self.images(pass, alike, &mut chance);
        let pairs = Pairs { images, texts: alike, negatives: None, truth: &batch.truth };
        let of_pictures = self.recipe.loss.measure(pass, pairs, progress);
        let loss = (of_texts.loss + of_pictures.loss).div_scalar(2.0);
        Measured { loss, ..of_pictures }
    }

    /// The share of the part that is done, 0 to 1; 1 where its length is not known yet.
    fn progress(&self) -> f32 {
        let Phase { first, schedule, .. } = &self.phase;
        let per_epoch = (self.material.training.len() / self.phase.batch_size.max(1)).max(1) as u64;
        let length = schedule.length(per_epoch).max(1);
        ((self.state.step - first.min(&self.state.step)) as f32 / length as f32).min(1.0)
    }

    /// Pictures -> unit rows.
    fn images(&self, pass: &Pass, pictures: &Pictures, chance: &mut fastrand::Rng) -> Tensor<2> {
        match pictures {
            Pictures::Pixels(batch) => self.towers.images(pass, batch, chance),
            Pictures::Features(values) => {
                self.towers.images_of_features(pass, values.clone(), chance)
            }
        }
    }

    /// Pictures -> vectors.
    fn embed_images(&self, pass: &Pass, pictures: &Pictures) -> Result<Vectors> {
        match pictures {
            Pictures::Pixels(batch) => self.towers.embed_images(pass, batch),
            Pictures::Features(values) => self.towers.embed_features(pass, values.clone()),
        }
    }

    /// The error of a step that left the finite numbers, with the layer where it began.
    fn not_finite(
        &self,
        what: &str,
        batch: &Batch,
        gradients: &BTreeMap<String, Vec<f32>>,
    ) -> Error {
        let pass = Pass::watching(Arc::clone(self.learner.parameters()), Mode::Training)
            .with_fixed_moments(self.phase.tunes);
        diagnose::not_finite(what, &pass, gradients, |pass| {
            self.measure(pass, batch);
        })
    }

    fn look_at(&self, learned: &Learned, run: &mut Run<'_>, listener: Listener<'_>) {
        let loss = &self.recipe.loss;
        let resting = match loss.kind {
            LossKind::Triplet => loss.margin,
            LossKind::InfoNce => (run.size as f32).ln(),
            // Of a batch in which nothing is told apart; the bias decides, and there is no one figure.
            LossKind::Sigmoid => f32::INFINITY,
        };
        if let Some(warning) = run.watch.see(loss.kind, learned.loss, learned.distance, resting) {
            listener(Event::Suspicion(&warning, Fact::Collapsed));
        }
        // Another loss begins when the hardest negative alone counts.
        let warms_up = loss.miner == Miner::Hardest && self.progress() < loss.miner_warm_up;
        if let Some(warning) = run.watch.see_loss(learned.loss, warms_up) {
            listener(Event::Suspicion(&warning, Fact::Diverged));
        }
        let pictures = |steps: u64| (steps as usize).saturating_mul(run.size);
        let (done, total) = (pictures(self.state.step), pictures(run.length));
        listener(Event::Progress { what: "training", done, total });
    }

    /// Every so many steps, and after the last.
    fn validation_is_due(&self, run: &Run<'_>) -> bool {
        self.state.step.is_multiple_of(run.validate_every) || self.state.step == run.length
    }

    fn validate_and_keep(&mut self, run: &mut Run<'_>, listener: Listener<'_>) -> Result<()> {
        match self.validate()? {
            Some((measured, calibration)) => {
                run.log.validation(&measured)?;
                self.phase.schedule.validated(measured.score, &mut self.state.plateau);
                listener(Event::Note(&self.note(&measured, run)));
                let best = self.state.best.as_ref().map_or(f64::NEG_INFINITY, |best| best.score);
                let learnt = measured.training.as_ref();
                let warning =
                    run.watch.see_validation(measured.score, learnt, &measured.text_to_image);
                if let Some(warning) = warning {
                    listener(Event::Suspicion(&warning, Fact::Overfitted));
                }
                if measured.score > best {
                    self.state.best = Some(measured);
                    self.save_model(calibration)?;
                }
            }
            // Nothing to measure on: the newest model is the one to keep.
            None => self.save_model(Calibration::default())?,
        }
        run.validated = self.state.step;
        Ok(())
    }

    /// Recall on the pairs that were put aside; `None` when there are none.
    fn validate(&self) -> Result<Option<(Best, Calibration)>> {
        let members = &self.material.validation;
        if members.is_empty() {
            return Ok(None);
        }
        let (images, texts) = self.embed(members)?;
        let titles = self.titles(members);
        let (Some(text_to_image), Some(image_to_text)) =
            (self.summarised(&texts, &images, &titles), self.summarised(&images, &texts, &titles))
        else {
            return Ok(None);
        };
        let alike = self.material.labels.as_ref();
        let itself = |query: usize, row: usize| query == row;
        let image_to_image =
            alike.and_then(|_| self.summarised_without(&images, &images, &titles, &itself));
        let groups: Vec<u32> =
            members.iter().map(|&member| self.material.pairs[member].group).collect();
        let calibration = calibrate::fit(&images, &texts, &groups).unwrap_or_default();
        let short = self.ask(&images)?;
        let score = match &image_to_image {
            Some(alike) => alike.mrr,
            None => score(&text_to_image, &image_to_text, &short),
        };
        let step = self.state.step;
        let training = self.recall_of_what_was_learned()?;
        let measured =
            Best { step, score, text_to_image, image_to_text, image_to_image, training, short };
        Ok(Some((measured, calibration)))
    }

    /// How titles find their pictures among as many pairs that are learned from.
    fn recall_of_what_was_learned(&self) -> Result<Option<Summary>> {
        let members = self.material.as_many_learned_from();
        if members.is_empty() {
            return Ok(None);
        }
        let (images, texts) = self.embed(&members)?;
        Ok(self.summarised(&texts, &images, &self.titles(&members)))
    }

    /// How queries find their partners; row i of both is of title i.
    fn summarised(
        &self,
        queries: &Vectors,
        gallery: &Vectors,
        titles: &[String],
    ) -> Option<Summary> {
        self.summarised_without(queries, gallery, titles, &|_, _| false)
    }

    /// The same, when `skip` takes rows out of a query's gallery.
    fn summarised_without(
        &self,
        queries: &Vectors,
        gallery: &Vectors,
        titles: &[String],
        skip: &(dyn Fn(usize, usize) -> bool + Sync),
    ) -> Option<Summary> {
        // Equal texts are equal answers.
        let own = |query: usize, row: usize| query == row || titles[query] == titles[row];
        let ranks = metrics::ranks(queries, gallery, &own, skip);
        metrics::summarise(&ranks.into_iter().flatten().collect::<Vec<_>>(), self.job.seed)
    }

    /// How well the pictures of the validation answer what people type, by kind of question.
    fn ask(&self, images: &Vectors) -> Result<BTreeMap<String, Answers>> {
        let questions = &self.material.questions;
        let pass = self.learner.pass(Mode::Inference);
        let longest = self.towers.preprocessing().texts.longest;
        let mut vectors = Vectors::empty(self.towers.vector_dim());
        for chunk in questions.chunks(VALIDATION_BATCH) {
            let texts: Vec<&str> = chunk.iter().map(|question| question.text.as_str()).collect();
            let tokens = self.material.vocabulary.batch(&texts, longest);
            vectors.append(&self.towers.embed_texts(&pass, &tokens)?)?;
        }
        let short = short::report(short::answered(questions, &vectors, images), self.job.seed);
        let kinds = short.map(|short| short.kinds).unwrap_or_default();
        Ok(kinds.into_iter().map(|OfKind { kind, answers }| (kind.to_string(), answers)).collect())
    }

    fn embed(&self, members: &[usize]) -> Result<(Vectors, Vectors)> {
        let (recipe, material) = (&self.recipe, self.material);
        let pass = self.learner.pass(Mode::Inference);
        let mut images = Vectors::empty(self.towers.vector_dim());
        let mut texts = Vectors::empty(self.towers.vector_dim());
        let preprocessing = &self.towers.preprocessing().texts;
        for chunk in members.chunks(VALIDATION_BATCH) {
            let from_features = self.phase.from_features;
            let pictures = material.pictures(chunk, recipe.frame(), from_features);
            // Titles, whatever is learned from: that is what people type at most.
            let words: Vec<&str> =
                chunk.iter().map(|&member| material.pairs[member].texts[0].as_str()).collect();
            let tokens = material.vocabulary.batch(&words, preprocessing.longest);
            let embedded = |pass: &Pass| {
                let images = self.embed_images(pass, &pictures)?;
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
        let recipe = &self.recipe;
        let about = About {
            architecture: self.architecture.clone(),
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
        let mut table = toml::Table::from_iter([
            ("training_pairs".to_owned(), count(self.material.training.len())),
            ("validation_pairs".to_owned(), count(self.material.validation.len())),
            ("tokens".to_owned(), count(self.material.vocabulary.len())),
            ("seed".to_owned(), toml::Value::String(self.job.seed.0.to_string())),
            ("steps".to_owned(), toml::Value::Integer(self.state.step as i64)),
        ]);
        if let Ok(learnt) = toml::Value::try_from(&self.material.learnt) {
            table.insert(Learnt::ENTRY.to_owned(), learnt);
        }
        table
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
        if let Some(short) = self.state.best.as_ref().map(|best| &best.short)
            && let Ok(short) = toml::Value::try_from(short)
        {
            table.insert("short".to_owned(), short);
        }
        let mut put = |name: &str, summary: Option<&Summary>| {
            if let Some(summary) = summary.and_then(|s| toml::Value::try_from(s).ok()) {
                table.insert(name.to_owned(), summary);
            }
        };
        put("image_to_image", self.state.best.as_ref().and_then(|b| b.image_to_image.as_ref()));
        put("training", self.state.best.as_ref().and_then(|b| b.training.as_ref()));
        put("linear", self.state.linear.as_ref());
        put("untrained", self.state.untrained.as_ref());
        put("chance", self.chance().as_ref());
        table
    }

    pub(super) fn chance(&self) -> Option<Summary> {
        let titles = self.titles(&self.material.validation);
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for title in &titles {
            *counts.entry(title).or_default() += 1;
        }
        let right: Vec<usize> = titles.iter().map(|title| counts[title.as_str()]).collect();
        metrics::chance(&right, titles.len())
    }

    /// The titles of these pairs, as people type them.
    fn titles(&self, members: &[usize]) -> Vec<String> {
        let pairs = &self.material.pairs;
        members.iter().map(|&member| as_typed(&pairs[member].texts[0])).collect()
    }

    fn save_checkpoint(&self, run: &mut Run<'_>) -> Result<()> {
        run.log.flush()?;
        run.saved = self.clock.now();
        self.write_checkpoint()
    }

    fn write_checkpoint(&self) -> Result<()> {
        let (parameters, optimiser) = (self.learner.parameters(), self.learner.optimiser());
        checkpoint::save(&self.job.output, &self.state, parameters, optimiser)
    }

    fn interrupted(&mut self, run: &mut Run<'_>) -> Result<()> {
        run.log.flush()?;
        self.stopped()
    }

    /// Keeps where the run stands, and says that it was stopped.
    fn stopped(&mut self) -> Result<()> {
        self.state.elapsed_s = self.clock.used().as_secs_f64();
        self.write_checkpoint()?;
        let step = self.state.step;
        Err(Error::new(ErrorKind::Interrupted, format!("stopped after step {step}"))
            .with_fact(Fact::Stopped { step }))
    }

    fn note(&self, measured: &Best, run: &Run<'_>) -> String {
        let rate = self.images_per_s(run);
        format!(
            "epoch {:.1}: a title finds its picture among {}: {}{}{}; {rate:.0} pairs/s",
            (self.state.step - self.phase.first) as f64 / run.per_epoch as f64,
            measured.text_to_image.queries,
            recalls(&measured.text_to_image),
            measured.image_to_image.as_ref().map_or_else(String::new, |alike| {
                format!("; a picture finds one of its label first: {:.1} %", 100.0 * alike.r1)
            }),
            precisions(&measured.short),
        )
    }

    /// How the network of the model that was kept came to its weights.
    pub(super) fn engine(&self) -> Engine {
        let best = self.state.best.as_ref().map_or(0, |best| best.step);
        let is_tuned = self.phase.tunes && best > self.phase.first;
        match self.state.pretrained {
            None => Engine::FromNothing,
            Some(_) if is_tuned || self.recipe.freeze() != Freeze::All => Engine::Tuned,
            Some(_) => Engine::Frozen,
        }
    }

    /// What would help the model most; `None` when nothing was put aside to tell by.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        let best = self.state.best.as_ref()?;
        let curves = Curves::read(&self.job.output).unwrap_or_default();
        let of_the_phase = curves.validations.iter().filter(|v| v.step > self.phase.first);
        Some(verdict::of(&Seen {
            engine: self.engine(),
            trained: &best.text_to_image,
            learnt: best.training.as_ref(),
            linear: self.state.linear.as_ref(),
            validations: &of_the_phase.copied().collect::<Vec<_>>(),
        }))
    }

    /// What the run came to, beside a linear baseline, the untrained model and chance.
    fn summary(&self) -> String {
        let Some(best) = &self.state.best else {
            return "no pairs were put aside to measure on; the model of the last step was kept"
                .to_owned();
        };
        let mut lines = vec![format!(
            "a title finds its own picture among {} that were put aside (best at step {}):",
            best.text_to_image.queries, best.step
        )];
        let mut line = |name: &str, summary: Option<&Summary>| {
            if let Some(summary) = summary {
                lines.push(format!("  {name:<10} {}", recalls(summary)));
            }
        };
        line("trained", Some(&best.text_to_image));
        line("linear", self.state.linear.as_ref());
        line("untrained", self.state.untrained.as_ref());
        line("chance", self.chance().as_ref());
        if let Some(alike) = &best.image_to_image {
            lines.push(format!("a picture finds others of its label:\n  {}", recalls(alike)));
        }
        if !best.short.is_empty() {
            lines.push("right among the first 9 pictures, by what is asked for:".to_owned());
        }
        for (kind, answers) in &best.short {
            lines.push(format!(
                "  {kind}: {:.1} % of {} questions ({:.1} % by chance)",
                100.0 * answers.p9,
                answers.questions,
                100.0 * answers.chance.p9
            ));
        }
        lines.join("\n")
    }
}

/// What a step came to.
#[derive(Clone, Copy, Debug)]
struct Learned {
    loss: f32,
    active: f32,
    distance: f32,
    gradient: f32,
}

/// What the loop keeps beside the trainer's state.
#[derive(Debug)]
struct Run<'a> {
    log: &'a mut Log,
    watch: Watch,
    /// Pictures a step.
    size: usize,
    /// Steps an epoch.
    per_epoch: u64,
    /// Steps of the whole run.
    length: u64,
    /// Steps from one validation to the next.
    validate_every: u64,
    /// Step of the last validation.
    validated: u64,
    /// When the last checkpoint was written.
    saved: Duration,
    /// Step and time at which this sitting began.
    first: (u64, Duration),
}

/// Says what a budget came to.
fn tell(plan: &Plan, phase: &Phase, listener: Listener<'_>) {
    let (minutes, steps) = (plan.budget_s / 60.0, plan.steps - phase.first);
    let key = if phase.tunes { "tune.steps" } else { "schedule.steps" };
    if plan.used_s >= plan.budget_s {
        listener(Event::Warning(&format!(
            "the budget of {minutes} minutes was used up before the first step"
        )));
    }
    let again = match plan.since {
        since if since == phase.first => {
            format!("; a recipe with {key}={steps} repeats this run step by step")
        }
        _ => String::new(),
    };
    listener(Event::Note(&format!(
        "{minutes:.1} minutes{} come to {steps} steps of about {:.2} s{again}",
        if phase.tunes { " in all" } else { "" },
        plan.rate.step_s
    )));
}

/// One figure from 0 to 1 to choose the best model by: how near titles and pictures find each other,
/// and how well what people type is answered, one as important as the other.
pub(super) fn score(
    text_to_image: &Summary,
    image_to_text: &Summary,
    short: &BTreeMap<String, Answers>,
) -> f64 {
    let partners = f64::midpoint(text_to_image.mrr, image_to_text.mrr);
    if short.is_empty() {
        return partners;
    }
    let answers = short.values().map(|answers| answers.map).sum::<f64>() / short.len() as f64;
    f64::midpoint(partners, answers)
}

/// The share of right ones among the first nine, a kind of question each.
fn precisions(short: &BTreeMap<String, Answers>) -> String {
    let of_kind =
        |(kind, answers): (&String, &Answers)| format!("{kind} {:.0} %", 100.0 * answers.p9);
    let all: Vec<String> = short.iter().map(of_kind).collect();
    if all.is_empty() { String::new() } else { format!("; right of 9: {}", all.join(", ")) }
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
