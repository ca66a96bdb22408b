//! A collection, the encoder that made its vectors, and what keeps them together.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};
use std::time::Instant;

use super::answer::Answer;
use super::choice::Choice;
use super::finder::Finder;
use super::query::{Content, IntoQuery, Query};
use super::references::{NoPictures, References};
use super::sums::{PictureThreads, Sums};
use crate::encoder::{Encoder, Model};
use crate::error::{Error, ErrorKind, Fact, Result};
use crate::images::Decoded;
use crate::index::{Collection, Index, Space};

/// Searches a collection with the encoder that made its vectors.
///
/// It is to be opened once and shared: searches take `&self` and disturb each other only where they
/// share the processor. Each search sees one snapshot from beginning to end.
///
/// ```no_run
/// use looksee::filter::Filter;
/// use looksee::search::{Choice, NoPictures, Searcher};
///
/// let shop = Searcher::open("shop")?;
/// let cheap = Choice { filter: Some(Filter::parse("price < 20")?), ..Choice::default() };
/// let answer = shop.answer("red shoe", &cheap, &NoPictures)?;
/// println!("{} of {} items", answer.hits.len(), answer.total);
/// # Ok::<(), looksee::Error>(())
/// ```
pub struct Searcher {
    now: RwLock<Arc<Snapshot>>,
    /// The folder to take a newer model from, where there is one.
    folder: Option<PathBuf>,
    refreshing: Mutex<()>,
    pictures: PictureThreads,
}

/// What a search works with from beginning to end.
struct Snapshot {
    collection: Arc<dyn Collection>,
    encoder: Arc<dyn Encoder>,
}

impl fmt::Debug for Searcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Searcher").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Searcher {
    /// Opens an index on disk and the model inside it.
    ///
    /// # Errors
    /// Those of [`Index::open`] and [`Model::load`]; [`ErrorKind::Mismatch`] when the model inside
    /// is not the one that made the index.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        Self::of_index(Index::open(folder.as_ref())?)
    }

    /// [`Searcher::open`] for an index that is open already.
    pub fn of_index(index: Index) -> Result<Self> {
        let encoder = Arc::new(model_of(&index)?);
        let folder = Some(index.folder().to_path_buf());
        Ok(Self { folder, ..Self::new(Arc::new(index), encoder)? })
    }

    /// Joins any collection with the encoder that made its vectors.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] when another encoder made them.
    pub fn new(collection: Arc<dyn Collection>, encoder: Arc<dyn Encoder>) -> Result<Self> {
        expect_same(collection.space(), &*encoder)?;
        Ok(Self {
            now: RwLock::new(Arc::new(Snapshot { collection, encoder })),
            folder: None,
            refreshing: Mutex::default(),
            pictures: PictureThreads::default(),
        })
    }

    /// The nine best answers to a query of words and items.
    pub fn search(&self, query: impl IntoQuery) -> Result<Answer> {
        self.answer(query, &Choice::default(), &NoPictures)
    }

    /// The answer to a query, as `choice` wants it; `references` gives its pictures.
    pub fn answer(
        &self,
        query: impl IntoQuery,
        choice: &Choice,
        references: &dyn References,
    ) -> Result<Answer> {
        let query = query.into_query()?;
        let answer = self.answers(std::slice::from_ref(&query), choice, references)?.pop();
        answer.ok_or_else(|| Error::invalid("the query has no answer"))
    }

    /// The answers to many queries, which are embedded and searched together.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a part that `references` does not allow, a filter on an unknown
    /// field, and a least chance of a match where the query is not of words;
    /// [`ErrorKind::NotFound`] for an item that is not there; and what a picture can fail with.
    pub fn answers(
        &self,
        queries: &[Query],
        choice: &Choice,
        references: &dyn References,
    ) -> Result<Vec<Answer>> {
        let allowed = references.allowed();
        for query in queries {
            query.check(allowed)?;
            choice.check(&query.to_string(), query.is_words_only())?;
        }
        let snapshot = self.snapshot();
        // First, because a field that no item has should not cost the embedding of a picture.
        let total = snapshot.collection.count(choice.filter.as_ref())?;
        let started = Instant::now();
        let vectors = self.sums(&snapshot, references).vectors(queries)?;
        let finder = Finder {
            total,
            collection: &*snapshot.collection,
            encoder: &*snapshot.encoder,
            choice,
        };
        let mut answers = finder.answers(queries, &vectors)?;
        let took_ms = started.elapsed().as_secs_f64() * 1000.0 / queries.len().max(1) as f64;
        for answer in &mut answers {
            answer.took_ms = (took_ms * 1000.0).round() / 1000.0;
        }
        Ok(answers)
    }

    /// The picture that a part of a query shows; an error for words.
    pub fn picture(&self, content: &Content, references: &dyn References) -> Result<Decoded> {
        references.allowed().expect(content)?;
        self.sums(&self.snapshot(), references).picture(content)
    }

    /// The words of a query that the encoder has never seen.
    pub fn unknown_words(&self, query: &Query) -> Vec<String> {
        let encoder = self.encoder();
        query.words().flat_map(|words| encoder.unknown_words(words)).collect()
    }

    /// The collection as searches see it now.
    pub fn collection(&self) -> Arc<dyn Collection> {
        Arc::clone(&self.snapshot().collection)
    }

    /// The encoder that searches use now.
    pub fn encoder(&self) -> Arc<dyn Encoder> {
        Arc::clone(&self.snapshot().encoder)
    }

    /// Takes a newer snapshot if a writer has committed since; whether there was one.
    ///
    /// Costs one small read when there is none. Searches under way end on the snapshot they began
    /// with, and none waits: the newer one is opened beside it. When two threads call this at once,
    /// one of them returns `false` at once.
    ///
    /// # Errors
    /// When the newer snapshot cannot be opened; the old one then stays.
    pub fn refresh(&self) -> Result<bool> {
        let _only = match self.refreshing.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(false),
        };
        let old = self.snapshot();
        let Some(collection) = old.collection.renewed()? else { return Ok(false) };
        let encoder = self.encoder_for(collection.space(), &old.encoder)?;
        let new = Arc::new(Snapshot { collection, encoder });
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(true)
    }

    /// The old encoder, or the one beside an index that was made anew with another.
    fn encoder_for(&self, space: &Space, old: &Arc<dyn Encoder>) -> Result<Arc<dyn Encoder>> {
        let encoder: Arc<dyn Encoder> = match &self.folder {
            Some(folder) if space.fingerprint != old.fingerprint() => {
                Arc::new(Model::load(&folder.join("model"))?)
            }
            _ => Arc::clone(old),
        };
        expect_same(space, &*encoder)?;
        Ok(encoder)
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn sums<'a>(&'a self, snapshot: &'a Snapshot, references: &'a dyn References) -> Sums<'a> {
        Sums {
            encoder: &*snapshot.encoder,
            collection: &*snapshot.collection,
            references,
            pictures: &self.pictures,
        }
    }
}

/// Loads the model that travels inside an index, which must be the one that made its vectors.
pub fn model_of(index: &Index) -> Result<Model> {
    let folder = index.model_folder();
    let model = Model::load(&folder)?;
    expect_same(index.space(), &model).map_err(|e| e.at_file(folder))?;
    Ok(model)
}

fn expect_same(space: &Space, encoder: &dyn Encoder) -> Result<()> {
    let (made_by, given) = (&space.fingerprint, encoder.fingerprint());
    if made_by == given && space.dim == encoder.dim() {
        return Ok(());
    }
    let message = format!(
        "the index was made by model {made_by} but the model inside it is {given}; an update with the \
         catalogue and the model that made it puts the right one inside"
    );
    let (made_by, given) = (made_by.clone(), given.to_owned());
    Err(Error::new(ErrorKind::Mismatch, message).with_fact(Fact::OtherModel { made_by, given }))
}
