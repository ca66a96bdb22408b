//! What to type: the one place where a fact of the library meets the options and commands of this
//! program.

use std::borrow::Cow;

use looksee::{Error, Fact, FieldRole};

/// An error as the user reads it: place, sentence, causes and what to type.
pub(crate) fn sentence(error: &Error) -> String {
    advised(&error.whole(), error.fact())
}

/// A sentence of the library with what to type about the fact behind it.
pub(crate) fn advised(sentence: &str, fact: Option<&Fact>) -> String {
    match fact.and_then(advice) {
        Some(advice) => format!("{sentence}; {advice}"),
        None => sentence.to_owned(),
    }
}

/// Where the sentence says already all that can be done there is none.
fn advice(fact: &Fact) -> Option<Cow<'static, str>> {
    if let Fact::OtherWidth { found } = fact {
        return Some(format!("--set text_tower.embedding={found}").into());
    }
    fixed_advice(fact).map(Cow::from)
}

fn fixed_advice(fact: &Fact) -> Option<&'static str> {
    Some(match fact {
        Fact::NoModel => "`looksee train CATALOGUE -o MODEL` makes one",
        Fact::NoIndex => "`looksee index CATALOGUE -m MODEL -o INDEX` makes one",
        Fact::EmptyIndex => "`looksee index CATALOGUE -o INDEX` fills it",
        Fact::DamagedItems => {
            "run `looksee index` with the catalogue again, it embeds again what was lost"
        }
        Fact::DamagedVector => "`looksee check INDEX` says what is",
        Fact::DamagedIndex => {
            "make the index anew in a new folder (`looksee index CATALOGUE -m MODEL -o NEW`), or \
             put a copy in its place"
        }
        Fact::MissingField { role, meant: None, .. } => return other_field(*role),
        Fact::UnknownFormat => "name it with --format",
        Fact::NotFetched => NOT_FETCHED,
        Fact::NoSuchRecipe => "a file is named with --recipe FILE.toml",
        Fact::OtherNetwork => "name the network of the file with --image-tower",
        Fact::PicturesOnly => {
            "`looksee search INDEX ./picture.jpg` asks with a picture; `looksee train CATALOGUE -o \
             MODEL --weights FILE` makes a model that reads, and `looksee index CATALOGUE -m MODEL \
             -o NEW` an index with it"
        }
        Fact::RunIsThere => "go on with --resume, or choose another folder",
        Fact::NoRun => "leave out --resume to start one",
        Fact::OtherRun => "give the same catalogue and flags, or train into another folder",
        Fact::DamagedRun => {
            "delete the file and run the command again with --resume, which then starts at the \
             first step, or train into another folder"
        }
        Fact::Stopped { .. } => "run the same command with --resume to go on",
        Fact::NothingToKeep => "name some with --weights, or let it learn with --freeze none",
        Fact::NotFinite | Fact::Diverged => "try a lower --lr, or --set schedule.clip=1",
        Fact::Collapsed => "try --miner semi-hard, --loss infonce or a lower --lr",
        Fact::Overfitted => {
            "name further catalogues behind the first, or further texts with --text-field; until then \
             fewer --epochs or --minutes do"
        }
        Fact::StillRising => "give it more --minutes or --epochs",
        Fact::HardlyBetterThanLinear => {
            "begin from pretrained weights (--weights), or try more --minutes or another --lr"
        }
        Fact::NetworkTooSmall => {
            "--image-tower names a larger network, --image-size larger pictures; with --weights, half an \
             hour or more of --minutes tunes the network"
        }
        Fact::MeasuredOnLearnt => {
            "`looksee split CATALOGUE -o DIR` puts a part aside before training"
        }
        _ => return None,
    })
}

/// What to do about pictures that lie on the web.
pub(crate) const NOT_FETCHED: &str =
    "`looksee urls` lists what to fetch; --images names the folder they were fetched to";

fn other_field(role: FieldRole) -> Option<&'static str> {
    Some(match role {
        FieldRole::Image => "name the one with the pictures with --image-field",
        FieldRole::Text => "name one of these with --text-field",
        FieldRole::Id => "name one of these with --id-field",
        FieldRole::Group => "name one of these with --group-field",
        // The sentence lists all there are.
        FieldRole::Condition => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_answered_with_what_to_type_and_a_plain_error_is_left_alone() {
        let error = Error::invalid("no field \"image\" (found: id, title)").at_file("shoes.csv");
        assert_eq!(sentence(&error), "shoes.csv: no field \"image\" (found: id, title)");
        let missing = |meant: Option<&str>| Fact::MissingField {
            role: FieldRole::Image,
            field: "image".to_owned(),
            meant: meant.map(str::to_owned),
        };
        assert_eq!(
            sentence(&error.with_fact(missing(None))),
            "shoes.csv: no field \"image\" (found: id, title); name the one with the pictures with \
             --image-field"
        );
        let near = Error::invalid("no field \"imag\"; did you mean \"image\"?");
        assert_eq!(
            sentence(&near.with_fact(missing(Some("image")))),
            "no field \"imag\"; did you mean \"image\"?"
        );
    }

    #[test]
    fn word_vectors_of_another_width_are_answered_with_the_setting_that_fits() {
        let error =
            Error::invalid("they have 300 values").with_fact(Fact::OtherWidth { found: 300 });
        assert_eq!(sentence(&error), "they have 300 values; --set text_tower.embedding=300");
    }

    #[test]
    fn the_advice_stands_behind_the_cause() {
        let full = std::io::Error::other("disk full");
        let stopped = Error::io("cannot write", full).with_fact(Fact::Stopped { step: 7 });
        assert_eq!(
            sentence(&stopped),
            "cannot write: disk full; run the same command with --resume to go on"
        );
    }
}
