//! Does one work of looksee again and again and prints what it took, a `name<TAB>value` a line.
//!
//! ```text
//! cargo run --release -p looksee -F bench --example work -- train --batch 32 --side 64 --threads 2 --warm 2 --runs 5
//! cargo run --release -p looksee -F bench --example work -- embed --network resnet50 --batch 1 --side 224
//! cargo run --release -p looksee -F bench --example work -- gru --batch 32
//! cargo run --release -p looksee -F bench --example work -- grams --batch 512
//! cargo run --release -p looksee -F bench --example work -- conv --batch 32 --side 64
//! ```
//!
//! `cargo xtask bench` calls it, with `--in-turn`: after the warm-up it says `ready`, and then works
//! once for each line of standard input, until its end. `seconds.1` and so on are the counted runs,
//! `gflop` is the work of one, `peak_mb` is the most memory that the process had by the end of the
//! last run, `gemm_gflops` is the machine's rate at a product of two 2048 x 2048 matrices, measured
//! right after, and `answer.` begins what the work came to. Of convolutions each shape has its own
//! lines.

#![expect(clippy::print_stdout, reason = "a program, not the library: its lines are its answer")]

use std::error::Error;
use std::time::Instant;

use looksee::bench::{self, PASSES, Size, Work};
use looksee_kernels::cpu::simd::simd_level;
use looksee_kernels::layers::conv::{self, ConvShape};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Asked {
    work: String,
    network: String,
    batch: usize,
    side: usize,
    threads: usize,
    warm: usize,
    runs: usize,
    in_turn: bool,
}

fn main() -> Result<()> {
    let asked = parse(std::env::args().skip(1))?;
    rayon::ThreadPoolBuilder::new().num_threads(asked.threads).build_global()?;
    println!("simd\t{}\nthreads\t{}", simd_level().name(), asked.threads);
    let size = Size { network: &asked.network, batch: asked.batch, side: asked.side };
    match asked.work.as_str() {
        "train" => measure(&asked, bench::image_training(size)?),
        "gru" => measure(&asked, bench::text_training(asked.batch)?),
        "words" => measure(&asked, bench::word_training(asked.batch, false)?),
        "grams" => measure(&asked, bench::word_training(asked.batch, true)?),
        "embed" => measure(&asked, bench::embedding(size)?),
        "conv" => {
            convolutions(&asked);
            Ok(())
        }
        other => {
            Err(format!("`{other}` is no work: train, gru, words, grams, embed or conv").into())
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Asked> {
    let work = words
        .next()
        .ok_or("the name of a work is missing: train, gru, words, grams, embed or conv")?;
    let network = "resnet50".to_owned();
    let (batch, side, threads, warm, runs) = (32, 64, 1, 2, 5);
    let mut asked = Asked { work, network, batch, side, threads, warm, runs, in_turn: false };
    while let Some(option) = words.next() {
        if option == "--in-turn" {
            asked.in_turn = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{option} needs a value after it"))?;
        let number = || match value.parse() {
            Ok(0) | Err(_) => Err(format!("{option} takes a number from 1; found `{value}`")),
            Ok(number) => Ok(number),
        };
        match option.as_str() {
            "--network" => asked.network = value,
            "--batch" => asked.batch = number()?,
            "--side" => asked.side = number()?,
            "--threads" => asked.threads = number()?,
            "--warm" => asked.warm = number()?,
            "--runs" => asked.runs = number()?,
            _ => return Err(format!("`{option}` is no option of this example").into()),
        }
    }
    Ok(asked)
}

fn measure(asked: &Asked, mut work: Box<dyn Work>) -> Result<()> {
    for _ in 0..asked.warm {
        work.run()?;
    }
    let mut orders = std::io::stdin().lines();
    if asked.in_turn {
        println!("ready");
    }
    for run in 1.. {
        let is_wanted =
            if asked.in_turn { orders.next().transpose()?.is_some() } else { run <= asked.runs };
        if !is_wanted {
            break;
        }
        let start = Instant::now();
        work.run()?;
        println!("seconds.{run}\t{}", start.elapsed().as_secs_f64());
    }
    println!("gflop\t{}", work.gflop());
    print_memory();
    print_peak();
    for (name, value) in work.answer()? {
        println!("answer.{name}\t{value}");
    }
    Ok(())
}

fn convolutions(asked: &Asked) {
    let layers = bench::convolutions(asked.batch, asked.side, asked.warm, asked.runs);
    print_memory();
    print_peak();
    println!("layers\t{}", layers.len());
    for (number, layer) in layers.iter().enumerate() {
        println!("layer.{number}.name\t{}", layer.name);
        println!("layer.{number}.times\t{}", layer.times);
        println!("layer.{number}.gflop\t{}", layer.gflop);
        for (pass, seconds) in PASSES.iter().zip(&layer.seconds) {
            for (run, seconds) in seconds.iter().enumerate() {
                println!("layer.{number}.{pass}.{}\t{seconds}", run + 1);
            }
        }
    }
    let worst = layers.iter().map(|layer| layer.worst).fold(0.0, f64::max);
    println!("worst\t{worst}");
}

/// Linux tells; elsewhere the line is missing.
fn print_memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    if let Some(kilobytes) = kilobytes {
        let kilobytes: f64 = kilobytes;
        println!("peak_mb\t{}", kilobytes / 1024.0);
    }
}

/// The best of several products by the kernel that the convolutions use, which is what the machine
/// can do.
fn print_peak() {
    const SIZE: usize = 2048;
    let a: Vec<f32> = (0..SIZE * SIZE).map(|i| (i % 97) as f32 / 97.0).collect();
    let (b, mut out) = (a.clone(), vec![0.0; SIZE * SIZE]);
    let shape = ConvShape::product(SIZE, SIZE, SIZE);
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        conv::forward(&shape, &a, &b, &mut out);
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("gemm_gflops\t{}", 2e-9 * (SIZE as f64).powi(3) / best);
}
