//! Training steps: of the image tower, and of the recurrent part of the text tower.

use burn::tensor::Tensor;

use super::{Size, Work, made, operations};
use crate::encoder::gru::Gru;
use crate::encoder::parameters::{Mode, Parameters, Pass};
use crate::encoder::towers::Towers;
use crate::error::Result;
use crate::images::ImageBatch;
use crate::ops::values_of;
use crate::tokens::{Rules, TokenBatch, Vocabulary};
use crate::train::{Learner, Optimiser, Schedule};
use crate::units::Seed;

const RATE: f32 = 1e-4;
/// Tokens of each text.
const TOKENS: usize = 70;
/// Of the short texts: words of a text, different words, and buckets of n-grams.
const WORDS_A_TEXT: usize = 8;
const WORDS: usize = 8000;
const BUCKETS: usize = 20_000;
/// Values of their tokens and of a state.
const WIDTH: usize = 192;

/// A network and one batch of its inputs.
#[derive(Debug)]
enum Forward {
    Images(Box<ImageBatch>),
    /// Embedded tokens `[n·len, embedding]`.
    Texts {
        tower: Gru,
        embedded: Vec<f32>,
        batch: TokenBatch,
    },
    /// Texts from their words on.
    Words(TokenBatch),
}

/// A network on its way through training.
#[derive(Debug)]
pub(super) struct Training {
    towers: Towers,
    forward: Forward,
    schedule: Schedule,
    gflop: f64,
    state: State,
}

/// What a step changes.
#[derive(Debug)]
struct State {
    learner: Learner,
    steps: u64,
}

impl State {
    fn new(mut parameters: Parameters) -> Self {
        made::fill(&mut parameters);
        Self { learner: Learner::new(parameters, Optimiser::default()), steps: 0 }
    }
}

impl Training {
    pub(super) fn of_images(size: Size<'_>) -> Result<Self> {
        let recipe = super::recipe(size.network, size.side)?;
        let towers = Towers::new(&recipe.architecture(), 2);
        Ok(Self {
            state: State::new(towers.parameters(Seed(0))),
            towers,
            forward: Forward::Images(Box::new(made::pictures(size))),
            schedule: recipe.schedule,
            gflop: operations::of_image_step(size)?,
        })
    }

    pub(super) fn of_texts(batch: usize) -> Result<Self> {
        let recipe = super::recipe("resnet50", 64)?;
        let tower = recipe.text_tower.gru(0);
        let towers = Towers::new(&recipe.architecture(), 2);
        let embedded = made::made("input.texts", batch * TOKENS * tower.embedding, 1.0, 0.0);
        let lengths = vec![TOKENS as u32; batch];
        let batch = TokenBatch {
            len: TOKENS,
            ids: vec![0; batch * TOKENS],
            lengths,
            ..TokenBatch::default()
        };
        let gflop = operations::of_text_step(batch.ids.len(), tower.embedding, tower.hidden);
        Ok(Self {
            state: State::new(towers.text_parameters(Seed(0))),
            towers,
            forward: Forward::Texts { tower: tower.tower(2, recipe.dim), embedded, batch },
            schedule: recipe.schedule,
            gflop,
        })
    }

    /// Short texts of words drawn by Zipf's law, as titles are: few words are frequent.
    pub(super) fn of_words(batch: usize, with_grams: bool) -> Result<Self> {
        let mut recipe = super::recipe("resnet50", 64)?;
        (recipe.text_tower.embedding, recipe.text_tower.hidden) = (WIDTH, WIDTH);
        recipe.tokens = if with_grams {
            Rules::WordsAndGrams { min_count: 1, buckets: BUCKETS }
        } else {
            Rules::Words { min_count: 1 }
        };
        let mut rng = Seed(0).stream("words", 0);
        let mut word = || {
            let length = rng.usize(3..10);
            (0..length).map(|_| rng.lowercase()).collect::<String>()
        };
        let words: Vec<String> = (0..WORDS).map(|_| word()).collect();
        let vocabulary = Vocabulary::learn(words.iter().map(String::as_str), &recipe.tokens);
        let mut drawn = || {
            let rank = (WORDS as f64).powf(rng.f64()) as usize;
            words[rank.min(WORDS - 1)].as_str()
        };
        let mut text = || (0..WORDS_A_TEXT).map(|_| drawn()).collect::<Vec<_>>().join(" ");
        let texts: Vec<String> = (0..batch).map(|_| text()).collect();
        let batch = vocabulary.batch(&texts, TOKENS);
        let towers = Towers::new(&recipe.architecture(), vocabulary.len());
        let tokens = batch.ids.len();
        Ok(Self {
            state: State::new(towers.text_parameters(Seed(0))),
            towers,
            forward: Forward::Words(batch),
            schedule: recipe.schedule,
            gflop: operations::of_text_step(tokens, WIDTH, WIDTH),
        })
    }

    fn fresh(&self) -> State {
        State::new(match self.forward {
            Forward::Images(_) => self.towers.parameters(Seed(0)),
            Forward::Texts { .. } | Forward::Words(_) => self.towers.text_parameters(Seed(0)),
        })
    }

    /// The mean of the squares of all outputs.
    fn loss(&self, pass: &Pass) -> Tensor<1> {
        let out = match &self.forward {
            Forward::Images(batch) => {
                let mut chance = Seed(0).stream("no dropout", 0);
                self.towers.unscaled_images(pass, batch, &mut chance)
            }
            Forward::Texts { tower, embedded, batch } => {
                let shape = [batch.ids.len(), embedded.len() / batch.ids.len()];
                let embedded = pass.tensor(embedded.clone(), &shape);
                tower.features(pass, &embedded, batch)
            }
            Forward::Words(batch) => {
                let mut chance = Seed(0).stream("no dropout", 0);
                self.towers.texts(pass, batch, &mut chance).slice([0..batch.lengths.len(), 0..1])
            }
        };
        out.powi_scalar(2).mean()
    }

    /// One step as `looksee train` takes it; the loss before it and the gradient's length.
    fn step(&self, state: &mut State) -> Result<(f32, f32)> {
        let pass = state.learner.pass(Mode::Training);
        let loss = self.loss(&pass);
        let value = values_of(loss.clone())[0];
        state.steps += 1;
        let State { learner, steps } = state;
        let length = learner.descend(pass, &loss, &self.schedule, |_| RATE, *steps)?;
        Ok((value, length))
    }

    /// How fast the loss rises when every parameter is moved by a made-up number.
    fn slope(&self, learner: &Learner) -> f64 {
        let pass = learner.pass(Mode::Training);
        let gradients = pass.gradients(self.loss(&pass).backward());
        // In the order of a file, which is that of other programs.
        let mut holder = Parameters::clone(learner.parameters());
        for (name, parameter) in holder.iter_mut() {
            match gradients.get(name) {
                Some(gradient) => parameter.values.clone_from(gradient),
                None => parameter.values.fill(0.0),
            }
        }
        let of_one = |(name, gradient): (&String, &crate::encoder::weights::NamedTensor)| {
            made::product(&format!("slope.{}", made::short(name)), &gradient.values)
        };
        holder.to_weights().iter().map(of_one).sum()
    }
}

impl Work for Training {
    fn run(&mut self) -> Result<()> {
        let fresh = State { learner: Learner::default(), steps: self.state.steps };
        let mut state = std::mem::replace(&mut self.state, fresh);
        let outcome = self.step(&mut state);
        self.state = state;
        outcome.map(drop)
    }

    fn gflop(&self) -> f64 {
        self.gflop
    }

    fn answer(&self) -> Result<Vec<(String, f64)>> {
        let mut state = self.fresh();
        let slope = self.slope(&state.learner);
        let (loss, gradient) = self.step(&mut state)?;
        let (after, _) = self.step(&mut state)?;
        let figures = [
            ("loss", f64::from(loss)),
            ("gradient", f64::from(gradient)),
            ("slope", slope),
            ("loss_after", f64::from(after)),
        ];
        Ok(figures.map(|(name, value)| (name.to_owned(), value)).into())
    }
}
