//! Where the image tower of a run comes from when it does not begin with chance: the weights of a
//! file, and what that file demands of the pictures.
//!
//! A network that was trained on pixels from -1 to 1 sees other pictures when it gets them by
//! `ImageNet`'s mean, so that the scaling of the file ([`Pretrained`]) takes the place of the
//! network's usual one in the model's architecture. It is kept in the checkpoint too, so that a run
//! which goes on without the file goes on with the same pictures.

use std::sync::Arc;

use super::Job;
use super::batches::{Material, Pictures};
use super::checkpoint::State;
use super::folder::Found;
use crate::encoder::parameters::Parameters;
use crate::encoder::pretrained::Demands;
use crate::encoder::statistics::statistics_fit;
use crate::encoder::towers::Towers;
use crate::encoder::{Architecture, ImageArchitecture, Pretrained};
use crate::error::Result;
use crate::units::{Event, Listener};

/// So many pictures say how all lie.
const LOOKED_AT: usize = 64;

/// Reads the weights that the job names, if it names any; they must be of the recipe's network.
pub(super) fn read(job: &Job) -> Result<Option<Pretrained>> {
    let Some(path) = &job.weights else { return Ok(None) };
    let pretrained = Pretrained::read(path)?;
    pretrained.expect(job.recipe.image.tower).map_err(|e| e.at_file(path))?;
    Ok(Some(pretrained))
}

/// Puts the weights into fresh parameters and says where they are from.
pub(super) fn start_from(
    pretrained: &Pretrained,
    towers: &Towers,
    parameters: &mut Parameters,
    listener: Listener<'_>,
) -> Result<()> {
    let taken = pretrained.put_into(parameters, |name| towers.is_of_the_network(name))?;
    let origin = pretrained.origin();
    listener(Event::Note(&format!("{taken} tensors taken from the pretrained weights: {origin}")));
    Ok(())
}

/// The recipe's architecture with what pretrained weights demand.
pub(super) fn architecture(job: &Job, demands: Option<Demands>) -> Architecture {
    let mut architecture = job.recipe.architecture();
    if let Some(Demands { convention, pixels }) = demands {
        let ImageArchitecture::Convolutional(image) = &mut architecture.image;
        image.convention = convention;
        architecture.preprocessing.pictures.pixels = pixels;
    }
    architecture
}

/// Warns when the pictures do not come to the moments that the network's batch norms were made for.
pub(super) fn look_at_statistics(
    pretrained: &Pretrained,
    towers: &Towers,
    parameters: &Parameters,
    material: &Material,
    listener: Listener<'_>,
) {
    let every = material.training.len().div_ceil(LOOKED_AT).max(1);
    let members: Vec<usize> = material.training.iter().copied().step_by(every).collect();
    let frame = towers.preprocessing().pictures.frame;
    let Pictures::Pixels(pictures) = material.pictures(&members, frame, false) else { return };
    let fit = statistics_fit(towers, &Arc::new(parameters.clone()), &pictures);
    if let Some(fit) = fit.filter(|fit| !fit.is_right()) {
        listener(Event::Warning(&format!(
            "these pictures are not such as the pretrained network was trained on: {fit}; it was taken \
             for {}, and if it is another one or its pixels were scaled in another way, it sees little",
            pretrained.origin()
        )));
    }
}

/// What the weights that the run begins with demand. A run that goes on from a checkpoint has those
/// weights, whatever file is named now; the state keeps them.
pub(super) fn demands(
    pretrained: Option<&Pretrained>,
    found: Found,
    state: &mut State,
) -> Option<Demands> {
    if found != Found::Checkpoint {
        state.pretrained = pretrained.map(Pretrained::demands);
    }
    state.pretrained
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::weights::Weights;
    use crate::train::Recipe;
    use crate::units::Seed;

    fn small(tower: &str, seed: u64) -> (Towers, Parameters) {
        let mut recipe = Recipe::named("default").unwrap();
        recipe.set("dim", "8").unwrap();
        recipe.set("image.tower", tower).unwrap();
        let towers = Towers::new(&recipe.architecture(), 10);
        let parameters = towers.parameters(Seed(seed));
        (towers, parameters)
    }

    #[test]
    fn a_tower_starts_from_torchvisions_names_or_from_a_model_of_ours() {
        let of_a_model = small("resnet18", 1).1.to_weights();
        let torchvision: Weights = of_a_model
            .iter()
            .filter_map(|(name, tensor)| {
                Some((name.strip_prefix("image.")?.to_owned(), tensor.clone()))
            })
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resnet18.safetensors");
        for weights in [of_a_model, torchvision] {
            crate::encoder::weights::write(&path, &weights, &std::collections::BTreeMap::default())
                .unwrap();
            let pretrained = Pretrained::read(&path).unwrap();
            let (towers, mut parameters) = small("resnet18", 2);
            let fresh = parameters.clone();
            let mut said = String::new();
            start_from(&pretrained, &towers, &mut parameters, &mut |event| {
                if let Event::Note(note) = event {
                    said.push_str(note);
                }
            })
            .unwrap();
            // ResNet18: 20 convolutions, and 20 batch norms of 4 tensors each.
            assert!(said.starts_with("100 tensors taken"), "{said}");
            let stem = "image.layer1.0.conv1.weight";
            assert_eq!(parameters.get(stem), small("resnet18", 1).1.get(stem));
            for kept in ["image.fc.weight", "text.fc.weight"] {
                assert_eq!(parameters.get(kept), fresh.get(kept));
            }
        }
    }
}
