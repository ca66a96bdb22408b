//! The order of the modules of the library, and of the rooms of its kernels: each uses only those
//! above it in the package's table of ARCHITECTURE.md.
//!
//! The tables are the single source; the order of its rows decides, and the ranks say which rows
//! are alike. What is below one module is free among itself. Tests may use everything.

use super::source::{code_without_tests, line_of, words};
use super::{File, Problem};

const TABLE: &str = "ARCHITECTURE.md";

/// A package whose modules have an order.
#[derive(Clone, Copy, Debug)]
struct Package {
    /// What its table calls a module.
    column: &'static str,
    /// Where its modules are.
    folder: &'static str,
}

const PACKAGES: [Package; 2] = [
    Package { column: "module", folder: "src/" },
    Package { column: "room", folder: "kernels/src/" },
];

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layer {
    rank: u32,
    module: String,
    line: usize,
}

/// Everything about the layers that is not as the tables say.
pub(super) fn problems(files: &[File]) -> Vec<Problem> {
    let Some(architecture) = files.iter().find(|file| file.path == TABLE) else {
        return vec![at(TABLE, 0, "the file is missing; it holds the table of layers".to_owned())];
    };
    let is_there =
        |package: &Package| files.iter().any(|file| package.module_of(&file.path).is_some());
    let packages = PACKAGES.into_iter().filter(is_there);
    packages.flat_map(|package| package.problems(&architecture.text, files)).collect()
}

impl Package {
    fn problems(self, architecture: &str, files: &[File]) -> Vec<Problem> {
        let layers = self.layers(architecture);
        if layers.is_empty() {
            let sentence = format!("no table with the columns `rank` and `{}`", self.column);
            return vec![at(TABLE, 0, sentence)];
        }
        let mut problems = order_problems(&layers);
        problems.extend(self.missing_files(&layers, files));
        problems.extend(self.missing_rows(&layers, files));
        for file in files {
            if let Some(user) = self.module_of(&file.path) {
                problems.extend(use_problems(file, user, &layers));
            }
        }
        problems
    }

    /// The rows of the first table whose columns begin with `rank` and the package's own.
    fn layers(self, architecture: &str) -> Vec<Layer> {
        let is_header =
            |line: &str| cells(line).is_some_and(|cells| cells.starts_with(&["rank", self.column]));
        let rows = architecture.lines().enumerate();
        let mut rows = rows.skip_while(|(_, line)| !is_header(line)).skip(2);
        std::iter::from_fn(|| rows.next().and_then(|(number, line)| layer(line, number + 1)))
            .collect()
    }

    fn missing_files(self, layers: &[Layer], files: &[File]) -> Vec<Problem> {
        let is_there =
            |module: &str| files.iter().any(|file| self.module_of(&file.path) == Some(module));
        let missing = layers.iter().filter(|layer| !is_there(&layer.module));
        let sentence = |module: &str| {
            let folder = self.folder;
            format!("the table has `{module}`, but there is no {folder}{module}.rs or folder")
        };
        missing.map(|layer| at(TABLE, layer.line, sentence(&layer.module))).collect()
    }

    fn missing_rows(self, layers: &[Layer], files: &[File]) -> Vec<Problem> {
        let built = files.iter().filter(|file| !file.is_test);
        let mut modules: Vec<_> =
            built.filter_map(|file| Some((self.module_of(&file.path)?, &file.path))).collect();
        modules.dedup_by_key(|(module, _)| *module);
        let missing = modules.into_iter().filter(|(module, _)| place(layers, module).is_none());
        let sentence = |module| {
            let column = self.column;
            format!("{column} `{module}` is not in the table of {TABLE}; add it there")
        };
        missing.map(|(module, path)| at(path, 0, sentence(module))).collect()
    }

    /// The module of the package that a file belongs to; `None` outside it and for its root.
    fn module_of(self, path: &str) -> Option<&str> {
        let inner = path.strip_prefix(self.folder)?.strip_suffix(".rs")?;
        let module = inner.split('/').next()?;
        (module != "lib").then_some(module)
    }
}

fn layer(line: &str, number: usize) -> Option<Layer> {
    let cells = cells(line)?;
    let rank = cells.first()?.parse().ok()?;
    let module = cells.get(1)?.trim_matches('`').to_owned();
    Some(Layer { rank, module, line: number })
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

fn order_problems(layers: &[Layer]) -> Vec<Problem> {
    let pairs = layers.windows(2).filter(|pair| pair[1].rank < pair[0].rank);
    let sentence = |pair: &[Layer]| {
        format!("`{}` (rank {}) stands below rank {}", pair[1].module, pair[1].rank, pair[0].rank)
    };
    pairs.map(|pair| at(TABLE, pair[1].line, sentence(pair))).collect()
}

fn place(layers: &[Layer], module: &str) -> Option<usize> {
    layers.iter().position(|layer| layer.module == module)
}

fn use_problems(file: &File, user: &str, layers: &[Layer]) -> Vec<Problem> {
    let Some(user_place) = place(layers, user) else { return Vec::new() };
    if file.is_test {
        return Vec::new();
    }
    let code = code_without_tests(&file.text);
    let wrong = used_modules(&code).into_iter().filter_map(|(start, used)| {
        let used_place = place(layers, used)?;
        (used_place > user_place).then(|| {
            let (user, used) = (&layers[user_place], &layers[used_place]);
            at(&file.path, line_of(&code, start), sentence(user, used))
        })
    });
    let mut problems: Vec<Problem> = wrong.collect();
    problems.dedup();
    problems
}

fn sentence(user: &Layer, used: &Layer) -> String {
    format!(
        "`{}` (rank {}) uses `{}` (rank {}); a module may use only those above it in the table of \
         {TABLE}",
        user.module, user.rank, used.module, used.rank
    )
}

/// The first names after each `crate::`, those in braces too, with their places.
fn used_modules(code: &str) -> Vec<(usize, &str)> {
    let mut used = Vec::new();
    for (start, found) in code.match_indices("crate::") {
        let start = start + found.len();
        let rest = &code[start..];
        if rest.trim_start().starts_with('{') {
            used.extend(names_in_braces(rest).into_iter().map(|(at, name)| (start + at, name)));
        } else {
            used.extend(words(rest).next().map(|(at, name)| (start + at, name)));
        }
    }
    used
}

/// The first word of each part of `{a::b, c::{d, e}, f}`.
fn names_in_braces(text: &str) -> Vec<(usize, &str)> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut wanted = false;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && character == '}' {
            break;
        }
        if depth == 1 && matches!(character, '{' | ',') {
            wanted = true;
        } else if wanted && (character.is_alphanumeric() || character == '_') {
            names.extend(words(&text[at..]).next().map(|(_, name)| (at, name)));
            wanted = false;
        }
    }
    names
}

fn at(path: &str, line: usize, message: String) -> Problem {
    Problem { path: path.to_owned(), line, message }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    const ARCHITECTURE: &str = "# Layers\n\n| rank | module | one line |\n|---|---|---|\n\
        | 0 | `error` | errors |\n| 0 | `units` | units |\n| 3 | `images` | pictures |\n\
        | 5 | `encoder` | models |\n\nText.\n";

    fn check(path: &str, text: &str) -> Vec<String> {
        let mut files: Vec<File> =
            ["error", "units", "images"].map(|m| file(&format!("src/{m}.rs"), "")).into();
        files.push(file("src/encoder/mod.rs", ""));
        files.push(file(TABLE, ARCHITECTURE));
        files.push(file("src/lib.rs", "pub mod error; pub use crate::encoder::Model;"));
        files.retain(|file| file.path != path);
        files.push(file(path, text));
        problems(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_module_that_uses_one_below_it_is_named_with_both_ranks() {
        let problems = check("src/images/decode.rs", "\nuse crate::encoder::Model;\n");
        assert_eq!(
            problems,
            [
                "src/images/decode.rs:2: `images` (rank 3) uses `encoder` (rank 5); a module may use \
              only those above it in the table of ARCHITECTURE.md"
            ]
        );
    }

    #[test]
    fn modules_above_and_the_modules_own_parts_are_free() {
        let text = "use crate::images::Frame; use crate::encoder::towers; use crate::Error;";
        assert_eq!(check("src/encoder/gru.rs", text), [""; 0]);
        assert_eq!(check("src/units.rs", "use crate::error::Error;"), [""; 0]);
    }

    #[test]
    fn within_a_rank_the_order_of_the_rows_decides() {
        let problems = check("src/error.rs", "use crate::units::Seed;");
        assert!(problems[0].contains("`error` (rank 0) uses `units` (rank 0)"), "{problems:?}");
    }

    #[test]
    fn names_in_braces_and_paths_in_code_are_seen() {
        let text = "use crate::{Error, error::{Kind, encoder}, images::Frame};";
        assert_eq!(check("src/encoder/a.rs", text), [""; 0]);
        let problems = check("src/units.rs", text);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("`units` (rank 0) uses `images` (rank 3)"), "{problems:?}");
        assert_eq!(check("src/units.rs", "fn a() { crate::images::load() }").len(), 1);
    }

    #[test]
    fn comments_and_tests_may_name_everything() {
        let text = "/// See crate::encoder::Model.\nfn a() {}\n#[cfg(test)]\nmod tests { use crate::encoder::Model; }";
        assert_eq!(check("src/images.rs", text), [""; 0]);
        assert_eq!(check("src/images/tests/a.rs", "use crate::encoder::Model;"), [""; 0]);
    }

    #[test]
    fn a_module_of_tests_alone_needs_no_row() {
        assert_eq!(check("src/fuzz/tests/a.rs", "use crate::encoder::Model;"), [""; 0]);
    }

    #[test]
    fn rooms_of_the_kernels_have_a_table_of_their_own() {
        let table = "\n| rank | room |\n|---|---|\n| 0 | `cpu` |\n| 1 | `product` |\n";
        let lower = file("kernels/src/product/mod.rs", "use crate::cpu::simd;");
        let upper = file("kernels/src/cpu/mod.rs", "\nuse crate::product::Left;");
        let architecture = file(TABLE, table);
        let found = problems(&[architecture, lower, upper]);
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "kernels/src/cpu/mod.rs:2: `cpu` (rank 0) uses `product` (rank 1); a module may use only \
                 those above it in the table of ARCHITECTURE.md"
            ]
        );
        let found = problems(&[file(TABLE, "no table"), file("kernels/src/cpu.rs", "")]);
        assert!(found[0].message.contains("`rank` and `room`"), "{found:?}");
    }

    #[test]
    fn table_and_modules_must_agree() {
        let problems = check("src/maps.rs", "");
        assert_eq!(
            problems,
            ["src/maps.rs: module `maps` is not in the table of ARCHITECTURE.md; add it there"]
        );
        let more = ARCHITECTURE.replace("\n\nText", "\n| 2 | `index` | rows |\n\nText");
        let problems = check(TABLE, &more);
        assert_eq!(problems[0], "ARCHITECTURE.md:9: `index` (rank 2) stands below rank 5");
        assert!(problems[1].contains("there is no src/index.rs or folder"), "{problems:?}");
        assert_eq!(check(TABLE, "no table").len(), 1);
    }
}
