//! Rows of the works as a table, and their fields.

use std::fmt::Write as _;

use super::super::fields::{Field, Value, aligned, ends, or_dash, rounded, short};
use super::super::figures::Spread;
use super::super::machine::Machine;
use super::cases::{Case, Kind, LOOKSEE};
use super::check::Check;
use super::rows::{PASSES, Row};

/// Units a second from seconds a batch: the shortest time is the greatest rate.
fn rate(seconds: Spread, batch: usize) -> Spread {
    let of = |seconds: f64| batch as f64 / seconds;
    Spread { median: of(seconds.median), least: of(seconds.most), most: of(seconds.least) }
}

/// Everything that is known of a row, in the order of the columns of the record. All works have
/// the same names.
pub(super) fn fields(case: &Case, row: &Row, machine: &Machine) -> Vec<Field> {
    let word = |text: &str| Value::Word(text.to_owned());
    let some = |text: Option<&str>| text.map_or(Value::Nothing, word);
    let round = |number: Option<f64>, digits| number.map(|number| rounded(number, digits)).into();
    let number = |number: f64, digits| Value::Number(rounded(number, digits));
    // Of a single pass or layer no picture comes out.
    let rate = row.part.pass.is_none().then(|| rate(row.seconds, case.batch));
    let (texts, images) = if case.kind == Kind::Gru { (rate, None) } else { (None, rate) };
    let ratio = row.ratio.map(|(_, ratio)| ratio);
    let is_right = Value::Truth(row.check == Check::Right);
    let of_layer = row.part.layer.as_ref().map(|_| row.part.times as f64);
    let fields = [
        ("work", word(case.kind.name())),
        ("program", word(row.program)),
        ("network", word(case.network)),
        ("batch", number(case.batch as f64, 0)),
        ("image_size", (case.side > 0).then_some(case.side as f64).into()),
        ("pass", some(row.part.pass)),
        ("layer", some(row.part.layer.as_deref())),
        ("layers", of_layer.into()),
        ("images_per_s", round(images.map(|rate| rate.median), 2)),
        ("images_per_s_min", round(images.map(|rate| rate.least), 2)),
        ("images_per_s_max", round(images.map(|rate| rate.most), 2)),
        ("texts_per_s", round(texts.map(|rate| rate.median), 2)),
        ("texts_per_s_min", round(texts.map(|rate| rate.least), 2)),
        ("texts_per_s_max", round(texts.map(|rate| rate.most), 2)),
        ("ms", number(1000.0 * row.seconds.median, 3)),
        ("ms_min", number(1000.0 * row.seconds.least, 3)),
        ("ms_max", number(1000.0 * row.seconds.most, 3)),
        ("runs", number(row.runs as f64, 0)),
        ("threads", number(machine.threads as f64, 0)),
        ("gflops", number(row.gflops(), 1)),
        ("share_of_peak", round(row.share_of_peak, 3)),
        ("times_looksee", round(row.times_looksee.map(|times| times.median), 3)),
        ("best_peer", some(row.ratio.map(|(name, _)| name))),
        ("ratio", round(ratio.map(|ratio| ratio.median), 3)),
        ("ratio_min", round(ratio.map(|ratio| ratio.least), 3)),
        ("ratio_max", round(ratio.map(|ratio| ratio.most), 3)),
        ("peak_memory_mb", round(row.peak_mb, 1)),
        ("imports_mb", round(row.imports_mb, 1)),
        ("simd", if row.program == LOOKSEE { word(machine.simd) } else { Value::Nothing }),
        ("processor", word(&machine.processor)),
        // Nobody knows of what was not checked.
        ("ok", if row.check == Check::Unknown { Value::Nothing } else { is_right }),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The rows of one case under a line that says on what they were measured.
pub(super) fn table(case: &Case, rows: &[Row], machine: &Machine, repeats: usize) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let totals: Vec<&Row> = rows.iter().filter(|row| row.part.layer.is_none()).collect();
    let shown = Columns {
        unit: case.kind.unit(),
        peers: totals.iter().any(|row| row.program != LOOKSEE),
        passes: first.part.pass.is_some(),
        imports: totals.iter().any(|row| row.imports_mb.is_some()),
    };
    let mut lines = vec![shown.header()];
    lines.extend(totals.iter().map(|row| shown.cells(case, row)));
    let mut out = format!(
        "\n{case}: {}, {}, threads: {}, runs: {} x {repeats}\n\n{}",
        machine.processor,
        machine.simd,
        machine.threads,
        first.runs,
        aligned(&lines)
    );
    for row in &totals {
        if let Some((name, ratio)) = row.ratio {
            let of_pass = row.part.pass.map_or(String::new(), |pass| format!("{pass}: "));
            let (times, ends) = (short(ratio.median), ends(ratio, short));
            _ = writeln!(out, "{of_pass}looksee is {times} {ends} times as fast as {name}");
        }
    }
    out += &remarks(&totals);
    if shown.passes {
        out.push('\n');
        out += &layers(rows);
    }
    out
}

/// What is wrong, and what could not be checked; each program once.
fn remarks(totals: &[&Row]) -> String {
    let mut out = String::new();
    let mut named: Vec<&str> = Vec::new();
    for row in totals {
        if named.contains(&row.program) {
            continue;
        }
        named.push(row.program);
        match &row.check {
            Check::Wrong(problem) => _ = writeln!(out, "not ok: {}: {problem}", row.program),
            Check::Unknown if row.program == LOOKSEE => {
                out += "not checked: no answer is recorded for this size; --peers compares with \
                        that of another program\n";
            }
            Check::Unknown | Check::Right => {}
        }
    }
    out
}

/// Which columns a table has.
struct Columns {
    unit: &'static str,
    peers: bool,
    passes: bool,
    imports: bool,
}

impl Columns {
    fn header(&self) -> Vec<String> {
        let mut names = vec!["program".to_owned()];
        if self.passes {
            names.push("pass".to_owned());
        } else {
            names.extend([format!("{}/s", self.unit), "(min-max)".to_owned()]);
        }
        let mut plain = vec!["ms", "(min-max)"];
        if self.peers {
            plain.extend(["times", "(min-max)"]);
        }
        plain.extend(["GFLOP/s", "of peak", "peak MB"]);
        if self.imports {
            plain.push("(imports)");
        }
        plain.push("ok");
        names.extend(plain.into_iter().map(str::to_owned));
        names
    }

    fn cells(&self, case: &Case, row: &Row) -> Vec<String> {
        let mut cells = vec![row.program.to_owned()];
        if let Some(pass) = row.part.pass {
            cells.push(pass.to_owned());
        } else {
            let rate = rate(row.seconds, case.batch);
            cells.extend([short(rate.median), ends(rate, short)]);
        }
        let Spread { median, least, most } = row.seconds;
        let ms = Spread { median: 1e3 * median, least: 1e3 * least, most: 1e3 * most };
        cells.extend([short(ms.median), ends(ms, short)]);
        if self.peers {
            cells.push(or_dash(row.times_looksee.map(|times| short(times.median))));
            cells.push(or_dash(row.times_looksee.map(|times| ends(times, short))));
        }
        cells.push(format!("{:.0}", row.gflops()));
        cells.push(or_dash(row.share_of_peak.map(|share| format!("{:.0} %", 100.0 * share))));
        cells.push(or_dash(row.peak_mb.map(|mb| format!("{mb:.0}"))));
        if self.imports {
            cells.push(or_dash(row.imports_mb.map(|mb| format!("({mb:.0})"))));
        }
        cells.push(match &row.check {
            Check::Right => "yes".to_owned(),
            Check::Wrong(_) => "no".to_owned(),
            Check::Unknown => "-".to_owned(),
        });
        cells
    }
}

/// GFLOP/s of each layer, those of the fastest other program in brackets.
fn layers(rows: &[Row]) -> String {
    let of_looksee = |row: &&Row| row.program == LOOKSEE && row.part.layer.is_some();
    let mut header = vec!["GFLOP/s of".to_owned(), "layers".to_owned()];
    header.extend(PASSES.map(str::to_owned));
    let mut lines = vec![header];
    let mut last = None;
    for row in rows.iter().filter(of_looksee) {
        let (Some(layer), Some(pass)) = (&row.part.layer, row.part.pass) else { continue };
        if last != Some(layer) {
            last = Some(layer);
            let mut line = vec![layer.clone(), row.part.times.to_string()];
            line.extend(PASSES.map(|_| "-".to_owned()));
            lines.push(line);
        }
        let column = PASSES.iter().position(|known| *known == pass).map(|at| at + 2);
        if let (Some(line), Some(column)) = (lines.last_mut(), column) {
            line[column] = match row.ratio {
                Some((_, ratio)) => {
                    format!("{:.0} ({:.0})", row.gflops(), row.gflops() / ratio.median)
                }
                None => format!("{:.0}", row.gflops()),
            };
        }
    }
    aligned(&lines)
}

#[cfg(test)]
mod tests {
    use super::super::super::fields::{csv_header, csv_line, json};
    use super::super::rows::tests::rows;
    use super::*;

    fn machine() -> Machine {
        Machine { processor: "A, B".to_owned(), simd: "avx2", threads: 2 }
    }

    #[test]
    fn a_table_shows_the_rate_and_how_looksee_stands() {
        assert_eq!(
            table(&Kind::Train.cases()[0], &rows(), &machine(), 5),
            "
train, resnet50, 32 x 64 px: A, B, avx2, threads: 2, runs: 3 x 5

  program  images/s    (min-max)    ms    (min-max)  times    (min-max)  GFLOP/s  of peak  peak MB  (imports)   ok
  looksee      21.3  (16.0-32.0)  1500  (1000-2000)   1.00  (1.00-1.00)       67     33 %      600          -  yes
  slow         10.7  (8.00-10.7)  3000  (3000-4000)   2.00  (2.00-3.00)       33     17 %      600      (300)    -
  fast         10.7  (8.00-21.3)  3000  (1500-4000)   2.00  (1.50-2.00)       33     17 %      600          -   no
looksee is 2.00 (2.00-3.00) times as fast as slow
not ok: fast: loss is 3 where 4 is right
"
        );
    }

    #[test]
    fn a_json_line_has_the_names_of_the_contract() {
        assert_eq!(
            json(&fields(&Kind::Train.cases()[0], &rows()[0], &machine())),
            r#"{"work":"train","program":"looksee","network":"resnet50","batch":32,"image_size":64,"images_per_s":21.33,"images_per_s_min":16,"images_per_s_max":32,"ms":1500,"ms_min":1000,"ms_max":2000,"runs":3,"threads":2,"gflops":66.7,"share_of_peak":0.333,"times_looksee":1,"best_peer":"slow","ratio":2,"ratio_min":2,"ratio_max":3,"peak_memory_mb":600,"simd":"avx2","processor":"A, B","ok":true}"#
        );
        let texts = json(&fields(&Kind::Gru.cases()[0], &rows()[1], &machine()));
        assert!(texts.contains(r#""texts_per_s":10.67"#) && !texts.contains("image"), "{texts}");
        assert!(!texts.contains(r#""ok""#), "nobody checked it: {texts}");
    }

    #[test]
    fn a_line_of_the_record_has_a_value_or_nothing_for_each_name() {
        let lines = rows()
            .iter()
            .map(|row| fields(&Kind::Gru.cases()[0], row, &machine()))
            .collect::<Vec<_>>();
        let header = csv_header(&lines[0]);
        assert_eq!(header, csv_header(&lines[2]));
        // The processor's own comma is in quotation marks.
        let line = csv_line(&lines[0], "abc");
        assert_eq!(line.matches(',').count(), header.matches(',').count() + 1, "{line}");
    }
}
