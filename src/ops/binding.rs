//! The framework's *backend extension*: one trait of fused operations, its implementation on the
//! CPU backend, and its backward passes under automatic differentiation.
//!
//! Only what training and embedding run on the CPU stands here: a network as a whole, the pool
//! behind it, the recurrent layer and the pool over its states.
//!
//! The forward operations stand in [`Fused`]; the framework generates the dispatch over backends
//! from it. Their gradients stand in [`FusedGradients`], which only the CPU backend has to offer
//! and which the autodiff implementation calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Bytes, DType, Shape};
use looksee_kernels::layers::bags::{self, Bags};
use looksee_kernels::layers::gru::{self, Direction, GruShape, GruTape, GruWeights};
use looksee_kernels::layers::pool;
use looksee_kernels::network::{LayerGradients, LayerSource, MapShape, Network, Seen, Tape};

use crate::tokens::Grams;

/// One pass of pictures through a network whose numbers lie outside the framework, and what comes
/// of it beside the features.
pub(crate) struct NetworkCall {
    pub network: Network,
    pub source: Box<dyn LayerSource>,
    pub input: MapShape,
    /// Pixels, of the sizes of `input`.
    pub pixels: Vec<f32>,
    found: Mutex<Found>,
}

/// What passes through a network leave behind.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Moments of the forward pass.
    pub seen: Vec<Seen>,
    /// Gradients of the backward pass.
    pub gradients: Vec<LayerGradients>,
}

impl std::fmt::Debug for NetworkCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkCall").field("input", &self.input).finish_non_exhaustive()
    }
}

impl NetworkCall {
    pub(crate) fn new(
        network: Network,
        source: Box<dyn LayerSource>,
        input: MapShape,
        pixels: Vec<f32>,
    ) -> Self {
        Self { network, source, input, pixels, found: Mutex::default() }
    }

    /// What was found so far.
    pub(crate) fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn train(&self) -> Tape {
        let tape = self.network.train(&*self.source, self.input, &self.pixels);
        self.found().seen = tape.seen().to_vec();
        tape
    }
}

/// Operations in which several of the framework's are done in one pass over memory.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait Fused: Backend {
    /// `[n, h, w, c]` -> `[n, c]`.
    fn looksee_global_max_pool(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `x [n, len, inputs]` -> `[n, len, hidden]`; weights `[inputs, 3·hidden]` and
    /// `[hidden, 3·hidden]`, biases `[3·hidden]`.
    fn looksee_gru(
        x: FloatTensor<Self>,
        input: FloatTensor<Self>,
        input_bias: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        hidden_bias: FloatTensor<Self>,
        lengths: Arc<[u32]>,
        direction: Direction,
    ) -> FloatTensor<Self>;
    /// The features of a call's pixels, `[n, h, w, c]`. `trigger` is any tensor that asks for
    /// gradients: the backward pass starts from it and leaves those of the layers with the call.
    fn looksee_network(trigger: FloatTensor<Self>, call: Arc<NetworkCall>) -> FloatTensor<Self>;
    /// `table [rows, width]` -> `[tokens, width]`: the mean of the rows of each token's n-grams.
    fn looksee_means_of_rows(table: FloatTensor<Self>, grams: Arc<Grams>) -> FloatTensor<Self>;
    /// `[n, len, c]` -> `[n, c]`: the largest value over each sequence's valid steps.
    fn looksee_max_over_steps(x: FloatTensor<Self>, lengths: Arc<[u32]>) -> FloatTensor<Self>;
}

/// The gradients of [`Fused`].
pub(crate) trait FusedGradients: Backend {
    /// Of the pool's input.
    fn global_max_pool_gradient(x: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The recurrent layer, and what its gradients need.
    fn gru_keeping(
        x: FloatTensor<Self>,
        parameters: GruParameters<Self>,
        lengths: &[u32],
        direction: Direction,
    ) -> (FloatTensor<Self>, GruSaved<Self>);
    /// Of the recurrent layer's input and its four parameters.
    fn gru_gradients(saved: GruSaved<Self>, dy: FloatTensor<Self>) -> [FloatTensor<Self>; 5];
    /// Of the table of the means of rows, which has so many.
    fn means_of_rows_gradient(
        dy: FloatTensor<Self>,
        grams: &Grams,
        rows: usize,
    ) -> FloatTensor<Self>;
    /// Of the input of the maximum over steps.
    fn max_over_steps_gradient(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        lengths: &[u32],
    ) -> FloatTensor<Self>;
    /// The forward pass of a network that learns.
    fn network_forward(call: &NetworkCall) -> (FloatTensor<Self>, Tape);
    /// Leaves the gradients of the network's layers with the call; that of `trigger` is zeros.
    fn network_gradients(
        call: &NetworkCall,
        tape: Tape,
        dy: FloatTensor<Self>,
        trigger: Shape,
    ) -> FloatTensor<Self>;
}

/// Weights and biases of a recurrent layer: of the input, then of the state.
pub(crate) type GruParameters<B> = [FloatTensor<B>; 4];

/// What the backward pass of a GRU needs of the forward pass.
#[derive(Debug)]
pub(crate) struct GruSaved<B: Backend> {
    parameters: GruParameters<B>,
    shape: GruShape,
    kept: GruTape,
}

impl<B: Backend> Clone for GruSaved<B> {
    fn clone(&self) -> Self {
        Self { parameters: self.parameters.clone(), shape: self.shape, kept: self.kept.clone() }
    }
}

// ---- the CPU backend -------------------------------------------------------------------------

fn tensor(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    let layout = Layout::contiguous(Shape::from(shape.to_vec()));
    FlexTensor::new(Bytes::from_elems(values), layout, DType::F32)
}

/// A tensor whose values lie one after the other.
struct Dense(FlexTensor);

impl Dense {
    fn new(tensor: FlexTensor) -> Self {
        Self(if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() })
    }

    fn values(&self) -> &[f32] {
        let start = self.0.layout().start_offset();
        &self.0.storage::<f32>()[start..start + self.0.layout().num_elements()]
    }

    fn dims<const D: usize>(&self) -> [usize; D] {
        let shape = self.0.layout().shape();
        assert_eq!(shape.num_dims(), D, "a tensor of {D} dimensions");
        std::array::from_fn(|dimension| shape[dimension])
    }
}

impl Fused for Flex {
    fn looksee_global_max_pool(x: FlexTensor) -> FlexTensor {
        let x = Dense::new(x);
        let [n, height, width, channels] = x.dims();
        let mut y = vec![0.0; n * channels];
        pool::global_max_forward(n, height * width, channels, x.values(), &mut y);
        tensor(y, &[n, channels])
    }

    fn looksee_gru(
        x: FlexTensor,
        input: FlexTensor,
        input_bias: FlexTensor,
        hidden: FlexTensor,
        hidden_bias: FlexTensor,
        lengths: Arc<[u32]>,
        direction: Direction,
    ) -> FlexTensor {
        let x = Dense::new(x);
        let parameters = [input, input_bias, hidden, hidden_bias].map(Dense::new);
        let shape = gru_shape(&x, &parameters, direction);
        let mut out = vec![0.0; shape.n * shape.len * shape.hidden];
        gru::forward(&shape, &lengths, x.values(), &gru_weights(&parameters), &mut out);
        tensor(out, &[shape.n, shape.len, shape.hidden])
    }

    fn looksee_means_of_rows(table: FlexTensor, grams: Arc<Grams>) -> FlexTensor {
        let table = Dense::new(table);
        let [_, width] = table.dims();
        let mut out = vec![0.0; grams.lists.len() * width];
        bags::forward(&bags_of(&grams), width, table.values(), &mut out);
        tensor(out, &[grams.lists.len(), width])
    }

    fn looksee_max_over_steps(x: FlexTensor, lengths: Arc<[u32]>) -> FlexTensor {
        let x = Dense::new(x);
        let [n, len, channels] = x.dims();
        let mut y = vec![0.0; n * channels];
        gru::max_over_steps(len, channels, &lengths, x.values(), &mut y);
        tensor(y, &[n, channels])
    }

    fn looksee_network(_trigger: FlexTensor, call: Arc<NetworkCall>) -> FlexTensor {
        features_of(&call.train())
    }
}

fn bags_of(grams: &Grams) -> Bags<'_> {
    Bags { lists: &grams.lists, starts: &grams.starts, rows: &grams.buckets }
}

fn features_of(tape: &Tape) -> FlexTensor {
    let MapShape { n, height, width, channels } = tape.shape();
    tensor(tape.features().to_vec(), &[n, height, width, channels])
}

fn gru_shape(x: &Dense, parameters: &[Dense; 4], direction: Direction) -> GruShape {
    let ([n, len, inputs], [hidden, _]) = (x.dims(), parameters[2].dims());
    GruShape { n, len, inputs, hidden, direction }
}

fn gru_weights([input, input_bias, hidden, hidden_bias]: &[Dense; 4]) -> GruWeights<'_> {
    GruWeights {
        input: input.values(),
        input_bias: input_bias.values(),
        hidden: hidden.values(),
        hidden_bias: hidden_bias.values(),
    }
}

impl FusedGradients for Flex {
    fn global_max_pool_gradient(x: FlexTensor, dy: FlexTensor) -> FlexTensor {
        let (x, dy) = (Dense::new(x), Dense::new(dy));
        let [n, height, width, channels] = x.dims();
        let mut dx = vec![0.0; x.values().len()];
        pool::global_max_backward(n, height * width, channels, x.values(), dy.values(), &mut dx);
        tensor(dx, &x.dims::<4>())
    }

    fn gru_keeping(
        x: FlexTensor,
        parameters: GruParameters<Self>,
        lengths: &[u32],
        direction: Direction,
    ) -> (FlexTensor, GruSaved<Self>) {
        let x = Dense::new(x);
        let dense = parameters.clone().map(Dense::new);
        let shape = gru_shape(&x, &dense, direction);
        let mut out = vec![0.0; shape.n * shape.len * shape.hidden];
        let weights = gru_weights(&dense);
        let kept = gru::forward_keeping(&shape, lengths, x.values(), &weights, &mut out);
        (tensor(out, &[shape.n, shape.len, shape.hidden]), GruSaved { parameters, shape, kept })
    }

    fn gru_gradients(saved: GruSaved<Self>, dy: FlexTensor) -> [FlexTensor; 5] {
        let GruSaved { parameters, shape, kept } = saved;
        let (parameters, dy) = (parameters.map(Dense::new), Dense::new(dy));
        let found = gru::backward(&shape, &gru_weights(&parameters), kept, dy.values());
        let gates = 3 * shape.hidden;
        [
            tensor(found.x, &[shape.n, shape.len, shape.inputs]),
            tensor(found.input, &[shape.inputs, gates]),
            tensor(found.input_bias, &[gates]),
            tensor(found.hidden, &[shape.hidden, gates]),
            tensor(found.hidden_bias, &[gates]),
        ]
    }

    fn means_of_rows_gradient(dy: FlexTensor, grams: &Grams, rows: usize) -> FlexTensor {
        let dy = Dense::new(dy);
        let [_, width] = dy.dims();
        let mut gradient = vec![0.0; rows * width];
        bags::backward(&bags_of(grams), width, dy.values(), &mut gradient);
        tensor(gradient, &[rows, width])
    }

    fn max_over_steps_gradient(x: FlexTensor, dy: FlexTensor, lengths: &[u32]) -> FlexTensor {
        let (x, dy) = (Dense::new(x), Dense::new(dy));
        let [n, len, channels] = x.dims();
        let mut dx = vec![0.0; n * len * channels];
        let (x, dy) = (x.values(), dy.values());
        gru::max_over_steps_backward(len, channels, lengths, x, dy, &mut dx);
        tensor(dx, &[n, len, channels])
    }

    fn network_forward(call: &NetworkCall) -> (FlexTensor, Tape) {
        let tape = call.train();
        (features_of(&tape), tape)
    }

    fn network_gradients(
        call: &NetworkCall,
        tape: Tape,
        dy: FlexTensor,
        trigger: Shape,
    ) -> FlexTensor {
        let gradients = tape.backward(&*call.source, Dense::new(dy).values());
        call.found().gradients = gradients;
        tensor(vec![0.0; trigger.num_elements()], &trigger)
    }
}

// ---- automatic differentiation ---------------------------------------------------------------

/// Hands `gradient` to the parent if it wants one.
macro_rules! register {
    ($gradients:ident, $backend:ty, $parent:expr, $gradient:expr) => {
        if let Some(parent) = $parent {
            let gradient = $gradient;
            $gradients.register::<$backend>(parent.id, gradient);
        }
    };
}

#[derive(Debug)]
struct GlobalMaxPoolBackward;

impl<B: Fused + FusedGradients> Backward<B, 1> for GlobalMaxPoolBackward {
    type State = NodeId;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [of_x] = ops.parents;
        let dy = gradients.consume::<B>(&ops.node);
        let x = checkpointer.retrieve_node_output(ops.state);
        register!(gradients, B, of_x, B::global_max_pool_gradient(x, dy));
    }
}

#[derive(Debug)]
struct GruBackward;

impl<B: Fused + FusedGradients> Backward<B, 5> for GruBackward {
    type State = GruSaved<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 5>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = gradients.consume::<B>(&ops.node);
        let found = B::gru_gradients(ops.state, dy);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            register!(gradients, B, parent, gradient);
        }
    }
}

#[derive(Debug)]
struct MeansOfRowsBackward;

impl<B: Fused + FusedGradients> Backward<B, 1> for MeansOfRowsBackward {
    type State = (Arc<Grams>, usize);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [of_table] = ops.parents;
        let dy = gradients.consume::<B>(&ops.node);
        let (grams, rows) = ops.state;
        register!(gradients, B, of_table, B::means_of_rows_gradient(dy, &grams, rows));
    }
}

#[derive(Debug)]
struct MaxOverStepsBackward;

impl<B: Fused + FusedGradients> Backward<B, 1> for MaxOverStepsBackward {
    type State = (NodeId, Arc<[u32]>);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [of_x] = ops.parents;
        let dy = gradients.consume::<B>(&ops.node);
        let (x, lengths) = ops.state;
        let x = checkpointer.retrieve_node_output(x);
        register!(gradients, B, of_x, B::max_over_steps_gradient(x, dy, &lengths));
    }
}

#[derive(Debug)]
struct NetworkBackward;

impl<B: Fused + FusedGradients> Backward<B, 1> for NetworkBackward {
    type State = (Arc<NetworkCall>, Arc<Mutex<Option<Tape>>>, Shape);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [of_trigger] = ops.parents;
        let dy = gradients.consume::<B>(&ops.node);
        let (call, tape, shape) = ops.state;
        let tape = tape.lock().unwrap_or_else(PoisonError::into_inner).take();
        let tape = tape.expect("a pass goes back once");
        let zeros = B::network_gradients(&call, tape, dy, shape);
        register!(gradients, B, of_trigger, zeros);
    }
}

impl<B: Fused + FusedGradients, C: CheckpointStrategy> Fused for Autodiff<B, C> {
    fn looksee_global_max_pool(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let forward = || B::looksee_global_max_pool(x.primitive().clone());
        match GlobalMaxPoolBackward.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let saved = prepared.checkpoint(&x);
                prepared.finish(saved, forward())
            }
            OpsKind::UnTracked(prepared) => prepared.finish(forward()),
        }
    }

    fn looksee_gru(
        x: FloatTensor<Self>,
        input: FloatTensor<Self>,
        input_bias: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        hidden_bias: FloatTensor<Self>,
        lengths: Arc<[u32]>,
        direction: Direction,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), input.node(), input_bias.node(), hidden.node(), hidden_bias.node()];
        let x = x.into_primitive();
        let (input, input_bias) = (input.into_primitive(), input_bias.into_primitive());
        let (hidden, hidden_bias) = (hidden.into_primitive(), hidden_bias.into_primitive());
        match GruBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let parameters = [input, input_bias, hidden, hidden_bias];
                let (out, saved) = B::gru_keeping(x, parameters, &lengths, direction);
                prepared.finish(saved, out)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::looksee_gru(
                x,
                input,
                input_bias,
                hidden,
                hidden_bias,
                lengths,
                direction,
            )),
        }
    }

    fn looksee_means_of_rows(table: FloatTensor<Self>, grams: Arc<Grams>) -> FloatTensor<Self> {
        match MeansOfRowsBackward.prepare::<C>([table.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let table = table.into_primitive();
                let rows = table.shape()[0];
                let out = B::looksee_means_of_rows(table, Arc::clone(&grams));
                prepared.finish((grams, rows), out)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::looksee_means_of_rows(table.into_primitive(), grams))
            }
        }
    }

    fn looksee_max_over_steps(x: FloatTensor<Self>, lengths: Arc<[u32]>) -> FloatTensor<Self> {
        let forward = || B::looksee_max_over_steps(x.primitive().clone(), Arc::clone(&lengths));
        match MaxOverStepsBackward.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let saved = (prepared.checkpoint(&x), Arc::clone(&lengths));
                prepared.finish(saved, forward())
            }
            OpsKind::UnTracked(prepared) => prepared.finish(forward()),
        }
    }

    fn looksee_network(trigger: FloatTensor<Self>, call: Arc<NetworkCall>) -> FloatTensor<Self> {
        match NetworkBackward.prepare::<C>([trigger.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (out, tape) = B::network_forward(&call);
                let shape = trigger.primitive().shape();
                prepared.finish((call, Arc::new(Mutex::new(Some(tape))), shape), out)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::looksee_network(trigger.into_primitive(), call))
            }
        }
    }
}
