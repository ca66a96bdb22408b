//! A model's numbers: named values in the layout that the kernels want, and the tensors that one
//! pass makes of them.
//!
//! Names and file layout are PyTorch's (torchvision's for the image tower), so that weights go in
//! and out without a table of names; inside, a convolution is a matrix `[taps, outputs]` and a
//! linear layer `[inputs, outputs]`. Keeping plain vectors rather than the framework's module
//! types makes saving, freezing and the optimiser's state a walk over one map, and keeps a run
//! reproducible to the byte.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Device, Gradients, Tensor, TensorData};
use looksee_kernels::layers::norm::Moments;
use looksee_kernels::network::{self, Folded};
use rayon::prelude::*;

use super::network::LayerNames;
use super::weights::{NamedTensor, Weights};
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::ops::{self, NetworkCall, values_of};
use crate::units::Seed;

/// How the values of a parameter lie in memory and in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The same in both: a vector, an embedding table.
    Plain,
    /// Memory `[inputs, outputs]`, file `[outputs, inputs]`.
    Transposed,
    /// Memory `[kernel·kernel·inputs, outputs]`, file `[outputs, inputs, kernel, kernel]`.
    Convolution {
        /// Side of the window.
        kernel: usize,
    },
}

/// One named value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    /// Sizes in memory: one or two.
    pub(crate) shape: Vec<usize>,
    /// Row-major.
    pub(crate) values: Vec<f32>,
    pub(crate) layout: Layout,
    /// Kept and saved, never learned by gradient: a running statistic.
    pub(crate) statistic: bool,
    /// Learned by gradient; statistics are not, nor is what is frozen.
    pub(crate) trainable: bool,
}

/// How a parameter starts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Init {
    /// Every value the same.
    Constant(f32),
    /// Normal with this standard deviation.
    Normal(f32),
    /// Uniform between minus and plus this bound.
    Uniform(f32),
}

/// All parameters of a model by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Parameters {
    map: BTreeMap<String, Parameter>,
    /// Whether values come later: then none are made, and no memory is taken for them.
    waits: bool,
}

impl Parameters {
    /// Parameters that are to be added without values, and then [filled](Self::fill).
    pub(crate) fn waiting() -> Self {
        Self { waits: true, ..Self::default() }
    }

    /// Adds a parameter; its chance depends on the seed and its name alone.
    pub(crate) fn add(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
        layout: Layout,
        init: Init,
        seed: Seed,
    ) {
        let name = name.into();
        let mut rng = seed.stream(&name, 0);
        let count = shape.iter().product();
        let values = match init {
            _ if self.waits => Vec::new(),
            Init::Constant(value) => vec![value; count],
            Init::Normal(deviation) => (0..count).map(|_| deviation * normal(&mut rng)).collect(),
            Init::Uniform(bound) => (0..count).map(|_| bound * (2.0 * rng.f32() - 1.0)).collect(),
        };
        let parameter =
            Parameter { shape: shape.to_vec(), values, layout, statistic: false, trainable: true };
        self.map.insert(name, parameter);
    }

    /// Adds a value that is kept and saved but not learned.
    pub(crate) fn add_statistic(&mut self, name: impl Into<String>, size: usize, value: f32) {
        let parameter = Parameter {
            shape: vec![size],
            values: vec![value; if self.waits { 0 } else { size }],
            layout: Layout::Plain,
            statistic: true,
            trainable: false,
        };
        self.map.insert(name.into(), parameter);
    }

    /// Adds a matrix of zeros that is kept and saved but not learned.
    pub(crate) fn add_fixed(&mut self, name: &str, shape: [usize; 2], layout: Layout) {
        let parameter = Parameter {
            shape: shape.to_vec(),
            values: vec![0.0; if self.waits { 0 } else { shape[0] * shape[1] }],
            layout,
            statistic: true,
            trainable: false,
        };
        self.map.insert(name.to_owned(), parameter);
    }

    /// The parameter of this name.
    ///
    /// # Panics
    /// When there is none: towers ask only for what they added.
    pub(crate) fn get(&self, name: &str) -> &Parameter {
        self.map.get(name).unwrap_or_else(|| panic!("no parameter {name}"))
    }

    /// All parameters in order of their names.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.map.iter().map(|(name, parameter)| (name.as_str(), parameter))
    }

    /// All parameters in order of their names, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Parameter)> {
        self.map.iter_mut().map(|(name, parameter)| (name.as_str(), parameter))
    }

    /// Gives every parameter the values that `values` answers for its name and its shape in a
    /// file, in the order of a file.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn set_all(&mut self, values: impl Fn(&str, &[usize]) -> Vec<f32>) {
        for (name, parameter) in &mut self.map {
            let shape = file_shape(parameter);
            let values = values(name, &shape);
            parameter.values = from_file(NamedTensor { shape, values }, parameter.layout);
        }
    }

    /// Names and shapes of a file, in its order.
    pub(crate) fn file_shapes(&self) -> impl Iterator<Item = (&str, Vec<usize>)> {
        self.map.iter().map(|(name, parameter)| (name.as_str(), file_shape(parameter)))
    }

    /// Takes the values of all parameters from the bytes of a file without its header. They must
    /// be as many as the shapes call for, and finite.
    pub(crate) fn fill(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        let mut parts = Vec::with_capacity(self.map.len());
        for (name, parameter) in &mut self.map {
            let length = 4 * parameter.shape.iter().product::<usize>();
            let (own, after) = rest.split_at_checked(length).ok_or_else(|| {
                Error::new(ErrorKind::Corrupt, format!("the values end within tensor {name}"))
            })?;
            parts.push((name, parameter, own));
            rest = after;
        }
        let filled: Vec<Result<()>> =
            parts.into_par_iter().map(|(name, of, bytes)| fill_one(name, of, bytes)).collect();
        self.waits = false;
        filled.into_iter().collect()
    }

    /// Stops the learning of every parameter that `frozen` names; all others are learned again.
    pub(crate) fn freeze(&mut self, frozen: impl Fn(&str) -> bool) {
        for (name, parameter) in &mut self.map {
            parameter.trainable = !parameter.statistic && !frozen(name);
        }
    }

    /// Moves running statistics towards a batch's: `momentum` is the share of the new.
    pub(crate) fn keep_statistics(&mut self, seen: &[Seen], momentum: f32) {
        for Seen { name, moments, rows } in seen {
            let unbiased = *rows as f32 / (*rows as f32 - 1.0).max(1.0);
            self.blend(&format!("{name}.running_mean"), &moments.mean, 1.0, momentum);
            self.blend(&format!("{name}.running_var"), &moments.variance, unbiased, momentum);
        }
    }

    fn blend(&mut self, name: &str, new: &[f32], scale: f32, momentum: f32) {
        let Some(parameter) = self.map.get_mut(name) else { return };
        for (old, new) in parameter.values.iter_mut().zip(new) {
            *old += momentum * (scale * new - *old);
        }
    }

    /// XXH3-64 over names and values of the parameters that `wanted` names.
    pub(crate) fn checksum_of(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        let parts = self
            .map
            .iter()
            .filter(|(name, _)| wanted(name))
            .flat_map(|(name, of)| [name.as_bytes().to_vec(), files::f32_bytes(&of.values)]);
        files::checksum_of_parts(parts)
    }

    /// Sets the values of a statistic.
    ///
    /// # Panics
    /// When there is none of this name.
    pub(crate) fn set_statistic(&mut self, name: &str, values: Vec<f32>) {
        let parameter = self.map.get_mut(name).unwrap_or_else(|| panic!("no parameter {name}"));
        debug_assert_eq!(parameter.values.len(), values.len());
        parameter.values = values;
    }

    /// Whether there is a parameter of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// All values under file names and in file layout.
    pub(crate) fn to_weights(&self) -> Weights {
        self.map.iter().map(|(name, parameter)| (name.clone(), to_file(parameter))).collect()
    }

    /// Whether parameter `name` belongs to `layer`.
    pub(crate) fn is_below(name: &str, layer: &str) -> bool {
        name.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'))
    }

    /// How many values of a layer are not finite.
    pub(crate) fn not_finite_below(&self, layer: &str) -> usize {
        let below = self.map.iter().filter(|(name, _)| Self::is_below(name, layer));
        below.map(|(_, parameter)| count_not_finite(&parameter.values)).sum()
    }

    /// Takes the values of the parameters below `prefix` that are `wanted` (by full name) from a
    /// weight file whose names lack the prefix. Each of them must be in the file with the right
    /// shape, and finite. Returns the names that were taken.
    pub(crate) fn load(
        &mut self,
        weights: &Weights,
        prefix: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>> {
        let mut taken = Vec::new();
        for (name, parameter) in &mut self.map {
            let Some(in_file) = name.strip_prefix(prefix).filter(|_| wanted(name)) else {
                continue;
            };
            let expected = file_shape(parameter);
            match weights.get(in_file) {
                Some(tensor) if count_not_finite(&tensor.values) > 0 => {
                    return Err(not_finite(in_file, tensor));
                }
                Some(tensor) if tensor.shape == expected => {
                    parameter.values = from_file(tensor.clone(), parameter.layout);
                    taken.push(name.clone());
                }
                Some(tensor) => {
                    return Err(Error::new(
                        ErrorKind::Mismatch,
                        format!(
                            "tensor {in_file} has shape {:?}, this architecture needs {expected:?}",
                            tensor.shape
                        ),
                    ));
                }
                None => return Err(missing(in_file, weights)),
            }
        }
        Ok(taken)
    }
}

fn fill_one(name: &str, parameter: &mut Parameter, bytes: &[u8]) -> Result<()> {
    let tensor = NamedTensor { shape: file_shape(parameter), values: files::f32_values(bytes) };
    if count_not_finite(&tensor.values) > 0 {
        return Err(not_finite(name, &tensor));
    }
    parameter.values = from_file(tensor, parameter.layout);
    Ok(())
}

fn count_not_finite(values: &[f32]) -> usize {
    values.iter().filter(|value| !value.is_finite()).count()
}

fn not_finite(name: &str, tensor: &NamedTensor) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!(
            "tensor {name} holds {} values of {} that are NaN or infinite: the run that wrote it \
             had left the finite numbers, or the file is damaged; use another file, or train again",
            count_not_finite(&tensor.values),
            tensor.values.len()
        ),
    )
}

fn missing(name: &str, weights: &Weights) -> Error {
    let found: Vec<&str> = weights.keys().take(4).map(String::as_str).collect();
    Error::new(
        ErrorKind::Mismatch,
        format!(
            "no tensor {name} among the {} of the file (the first: {}); are these the weights of \
             this architecture?",
            weights.len(),
            found.join(", ")
        ),
    )
}

fn file_shape(parameter: &Parameter) -> Vec<usize> {
    match (parameter.layout, parameter.shape.as_slice()) {
        (Layout::Transposed, &[inputs, outputs]) => vec![outputs, inputs],
        (Layout::Convolution { kernel }, &[taps, outputs]) => {
            vec![outputs, taps / (kernel * kernel), kernel, kernel]
        }
        (_, shape) => shape.to_vec(),
    }
}

fn to_file(parameter: &Parameter) -> NamedTensor {
    let shape = file_shape(parameter);
    let values = match (parameter.layout, parameter.shape.as_slice()) {
        (Layout::Transposed, &[rows, columns]) => transposed(&parameter.values, rows, columns),
        (Layout::Convolution { kernel }, &[taps, outputs]) => {
            // [k·k, ci, co] -> [co, ci, k·k]
            let (window, inputs) = (kernel * kernel, taps / (kernel * kernel));
            let at = |o, i, w| parameter.values[(w * inputs + i) * outputs + o];
            let order = (0..outputs).flat_map(|o| (0..inputs).map(move |i| (o, i)));
            order.flat_map(|(o, i)| (0..window).map(move |w| at(o, i, w))).collect()
        }
        _ => parameter.values.clone(),
    };
    NamedTensor { shape, values }
}

fn from_file(tensor: NamedTensor, layout: Layout) -> Vec<f32> {
    match (layout, tensor.shape.as_slice()) {
        (Layout::Transposed, &[rows, columns]) => transposed(&tensor.values, rows, columns),
        (Layout::Convolution { .. }, &[outputs, inputs, height, width]) => {
            // [co, ci, k·k] -> [k·k, ci, co]
            let window = height * width;
            let at = |w, i, o| tensor.values[(o * inputs + i) * window + w];
            let order = (0..window).flat_map(|w| (0..inputs).map(move |i| (w, i)));
            order.flat_map(|(w, i)| (0..outputs).map(move |o| at(w, i, o))).collect()
        }
        _ => tensor.values,
    }
}

fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}

/// A standard normal value (Box and Muller, 1958).
fn normal(rng: &mut fastrand::Rng) -> f32 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * rng.f64()).cos()) as f32
}

/// Whether a pass learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Batch statistics, gradients.
    Training,
    /// Running statistics, no gradients.
    Inference,
}

/// The statistics of one batch at one batch norm.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The batch norm's name.
    pub(crate) name: String,
    pub(crate) moments: Moments,
    /// How many rows they were taken over.
    pub(crate) rows: usize,
}

#[derive(Clone, Debug)]
enum Leaf {
    Vector(Tensor<1>),
    Matrix(Tensor<2>),
}

/// What a watching pass has seen of its layers' outputs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    /// Their names, in the order in which they ran.
    pub(crate) layers: Vec<String>,
    first: Option<String>,
}

impl Watched {
    /// The first layer with an output that is not finite.
    pub(crate) fn first_not_finite(&self) -> Option<&str> {
        self.first.as_deref()
    }
}

/// A pass through a whole network, and the names of its layers.
type Call = (Arc<NetworkCall>, Arc<[LayerNames]>);

/// The parameters as tensors for one pass (training) or for as long as they do not change
/// (inference).
#[derive(Debug)]
pub(crate) struct Pass {
    parameters: Arc<Parameters>,
    device: Device,
    mode: Mode,
    leaves: RefCell<BTreeMap<String, Leaf>>,
    seen: RefCell<Vec<Seen>>,
    /// Passes through whole networks, with the names of their layers.
    calls: RefCell<Vec<Call>>,
    /// The network that no longer learns.
    folded: OnceCell<Folded>,
    layer_by_layer: bool,
    /// Whether batch norms that learn keep their running moments.
    fixed_moments: bool,
    measures: bool,
    watched: Option<RefCell<Watched>>,
}

impl Pass {
    /// Starts a pass.
    pub(crate) fn new(parameters: Arc<Parameters>, mode: Mode) -> Self {
        let device = Device::flex();
        let device = if mode == Mode::Training { device.autodiff() } else { device };
        Self {
            parameters,
            device,
            mode,
            leaves: RefCell::default(),
            seen: RefCell::default(),
            calls: RefCell::default(),
            folded: OnceCell::new(),
            layer_by_layer: false,
            fixed_moments: false,
            measures: false,
            watched: None,
        }
    }

    /// Starts a pass that reads the output of every layer, see [`Pass::watched`]; slower.
    pub(crate) fn watching(parameters: Arc<Parameters>, mode: Mode) -> Self {
        let watched = Some(RefCell::default());
        Self { watched, layer_by_layer: true, ..Self::new(parameters, mode) }
    }

    /// The same pass in which batch norms that learn keep their running moments, as constants: a
    /// network that is tuned goes on from what it was.
    pub(crate) fn with_fixed_moments(self, fixed_moments: bool) -> Self {
        Self { fixed_moments, ..self }
    }

    /// Whether batch norms that learn keep their running moments.
    pub(crate) fn has_fixed_moments(&self) -> bool {
        self.fixed_moments
    }

    /// Starts a pass that does not learn and notes the moments before every batch norm, see
    /// [`Pass::seen`]; slower.
    pub(crate) fn measuring(parameters: Arc<Parameters>) -> Self {
        Self { measures: true, layer_by_layer: true, ..Self::new(parameters, Mode::Inference) }
    }

    /// Whether it is to be told the moments before batch norms that do not learn.
    pub(crate) fn measures(&self) -> bool {
        self.measures
    }

    /// Tells a watching pass what came out of a layer, whose parameters begin with its name.
    pub(crate) fn watch<const D: usize>(&self, layer: &str, output: &Tensor<D>) {
        let Some(watched) = &self.watched else { return };
        let mut watched = watched.borrow_mut();
        watched.layers.push(layer.to_owned());
        if watched.first.is_none() && count_not_finite(&values_of(output.clone())) > 0 {
            watched.first = Some(layer.to_owned());
        }
    }

    /// What was watched; nothing in a pass that does not watch.
    pub(crate) fn watched(&self) -> Watched {
        self.watched.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// The same pass with every layer of a network as an operation of its own.
    #[cfg(test)]
    pub(crate) fn layer_by_layer(mut self) -> Self {
        self.layer_by_layer = true;
        self
    }

    /// Whether networks are run an operation at a time, as any device can.
    pub(crate) fn goes_layer_by_layer(&self) -> bool {
        self.layer_by_layer || !ops::has_kernels(&self.device)
    }

    pub(crate) fn parameters(&self) -> Arc<Parameters> {
        Arc::clone(&self.parameters)
    }

    /// The folded network, made at its first use.
    pub(crate) fn folded(&self, make: impl FnOnce() -> Folded) -> &Folded {
        self.folded.get_or_init(make)
    }

    /// Takes the moments of a network's pass, and remembers it for the gradients.
    pub(crate) fn note_call(&self, call: Arc<NetworkCall>, names: Arc<[LayerNames]>) {
        for network::Seen { layer, moments, rows } in &call.found().seen {
            self.note(&names[*layer].norm, moments, *rows);
        }
        self.calls.borrow_mut().push((call, names));
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn parameter(&self, name: &str) -> &Parameter {
        self.parameters.get(name)
    }

    /// Parameter `name` as a tensor of one dimension.
    pub(crate) fn vector(&self, name: &str) -> Tensor<1> {
        let mut leaves = self.leaves.borrow_mut();
        if let Some(Leaf::Vector(tensor)) = leaves.get(name) {
            return tensor.clone();
        }
        let tensor = self.leaf(name);
        leaves.insert(name.to_owned(), Leaf::Vector(tensor.clone()));
        tensor
    }

    /// Parameter `name` as a tensor of two dimensions.
    pub(crate) fn matrix(&self, name: &str) -> Tensor<2> {
        let mut leaves = self.leaves.borrow_mut();
        if let Some(Leaf::Matrix(tensor)) = leaves.get(name) {
            return tensor.clone();
        }
        let tensor = self.leaf(name);
        leaves.insert(name.to_owned(), Leaf::Matrix(tensor.clone()));
        tensor
    }

    fn leaf<const D: usize>(&self, name: &str) -> Tensor<D> {
        let parameter = self.parameters.get(name);
        let tensor = self.tensor(parameter.values.clone(), &parameter.shape);
        if self.mode == Mode::Training && parameter.trainable {
            tensor.require_grad()
        } else {
            tensor
        }
    }

    /// A constant tensor on this pass's device.
    pub(crate) fn tensor<const D: usize>(&self, values: Vec<f32>, shape: &[usize]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape.to_vec()), &self.device)
    }

    /// Notes a batch's statistics for [`Parameters::keep_statistics`].
    pub(crate) fn note(&self, name: &str, moments: &Moments, rows: usize) {
        let seen = Seen { name: name.to_owned(), moments: moments.clone(), rows };
        self.seen.borrow_mut().push(seen);
    }

    /// What was noted, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.take()
    }

    /// The gradient of every trainable parameter that took part, by name.
    pub(crate) fn gradients(&self, mut gradients: Gradients) -> BTreeMap<String, Vec<f32>> {
        let mut by_name = BTreeMap::new();
        for (name, leaf) in self.leaves.borrow().iter() {
            let gradient = match leaf {
                Leaf::Vector(tensor) => tensor.grad_remove(&mut gradients).map(values_of),
                Leaf::Matrix(tensor) => tensor.grad_remove(&mut gradients).map(values_of),
            };
            if let Some(gradient) = gradient {
                by_name.insert(name.clone(), gradient);
            }
        }
        for (call, names) in self.calls.borrow_mut().drain(..) {
            for found in call.found().gradients.drain(..) {
                let names = &names[found.layer];
                by_name.insert(names.weights.clone(), found.weights);
                by_name.insert(names.gamma.clone(), found.norm.gamma);
                by_name.insert(names.beta.clone(), found.norm.beta);
            }
        }
        by_name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(shape: &[usize], layout: Layout) -> Parameter {
        let count: usize = shape.iter().product();
        let values = (0..count).map(|i| i as f32).collect();
        Parameter { shape: shape.to_vec(), values, layout, statistic: false, trainable: true }
    }

    #[test]
    fn every_layout_goes_to_a_file_and_back() {
        for (shape, layout, in_file) in [
            (vec![5], Layout::Plain, vec![5]),
            (vec![3, 4], Layout::Transposed, vec![4, 3]),
            (vec![18, 7], Layout::Convolution { kernel: 3 }, vec![7, 2, 3, 3]),
        ] {
            let parameter = counting(&shape, layout);
            let file = to_file(&parameter);
            assert_eq!(file.shape, in_file);
            assert_eq!(from_file(file, layout), parameter.values);
        }
    }

    #[test]
    fn a_convolution_is_written_output_first() {
        // Taps ky, kx, ci = (0, 1, 1) of a 2x2 window over 3 inputs, output 4 of 5.
        let parameter = counting(&[12, 5], Layout::Convolution { kernel: 2 });
        let file = to_file(&parameter);
        // In memory this is row 1*3 + 1 = 4, column 4; in the file [4, 1, 0, 1].
        assert_eq!(file.values[4 * 12 + 4 + 1] as usize, 4 * 5 + 4);
    }

    #[test]
    fn a_missing_or_misshapen_tensor_is_named() {
        let mut parameters = Parameters::default();
        parameters.add("image.fc.bias", &[2], Layout::Plain, Init::Constant(0.0), Seed(0));
        let mut weights = Weights::new();
        let error = parameters.load(&weights, "image.", |_| true).unwrap_err();
        assert!(error.to_string().contains("no tensor fc.bias"), "{error}");
        weights.insert("fc.bias".into(), NamedTensor { shape: vec![3], values: vec![0.0; 3] });
        let error = parameters.load(&weights, "image.", |_| true).unwrap_err();
        assert!(error.to_string().contains("shape [3]"), "{error}");
        assert!(parameters.load(&weights, "image.", |_| false).unwrap().is_empty());
    }

    #[test]
    fn a_tensor_that_is_not_finite_is_named_and_counted() {
        let mut parameters = Parameters::default();
        parameters.add("image.fc.bias", &[3], Layout::Plain, Init::Constant(0.0), Seed(0));
        let values = vec![f32::NAN, 1.0, f32::INFINITY];
        let weights = Weights::from([("fc.bias".into(), NamedTensor { shape: vec![3], values })]);
        let error = parameters.load(&weights, "image.", |_| true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("tensor fc.bias holds 2 values of 3"), "{error}");
        assert!(parameters.load(&weights, "image.", |_| false).is_ok());
    }
}
