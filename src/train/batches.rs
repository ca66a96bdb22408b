//! From the catalogue to batches, prepared beside the compute.
//!
//! A batch depends on the seed and its step alone, so that a run that was interrupted goes on
//! with the same batches.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, sync_channel};

use super::Recipe;
use super::features::Features;
use super::loss::Spared;
use super::phase::Phase;
use super::recipe::TextChoice;
use super::truth::{self, WordSet};
use crate::catalogue::{Item, Learnt};
use crate::encoder::TextPreprocessing;
use crate::images::{Augment, Frame, ImageBatch, PixelCache};
use crate::questions::Question;
use crate::tokens::{TokenBatch, Vocabulary};
use crate::units::{Seed, Stop};

/// One pair of the training material.
#[derive(Debug)]
pub(super) struct Pair {
    /// Its picture's number in the cache.
    pub(super) picture: usize,
    /// Its texts, at least one.
    pub(super) texts: Vec<String>,
    /// The values of its fields that people ask for.
    pub(super) values: Vec<String>,
    /// Equal numbers never are negatives of each other.
    pub(super) group: u32,
}

/// Everything batches are made from.
#[derive(Debug)]
pub(super) struct Material {
    pub(super) cache: PixelCache,
    /// What a network that keeps its weights says of the pictures, if that is learned from.
    pub(super) features: Option<Features>,
    pub(super) pairs: Vec<Pair>,
    /// The words that are true of each pair, if texts are compared by them.
    pub(super) words: Vec<WordSet>,
    /// Pairs to learn from.
    pub(super) training: Vec<usize>,
    /// Pairs to measure on, one a group.
    pub(super) validation: Vec<usize>,
    /// The items of those, in their order.
    pub(super) aside: Vec<Item>,
    /// What people ask of the pairs to measure on, with the numbers of those that are right.
    pub(super) questions: Vec<Question>,
    pub(super) vocabulary: Vocabulary,
    /// Which pictures are alike, if that is what is learned.
    pub(super) labels: Option<Labels>,
    /// What was learned from, for whoever measures the model.
    pub(super) learnt: Learnt,
}

/// Pairs by what they are called.
#[derive(Debug)]
pub(super) struct Labels {
    /// The label of each pair.
    pub(super) of: Vec<u32>,
    /// The pairs to learn from of each label.
    pub(super) members: Vec<Vec<usize>>,
}

/// What one step learns from.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) pictures: Pictures,
    pub(super) texts: TokenBatch,
    pub(super) negatives: Option<TokenBatch>,
    /// For each picture another one of its label, if there are labels.
    pub(super) alike: Option<Pictures>,
    /// `[n, n]`: whether text j is true of picture i.
    pub(super) truth: Vec<bool>,
}

/// Pictures as the image tower gets them.
#[derive(Clone, Debug)]
pub(super) enum Pictures {
    /// For the whole of it.
    Pixels(ImageBatch),
    /// For its head: `[n, features]`.
    Features(Vec<f32>),
}

impl Labels {
    /// Another pair of the member's label to learn from; itself when there is none.
    fn another(&self, member: usize, rng: &mut fastrand::Rng) -> usize {
        let kin = &self.members[self.of[member] as usize];
        let drawn = kin[rng.usize(..kin.len())];
        if drawn != member || kin.len() == 1 {
            return drawn;
        }
        // The one after it is as random.
        let place = kin.iter().position(|&other| other == member).unwrap_or_default();
        kin[(place + 1 + rng.usize(..kin.len() - 1)) % kin.len()]
    }
}

impl Material {
    /// As many pairs that are learned from as are measured on, one a group, from all of the list; none
    /// when there are not so many.
    pub(super) fn as_many_learned_from(&self) -> Vec<usize> {
        let (wanted, all) = (self.validation.len(), &self.training);
        let mut groups = HashSet::new();
        let fresh = |member: &usize| groups.insert(self.pairs[*member].group);
        let members: Vec<usize> = all.iter().copied().filter(fresh).collect();
        if members.len() < wanted {
            return Vec::new();
        }
        (0..wanted).map(|number| members[number * members.len() / wanted]).collect()
    }

    /// The pictures of these pairs as they are.
    pub(super) fn pictures(
        &self,
        members: &[usize],
        frame: Frame,
        from_features: bool,
    ) -> Pictures {
        let pictures = members.iter().map(|&member| self.pairs[member].picture);
        if let Some(features) = self.features.as_ref().filter(|_| from_features) {
            let mut values = Vec::new();
            pictures.for_each(|picture| features.push(picture, 0, &mut values));
            return Pictures::Features(values);
        }
        let mut batch = ImageBatch::new(frame);
        pictures.for_each(|picture| batch.push(self.cache.get(picture).unwrap_or_default()));
        Pictures::Pixels(batch)
    }
}

/// Makes the batch of any step.
#[derive(Debug)]
pub(super) struct Batches<'a> {
    material: &'a Material,
    recipe: &'a Recipe,
    preprocessing: TextPreprocessing,
    seed: Seed,
    size: usize,
    /// Whether pictures come as features that were taken once.
    from_features: bool,
    /// Steps of the run before these.
    first: u64,
    // The order of the epoch that was asked for last.
    epoch: Option<u64>,
    order: Vec<usize>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(
        material: &'a Material,
        recipe: &'a Recipe,
        phase: &Phase,
        seed: Seed,
    ) -> Self {
        Self {
            material,
            recipe,
            preprocessing: recipe.preprocessing().texts,
            seed,
            size: phase.batch_size.min(material.training.len()),
            from_features: phase.from_features,
            first: phase.first,
            epoch: None,
            order: Vec::new(),
        }
    }

    fn features(&self) -> Option<&'a Features> {
        self.material.features.as_ref().filter(|_| self.from_features)
    }

    /// Pictures a step.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Whole batches an epoch; what is left over changes from epoch to epoch.
    pub(super) fn per_epoch(&self) -> u64 {
        (self.material.training.len() / self.size.max(1)) as u64
    }

    /// The batch of `step` (from 0).
    pub(super) fn get(&mut self, step: u64) -> Batch {
        let own = step - self.first;
        self.turn_to(own / self.per_epoch());
        let start = (own % self.per_epoch()) as usize * self.size;
        let members = self.order[start..start + self.size].to_vec();
        let mut rng = self.seed.stream("batch", step);
        let augment = self.recipe.augment(&mut rng);
        let pictures = self.pictures(&members, augment, &mut rng);
        let mut texts = Vec::with_capacity(self.size);
        for &member in &members {
            texts.push(self.chosen_text(&self.material.pairs[member], &mut rng));
        }
        let alike = self.material.labels.as_ref().map(|labels| {
            let alike = members.iter().map(|&member| labels.another(member, &mut rng));
            let alike: Vec<usize> = alike.collect();
            self.pictures(&alike, augment, &mut rng)
        });
        let negatives = self.recipe.draws_negatives().then(|| {
            let drawn = members.iter().map(|&member| self.stranger(member, &mut rng));
            self.encode(&drawn.collect::<Vec<_>>())
        });
        let truth = self.truth(&members, &texts);
        Batch { pictures, texts: self.encode(&texts), negatives, alike, truth }
    }

    /// The pictures of these pairs, each changed a little by chance.
    fn pictures(&self, members: &[usize], augment: Augment, rng: &mut fastrand::Rng) -> Pictures {
        let pictures = members.iter().map(|&member| self.material.pairs[member].picture);
        if let Some(kept) = self.features() {
            let mut features = Vec::new();
            for picture in pictures {
                kept.push(picture, rng.usize(..kept.views()), &mut features);
            }
            return Pictures::Features(features);
        }
        let mut images = ImageBatch::new(self.recipe.frame());
        for picture in pictures {
            // Pairs whose picture failed never became material.
            let rgb = self.material.cache.get(picture).unwrap_or_default();
            augment.push(rgb, &mut images, rng);
        }
        Pictures::Pixels(images)
    }

    /// `[n, n]`: whether text j is true of the picture of member i.
    fn truth(&self, members: &[usize], texts: &[String]) -> Vec<bool> {
        let groups: Vec<u32> =
            members.iter().map(|&member| self.material.pairs[member].group).collect();
        if let Some(labels) = &self.material.labels {
            let labels: Vec<u32> = members.iter().map(|&member| labels.of[member]).collect();
            return truth::by_group(&labels);
        }
        match self.recipe.loss.spared {
            Spared::Group => truth::by_group(&groups),
            Spared::True => {
                let items: Vec<&WordSet> =
                    members.iter().map(|&member| &self.material.words[member]).collect();
                let texts: Vec<WordSet> =
                    texts.iter().map(|text| WordSet::of([text.as_str()])).collect();
                truth::by_words(&groups, &items, &texts)
            }
        }
    }

    fn turn_to(&mut self, epoch: u64) {
        if self.epoch != Some(epoch) {
            self.order.clone_from(&self.material.training);
            self.seed.stream("order", epoch).shuffle(&mut self.order);
            self.epoch = Some(epoch);
        }
    }

    fn encode(&self, texts: &[String]) -> TokenBatch {
        self.material.vocabulary.batch(texts, self.preprocessing.longest)
    }

    /// A random text of another group; after many misses any text, so that a catalogue of one
    /// group does not hang.
    fn stranger(&self, member: usize, rng: &mut fastrand::Rng) -> String {
        let training = &self.material.training;
        let own = self.material.pairs[member].group;
        let mut drawn = &self.material.pairs[training[rng.usize(..training.len())]];
        for _ in 0..100 {
            if drawn.group != own {
                break;
            }
            drawn = &self.material.pairs[training[rng.usize(..training.len())]];
        }
        self.chosen_text(drawn, rng)
    }

    fn chosen_text(&self, pair: &Pair, rng: &mut fastrand::Rng) -> String {
        match self.recipe.text {
            TextChoice::All => self.preprocessing.join(&pair.texts).unwrap_or_default(),
            TextChoice::Title => pair.texts[0].clone(),
            TextChoice::Any => pair.texts[rng.usize(..pair.texts.len())].clone(),
            TextChoice::Typed => self.recipe.typed.draw(pair, &self.preprocessing, rng),
        }
    }
}

/// Runs `work` with a receiver of the batches from `first` on, two of them made ahead on another
/// thread.
pub(super) fn ahead<R>(
    mut batches: Batches<'_>,
    first: u64,
    stop: &Stop,
    work: impl FnOnce(&Receiver<Batch>) -> R,
) -> R {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(2);
        scope.spawn(move || {
            for step in first.. {
                // The receiver is gone when the work has ended.
                if stop.asked() || sender.send(batches.get(step)).is_err() {
                    break;
                }
            }
        });
        let result = work(&receiver);
        drop(receiver);
        result
    })
}
