//! Lays out vectors with the crate `bhtsne`.
//!
//! `cargo xtask bench map --peers` calls it. It prints one JSON document with the names that
//! `looksee map --json` has, as far as the crate tells them. Everything is the crate's default but
//! the perplexity and the number of steps (250 exaggerated ones and 500 plain ones), which are
//! those of the other contenders. At its own learning rate the crate is far from done after so few
//! steps; `--rate third` sets a third of the number of points, the best of the rates that we tried.

mod npy;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use bhtsne::tSNE;

const PERPLEXITY: f32 = 30.0;
/// The first 250 of them are exaggerated: the crate's default.
const STEPS: usize = 750;
/// How wide a cell may look to count as one point: the value of the crate's examples.
const THETA: f32 = 0.5;

const USAGE: &str =
    "usage: bhtsne-peer barnes-hut|fft X.npy Y.npy --threads N [--rate default|third]";

type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bhtsne-peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<String> {
    let (method, input, output, threads, rate) = match arguments {
        [method, input, output, "--threads", threads] => {
            (method, input, output, threads, "default")
        }
        [method, input, output, "--threads", threads, "--rate", rate @ ("default" | "third")] => {
            (method, input, output, threads, *rate)
        }
        _ => return Err(USAGE.to_owned()),
    };
    let threads = threads.parse().map_err(|_| format!("`{threads}` is no number of threads"))?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    pool.map_err(|error| format!("cannot start {threads} threads: {error}"))?;
    let (dim, numbers) = npy::read(Path::new(input))?;
    let vectors: Vec<&[f32]> = numbers.chunks_exact(dim).collect();

    let start = Instant::now();
    let mut tsne: tSNE<f32, &[f32]> = tSNE::new(&vectors);
    tsne.perplexity(PERPLEXITY).epochs(STEPS);
    if rate == "third" {
        tsne.learning_rate(vectors.len() as f32 / 3.0);
    }
    match *method {
        "barnes-hut" => tsne.barnes_hut(THETA, distance),
        "fft" => tsne.fit_sne(distance),
        other => return Err(format!("`{other}` is neither `barnes-hut` nor `fft`")),
    };
    let layout = tsne.embedding();
    let seconds = start.elapsed().as_secs_f64();

    npy::write(Path::new(output), 2, &layout)?;
    let kl = tsne.kl_divergence().filter(|kl| kl.is_finite());
    let kl = kl.map_or_else(|| "null".to_owned(), |kl| kl.to_string());
    Ok(format!(
        r#"{{"points": {}, "kl": {kl}, "iterations": {STEPS}, "method": "{method}", "seconds": {{"total": {seconds:.3}}}}}"#,
        vectors.len(),
    ))
}

// The crate wants a function of two references to its rows, and the rows are slices.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn distance(a: &&[f32], b: &&[f32]) -> f32 {
    a.iter().zip(b.iter()).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
}
