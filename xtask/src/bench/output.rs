//! Rows of maps as a table, and their fields.

use std::fmt::Write as _;

use super::fields::{Field, Value, aligned, ends, or_dash, rounded, short, with_commas};
use super::figures::{Row, STAGES};
use super::machine::Machine;

/// Everything that is known of a row, in the order of the columns of the record.
pub(super) fn fields(row: &Row, machine: &Machine) -> Vec<Field> {
    let word = |text: &str| Value::Word(text.to_owned());
    let number = |number: f64| Value::Number(number);
    let of_quality = |of: fn(&super::figures::Quality) -> f64| row.quality.as_ref().map(of).into();
    let mut fields = vec![
        ("work", word("map")),
        ("program", word(row.program)),
        ("points", number(row.points as f64)),
        ("ms", number(rounded(1000.0 * row.wall_s.median, 1))),
        ("ms_min", number(rounded(1000.0 * row.wall_s.least, 1))),
        ("ms_max", number(rounded(1000.0 * row.wall_s.most, 1))),
        ("runs", number(row.runs as f64)),
        ("threads", number(machine.threads as f64)),
        ("times_looksee", row.times_looksee.map(|times| rounded(times.median, 3)).into()),
        ("cpu_s", number(rounded(row.cpu_s, 2))),
        ("peak_memory_mb", number(rounded(row.peak_mb, 1))),
        ("imports_mb", row.imports_mb.map(|mb| rounded(mb, 1)).into()),
        ("own_kl", row.own_kl.map(|kl| rounded(kl, 4)).into()),
        ("kl", of_quality(|quality| rounded(quality.kl, 4))),
        ("kl_error", of_quality(|quality| rounded(quality.kl_error, 4))),
        ("knn15", of_quality(|quality| rounded(quality.knn15, 4))),
        ("trust15", of_quality(|quality| rounded(quality.trust15, 4))),
        ("judged", of_quality(|quality| quality.judged as f64)),
        ("simd", word(machine.simd)),
        ("processor", word(&machine.processor)),
        ("ok", Value::Truth(row.is_ok())),
    ];
    let stages = STAGES.iter().zip(row.stages_s);
    let stages = stages.map(|(stage, s)| (format!("{stage}_s"), s.map(|s| rounded(s, 3)).into()));
    let fields = fields.drain(..).map(|(name, value)| (name.to_owned(), value));
    fields.chain(stages).collect()
}

/// The rows of one size under a line that says on what they were measured.
pub(super) fn table(rows: &[Row], machine: &Machine) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let with_peers = rows.len() > 1;
    let with_imports = rows.iter().any(|row| row.imports_mb.is_some());
    let mut lines = vec![header(with_peers, with_imports)];
    lines.extend(rows.iter().map(|row| cells(row, with_peers, with_imports)));
    let mut out = format!(
        "\n{} points: {}, {}, threads: {}, runs: {}\n\n{}",
        with_commas(first.points),
        machine.processor,
        machine.simd,
        machine.threads,
        first.runs,
        aligned(&lines),
    );
    let judged = first.quality.map_or(first.points, |quality| quality.judged);
    if judged < first.points {
        let error = first.quality.map_or(0.0, |quality| quality.kl_error);
        let rows = with_commas(judged);
        _ = writeln!(out, "(KL, of a sample of {rows} rows, is known to about {error:.3})");
    }
    for row in rows {
        if let Some(problem) = &row.problem {
            _ = writeln!(out, "not ok: {}: {problem}", row.program);
        }
    }
    out
}

fn header(with_peers: bool, with_imports: bool) -> Vec<String> {
    let mut names = vec!["program", "wall s", "(min-max)"];
    if with_peers {
        names.extend(["times", "(min-max)"]);
    }
    names.extend(STAGES);
    names.extend(["CPU s", "peak MB"]);
    if with_imports {
        names.push("(imports)");
    }
    names.extend(["own KL", "KL", "knn15", "trust15", "ok"]);
    names.into_iter().map(str::to_owned).collect()
}

fn cells(row: &Row, with_peers: bool, with_imports: bool) -> Vec<String> {
    let fixed = |number: Option<f64>| or_dash(number.map(|number| format!("{number:.4}")));
    let mut cells = vec![row.program.to_owned(), short(row.wall_s.median), ends(row.wall_s, short)];
    if with_peers {
        cells.push(or_dash(row.times_looksee.map(|times| short(times.median))));
        cells.push(or_dash(row.times_looksee.map(|times| ends(times, short))));
    }
    cells.extend(row.stages_s.map(|stage| or_dash(stage.map(short))));
    cells.extend([short(row.cpu_s), format!("{:.0}", row.peak_mb)]);
    if with_imports {
        cells.push(or_dash(row.imports_mb.map(|mb| format!("({mb:.0})"))));
    }
    cells.push(fixed(row.own_kl));
    cells.extend([
        fixed(row.quality.map(|quality| quality.kl)),
        fixed(row.quality.map(|quality| quality.knn15)),
        fixed(row.quality.map(|quality| quality.trust15)),
    ]);
    cells.push(if row.is_ok() { "yes" } else { "no" }.to_owned());
    cells
}

#[cfg(test)]
mod tests {
    use super::super::fields::{csv_header, csv_line, json};
    use super::super::figures::tests::{QUALITY, run};
    use super::super::figures::{Quality, Run};
    use super::*;

    fn machine() -> Machine {
        Machine { processor: "A \"B\", C".to_owned(), simd: "avx2", threads: 2 }
    }

    fn rows() -> Vec<Row> {
        let looksee = [run(1.0), run(2.0), run(1.5)];
        let other = [15.0, 14.0, 120.0].map(|s| Run { imports_mb: Some(30.0), ..run(s) });
        vec![
            Row::new("looksee", 2000, &looksee, &looksee, Ok(QUALITY)).unwrap(),
            Row::new("other", 2000, &other, &looksee, Err("it is empty".to_owned())).unwrap(),
        ]
    }

    #[test]
    fn a_table_of_several_shows_how_many_times_as_long_each_took() {
        assert_eq!(
            table(&rows(), &machine()),
            r#"
2,000 points: A "B", C, avx2, threads: 2, runs: 3

  program  wall s    (min-max)  times    (min-max)  neighbours  affinities  init  optimise  CPU s  peak MB  (imports)  own KL      KL   knn15  trust15   ok
  looksee    1.50  (1.00-2.00)   1.00  (1.00-1.00)        0.75           -     -         -   3.00       40          -  1.5000  1.5000  0.6200   0.9200  yes
  other      15.0   (14.0-120)   10.0  (7.00-80.0)        7.50           -     -         -   30.0       40       (30)  1.5000       -       -        -   no
not ok: other: it is empty
"#
        );
    }

    #[test]
    fn a_table_of_looksee_alone_is_narrower_and_says_when_a_sample_was_judged() {
        let quality = Quality { judged: 1000, kl_error: 0.0123, ..QUALITY };
        let row = Row::new("looksee", 1_000_000, &[run(100.0)], &[], Ok(quality)).unwrap();
        assert_eq!(
            table(&[row], &machine()),
            r#"
1,000,000 points: A "B", C, avx2, threads: 2, runs: 1

  program  wall s  (min-max)  neighbours  affinities  init  optimise  CPU s  peak MB  own KL      KL   knn15  trust15   ok
  looksee     100  (100-100)        50.0           -     -         -    200       40  1.5000  1.5000  0.6200   0.9200  yes
(KL, of a sample of 1,000 rows, is known to about 0.012)
"#
        );
    }

    #[test]
    fn a_json_line_has_what_is_known_and_no_more() {
        assert_eq!(
            json(&fields(&rows()[0], &machine())),
            r#"{"work":"map","program":"looksee","points":2000,"ms":1500,"ms_min":1000,"ms_max":2000,"runs":3,"threads":2,"times_looksee":1,"cpu_s":3,"peak_memory_mb":40,"own_kl":1.5,"kl":1.5,"kl_error":0,"knn15":0.62,"trust15":0.92,"judged":2000,"simd":"avx2","processor":"A \"B\", C","ok":true,"neighbours_s":0.75}"#
        );
    }

    #[test]
    fn a_line_of_the_record_has_a_value_or_nothing_for_each_name() {
        let (rows, machine) = (rows(), machine());
        let header = csv_header(&fields(&rows[0], &machine));
        assert!(header.starts_with("commit,work,program,points,ms,"));
        assert_eq!(header, csv_header(&fields(&rows[1], &machine)));
        let line = csv_line(&fields(&rows[1], &machine), "abc1234");
        assert_eq!(
            line,
            r#"abc1234,map,other,2000,15000,14000,120000,3,2,10,30,40,30,1.5,,,,,,avx2,"A ""B"", C",false,7.5,,,"#
        );
        // The processor's own comma is in quotation marks.
        assert_eq!(line.matches(',').count(), header.matches(',').count() + 1);
    }
}
