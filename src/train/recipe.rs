//! Recipes: everything that decides a training run but the catalogue, as a readable TOML.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::loss::{Loss, LossKind};
use super::phase::Tune;
use super::schedule::Schedule;
use super::typed::Typed;
use crate::encoder::architecture::Bounded;
use crate::encoder::{
    Architecture, Convention, Convolutional, ConvolutionalNetwork, Freeze, GruTower, Head,
    ImageArchitecture, Kept, Pool, Preprocessing, TextArchitecture,
};
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::images::{Augment, Filter, Fit, Frame};
use crate::tokens::Rules;

/// The recipes that come with looksee, by their names.
const RECIPES: [(&str, &str); 3] = [
    ("default", include_str!("recipes/default.toml")),
    ("pretrained", include_str!("recipes/pretrained.toml")),
    ("article", include_str!("recipes/article.toml")),
];

/// What a recipe calls a number of [`Architecture::bounded`].
fn name_in_a_recipe(name: &str) -> Cow<'static, str> {
    match name {
        "preprocessing.pictures.frame.width_px" => "image.width".into(),
        "preprocessing.pictures.frame.height_px" => "image.height".into(),
        "preprocessing.texts.longest" => "text_tower.longest".into(),
        "text.grams" => "tokens.buckets".into(),
        "kept.dim" => "image.kept".into(),
        "kept.share" => "image.kept_share".into(),
        "image.head.hidden" => "image.head".into(),
        "image.head.dropout" => "image.head_dropout".into(),
        _ => match name.strip_prefix("text.") {
            Some(rest) => format!("text_tower.{rest}").into(),
            None => name.to_owned().into(),
        },
    }
}

/// Which of an item's texts is learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextChoice {
    /// All, joined.
    All,
    /// The first.
    Title,
    /// One at random each time.
    Any,
    /// What people type who look for the item, drawn anew each time ([`Typed`]).
    Typed,
}

/// When pictures are mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flip {
    /// Never.
    None,
    /// Each by chance.
    Picture,
    /// All pictures of every second batch, by chance, as the article has it.
    Batch,
}

/// How pictures are prepared and which network sees them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRecipe {
    /// The network.
    pub tower: ConvolutionalNetwork,
    /// How its last feature map becomes one vector.
    pub pool: Pool,
    /// Whether the colours of a picture stand beside what the network sees.
    #[serde(default)]
    pub colours: bool,
    /// Values between the two layers of the head that stand beside the linear one; 0 for the linear
    /// one alone.
    #[serde(default)]
    pub head: usize,
    /// Chance that one of those is left out (dropout).
    #[serde(default)]
    pub head_dropout: f32,
    /// Values that the vector of a picture keeps of the network's own features behind the common
    /// space, so that pictures find pictures by more than texts speak of; 0 for none. With features
    /// that are taken once only.
    #[serde(default)]
    pub kept: usize,
    /// Their share of that vector, 0 to below 1.
    #[serde(default)]
    pub kept_share: f32,
    /// Views of a picture whose features are taken once when the whole network keeps its weights: 1
    /// for the picture itself, 2 with its mirror image, then random crops. 0: the network runs in
    /// every step.
    #[serde(default)]
    pub views: usize,
    /// Width of the frame in pixels.
    pub width: usize,
    /// Height of the frame in pixels.
    pub height: usize,
    /// How other shapes are brought in.
    pub fit: Fit,
    /// `none`, `stage1` to `stage4`, `all`.
    pub freeze: String,
    /// When pictures are mirrored.
    pub flip: Flip,
    /// Smallest share of the area that a random crop keeps, above 0 to 1.
    pub crop: f32,
    /// Largest change of brightness and contrast, 0 to below 1.
    pub light: f32,
}

/// The network that reads texts, and where they are cut.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextRecipe {
    /// Values a token.
    pub embedding: usize,
    /// Values of a state, each direction.
    pub hidden: usize,
    /// Whether a second GRU reads from the end.
    pub bidirectional: bool,
    /// How the states of a text become one vector.
    pub pool: Pool,
    /// Tokens after which a text is cut.
    pub longest: usize,
    /// Chance that a feature of the embedding is left out for a whole text (spatial dropout).
    pub dropout: f32,
    /// Whether the mean of the token embeddings stands beside the pooled states.
    #[serde(default)]
    pub mean: bool,
}

impl TextRecipe {
    /// The network alone, for a vocabulary with so many buckets of n-grams.
    pub(crate) fn gru(&self, grams: usize) -> GruTower {
        let &Self { embedding, hidden, bidirectional, pool, dropout, mean, .. } = self;
        GruTower { embedding, hidden, bidirectional, pool, dropout, mean, grams }
    }
}

/// Everything that decides a training run but the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What it is called.
    pub name: String,
    /// Which text is learned from.
    pub text: TextChoice,
    /// What is drawn when texts are learned from as people type them.
    #[serde(default)]
    pub typed: Typed,
    /// Values of an embedding.
    pub dim: usize,
    /// Pictures a step, at least 2.
    pub batch_size: usize,
    /// Share of the groups put aside to measure on, 0 to 0.5.
    pub validation: f64,
    /// Pictures and the network that sees them.
    pub image: ImageRecipe,
    /// The network that reads texts.
    pub text_tower: TextRecipe,
    /// How texts are cut.
    pub tokens: Rules,
    /// What is minimised.
    pub loss: Loss,
    /// Learning rate over time.
    pub schedule: Schedule,
    /// How the network is tuned behind that.
    #[serde(default)]
    pub tune: Tune,
}

impl Recipe {
    /// `default`, `pretrained` or `article`; the error lists the names.
    pub fn named(name: &str) -> Result<Self> {
        let source = Self::source(name).ok_or_else(|| {
            let names = RECIPES.map(|(name, _)| name).join(", ");
            Error::new(ErrorKind::NotFound, format!("no recipe \"{name}\"; there are {names}"))
                .with_fact(Fact::NoSuchRecipe)
        })?;
        Self::parse(source)
    }

    /// The text of a recipe that comes with looksee, comments included.
    pub fn source(name: &str) -> Option<&'static str> {
        RECIPES.iter().find(|(known, _)| *known == name).map(|(_, source)| *source)
    }

    /// Reads a recipe's TOML; unknown keys are errors that list the known ones.
    pub fn parse(text: &str) -> Result<Self> {
        let recipe: Self = toml::from_str(text).map_err(|e| {
            let line = e.span().map(|span| 1 + text[..span.start].matches('\n').count());
            let error = Error::invalid(format!("the recipe cannot be used: {}", e.message()));
            match line {
                Some(line) => error.at_line(line as u64),
                None => error,
            }
        })?;
        recipe.checked()
    }

    /// The TOML text.
    pub fn to_toml(&self) -> String {
        // A recipe is numbers, names and tables of them; all of these can be written.
        toml::to_string(self).unwrap_or_default()
    }

    /// Sets one value by its dotted key, as the command line's overrides do.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let mut table: toml::Table =
            toml::from_str(&self.to_toml()).map_err(|e| Error::invalid(e.message().to_owned()))?;
        let (parents, last) = match key.rsplit_once('.') {
            Some((parents, last)) => (parents.split('.').collect(), last),
            None => (Vec::new(), key),
        };
        let mut place = &mut table;
        for parent in parents {
            place = match place.get_mut(parent) {
                Some(toml::Value::Table(table)) => table,
                _ => return Err(unknown_key(key, self)),
            };
        }
        let Some(old) = place.get(last) else { return Err(unknown_key(key, self)) };
        let new = like(old, key, value)?;
        place.insert(last.to_owned(), new);
        let text = toml::to_string(&table).unwrap_or_default();
        *self = Self::parse(&text).map_err(|e| {
            let sentence = e.message().trim_start_matches("the recipe cannot be used: ");
            Error::invalid(format!("{key} cannot be {value}: {sentence}"))
        })?;
        Ok(())
    }

    /// The size of picture the model takes.
    pub fn frame(&self) -> Frame {
        let &ImageRecipe { width: width_px, height: height_px, fit, .. } = &self.image;
        Frame { width_px, height_px, fit, filter: Filter::default() }
    }

    /// What becomes of pictures and texts before the networks.
    pub fn preprocessing(&self) -> Preprocessing {
        Preprocessing::new(self.frame(), self.image.tower.pixels(), self.text_tower.longest)
    }

    /// The networks and what comes before them.
    pub fn architecture(&self) -> Architecture {
        let &ImageRecipe {
            tower: network, pool, colours, head: hidden, head_dropout: dropout, ..
        } = &self.image;
        let head = if hidden > 0 { Head::Residual { hidden, dropout } } else { Head::Linear };
        Architecture {
            dim: self.dim,
            image: ImageArchitecture::Convolutional(Convolutional {
                network,
                convention: Convention::Original,
                pool,
                colours,
                head,
            }),
            text: TextArchitecture::Gru(self.text_tower.gru(self.tokens.buckets())),
            preprocessing: self.preprocessing(),
            kept: (self.image.kept > 0 && self.keeps_features())
                .then_some(Kept { dim: self.image.kept, share: self.image.kept_share }),
        }
    }

    pub(super) fn freeze(&self) -> Freeze {
        // Checked when the recipe was read.
        Freeze::named(&self.image.freeze).unwrap_or_default()
    }

    /// Whether the network is tuned when its head has learned.
    pub(super) fn tunes(&self, minutes: Option<f64>) -> bool {
        match minutes {
            Some(minutes) => self.tune.share > 0.0 && minutes >= self.tune.from_minutes,
            None => self.tune.epochs > 0 || self.tune.steps > 0,
        }
    }

    /// Whether the features of the image tower are taken once.
    pub(super) fn keeps_features(&self) -> bool {
        self.image.views > 0 && self.freeze() == Freeze::All
    }

    /// Random changes of the pictures of one batch.
    pub(super) fn augment(&self, rng: &mut fastrand::Rng) -> Augment {
        let flip = match self.image.flip {
            Flip::None => 0.0,
            Flip::Picture => 0.5,
            Flip::Batch => f32::from(u8::from(rng.bool())),
        };
        Augment { flip, crop: self.image.crop, light: self.image.light }
    }

    fn checked(self) -> Result<Self> {
        Freeze::named(&self.image.freeze)?;
        Freeze::named(&self.tune.freeze)?;
        let sizes = self.architecture().bounded().into_iter();
        let mut ranges: Vec<Bounded> = sizes.map(|size| size.renamed(name_in_a_recipe)).collect();
        ranges.extend([
            Bounded::size("batch_size", self.batch_size, 2.0, 65_536.0),
            Bounded::new("validation", self.validation, 0.0, 0.5),
            Bounded::size("image.head", self.image.head, 0.0, 65_536.0),
            Bounded::size("image.kept", self.image.kept, 0.0, 65_536.0),
            Bounded::new("image.kept_share", self.image.kept_share, 0.0, 0.99),
            Bounded::size("image.views", self.image.views, 0.0, 64.0),
            Bounded::new("image.crop", self.image.crop, 0.01, 1.0),
            Bounded::new("image.light", self.image.light, 0.0, 0.99),
            Bounded::new("loss.margin", self.loss.margin, 0.0, 4.0),
            Bounded::new("loss.miner_warm_up", self.loss.miner_warm_up, 0.0, 1.0),
            Bounded::new("loss.temperature", self.loss.temperature, 0.001, 100.0),
            Bounded::size("schedule.epochs", self.schedule.epochs, 0.0, 1e9),
            Bounded::size("schedule.steps", self.schedule.steps as usize, 0.0, 1e12),
            Bounded::new("schedule.learning_rate", self.schedule.learning_rate, 0.0, 100.0),
            Bounded::new("schedule.warm_up", self.schedule.warm_up, 0.0, 1.0),
            Bounded::new("schedule.factor", self.schedule.factor, 0.0, 1.0),
            Bounded::size("schedule.patience", self.schedule.patience, 0.0, 1e9),
            Bounded::new("schedule.weight_decay", self.schedule.weight_decay, 0.0, 10.0),
            Bounded::new("schedule.clip", self.schedule.clip, 0.0, 1e9),
            Bounded::size("tune.epochs", self.tune.epochs, 0.0, 1e9),
            Bounded::size("tune.steps", self.tune.steps as usize, 0.0, 1e12),
            Bounded::new("tune.share", self.tune.share, 0.0, 0.99),
            Bounded::new("tune.from_minutes", self.tune.from_minutes, 0.0, 1e9),
            Bounded::size("tune.batch_size", self.tune.batch_size, 2.0, 65_536.0),
            Bounded::new("tune.learning_rate", self.tune.learning_rate, 0.0, 100.0),
            Bounded::new("tune.network", self.tune.network, 0.0, 1.0),
            Bounded::new("tune.decay", self.tune.decay, 0.0, 1.0),
        ]);
        if let Rules::WordsAndGrams { buckets, .. } = self.tokens {
            ranges.push(Bounded::size("tokens.buckets", buckets, 1.0, 1e7));
        }
        let shares = self.typed.shares();
        ranges.extend(
            shares.map(|(name, share)| Bounded::new(format!("typed.{name}"), share, 0.0, 1e6)),
        );
        if let Some(sentence) = Bounded::first_outside(&ranges) {
            return Err(Error::invalid(format!("the recipe cannot be used: {sentence}")));
        }
        Ok(self)
    }

    /// Whether negatives are drawn from the whole catalogue and embedded beside the batch.
    pub(super) fn draws_negatives(&self) -> bool {
        self.loss.kind == LossKind::Triplet && self.loss.miner == super::miner::Miner::Random
    }
}

/// `value` as the type that `old` has.
fn like(old: &toml::Value, key: &str, value: &str) -> Result<toml::Value> {
    let wrong = |expected: &str| {
        Error::invalid(format!("{key} cannot be \"{value}\"; expected {expected}"))
    };
    Ok(match old {
        toml::Value::Integer(_) => {
            toml::Value::Integer(value.parse().map_err(|_| wrong("a whole number"))?)
        }
        toml::Value::Float(_) => toml::Value::Float(value.parse().map_err(|_| wrong("a number"))?),
        toml::Value::Boolean(_) => {
            toml::Value::Boolean(value.parse().map_err(|_| wrong("true or false"))?)
        }
        toml::Value::Table(_) => {
            let table: toml::Table =
                format!("x = {value}").parse().map_err(|_| wrong("a table {…}"))?;
            table["x"].clone()
        }
        _ => toml::Value::String(value.to_owned()),
    })
}

fn unknown_key(key: &str, recipe: &Recipe) -> Error {
    let mut keys = Vec::new();
    if let Ok(table) = recipe.to_toml().parse::<toml::Table>() {
        list_keys("", &table, &mut keys);
    }
    Error::new(
        ErrorKind::NotFound,
        format!("a recipe has no key \"{key}\"; there are {}", keys.join(", ")),
    )
}

fn list_keys(prefix: &str, table: &toml::Table, keys: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => list_keys(&format!("{prefix}{key}."), inner, keys),
            _ => keys.push(format!("{prefix}{key}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipes_that_come_with_looksee_can_be_read_and_written() {
        for (name, _) in RECIPES {
            let recipe = Recipe::named(name).unwrap();
            assert_eq!(recipe.name, name);
            assert_eq!(Recipe::parse(&recipe.to_toml()).unwrap(), recipe);
        }
    }

    #[test]
    fn a_recipe_of_an_earlier_build_is_what_it_was() {
        let mut table: toml::Table = Recipe::named("article").unwrap().to_toml().parse().unwrap();
        for key in ["typed", "tune"] {
            table.remove(key).unwrap();
        }
        for (part, keys) in [
            ("image", &["colours", "head", "head_dropout", "kept", "kept_share", "views"][..]),
            ("text_tower", &["mean"]),
            ("loss", &["distance", "miner_warm_up", "learned", "spared"]),
        ] {
            let part = table[part].as_table_mut().unwrap();
            for key in keys {
                part.remove(*key).unwrap();
            }
        }
        let former = Recipe::parse(&toml::to_string(&table).unwrap()).unwrap();
        let now = Recipe::named("article").unwrap();
        assert_eq!(former.architecture(), now.architecture());
        assert_eq!((former.loss.spared, former.loss.learned), (now.loss.spared, false));
        assert!(!former.tunes(None) && !former.tunes(Some(1e6)));
    }

    #[test]
    fn the_article_is_what_the_article_says() {
        let recipe = Recipe::named("article").unwrap();
        assert_eq!(recipe.loss.kind, LossKind::Triplet);
        assert!((recipe.loss.margin - 0.4).abs() < 1e-6);
        assert!(recipe.draws_negatives());
        assert_eq!((recipe.dim, recipe.batch_size), (50, 32));
        assert_eq!((recipe.text_tower.embedding, recipe.text_tower.hidden), (50, 256));
        assert!(recipe.text_tower.bidirectional);
        assert_eq!(recipe.tokens, Rules::Words { min_count: 10 });
        assert_eq!(recipe.text_tower.longest, 70);
        assert_eq!((recipe.image.width, recipe.image.height), (171, 222));
        assert_eq!(
            (recipe.image.tower, recipe.image.pool),
            (ConvolutionalNetwork::ResNet50, Pool::Max)
        );
    }

    #[test]
    fn a_value_is_set_by_its_dotted_key() {
        let mut recipe = Recipe::named("default").unwrap();
        recipe.set("schedule.learning_rate", "0.5").unwrap();
        recipe.set("image.tower", "resnet50").unwrap();
        assert!((recipe.schedule.learning_rate - 0.5).abs() < 1e-6);
        assert_eq!(recipe.image.tower, ConvolutionalNetwork::ResNet50);
    }

    #[test]
    fn every_tower_is_set_and_written_by_its_name() {
        let mut recipe = Recipe::named("default").unwrap();
        for (name, tower) in [
            ("resnet18", ConvolutionalNetwork::ResNet18),
            ("resnet34", ConvolutionalNetwork::ResNet34),
            ("resnet50", ConvolutionalNetwork::ResNet50),
            ("resnet101", ConvolutionalNetwork::ResNet101),
            ("efficientnet-lite0", ConvolutionalNetwork::EfficientNetLite0),
            ("efficientnet-lite1", ConvolutionalNetwork::EfficientNetLite1),
            ("efficientnet-lite2", ConvolutionalNetwork::EfficientNetLite2),
        ] {
            assert_eq!(tower.name(), name);
            recipe.set("image.tower", name).unwrap();
            assert_eq!(recipe.image.tower, tower);
            assert!(recipe.to_toml().contains(&format!("tower = \"{name}\"")));
        }
    }

    #[test]
    fn words_and_grams_are_chosen_by_their_kind_alone() {
        for name in ["article", "default"] {
            let mut recipe = Recipe::named(name).unwrap();
            recipe.set("tokens.kind", "words-and-grams").unwrap();
            let TextArchitecture::Gru(gru) = recipe.architecture().text else {
                panic!("another tower")
            };
            assert_eq!(gru.grams, 20_000);
            recipe.set("tokens.buckets", "500").unwrap();
            assert_eq!(recipe.tokens.buckets(), 500);
            let error = recipe.set("tokens.buckets", "0").unwrap_err().to_string();
            assert!(error.contains("tokens.buckets is 0"), "{error}");
        }
    }

    #[test]
    fn a_wrong_key_or_value_says_what_is_possible() {
        let mut recipe = Recipe::named("default").unwrap();
        let error = recipe.set("schedule.speed", "1").unwrap_err().to_string();
        assert!(error.contains("schedule.learning_rate"), "{error}");
        let error = recipe.set("image.tower", "vgg").unwrap_err().to_string();
        assert!(error.contains("resnet18"), "{error}");
        let error = recipe.set("dim", "many").unwrap_err().to_string();
        assert!(error.contains("whole number"), "{error}");
        let error = recipe.set("batch_size", "1").unwrap_err().to_string();
        assert!(error.contains("between 2"), "{error}");
    }

    #[test]
    fn sizes_are_refused_by_the_names_that_a_recipe_has_for_them() {
        for key in [
            "dim",
            "image.width",
            "image.height",
            "text_tower.embedding",
            "text_tower.hidden",
            "text_tower.longest",
        ] {
            let error = Recipe::named("default").unwrap().set(key, "0").unwrap_err().to_string();
            assert!(error.contains(&format!("0: {key} is 0")), "{error}");
        }
        let error = Recipe::named("default").unwrap().set("text_tower.dropout", "1.0").unwrap_err();
        assert!(error.to_string().contains("1.0: text_tower.dropout is 1"), "{error}");
    }

    #[test]
    fn an_unknown_key_in_a_file_is_an_error_with_its_line() {
        let text = Recipe::source("default").unwrap().replace("clip =", "clap =");
        let error = Recipe::parse(&text).unwrap_err();
        assert!(error.to_string().contains("clap"), "{error}");
        assert!(error.line().is_some());
    }
}
