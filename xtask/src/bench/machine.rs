//! What is measured on.

use std::path::Path;

use crate::steps::Step;

/// The processor and how it is used.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// As the system names it.
    pub(super) processor: String,
    /// The instructions that looksee's kernels take, by the names of `LOOKSEE_SIMD`.
    pub(super) simd: &'static str,
    pub(super) threads: usize,
}

impl Machine {
    /// Asks the system.
    pub(super) fn of_this(root: &Path, threads: usize) -> Self {
        let known = std::fs::read_to_string("/proc/cpuinfo").ok();
        let processor = known.as_deref().and_then(processor).or_else(|| {
            // Where there is no such file: macOS.
            let name = Step::new(&["sysctl", "-n", "machdep.cpu.brand_string"]);
            name.answer(root).ok().map(|name| name.trim().to_owned())
        });
        Self {
            processor: processor.unwrap_or_else(|| format!("unnamed {}", std::env::consts::ARCH)),
            simd: simd_under(best_simd(), std::env::var("LOOKSEE_SIMD").ok().as_deref()),
            threads,
        }
    }

    /// The processor's name as a folder's name.
    pub(super) fn folder(&self) -> String {
        let words = self.processor.split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        words.join("-").to_ascii_lowercase()
    }
}

/// A warning if other programs keep the machine busy: times would tell about them.
pub(super) fn busy_warning() -> Option<String> {
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    busy_under(&load, processors)
}

/// [`busy_warning`] for the text of `/proc/loadavg`.
fn busy_under(load: &str, processors: usize) -> Option<String> {
    let load: f64 = load.split_whitespace().next()?.parse().ok()?;
    (load > 0.5 * processors as f64).then(|| {
        format!(
            "warning: {load} programs were at work during the last minute and there are {processors} \
             processors; times will be too long and ratios unfair, so measure again on a machine \
             that is idle"
        )
    })
}

/// The first name in the text of `/proc/cpuinfo`, with the generation where that is known: virtual
/// machines call every processor of a maker by the same name.
fn processor(cpuinfo: &str) -> Option<String> {
    let name = first(cpuinfo, "model name")?;
    let number = |key| first(cpuinfo, key)?.parse::<u32>().ok();
    let is_amd = first(cpuinfo, "vendor_id").is_some_and(|vendor| vendor == "AuthenticAMD");
    let zen = number("cpu family").zip(number("model")).filter(|_| is_amd);
    Some(match zen.and_then(|(family, model)| generation_of_zen(family, model)) {
        Some(generation) => format!("{name} (Zen {generation})"),
        None => name,
    })
}

/// The first value of a key in the text of `/proc/cpuinfo` that is not empty.
fn first(cpuinfo: &str, key: &str) -> Option<String> {
    let mut values = cpuinfo.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    values.find(|value| !value.is_empty())
}

/// By AMD's numbers, as compilers tell them apart (LLVM's `Host.cpp`).
fn generation_of_zen(family: u32, model: u32) -> Option<u32> {
    match (family, model) {
        (23, 0x00..=0x2f) => Some(1),
        (23, _) => Some(2),
        (25, 0x00..=0x0f | 0x20..=0x5f) => Some(3),
        (25, 0x10..=0x1f | 0x60..=0x7f | 0xa0..=0xaf) => Some(4),
        (26, _) => Some(5),
        _ => None,
    }
}

/// From the fewest instructions to the most.
const LEVELS: [&str; 4] = ["portable", "neon", "avx2", "avx512"];

/// The same questions that the kernels ask.
#[cfg(target_arch = "x86_64")]
fn best_simd() -> &'static str {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (true, true) => "avx512",
        (true, false) => "avx2",
        _ => "portable",
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn best_simd() -> &'static str {
    if cfg!(target_arch = "aarch64") { "neon" } else { "portable" }
}

/// The level in use when the best one is capped by the environment; an unknown cap is none.
fn simd_under(best: &'static str, cap: Option<&str>) -> &'static str {
    let place = |name: &str| LEVELS.iter().position(|level| *level == name);
    let (Some(best_at), Some(cap_at)) = (place(best), cap.and_then(place)) else { return best };
    match LEVELS[best_at.min(cap_at)] {
        // Only Arm has it, and there it is the best.
        "neon" if best != "neon" => "portable",
        level => level,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_found_and_names_a_folder() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC  9B14 (x2)\n\n\
                       processor\t: 1\nmodel name\t: other\n";
        let processor_here = processor(cpuinfo).unwrap();
        assert_eq!(processor_here, "AMD EPYC 9B14 (x2)");
        let machine = Machine { processor: processor_here, simd: "avx2", threads: 2 };
        assert_eq!(machine.folder(), "amd-epyc-9b14-x2");
        assert_eq!(processor("processor : 0\nBogoMIPS : 50\n"), None);
    }

    #[test]
    fn processors_of_one_name_and_two_generations_have_two_folders() {
        let folder = |family: u32, model: u32| {
            let cpuinfo = format!(
                "vendor_id\t: AuthenticAMD\ncpu family\t: {family}\nmodel\t\t: {model}\n\
                 model name\t: AMD EPYC\n"
            );
            let processor = processor(&cpuinfo).unwrap();
            Machine { processor, simd: "avx2", threads: 2 }.folder()
        };
        let found =
            [(23, 1), (23, 49), (25, 1), (25, 17), (26, 2), (31, 1)].map(|(f, m)| folder(f, m));
        let zen = |number: u32| format!("amd-epyc-zen-{number}");
        assert_eq!(found[..5], [zen(1), zen(2), zen(3), zen(4), zen(5)]);
        assert_eq!(found[5], "amd-epyc");
    }

    #[test]
    fn a_busy_machine_is_warned_of() {
        let warning = busy_under("1.25 0.80 0.50 2/300 4000\n", 2).unwrap();
        assert!(warning.starts_with("warning: 1.25 programs were at work"), "{warning}");
        assert_eq!(busy_under("1.00 0.80 0.50 2/300 4000\n", 2), None);
        assert_eq!(busy_under("", 2), None);
    }

    #[test]
    fn the_environment_caps_the_instructions() {
        assert_eq!(simd_under("avx512", None), "avx512");
        assert_eq!(simd_under("avx512", Some("avx2")), "avx2");
        assert_eq!(simd_under("avx2", Some("avx512")), "avx2");
        assert_eq!(simd_under("avx2", Some("neon")), "portable");
        assert_eq!(simd_under("neon", Some("avx2")), "neon");
        assert_eq!(simd_under("avx2", Some("fastest")), "avx2");
    }
}
